from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ccr.plugins.errors import PluginError
from ccr.plugins.log import PluginLog
from ccr.plugins.node import NodeHost
from ccr.plugins.node.restarts import Restarts
from tests.plugins.chunks import Upstream, asked, everything, pieces

if TYPE_CHECKING:
    from tests.plugins.conftest import MakeHost, PluginFile

BODY = b'{"messages":[]}'


async def failing(host: NodeHost, plugin_file: PluginFile, hook: str, way: str) -> int:
    await host.load(plugin_file("failing.js"), {})
    return await host.instance("failing", {"hook": hook, "way": way})


async def fails(host: NodeHost, instance: int, hook: str) -> PluginError:
    with pytest.raises(PluginError) as caught:
        await exchange(host, instance, hook)
    return caught.value


async def exchange(host: NodeHost, instance: int, hook: str) -> None:
    if hook in ("transformRequestIn", "auth"):
        await host.request(instance, BODY, {}, asked())
    else:
        await everything(await host.response([instance], 200, {}, pieces(b"1"), asked()))


THROWN = [
    ("throw", "out of order", None),
    ("mistake", "TypeError: Cannot read properties of undefined (reading 'missing')", False),
    ("text", "only a text", None),
    ("network", "TypeError: fetch failed (connect ECONNREFUSED 127.0.0.1:30999)", None),
]


@pytest.mark.parametrize("hook", ["transformRequestIn", "auth", "transformResponseOut", "stream"])
@pytest.mark.parametrize(("way", "reason", "should_retry"), THROWN)
@pytest.mark.fault("L120", outcome="a plugin that raises fails its request, with its name; others go on")
async def test_what_a_plugin_throws_fails_its_request_alone(
    host: NodeHost,
    plugin_file: PluginFile,
    log_file: Path,
    hook: str,
    way: str,
    reason: str,
    should_retry: bool | None,
) -> None:
    error = await fails(host, await failing(host, plugin_file, hook, way), hook)
    shown = "transformResponseOut" if hook == "stream" else hook
    assert reason in error.reason
    assert str(error).startswith(f"the transformer failing failed in {shown}: ")
    assert (error.status, error.plugin, error.hook, error.should_retry) == (
        500,
        "failing",
        shown,
        should_retry,
    )
    assert f"[ERROR] failing: Error in {shown}: {error.reason}" in log_file.read_text()
    assert not way.startswith("mistake") or "failing.js" in error.trace
    assert "failing.js" not in str(error)


async def test_a_hook_that_returns_nothing(host: NodeHost, plugin_file: PluginFile) -> None:
    error = await fails(
        host, await failing(host, plugin_file, "transformRequestIn", "nothing"), "transformRequestIn"
    )
    assert error.reason == "transformRequestIn returned undefined; it must return the request"


async def test_the_right_plugin_of_a_chain_is_named(host: NodeHost, plugin_file: PluginFile) -> None:
    one = await failing(host, plugin_file, "stream", "throw")
    await host.load(plugin_file("piping.js"), {})
    other = await host.instance("piping", {})
    for order in ([one, other], [other, one]):
        with pytest.raises(PluginError, match="failing failed in transformResponseOut: out of order"):
            await everything(await host.response(order, 200, {}, pieces(b"1"), asked()))


async def test_an_error_nobody_waits_for_is_only_logged(
    host: NodeHost, plugin_file: PluginFile, log_file: Path
) -> None:
    one = await failing(host, plugin_file, "transformRequestIn", "later")
    for number in range(2):
        await host.request(one, BODY, {}, asked(number))
    async with asyncio.timeout(30):  # it is thrown when Node comes round to it
        while not (log_file.exists() and "Uncaught" in log_file.read_text()):
            await host.request(one, BODY, {}, asked(2))
    await host.close()
    assert "[ERROR] failing: Uncaught: Error: much later" in log_file.read_text()
    assert "[ERROR] failing: Unhandled rejection: Error: nobody cares" in log_file.read_text()


@pytest.mark.parametrize("hook", ["transformRequestIn", "transformResponseOut", "stream"])
@pytest.mark.fault("L120", outcome="one that hangs is cut by a deadline")
async def test_a_plugin_that_never_answers_is_cut(
    make_host: MakeHost, plugin_file: PluginFile, hook: str
) -> None:
    host = make_host(deadline_s=0.2)
    error = await fails(host, await failing(host, plugin_file, hook, "never"), hook)
    assert error.reason == "no answer within 0.2 s"


async def test_a_file_that_never_ends_loading(make_host: MakeHost, plugin_file: PluginFile) -> None:
    host = make_host(deadline_s=0.2)
    file = Path(plugin_file("own.mjs"))
    file.write_text("await new Promise((resolve) => setTimeout(resolve, 1e8));")
    with pytest.raises(PluginError, match=r"own\.mjs failed in load: no answer within 0\.2 s"):
        await host.load(str(file), {})


async def test_a_file_with_an_endless_loop(make_host: MakeHost, plugin_file: PluginFile) -> None:
    host = make_host(load_s=1.0)
    file = Path(plugin_file("own.js"))
    file.write_text("for (;;);")
    with pytest.raises(PluginError, match=r"own\.js failed in load: it was not loaded within 1\.5 s"):
        await host.load(str(file), {})
    loaded = await host.load(plugin_file("plain.js"), {})
    assert loaded.name == "plain"


@pytest.mark.parametrize("hook", ["transformRequestIn", "transformResponseOut", "stream"])
@pytest.mark.parametrize(
    ("way", "reason"), [("exit", "ended with exit code 3"), ("loop", "did nothing for 0.5 s and was killed")]
)
async def test_a_process_that_is_lost_fails_the_requests_under_way_and_starts_again(
    make_host: MakeHost, plugin_file: PluginFile, log_file: Path, hook: str, way: str, reason: str
) -> None:
    host = make_host(hang_s=0.5)
    bad = await failing(host, plugin_file, hook, way)
    await host.load(plugin_file("noting.js"), {"file": 1})
    good = await host.instance("noting", {"step": 2})
    await host.load(plugin_file("piping.js"), {})
    upstream = Upstream([b"1"], stays=True)
    streaming = await host.response([await host.instance("piping", {})], 200, {}, upstream.chunks(), asked(7))
    assert await streaming.next() == b"1"

    error = await fails(host, bad, hook)

    assert error.reason == f"the Node process of the plugins {reason}"
    assert error.should_retry is True
    with pytest.raises(PluginError, match="piping failed in transformResponseOut: the Node process") as other:
        await streaming.next()
    shown = "transformResponseOut" if hook == "stream" else hook
    assert other.value.reason.endswith(f"{reason}; it last ran {shown} of failing")
    await streaming.close()
    assert upstream.closed.is_set()
    hooked = await host.request(good, BODY, {}, asked())
    assert json.loads(hooked.body)["options"] == {"file": 1, "step": 2}
    assert f"[ERROR] plugins: the Node process {reason}" in log_file.read_text()


async def test_who_called_exit_is_in_the_log(host: NodeHost, plugin_file: PluginFile, log_file: Path) -> None:
    await fails(host, await failing(host, plugin_file, "transformRequestIn", "exit"), "transformRequestIn")
    assert "[ERROR] failing: process.exit(3) called" in log_file.read_text()
    assert "failing.js" in log_file.read_text()


async def test_a_process_that_ends_again_and_again_is_left_alone_for_a_while(
    make_host: MakeHost, plugin_file: PluginFile
) -> None:
    now = [1000.0]
    host = make_host(clock=lambda: now[0])
    bad = await failing(host, plugin_file, "transformRequestIn", "exit")
    for _ in range(3):
        assert "exit code 3" in (await fails(host, bad, "transformRequestIn")).reason
        now[0] += 1.0
    await fails(host, bad, "transformRequestIn")
    error = await fails(host, bad, "transformRequestIn")
    assert "ended again and again; it is started anew in 2 s" in error.reason
    assert (error.should_retry, error.retry_after_s) == (True, 2)
    now[0] += 2.0
    assert "exit code 3" in (await fails(host, bad, "transformRequestIn")).reason


async def test_a_short_wait_before_a_restart_is_waited_for(host: NodeHost, plugin_file: PluginFile) -> None:
    bad = await failing(host, plugin_file, "transformRequestIn", "exit")
    for _ in range(3):
        assert "exit code 3" in (await fails(host, bad, "transformRequestIn")).reason


async def test_a_plugin_that_no_longer_loads_after_a_restart_fails_alone(
    host: NodeHost, plugin_file: PluginFile
) -> None:
    bad = await failing(host, plugin_file, "transformRequestIn", "exit")
    noting = Path(plugin_file("noting.js"))
    await host.load(str(noting), {})
    broken = await host.instance("noting", {})
    await host.load(plugin_file("piping.js"), {})
    whole = await host.instance("piping", {})
    noting.write_text("this is no JavaScript")
    await fails(host, bad, "transformRequestIn")
    assert (await host.request(whole, BODY, {}, asked())).body == BODY
    for _ in range(2):
        with pytest.raises(PluginError, match=r"noting\.js failed in load: SyntaxError"):
            await host.request(broken, BODY, {}, asked())
    upstream = Upstream([b"1"])
    with pytest.raises(PluginError, match="SyntaxError"):
        await host.response([whole, broken], 200, {}, upstream.chunks(), asked())


async def test_a_plugin_that_ends_the_process_while_it_is_loaded_again(
    host: NodeHost, plugin_file: PluginFile
) -> None:
    bad = await failing(host, plugin_file, "transformRequestIn", "exit")
    Path(plugin_file("failing.js")).write_text("process.exit(9)")
    await fails(host, bad, "transformRequestIn")
    error = await fails(host, bad, "transformRequestIn")
    assert (error.hook, "exit code 9" in error.reason) == ("load", True)


async def test_a_heap_that_is_full_ends_the_process_not_ccr(
    make_host: MakeHost, plugin_file: PluginFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccr.plugins.node.child.HEAP_MB", 30)
    host = make_host()
    file = Path(plugin_file("own.js"))
    file.write_text(
        "module.exports = class { name = 'own'; transformRequestIn(r) { const all = [];"
        " for (;;) all.push(new Array(1e5).fill({})); } };"
    )
    await host.load(str(file), {})
    error = await fails(host, await host.instance("own", {}), "transformRequestIn")
    assert "the Node process of the plugins ran out of memory (its heap has 30 MB)" in error.reason


CCR = """
import asyncio, pathlib, sys
from ccr.plugins.log import PluginLog
from ccr.plugins.node import ClientRequest, NodeHost

async def main(file, folder):
    folder = pathlib.Path(folder)
    host = NodeHost(command=None, socket_dir=folder, log=PluginLog(folder / "l", level=None))
    await host.load(file, {})
    instance = await host.instance("failing", {"hook": "transformRequestIn", "way": sys.argv[3]})
    print(host._process.child._process.pid, flush=True)
    await host.request(instance, b'{"messages":[]}', {}, ClientRequest(id="1"))

asyncio.run(main(*sys.argv[1:3]))
"""


@pytest.mark.parametrize("way", ["never", "loop"])
async def test_the_child_ends_with_a_ccr_that_is_killed(
    plugin_file: PluginFile, tmp_path: Path, way: str
) -> None:
    arguments = [sys.executable, "-c", CCR, plugin_file("failing.js"), str(tmp_path), way]
    ccr = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - what is killed
    assert ccr.stdout is not None
    child = os.pidfd_open(int(ccr.stdout.readline()))
    try:
        ccr.kill()
        assert ccr.wait() == -signal.SIGKILL
        assert select.select([child], [], [], 20)[0]  # the process is gone
    finally:
        os.close(child)
        ccr.stdout.close()


def test_when_it_may_start_again() -> None:
    restarts = Restarts()
    restarts.started(0.0)
    waits = []
    for _ in range(9):
        restarts.ended(10.0)
        waits.append(restarts.wait_s(10.0))
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert restarts.wait_s(30.0) == 10.0
    assert restarts.wait_s(50.0) == 0.0
    restarts.started(50.0)
    restarts.ended(110.0)
    assert restarts.wait_s(110.0) == 0.0


async def test_closing_the_host_fails_what_is_under_way(host: NodeHost, plugin_file: PluginFile) -> None:
    one = await failing(host, plugin_file, "transformRequestIn", "never")
    await host.load(plugin_file("piping.js"), {})
    piping = await host.instance("piping", {})
    answer = await host.response([piping], 200, {}, Upstream([b"1"], stays=True).chunks(), asked())
    asking = asyncio.create_task(host.request(one, BODY, {}, asked()))
    assert await answer.next() == b"1"
    child = host._process.child
    assert child is not None
    while child.last_entered != ("failing", "transformRequestIn"):  # noqa: ASYNC110 - in another process
        await asyncio.sleep(0.001)
    await host.close()
    for under_way in (answer.next(), asking):
        with pytest.raises(PluginError, match="the Node process of the plugins ended"):
            await under_way
    await answer.close()


async def test_a_child_that_cannot_be_reached_is_replaced(
    host: NodeHost, plugin_file: PluginFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccr.plugins.node.calls.ENDING_S", 0.05)
    one = await failing(host, plugin_file, "none", "none")
    child = host._process.child
    assert child is not None
    child.socket.unlink()
    error = await fails(host, one, "transformRequestIn")
    assert (
        error.reason
        == "the Node process of the plugins cannot be reached; it last ran constructor of failing"
    )
    await child.ended.wait()
    assert (await host.request(one, BODY, {}, asked())).body == BODY


async def test_a_child_that_is_never_ready_is_given_up(
    tmp_path: Path, plugin_file: PluginFile, log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccr.plugins.node.child.START_S", 0.1)
    program = tmp_path / "node"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    host = NodeHost(command=str(program), socket_dir=tmp_path / "run", log=PluginLog(log_file, level="info"))
    with pytest.raises(PluginError, match=r"cannot be started: it was not ready within 0\.1 s"):
        await host.load(plugin_file("plain.js"), {})
    await host.close()


@pytest.mark.parametrize("stubborn", ["", "trap '' IO"])
async def test_starting_can_be_given_up(
    tmp_path: Path, plugin_file: PluginFile, log_file: Path, monkeypatch: pytest.MonkeyPatch, stubborn: str
) -> None:
    monkeypatch.setattr("ccr.plugins.node.child.END_S", 0.2 if stubborn else 60.0)
    started = tmp_path / "started"
    os.mkfifo(started)
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\n{stubborn}\necho $$ > {started}\nexec sleep 60\n")
    program.chmod(0o700)
    host = NodeHost(command=str(program), socket_dir=tmp_path / "run", log=PluginLog(log_file, level="info"))
    loading = asyncio.create_task(host.load(plugin_file("plain.js"), {}))
    pid = int(await asyncio.to_thread(started.read_text))
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await host.close()
