from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ccr.plugins.errors import PluginError
from ccr.plugins.log import PluginLog
from ccr.plugins.node import NodeHost
from tests.plugins.chunks import asked

if TYPE_CHECKING:
    from tests.plugins.conftest import MakeHost, PluginFile

NAMES = [
    ("databricks.js", "databricks-custom"),
    ("oauth.js", "oauth-cli"),
    ("streaming.js", "streaming"),
    ("modern.mjs", "modern"),
]


@pytest.mark.parametrize(("file", "name"), NAMES)
async def test_the_forms_of_plugins(host: NodeHost, plugin_file: PluginFile, file: str, name: str) -> None:
    assert (await host.load(plugin_file(file), {})).name == name


async def test_an_es_module_in_a_js_file(host: NodeHost, plugin_file: PluginFile) -> None:
    modern = Path(plugin_file("modern.mjs"))
    package = modern.with_name("package.json")
    package.write_text('{"type": "module"}')
    package.chmod(0o600)
    file = modern.rename(modern.with_name("modern.js"))
    await host.load(str(file), {})
    hooked = await host.request(await host.instance("modern", {}), b'{"messages":[]}', {}, asked())
    assert json.loads(hooked.body) == {"messages": [], "base": "modern.js"}


FAULTS = [
    ("broken.js", r"broken.js failed in load: SyntaxError: Unexpected token", r"broken\.js:\d"),
    ("nameless.js", "the plugin has no name", r"plugins\.js:\d"),
    ("classless.js", "classless.js exports no class", "at classOf"),
    ("exiting.js", "the Node process of the plugins ended with exit code 7", ""),
]


@pytest.mark.parametrize(("file", "reason", "trace"), FAULTS)
async def test_files_that_cannot_be_loaded(
    host: NodeHost, plugin_file: PluginFile, log_file: Path, file: str, reason: str, trace: str
) -> None:
    with pytest.raises(PluginError, match=reason) as caught:
        await host.load(plugin_file(file), {})
    assert caught.value.plugin == file
    assert re.search(trace, caught.value.trace)
    assert f"{file}: Error in load: " in log_file.read_text()
    assert (await host.load(plugin_file("plain.js"), {})).name == "plain"


async def test_a_missing_module_is_named(host: NodeHost, plugin_file: PluginFile) -> None:
    file = Path(plugin_file("needy.js"))
    file.write_text("require('./not-there.js');")
    with pytest.raises(PluginError, match=r"Cannot find module '\./not-there\.js'"):
        await host.load(str(file), {})


async def test_an_object_that_cannot_be_made(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.load(plugin_file("failing.js"), {})
    with pytest.raises(PluginError, match="failing failed in constructor: out of order"):
        await host.instance("failing", {"hook": "constructor", "way": "throw"})


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (None, "needs Node.js, but no `node` is on PATH"),
        ("/no/node", "NODE_COMMAND '/no/node' is no program"),
    ],
)
async def test_without_node(
    tmp_path: Path, plugin_file: PluginFile, log_file: Path, command: str | None, reason: str
) -> None:
    log = PluginLog(log_file, level="info")
    host = NodeHost(command=command, socket_dir=tmp_path, log=log, environ={"PATH": "/nowhere"})
    with pytest.raises(PluginError, match=reason) as caught:
        await host.load(plugin_file("plain.js"), {})
    assert "plain.js" in str(caught.value)
    assert "install Node.js 18" in str(caught.value)
    await host.close()


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exit 4", "ended with exit code 4"), ("kill -9 $$", "ended by signal 9")],
)
async def test_a_program_that_is_no_node(
    tmp_path: Path, plugin_file: PluginFile, log_file: Path, script: str, reason: str
) -> None:
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\necho nonsense\n{script}\n")
    program.chmod(0o700)
    host = NodeHost(command=str(program), socket_dir=tmp_path / "run", log=PluginLog(log_file, level="info"))
    with pytest.raises(PluginError, match=f"cannot be started: {reason}"):
        await host.load(plugin_file("plain.js"), {})
    await host.close()
    assert "[INFO] node: nonsense" in log_file.read_text()


async def test_a_program_that_cannot_be_run(tmp_path: Path, plugin_file: PluginFile, log_file: Path) -> None:
    program = tmp_path / "node"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o700)
    host = NodeHost(command=str(program), socket_dir=tmp_path / "run", log=PluginLog(log_file, level="info"))
    with pytest.raises(PluginError, match="does not run"):
        await host.load(plugin_file("plain.js"), {})
    await host.close()


async def test_a_node_that_is_too_old(tmp_path: Path, plugin_file: PluginFile, log_file: Path) -> None:
    program = tmp_path / "node"
    old = tmp_path / "old.js"
    old.write_text("delete globalThis.Response;")
    program.write_text(f'#!/bin/sh\nexec node --require {old} "$@"\n')
    program.chmod(0o700)
    host = NodeHost(command=str(program), socket_dir=tmp_path / "run", log=PluginLog(log_file, level="info"))
    with pytest.raises(PluginError, match=r"it is Node\.js v\d+\.\S+; 18 or newer is needed"):
        await host.load(plugin_file("plain.js"), {})
    await host.close()


async def test_the_socket_is_private_and_goes_with_the_host(
    host: NodeHost, plugin_file: PluginFile, tmp_path: Path
) -> None:
    await host.load(plugin_file("plain.js"), {})
    folder = tmp_path / "run"
    (socket,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, socket.stat().st_mode & 0o777) == (0o700, 0o600)
    assert host._process.child is not None
    pid = host._process.child._process.pid
    assert os.getsid(pid) == pid  # a terminal's Ctrl-C does not reach it
    await host.close()
    assert not list(folder.iterdir())


async def test_a_folder_whose_name_is_too_long_for_a_socket(
    tmp_path: Path, plugin_file: PluginFile, log_file: Path
) -> None:
    folder = tmp_path / ("long" * 30)
    host = NodeHost(command=None, socket_dir=folder, log=PluginLog(log_file, level="info"))
    await host.load(plugin_file("plain.js"), {})
    assert not list(folder.iterdir())
    await host.close()


async def test_after_the_end_nothing_is_started(host: NodeHost, plugin_file: PluginFile) -> None:
    await host.close()
    with pytest.raises(PluginError, match="being closed"):
        await host.load(plugin_file("plain.js"), {})


async def test_plugins_see_the_persons_environment(make_host: MakeHost, plugin_file: PluginFile) -> None:
    host = make_host(environ={**os.environ, "TOKEN_FOR_TEST": "abc"})
    file = Path(plugin_file("env.js"))
    file.write_text(
        "module.exports = class { name = 'env';"
        " transformRequestIn(r) { return {...r, token: process.env.TOKEN_FOR_TEST}; } };"
    )
    await host.load(str(file), {})
    hooked = await host.request(await host.instance("env", {}), b'{"messages":[]}', {}, asked())
    assert json.loads(hooked.body)["token"] == "abc"


async def test_a_router_file(host: NodeHost, plugin_file: PluginFile) -> None:
    file = plugin_file("router.js")
    request = {"body": {"where": 1}, "headers": {"x-a": "h"}, "sessionId": "s"}
    config = {"Router": {"default": "p,m"}}
    assert await host.route(file, request, config) == "s,h,p,m,function"
    assert await host.route(file, {"body": {}}, config) is None
    with pytest.raises(PluginError, match=r"router\.js failed in route: no way"):
        await host.route(file, {"body": {"fail": 1}}, config)
    with pytest.raises(PluginError, match="the router returned number"):
        await host.route(file, {"body": {"odd": 1}}, config)


async def test_sockets_that_killed_processes_left_are_removed(
    host: NodeHost, plugin_file: PluginFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(pid: int, _signal: int) -> None:
        if pid != 3:
            raise {1: PermissionError, 2: ProcessLookupError}[pid]

    folder = tmp_path / "run"
    folder.mkdir()
    names = ["plugins-1-a.sock", "plugins-2-a.sock", "plugins-3-a.sock", "plugins-x-a.sock", "other"]
    for name in names:
        (folder / name).touch()
    with monkeypatch.context() as patched:
        patched.setattr("ccr.plugins.node.process.os.kill", kill)
        await host.load(plugin_file("plain.js"), {})
    assert {name for name in names if not (folder / name).exists()} == {"plugins-2-a.sock"}
