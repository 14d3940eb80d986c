"""The host of all JavaScript plugins of one configuration: calls in, values out.

The Node child starts with the first plugin. When it ends by itself the calls under way fail, and the next
call starts it again with the same plugins and objects (`Restarts` says when).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ccr.plugins.errors import PluginError
from ccr.plugins.files import check_plugin_file
from ccr.plugins.node.answers import ThroughPlugins, UntouchedResponse, close_chunks
from ccr.plugins.node.calls import Call
from ccr.plugins.node.process import NodeProcess
from ccr.plugins.node.values import HookedRequest, LoadedPlugin
from ccr.transformers.options import is_debugged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from ccr.plugins.log import PluginLog, StepLog
    from ccr.plugins.node.answers import HookedResponse
    from ccr.plugins.node.child import Child
    from ccr.plugins.node.values import ClientRequest

REQUEST_HOOK: Final = "transformRequestIn"


class _Plugin(NamedTuple):
    path: Path
    options: Mapping[str, Any]
    loaded: LoadedPlugin


class _Instance(NamedTuple):
    plugin: str
    options: Mapping[str, Any]
    hooks: frozenset[str]

    @property
    def is_debugged(self) -> bool:
        return is_debugged(self.options)


class NodeHost:
    """All plugins of one configuration.

    command: the program ``node``; None looks for it on PATH. socket_dir: made private (0700) when missing.
    environ: of the child, by default ccr's own, which is where plugins look for their tokens.
    deadline_s: how long a plugin may take while nothing else is waited for. hang_s: how long the process may
    do nothing at all (an endless loop stops every plugin in it) before it is killed. load_s: how long a file
    may take to load; after half of that again the process is killed.
    """

    def __init__(
        self,
        *,
        command: str | None,
        socket_dir: Path,
        log: PluginLog,
        environ: Mapping[str, str] | None = None,
        deadline_s: float = 60.0,
        hang_s: float = 15.0,
        load_s: float = 8.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._load_s = load_s
        self._process = NodeProcess(
            command=command,
            socket_dir=socket_dir,
            log=log,
            environ=os.environ if environ is None else environ,
            deadline_s=deadline_s,
            hang_s=hang_s,
            clock=clock,
            prepare=self._prepare,
        )
        self._plugins: dict[str, _Plugin] = {}
        self._instances: dict[int, _Instance] = {}
        self._broken: dict[str, PluginError] = {}
        self._logs: dict[str, StepLog] = {}
        self._next_id = 1

    async def load(self, path: str, options: Mapping[str, Any]) -> LoadedPlugin:
        """Load a plugin file; options: what its constructor gets. Raises PluginError with its traceback."""
        file = check_plugin_file(path)
        child = await self._process.running(file.name)
        loaded = await self._load(child, file, options)
        self._plugins[loaded.name] = _Plugin(file, options, loaded)
        return loaded

    async def instance(self, plugin_name: str, step_options: Mapping[str, Any]) -> int:
        """Make an object of a loaded plugin for one use of it: its file's options, then the step's.

        Raises PluginError.
        """
        plugin = self._plugins[plugin_name]
        instance = _Instance(plugin_name, {**plugin.options, **step_options}, plugin.loaded.hooks)
        if instance.is_debugged:
            self._logs[plugin_name] = self._log.step(plugin_name, debug=True)
        number, self._next_id = self._next_id, self._next_id + 1
        await self._construct(await self._child(plugin_name), number, instance)
        self._instances[number] = instance
        return number

    async def release(self, instance: int) -> None:
        """Forget an object; a child that has ended meanwhile has forgotten it already."""
        made = self._instances.pop(instance, None)
        child = self._process.child
        if made is not None and child is not None and not child.ended.is_set():
            with contextlib.suppress(PluginError):
                await self._ask(child, {"do": "release", "id": instance}, made.plugin, "release")

    async def request(
        self,
        instance: int,
        body: bytes,
        provider: Mapping[str, Any],
        context: ClientRequest,
        *,
        hook: str = REQUEST_HOOK,
    ) -> HookedRequest:
        """Return the request (JSON) after one plugin's hook; `LoadedPlugin.request_hooks` for the default.

        provider: see `provider_for_plugins`. Raises PluginError.
        """
        made = self._instances[instance]
        if hook == REQUEST_HOOK:
            hooks = self._plugins[made.plugin].loaded.request_hooks
        else:
            hooks = tuple(each for each in (hook,) if each in made.hooks)
        if not hooks:
            return HookedRequest(body)
        child = await self._child(made.plugin)
        self._log_of(made.plugin).called(hooks[0])
        head = {"do": "request", "instance": instance, "hooks": hooks, "provider": provider}
        async with Call(child, made.plugin, hooks[0], self._log_of) as call:
            await call.send({**head, "context": context.head()}, context.body, body)
            config = (await call.answer()).json()
            return HookedRequest(
                (await call.answer()).data,
                config.get("url"),
                config["headers"],
                config.get("timeout_s"),
                tuple(config["rules"]),
            )

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
        """Return the answer after the hooks of ``instances``, in their order; it is to be closed.

        chunks: the upstream's body, decompressed; closed with the answer. is_last: no hook comes after these
        in the exchange, so that its ``req`` is let go. Raises PluginError (chunks are closed then as well).
        """
        hooked = [each for each in instances if hook in self._instances[each].hooks]
        if not hooked:
            return UntouchedResponse(status, headers, chunks)
        names = [self._instances[each].plugin for each in hooked]
        try:
            child = await self._child(*names)
        except BaseException:
            await close_chunks(chunks)
            raise
        for name in names:
            self._log_of(name).called(hook)
        answer = ThroughPlugins(Call(child, names[0], hook, self._log_of), chunks)
        head = {"do": "response", "instances": hooked, "hook": hook, "status": status, "headers": headers}
        try:
            await answer.begin({**head, "isLast": is_last, "context": context.head()}, context.body)
        except BaseException:
            await answer.close()
            raise
        return answer

    async def load_router(self, path: str) -> None:
        """Load a router file, so that its mistakes are known before a request. Raises PluginError."""
        file = check_plugin_file(path)
        child = await self._process.running(file.name)
        await self._ask(child, {"do": "router", "path": str(file)}, file.name, "load")

    async def route(self, path: str, request: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
        """Return what a router file says: ``"provider,model"``, or None. Raises PluginError.

        request: ``body``, ``headers``, ``url``, ``tokenCount``, ``sessionId``; config: the configuration as
        written. Leaves may be ``msgspec.Raw``.
        """
        file = check_plugin_file(path)
        child = await self._process.running(file.name)
        head = {"do": "route", "path": str(file), "request": request, "config": config}
        model: str | None = (await self._ask(child, head, file.name, "route"))["model"]
        return model

    async def close(self) -> None:
        """End the child; calls under way fail."""
        await self._process.close()

    async def _child(self, *plugins: str) -> Child:
        """Return the running child. Raises PluginError, also for a plugin that it could not load again."""
        child = await self._process.running(plugins[0])
        for plugin in plugins:
            if plugin in self._broken:
                raise self._broken[plugin].with_traceback(None)
        return child

    async def _prepare(self, child: Child) -> None:
        """Make a child that was started again what the one before it was."""
        self._broken = {}
        for name, plugin in self._plugins.items():
            try:
                await self._load(child, plugin.path, plugin.options)
                for number, instance in self._instances.items():
                    if instance.plugin == name:
                        await self._construct(child, number, instance)
            except PluginError as error:
                if child.ended.is_set():
                    raise
                self._broken[name] = error

    async def _load(self, child: Child, file: Path, options: Mapping[str, Any]) -> LoadedPlugin:
        level = self._log.level_for(debug=is_debugged(options))
        head: dict[str, Any] = {"do": "load", "path": str(file), "options": options, "level": level}
        head["deadlineMs"] = round(self._load_s * 1000)
        try:
            async with asyncio.timeout(self._load_s * 1.5):
                answer = await self._ask(child, head, file.name, "load")
        except TimeoutError:
            reason = f"it was not loaded within {self._load_s * 1.5:g} s: an endless loop?"
            child.kill(f"was killed: {reason}")
            await child.ended.wait()  # the next file is for the next process
            raise PluginError(file.name, reason, should_retry=False) from None
        return LoadedPlugin(answer["name"], answer["endPoint"], frozenset(answer["hooks"]))

    async def _construct(self, child: Child, number: int, instance: _Instance) -> None:
        level = self._log.level_for(debug=instance.is_debugged)
        head = {"do": "instance", "id": number, "name": instance.plugin, "options": instance.options}
        await self._ask(child, {**head, "level": level}, instance.plugin, "constructor")

    async def _ask(self, child: Child, head: Mapping[str, Any], plugin: str, hook: str) -> dict[str, Any]:
        async with Call(child, plugin, hook, self._log_of) as call:
            await call.send(head)
            answer: dict[str, Any] = (await call.answer()).json()
            return answer

    def _log_of(self, plugin: str) -> StepLog:
        return self._logs.get(plugin) or self._log.step(plugin)
