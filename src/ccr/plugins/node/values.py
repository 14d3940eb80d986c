"""What goes into plugins and comes out of them, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Provider, Secret, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """The client's request as plugins see it (``req``).

    id: the same for all hooks of one exchange; then they get the same object. body: the client's own JSON,
    parsed only when a plugin looks. headers: lower-case names. provider, model: the route.
    """

    id: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = "/v1/messages"
    session_id: str | None = None
    provider: str | None = None
    model: str | None = None

    def head(self) -> dict[str, Any]:
        """Return everything but the body, by the names plugins know."""
        return {
            "id": self.id,
            "method": "POST",
            "url": self.url,
            "headers": self.headers,
            "sessionId": self.session_id,
            "provider": self.provider,
            "model": self.model,
        }


class LoadedPlugin(NamedTuple):
    """A plugin file that is loaded. hooks: the names of those it has; end_point: the route it asks for."""

    name: str
    end_point: str | None
    hooks: frozenset[str]

    @property
    def request_hooks(self) -> tuple[str, ...]:
        """The hooks that look at a request on its way to a provider, in order.

        With an end point ``auth`` belongs to the pass-through to a provider of the plugin's own form.
        """
        wanted = ("transformRequestIn", "auth") if self.end_point is None else ("transformRequestIn",)
        return tuple(hook for hook in wanted if hook in self.hooks)


class HookedRequest(NamedTuple):
    """A request after a plugin.

    url: None when it goes where it went before. headers: to set, None to take away. timeout_s: how long the
    plugin lets the upstream take. rules: what the plugin asked for and cannot have.
    """

    body: bytes
    url: str | None = None
    headers: Mapping[str, str | None] = {}
    timeout_s: float | None = None
    rules: tuple[str, ...] = ()


def provider_for_plugins(provider: Provider, api_key: Secret | None = None) -> dict[str, Any]:
    """Return the provider object of the hooks; api_key: in place of the provider's own.

    ``api_base_url`` and ``api_key`` repeat ``baseUrl`` and ``apiKey``: plugins read either (source: the npm
    router's transformers, and the file that Databricks Devbox writes).
    """
    secret = api_key or provider.api_key
    chains = {model: {"use": _written(steps)} for model, steps in provider.model_steps.items()}
    return {
        "name": provider.name,
        "baseUrl": provider.url,
        "api_base_url": provider.url,
        **keys_for_plugins(secret),
        "models": list(provider.models),
        "transformer": {"use": _written(provider.steps), **chains},
    }


def keys_for_plugins(secret: Secret | None) -> dict[str, str]:
    """Return the part of the provider object that holds its key."""
    key = secret.reveal() if secret is not None else ""
    return {"apiKey": key, "api_key": key}


def _written(steps: tuple[Step, ...]) -> list[Any]:
    return [[step.name, dict(step.options)] if step.options else step.name for step in steps]
