"""Transformers of the person's own, for one configuration: loaded before its first request, closed at last.

Only what the configuration names is loaded: files of ``transformers[]``, and packages whose entry point a
step has the name of. A file's transformer stands before a built-in one of the same name. The Node process is
started only when there is a JavaScript file to load.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccr.config.model import UnknownStepError
from ccr.config.transformer_files import (
    BUILT_IN_STEP,
    FORCE_OPTION,
    PYTHON,
    is_forced,
    steps_of,
)
from ccr.errors import ConfigError, Problem
from ccr.plugins.end_points import fault_of_end_point, nothing_is_built_in, shown_path
from ccr.plugins.errors import PluginError
from ccr.plugins.in_time import in_time
from ccr.plugins.node.values import provider_for_plugins
from ccr.plugins.node_steps import NodeEndPoint, NodeStep, NodeSteps, ignored
from ccr.plugins.python_files import forget, made, transformer_of_package, transformers_in_file
from ccr.transformers.base import Transformer
from ccr.transformers.options import is_debugged
from ccr.transformers.registry import BUILT_IN, build

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ccr.config.model import Config, Provider, Step, TransformerFile
    from ccr.plugins.log import PluginLog
    from ccr.plugins.node.values import LoadedPlugin
    from ccr.plugins.node_steps import Host
    from ccr.plugins.python_files import TransformerClass
    from ccr.transformers.pipeline import AnyStep

FILE = "config.json"
ROUTER_KEY = "CUSTOM_ROUTER_PATH"


class Plugins:
    """What was loaded. Each ``use`` of a transformer is one object, for as long as the configuration is used.

    uses: by the identity of the configuration's steps. log: of what they do; None: nobody keeps it.
    warnings: what a person should know of what was loaded. Close it.
    """

    def __init__(
        self,
        config: Config | None = None,
        uses: Mapping[int, AnyStep] | None = None,
        classes: Mapping[str, TransformerClass] | None = None,
        host: Host | None = None,
        log: PluginLog | None = None,
        warnings: Sequence[str] = (),
        end_points: Mapping[str, NodeEndPoint] | None = None,
    ) -> None:
        self._config = config  # its steps must live as long as their identities count
        self._uses = uses or {}
        self._classes = classes or {}
        self.host = host
        """The Node process, where there is one."""
        self.warnings = tuple(warnings)
        self.end_points: Mapping[str, NodeEndPoint] = end_points or {}
        """The routes of plugins' own, by their paths."""
        self._log = log

    def build(self, step: Step) -> AnyStep:
        """Return what does a step's work. Raises ValueError on a built-in step that cannot be built."""
        use = self._uses.get(id(step)) or build(step)
        if self._log is not None and isinstance(use, Transformer):
            use.logger = self._log.step(use.name, debug=is_debugged(use.options))
        return use

    async def close(self) -> None:
        """End the Node process, if there is one."""
        forget(self._classes)
        if self.host is not None:
            await self.host.close()


async def no_plugins(_config: Config) -> Plugins:
    """Load nothing, for whoever has no place for it."""
    return Plugins()


async def load_plugins(
    config: Config,
    *,
    new_host: Callable[[], Host],
    log: PluginLog | None = None,
    is_built_in: Callable[[str], bool] = nothing_is_built_in,
) -> Plugins:
    """Load what a configuration names.

    new_host: makes the Node host, called when there is a JavaScript file. log: of what transformers do.
    is_built_in: tells of paths that are served anyway. Raises ConfigError with all that cannot be loaded or
    built.
    """
    loading = _Loading(new_host, log, is_built_in)
    try:
        if config.custom_router is not None and config.custom_router.suffix.lower() != PYTHON:
            await loading.router(config.custom_router)
        for index, file in enumerate(config.transformers):
            await loading.file(index, file, is_forced=any(map(is_forced, steps_of(config))))
        for provider in config.providers:
            for key, step in _places(provider):
                await loading.step(key, step, provider)
        if loading.problems:
            raise ConfigError(*loading.problems)
    except BaseException:
        if loading.host is not None:
            await loading.host.host.close()
        raise
    host = loading.host.host if loading.host is not None else None
    return Plugins(config, loading.uses, loading.classes, host, log, loading.warnings, loading.end_points)


class _Loading:
    """What one run of `load_plugins` knows so far."""

    def __init__(
        self, new_host: Callable[[], Host], log: PluginLog | None, is_built_in: Callable[[str], bool]
    ) -> None:
        self._new_host = new_host
        self._log = log
        self._is_built_in = is_built_in
        self.host: NodeSteps | None = None
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.classes: dict[str, TransformerClass] = {}
        self.scripts: dict[str, LoadedPlugin] = {}
        self.uses: dict[int, AnyStep] = {}
        self.end_points: dict[str, NodeEndPoint] = {}
        self._options: dict[str, Mapping[str, Any]] = {}
        self._has_failed_files = False

    def begin_host(self) -> NodeSteps:
        """Return what JavaScript runs in; its process begins with the first thing it is asked."""
        self.host = self.host or NodeSteps(self._new_host())
        return self.host

    async def router(self, file: Path) -> None:
        """Load a custom router in JavaScript; one in Python is the gateway's (custom_router.py)."""
        try:
            await self.begin_host().host.load_router(str(file))
        except PluginError as error:
            self._problem(ROUTER_KEY, error)

    async def file(self, index: int, file: TransformerFile, *, is_forced: bool) -> None:
        if file.is_built_in and not is_forced:
            return
        key = f"transformers[{index}].path"
        try:
            names = await self._names_of(file, key)
        except PluginError as error:
            self._has_failed_files = True
            self._problem(key, error)
            return
        for name in names:
            if name in self._options:
                found = f"a second file that defines {name!r}"
                self.problems.append(Problem(FILE, key, found, "one file for each name"))
            self._options[name] = file.options

    async def _names_of(self, file: TransformerFile, key: str) -> list[str]:
        """Load a file and return the names it defines."""
        if file.path.lower().endswith(PYTHON):
            load = partial(transformers_in_file, file.path)
            kinds = await in_time(load, Path(file.path).name, "load")
            self.classes.update({kind.name: kind for kind in kinds})
            return [kind.name for kind in kinds]
        host = self.begin_host()
        plugin = await host.host.load(file.path, file.options)
        self.scripts[plugin.name] = plugin
        if plugin.end_point is not None:
            await self._end_point(plugin.end_point, plugin, host, file, key)
        return [plugin.name]

    async def _end_point(
        self, path: str, plugin: LoadedPlugin, host: NodeSteps, file: TransformerFile, key: str
    ) -> None:
        """Give a plugin the route it asks for. Raises PluginError."""
        fault = fault_of_end_point(path, self._is_built_in)
        if fault is not None:
            self.warnings.append(
                f"{file.path}: the endPoint {shown_path(path)} of {plugin.name} is not served: {fault}. "
                "The plugin's hooks for providers work."
            )
        elif path in self.end_points:
            found = f"the endPoint {path}, which {self.end_points[path].name} has as well"
            self.problems.append(Problem(FILE, key, found, "one plugin for each endPoint"))
        else:
            number = await host.host.instance(plugin.name, {})
            self.end_points[path] = NodeEndPoint(host, number, plugin)

    async def step(self, key: str, step: Step, provider: Provider) -> None:
        try:
            use = await self._use(step, provider)
        except PluginError as error:
            self._problem(key, error)
        except ValueError as error:
            # A name that a file might define is no fault of the step's when that file is the fault.
            if not self._has_failed_files:
                problem = _problem_of(key, error)
                if isinstance(error, UnknownStepError) and self._options:
                    own = f"names in your files: {', '.join(self._options)}; {problem.allowed}"
                    problem = dataclasses.replace(problem, allowed=own)
                self.problems.append(problem)
        else:
            if use is not None:
                self.uses[id(step)] = use

    async def _use(self, step: Step, provider: Provider) -> AnyStep | None:
        """Return the object for one use, None for a built-in step. Raises ValueError, PluginError."""
        if step.name == BUILT_IN_STEP and not is_forced(step):
            build(step)
            return None
        options = {**self._options.get(step.name, {}), **step.options}
        if step.name in self.scripts and self.host is not None:
            number = await self.host.host.instance(step.name, step.options)
            told = provider_for_plugins(provider)
            hide = self._log.hide if self._log is not None else ignored
            return NodeStep(self.host, number, self.scripts[step.name], told, hide)
        if step.name in self.classes:
            return await _made(self.classes[step.name], options)
        if is_forced(step):
            raise ValueError(
                f"{FORCE_OPTION} for {step.name}, of which there is no file; allowed: its .js in transformers"
            )
        kind = None if step.name in BUILT_IN else transformer_of_package(step.name)
        if kind is not None:
            return await _made(kind, options)
        build(step)
        return None

    def _problem(self, key: str, error: PluginError) -> None:
        trace = f"; its traceback:\n{error.trace.rstrip()}" if error.trace else ""
        found = f"{error.plugin}, which cannot be loaded: {error.reason}"
        self.problems.append(Problem(FILE, key, found, f"one that can{trace}"))


async def _made(kind: TransformerClass, options: Mapping[str, Any]) -> Transformer:
    return await in_time(partial(made, kind, options), kind.name, "__init__")


def _places(provider: Provider) -> list[tuple[str, Step]]:
    """Return the steps of a provider, each with the key at which a person finds it."""
    start = f"Providers ({provider.name}).transformer"
    chains = {f"{start}.use": provider.steps}
    chains |= {f"{start}.{model}.use": steps for model, steps in provider.model_steps.items()}
    return [(f"{key}[{index}]", step) for key, steps in chains.items() for index, step in enumerate(steps)]


def _problem_of(key: str, error: ValueError) -> Problem:
    found, _, allowed = str(error).partition("; ")
    allowed = allowed.removeprefix("allowed: ") or "options this transformer knows"
    return Problem(FILE, key, found, allowed)
