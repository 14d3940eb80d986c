"""Plugin files as a person has them (their own, closed to others), and a host that is closed at the end."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ccr.plugins.log import PluginLog
from ccr.plugins.node import NodeHost

JS = Path(__file__).parent / "js"

PluginFile = Callable[[str], str]
MakeHost = Callable[..., NodeHost]


@pytest.fixture
def plugin_file(tmp_path: Path) -> PluginFile:
    def copied(name: str) -> str:
        folder = tmp_path / "plugins"
        folder.mkdir(mode=0o700, exist_ok=True)
        for source in JS.iterdir():
            target = folder / source.name
            shutil.copyfile(source, target)
            target.chmod(0o600)
        return str(folder / name)

    return copied


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "plugin.log"


@pytest.fixture
async def make_host(tmp_path: Path, log_file: Path) -> AsyncIterator[MakeHost]:
    async with AsyncExitStack() as stack:

        def made(**options: object) -> NodeHost:
            log = PluginLog(log_file, level=options.pop("level", "info"))  # type: ignore[arg-type] # a test's word
            host = NodeHost(command=None, socket_dir=tmp_path / "run", log=log, **options)  # type: ignore[arg-type] # a test's word
            stack.push_async_callback(host.close)
            return host

        yield made


@pytest.fixture
def host(make_host: MakeHost) -> NodeHost:
    return make_host()
