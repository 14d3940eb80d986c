"""Uses of JavaScript plugins as steps of a pipeline (transformers/remote.py), on top of the Node host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from ccr.plugins.node.values import ClientRequest, keys_for_plugins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from ccr.config.model import Provider, Secret
    from ccr.plugins.node.answers import HookedResponse
    from ccr.plugins.node.values import HookedRequest, LoadedPlugin
    from ccr.transformers.base import Context
    from ccr.transformers.remote import Asked, RemoteStep

AUTH_HOOK: Final = "auth"
RESPONSE_HOOK: Final = "transformResponseOut"


def ignored(_secret: Secret) -> None:
    """Hear of a token where there is no log."""


class Host(Protocol):
    """What is needed of `ccr.plugins.node.NodeHost`."""

    async def load(self, path: str, options: Mapping[str, Any]) -> LoadedPlugin:
        """Load a file. Raises PluginError."""
        ...

    async def instance(self, plugin_name: str, step_options: Mapping[str, Any]) -> int:
        """Make an object for one use. Raises PluginError."""
        ...

    async def request(
        self,
        instance: int,
        body: bytes,
        provider: Mapping[str, Any],
        context: ClientRequest,
        *,
        hook: str = "transformRequestIn",
    ) -> HookedRequest:
        """Return the request after a plugin. Raises PluginError."""
        ...

    async def response(
        self,
        instances: Sequence[int],
        status: int,
        headers: Mapping[str, str],
        chunks: AsyncIterator[bytes],
        context: ClientRequest,
        *,
        hook: str = "transformResponseOut",
        is_last: bool = True,
    ) -> HookedResponse:
        """Return the answer after plugins. Raises PluginError."""
        ...

    async def load_router(self, path: str) -> None:
        """Load a custom router's file. Raises PluginError."""
        ...

    async def route(self, path: str, request: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
        """Return what a custom router's file says. Raises PluginError."""
        ...

    async def close(self) -> None:
        """End the process."""
        ...


class NodeSteps:
    """The host, as pipelines know it."""

    def __init__(self, host: Host) -> None:
        self.host = host

    async def response(
        self,
        steps: Sequence[RemoteStep],
        status: int,
        headers: Mapping[str, str],
        chunks: AsyncIterator[bytes],
        context: Context,
        asked: Asked,
    ) -> HookedResponse:
        """Pass an answer through uses of plugins, in the given order. Raises PluginError."""
        numbers = [cast("NodeStep", step).number for step in steps]
        asking = client_request(context, asked)
        is_last = not asked.is_at_end_point
        return await self.host.response(numbers, status, _plain(headers), chunks, asking, is_last=is_last)


class NodeStep:
    """One use. number: of its object in the host; provider: what its hooks are told of the provider.

    hide: told each token that a hook is given, so that no log shows it.
    """

    def __init__(
        self,
        host: NodeSteps,
        number: int,
        plugin: LoadedPlugin,
        provider: Mapping[str, Any],
        hide: Callable[[Secret], None] = ignored,
    ) -> None:
        self.name = plugin.name
        self.host = host
        self.number = number
        self.may_request = bool(plugin.request_hooks)
        self.may_respond = RESPONSE_HOOK in plugin.hooks
        self._provider = provider
        self._hide = hide

    async def request(self, body: bytes, context: Context, asked: Asked) -> HookedRequest:
        """Return the request after it. Raises PluginError."""
        return await self._hooked(body, context, asked, "transformRequestIn")

    async def authorize(self, body: bytes, context: Context, asked: Asked) -> HookedRequest:
        """Return the request after its ``auth`` alone. Raises PluginError."""
        return await self._hooked(body, context, asked, AUTH_HOOK)

    async def _hooked(self, body: bytes, context: Context, asked: Asked, hook: str) -> HookedRequest:
        provider = self._provider
        if asked.key is not None:
            self._hide(asked.key)
            provider = {**provider, **keys_for_plugins(asked.key)}
        asking = client_request(context, asked)
        return await self.host.host.request(self.number, body, provider, asking, hook=hook)


class NodeEndPoint:
    """The route of a plugin's own. number: of its object in the host."""

    def __init__(self, host: NodeSteps, number: int, plugin: LoadedPlugin) -> None:
        self.name = plugin.name
        self._host = host.host
        self._number = number

    async def request(self, body: bytes, context: Context, asked: Asked) -> HookedRequest:
        """Return the client's request in the chat format. Raises PluginError."""
        asking = client_request(context, asked)
        return await self._host.request(self._number, body, {}, asking, hook="transformRequestOut")

    async def response(
        self, headers: Mapping[str, str], chunks: AsyncIterator[bytes], context: Context, asked: Asked
    ) -> HookedResponse:
        """Return an answer in the client's form. Raises PluginError."""
        asking = client_request(context, asked)
        numbers = (self._number,)
        return await self._host.response(
            numbers, 200, _plain(headers), chunks, asking, hook="transformResponseIn"
        )

    def is_alone(self, provider: Provider, model: str) -> bool:
        """Tell whether a provider has nothing but this plugin, so that it speaks the same form itself."""
        own = provider.model_steps.get(model, ())
        return [step.name for step in provider.steps] == [self.name] and (
            not own or [step.name for step in own] == [self.name]
        )


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def client_request(context: Context, asked: Asked) -> ClientRequest:
    """Return what plugins see of the client's request. Before there is a route they see none."""
    return ClientRequest(
        id=context.request_id,
        body=asked.body,
        headers=asked.headers,
        url=asked.path,
        session_id=context.session_id,
        provider=context.provider or None,
        model=context.model or None,
    )
