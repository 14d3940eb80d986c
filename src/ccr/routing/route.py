"""Which provider and model serve a request, and by which rule.

First match wins:

    explicit    ``provider,model``, both configured
    model       the name of a configured model; the first provider that lists it
    default     any name of the Claude family: ``Router.default``

Names match in any case; the suffix ``[1m]`` (a wish of the client for a long context) is not part of a name.
Everything else is refused: a request never goes to a model nobody configured. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.config.model import Config, Provider

LONG_CONTEXT_SUFFIX: Final = "[1m]"
FAMILY_WORDS: Final = ("claude", "sonnet", "opus", "haiku")
"""Words that make a name one of the Claude family: what Claude Code asks for by itself."""
MAX_NAMED: Final = 20
"""How many configured names an error message lists."""


class Decision(NamedTuple):
    """The route of a request. model: in the spelling of the configuration. rule: see the module's table."""

    provider: Provider
    model: str
    rule: str


def choose(model: str, config: Config) -> Decision:
    """Return the route for the model name of a request.

    Raises RequestError (400) that names what is configured.
    """
    name = model.strip()
    if name.lower().endswith(LONG_CONTEXT_SUFFIX):
        name = name[: -len(LONG_CONTEXT_SUFFIX)].rstrip()
    if "," in name:
        return Decision(*_explicit(name, config), "explicit")
    for provider in config.providers:
        configured = _spelled(name, provider.models)
        if configured is not None:
            return Decision(provider, configured, "model")
    lowered = name.lower()
    if any(word in lowered for word in FAMILY_WORDS):
        return Decision(*_default(config), "default")
    raise RequestError(f"model: `{name}` is not configured in ccr. {_remedy(config)}")


def _explicit(name: str, config: Config) -> tuple[Provider, str]:
    provider_name, _, model_name = (part.strip() for part in name.partition(","))
    provider = next((p for p in config.providers if p.name.lower() == provider_name.lower()), None)
    if provider is None:
        raise RequestError(f"model: there is no provider `{provider_name}` in ccr. {_remedy(config)}")
    configured = _spelled(model_name, provider.models)
    if configured is None:
        raise RequestError(
            f"model: provider `{provider.name}` has no model `{model_name}` in ccr. {_remedy(config)}"
        )
    return provider, configured


def _default(config: Config) -> tuple[Provider, str]:
    if config.router.default is None:
        raise RequestError(f"model: Router.default is not set in ccr's configuration. {_remedy(config)}")
    return _explicit(config.router.default, config)


def _spelled(name: str, models: Iterable[str]) -> str | None:
    """Return the configured spelling of a model's name, None when it is not among ``models``."""
    lowered = name.lower()
    return next((model for model in models if model.lower() == lowered), None)


def _remedy(config: Config) -> str:
    names = [f"`{provider.name},{model}`" for provider in config.providers for model in provider.models]
    shown = ", ".join(names[:MAX_NAMED]) or "nothing"
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return (
        f"Configured: {shown}{more}. Choose one of them (`claude --model`, ANTHROPIC_MODEL), "
        "or add the model to Providers[].models in config.json."
    )
