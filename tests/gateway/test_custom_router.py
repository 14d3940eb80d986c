from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from ccr.config.model import Config
from ccr.errors import ConfigError
from ccr.gateway.custom_router import (
    Advice,
    CustomRouter,
    JavaScriptRouter,
    PythonRouter,
    custom_router_of,
    loaded_custom_router,
)
from ccr.plugins.errors import PluginError


def loaded(path: Path, text: str) -> PythonRouter:
    path.write_text(text)
    found = loaded_custom_router(Config(custom_router=path))
    assert isinstance(found, PythonRouter)
    return found


async def test_a_function_may_be_async_or_not(tmp_path: Path) -> None:
    for kind in ("def", "async def"):
        router = loaded(tmp_path / "r.py", f"{kind} route(request, config): return request['body']['model']")
        assert await router.route({"body": {"model": "p,m"}}, {}) == "p,m"
    assert [path.name for path in tmp_path.iterdir()] == ["r.py"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def route(:", "SyntaxError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise KeyError('mine')", "KeyError: 'mine'"),
        ("import sys\nsys.exit('mine')", "SystemExit: mine"),
        ("x = 1", "without a function `route`"),
        ("route = 1", "without a function `route`"),
    ],
)
def test_a_file_that_cannot_be_loaded_stops_the_start(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path / "r.py", text)
    assert "CUSTOM_ROUTER_PATH" in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_others_can_write_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "r.py"
    path.touch()
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="can be written by other users"):
        loaded_custom_router(Config(custom_router=path))


async def test_javascript_runs_in_its_host(tmp_path: Path) -> None:
    path = tmp_path / "r.js"
    path.touch()
    file = loaded_custom_router(Config(custom_router=path))

    class Host:
        async def route(self, path: str, request: dict[str, Any], config: dict[str, Any]) -> str | None:
            return f"{path.rpartition('/')[2]} {request} {config}"

    router = custom_router_of(file, Host())
    assert isinstance(router, JavaScriptRouter)
    assert await router.route({"a": 1}, {}) == "r.js {'a': 1} {}"
    with pytest.raises(ConfigError, match=r"needs Node\.js"):
        custom_router_of(file, None)
    assert custom_router_of(loaded_custom_router(Config()), None) is None


async def test_one_that_takes_too_long_is_passed_over() -> None:
    log = logging.Logger("test", logging.INFO)  # noqa: LOG001 - not shared between tests
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda entry: said.append(entry.getMessage())  # type: ignore[assignment, method-assign] # enough
    log.addHandler(handler)

    class Silent(CustomRouter):
        async def route(self, request: dict[str, Any], config: dict[str, Any]) -> object:
            await asyncio.Event().wait()
            return None

    advice = Advice(Silent(), Config(), log, deadline_s=0.01)
    assert await advice.word({}, "req_1") == (None, "passed over: it took more than 0.01 s")
    assert said == ["the custom router was passed over: it took more than 0.01 s"]


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("raised", ["SystemExit(3)", "BaseException()", "KeyError('x')"])
async def test_whatever_it_raises_it_is_passed_over(tmp_path: Path, kind: str, raised: str) -> None:
    router = loaded(tmp_path / "r.py", f"{kind} route(request, config): raise {raised}")
    log = logging.Logger("test", logging.INFO)  # noqa: LOG001 - not shared between tests
    log.addHandler(logging.NullHandler())
    assert (await Advice(router, Config(), log).word({}, "req_1")).name is None


async def test_a_client_that_leaves_meanwhile_is_not_held() -> None:
    class Cancelled(CustomRouter):
        async def route(self, request: dict[str, Any], config: dict[str, Any]) -> object:
            raise asyncio.CancelledError

    log = logging.Logger("test", logging.INFO)  # noqa: LOG001 - not shared between tests
    with pytest.raises(asyncio.CancelledError):
        await Advice(Cancelled(), Config(), log).word({}, "req_1")


async def test_what_javascript_raised_is_told_without_our_wrapping() -> None:
    class Host:
        async def route(self, path: str, request: dict[str, Any], config: dict[str, Any]) -> str | None:
            raise PluginError("r.js", "boom", hook="route")

    log = logging.Logger("test", logging.CRITICAL)  # noqa: LOG001 - not shared between tests
    advice = Advice(JavaScriptRouter(Host(), Path("/r.js")), Config(), log)
    assert await advice.word({}, "req_1") == (None, "passed over: it raised boom")
