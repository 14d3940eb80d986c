"""Uses of JavaScript plugins as steps of a pipeline (transformers/remote.py), on top of the Node host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from ccr.plugins.node.values import ClientRequest, keys_for_plugins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from ccr.config.model import Secret
    from ccr.plugins.node.answers import HookedResponse
    from ccr.plugins.node.values import HookedRequest, LoadedPlugin
    from ccr.transformers.base import Context
    from ccr.transformers.remote import Asked, RemoteStep

REQUEST_HOOKS: Final = frozenset({"transformRequestIn", "auth"})
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
        self, instance: int, body: bytes, provider: Mapping[str, Any], context: ClientRequest
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
        plain = {name.lower(): value for name, value in headers.items()}
        return await self.host.response(numbers, status, plain, chunks, client_request(context, asked))


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
        self.may_request = not REQUEST_HOOKS.isdisjoint(plugin.hooks)
        self.may_respond = RESPONSE_HOOK in plugin.hooks
        self._provider = provider
        self._hide = hide

    async def request(self, body: bytes, context: Context, asked: Asked) -> HookedRequest:
        """Return the request after it. Raises PluginError."""
        provider = self._provider
        if asked.key is not None:
            self._hide(asked.key)
            provider = {**provider, **keys_for_plugins(asked.key)}
        return await self.host.host.request(self.number, body, provider, client_request(context, asked))


def client_request(context: Context, asked: Asked) -> ClientRequest:
    """Return what plugins see of the client's request."""
    return ClientRequest(
        id=context.request_id,
        body=asked.body,
        headers=asked.headers,
        url=asked.path,
        session_id=context.session_id,
        provider=context.provider,
        model=context.model,
    )
