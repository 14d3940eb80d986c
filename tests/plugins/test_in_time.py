"""Code of the person's that takes its time while a service starts."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Config, Provider, Secret, Step, TransformerFile
from ccr.errors import ConfigError
from ccr.plugins.errors import PluginError
from ccr.plugins.in_time import in_time
from ccr.plugins.loading import load_plugins

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.plugins.node_steps import Host


async def test_what_it_returns_and_raises_comes_out() -> None:
    assert await in_time(lambda: 5, "mine", "load") == 5

    def fails() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await in_time(fails, "mine", "load")


async def test_what_never_ends_is_named_and_left_alone() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def waits() -> None:
        go_on.wait()
        ended.set()

    with pytest.raises(PluginError, match=r"mine failed in load: it did not end within 0\.05 s"):
        await in_time(waits, "mine", "load", limit_s=0.05)
    go_on.set()
    await asyncio.to_thread(ended.wait)
    await asyncio.sleep(0)  # what it tells now nobody hears


def test_what_ends_after_the_loop_fails_nobody() -> None:
    go_on, threads = threading.Event(), []

    def waits() -> None:
        threads.append(threading.current_thread())
        go_on.wait()

    async def start() -> None:
        with pytest.raises(PluginError):
            await in_time(waits, "mine", "load", limit_s=0.05)

    asyncio.run(start())
    go_on.set()
    threads[0].join()


NEVER = """
import threading
from ccr import Transformer
{0}
class Mine(Transformer):
    name = "mine"
    def __init__(self, options):
        {1}
"""


@pytest.mark.parametrize(
    ("top", "init", "said"),
    [
        ("threading.Event().wait()", "pass", "mine.py, which cannot be loaded: it did not end within 0.1 s"),
        ("", "threading.Event().wait()", "mine, which cannot be loaded: it did not end within 0.1 s"),
    ],
)
async def test_a_file_that_never_ends_stops_the_start_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, top: str, init: str, said: str
) -> None:
    monkeypatch.setattr("ccr.plugins.in_time.LOAD_S", 0.1)
    file = tmp_path / "mine.py"
    file.write_text(NEVER.format(top, init))
    file.chmod(0o600)

    def no_host() -> Host:
        raise AssertionError("nothing here needs Node")

    steps = (Step(name="mine"),)
    provider = Provider(name="p", url="https://h/x", api_key=Secret("k"), models=("m",), steps=steps)
    config = Config(providers=(provider,), transformers=(TransformerFile(path=str(file)),))
    with pytest.raises(ConfigError) as caught:
        await load_plugins(config, new_host=no_host)
    (problem,) = caught.value.problems
    assert problem.found.startswith(said)
