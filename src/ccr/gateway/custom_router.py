"""``CUSTOM_ROUTER_PATH``: a person's own function that is asked first where a request shall go.

Python: a file with ``async def route(request, config)`` (a plain ``def`` runs in a thread), loaded once.
JavaScript: ``module.exports = async (request, config, {event})``, in the Node child of the plugins.
Either returns ``provider,model``, any other name the configuration knows, or nothing. A function that
raises, takes too long or names what is not configured is logged, and the rules decide (the npm router does
the same).
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from ccr.config.show import values_from_config
from ccr.errors import ConfigError, Problem
from ccr.plugins.errors import PluginError
from ccr.plugins.files import check_plugin_file

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable

    from ccr.config.model import Config

DEADLINE_S: Final = 5.0
KEY: Final = "CUSTOM_ROUTER_PATH"


class CustomRouter(Protocol):
    """A function of the person's, wherever it runs."""

    async def route(self, request: dict[str, Any], config: dict[str, Any]) -> object:
        """Return where a request shall go, nothing to leave it to the rules. Raises whatever it likes."""
        ...


class JavaScriptHost(Protocol):
    """The part of ``ccr.plugins.node.host.NodeHost`` that is needed here."""

    async def route(self, path: str, request: dict[str, Any], config: dict[str, Any]) -> str | None:
        """Call the function that a file exports."""
        ...


class PythonRouter:
    """A function of this process. function: takes request and config."""

    def __init__(self, function: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)

    async def route(self, request: dict[str, Any], config: dict[str, Any]) -> object:
        """Call the function; one that may block does so in a thread."""
        if self._is_async:
            answer: Awaitable[object] = self._function(request, config)  # type: ignore[assignment] # a coroutine
            return await answer
        return await asyncio.to_thread(self._function, request, config)


class JavaScriptRouter:
    """A function in the Node child."""

    def __init__(self, host: JavaScriptHost, path: Path) -> None:
        self._host = host
        self._path = str(path)

    async def route(self, request: dict[str, Any], config: dict[str, Any]) -> object:
        """Call the function."""
        return await self._host.route(self._path, request, config)


class Word(NamedTuple):
    """What a custom router said. name: None where the rules are to decide, and why that is so."""

    name: str | None
    why: str = ""


class Advice:
    """What the custom router of a configuration says, safely. deadline_s: how long it may take."""

    def __init__(
        self,
        router: CustomRouter,
        config: Config,
        logger: logging.Logger,
        *,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._router = router
        self._config = values_from_config(config)
        self._logger = logger
        self._deadline_s = deadline_s

    async def word(self, request: dict[str, Any], request_id: str) -> Word:
        """Return what it says to a request; a failure is logged."""
        try:
            async with asyncio.timeout(self._deadline_s):
                # A copy each time: what it changes must not change what it is told next.
                answer = await self._router.route(request, {**self._config})
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - a person's code may raise anything, also SystemExit
            is_late = isinstance(error, TimeoutError)
            raised = error.reason if isinstance(error, PluginError) else repr(error)
            reason = f"it took more than {self._deadline_s:g} s" if is_late else f"it raised {raised}"
            return self.failed(reason, request_id, exc_info=None if is_late else error)
        if answer is None or answer == "":
            return Word(None, "the custom router names nothing")
        if isinstance(answer, str):
            return Word(answer, "the custom router says so")
        return self.failed(f"it returned {type(answer).__name__}, not a text", request_id)

    def failed(self, reason: str, request_id: str, *, exc_info: BaseException | None = None) -> Word:
        """Log why its answer does not count, and return that."""
        self._logger.warning(
            "the custom router was passed over: %s",
            reason,
            extra={"fields": {"request_id": request_id}},
            exc_info=exc_info,
        )
        return Word(None, f"passed over: {reason}")


def loaded_custom_router(config: Config) -> PythonRouter | Path | None:
    """Return the custom router of a configuration, None for none; of JavaScript its file, not loaded yet.

    Raises ConfigError when the file cannot be loaded, with its traceback.
    """
    if config.custom_router is None:
        return None
    try:
        file = check_plugin_file(config.custom_router)
    except PluginError as error:
        raise _problem(error.reason) from error
    return PythonRouter(_function_of(file)) if file.suffix.lower() == ".py" else file


def custom_router_of(
    loaded: PythonRouter | Path | None, javascript: JavaScriptHost | None
) -> CustomRouter | None:
    """Return what is to be asked, None where there is no custom router.

    javascript: where JavaScript runs. Raises ConfigError when it is needed and not there.
    """
    if not isinstance(loaded, Path):
        return loaded
    if javascript is None:
        raise _problem(f"{loaded}, JavaScript, which needs Node.js")
    return JavaScriptRouter(javascript, loaded)


def _function_of(file: Path) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    module = ModuleType("ccr_custom_router")
    module.__file__ = str(file)
    try:
        # Not imported: that would write a folder beside the person's file.
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)  # noqa: S102 - their own file
    except (Exception, SystemExit) as error:  # a person's code may raise anything
        raise _problem(f"a file that cannot be loaded:\n{traceback.format_exc(limit=-3)}") from error
    function = getattr(module, "route", None)
    if not callable(function):
        raise _problem(f"{file}, without a function `route`")
    found: Callable[[dict[str, Any], dict[str, Any]], object] = function
    return found


def _problem(found: str) -> ConfigError:
    allowed = "a Python file with `async def route(request, config)`, or a .js file that exports a function"
    return ConfigError(Problem("config.json", KEY, found, allowed))
