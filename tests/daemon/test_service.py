"""The service as a person meets it: real commands, real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ccr.daemon import lock
from ccr.daemon.process import is_alive, start_time_of

if TYPE_CHECKING:
    import subprocess

    from tests.daemon.installation import Installation

DEVBOX = Path(__file__).parents[1] / "config/fixtures/devbox.json"
IGNORES_SIGNALS = """
import asyncio, signal
async def serve(config, *, key, instance, sockets, log, on_ready, **others):
    count = 0
    ended = asyncio.Event()
    def stop():
        nonlocal count
        count += 1
        if count > 1: ended.set()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    from ccr.server.health import health_body
    async def answer(reader, writer):
        line = await reader.readline()
        body = health_body(line.decode().split()[1], key, instance)
        writer.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n" + body)
        await writer.drain()
        writer.close()
    server = await asyncio.start_server(answer, sock=sockets[0])
    on_ready()
    await ended.wait()
    server.close()
"""
NEVER_READY = "import asyncio\nasync def serve(*a, **k):\n    await asyncio.Event().wait()\n"
DIES = "raise RuntimeError('first line\\nsecond line of the death')\n"


def test_start_status_start_again_stop(installation: Installation) -> None:
    started = installation.run("start")
    assert (started.returncode, started.stderr) == (0, "")
    state = installation.state()
    assert started.stdout == f"ccr is running at {state['address']} (process {state['pid']})\n"
    assert state["start_time"] == start_time_of(state["pid"])
    for file in (installation.paths.state_file, installation.paths.lock_file, installation.paths.key_file):
        assert file.stat().st_mode & 0o777 == 0o600
    status = installation.status()
    assert (status["running"], status["pid"], status["address"]) == (True, state["pid"], state["address"])
    again = installation.run("start")
    assert again.returncode == 0
    assert again.stdout == f"ccr is already running at {state['address']} (process {state['pid']})\n"
    stopped = installation.run("stop")
    assert (stopped.returncode, stopped.stdout) == (0, f"ccr has stopped (process {state['pid']})\n")
    assert not is_alive(state["pid"])
    assert not installation.paths.state_file.exists()
    assert (installation.run("stop").returncode, installation.run("stop").stdout) == (
        0,
        "ccr is not running\n",
    )
    assert installation.run("status").returncode == 3


@pytest.mark.fault("L123", outcome="no secret in the arguments")
def test_the_process_is_detached_and_leaves_no_secret_in_its_arguments(installation: Installation) -> None:
    installation.run("start")
    pid = installation.state()["pid"]
    with open(f"/proc/{pid}/cmdline") as file:  # noqa: PTH123 - not a file on disk
        assert "canary" not in file.read()
    assert os.getsid(pid) != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == str(installation.paths.home)  # noqa: PTH115 - as above
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"  # noqa: PTH115 - as above


@pytest.mark.fault("L110", outcome="one process; all others say that it runs already")
def test_many_starts_at_once_make_one_service(installation: Installation) -> None:
    processes = [installation.popen("start") for _ in range(20)]
    outputs = [process.communicate(timeout=90) for process in processes]
    assert [process.returncode for process in processes] == [0] * 20, outputs
    pids = {output.rstrip(")\n").rpartition(" ")[2] for output, _ in outputs}
    assert len(pids) == 1, outputs
    assert sum("already" not in output for output, _ in outputs) == 1


def test_restart_takes_the_new_configuration(installation: Installation) -> None:
    installation.run("start")
    before = installation.state()["pid"]
    installation.configure(APIKEY="another-local-key")
    assert installation.status()["condition"] == "other_key"
    refused = installation.run("start")
    assert refused.returncode == 1
    assert "another key" in refused.stderr
    assert "ccr restart" in refused.stderr
    restarted = installation.run("restart")
    assert restarted.returncode == 0, restarted.stderr
    assert installation.status()["condition"] == "running"
    assert installation.state()["pid"] != before


def test_a_broken_configuration_stops_nothing_on_restart(installation: Installation) -> None:
    installation.run("start")
    installation.configure(PORT="x", LOG_LEVEL="y")
    failed = installation.run("restart")
    assert failed.returncode == 1
    assert failed.stderr.count("found") == 2
    status = installation.run("status")
    assert status.returncode == 0
    assert "The configuration has problems" in status.stderr
    assert installation.run("stop").returncode == 0, "also with a broken configuration"


@pytest.mark.fault("L118", outcome="every problem with its key; nothing starts")
def test_problems_of_the_configuration_are_printed_whole_and_nothing_starts(
    installation: Installation,
) -> None:
    installation.configure(PORT="x", Router={"default": "no,no"})
    failed = installation.run("start")
    assert failed.returncode == 1
    assert [key in failed.stderr for key in ("PORT: found", "Router.default: found")] == [True, True]
    assert not installation.paths.log_dir.exists()


def test_no_configuration(installation: Installation) -> None:
    installation.paths.config_file.unlink()
    failed = installation.run("start")
    assert failed.returncode == 2
    assert "`ccr setup` makes one" in failed.stderr
    assert "ccr demo" in failed.stderr


@pytest.mark.fault("L113", outcome="a sentence with port and holder, exit code 1; nobody is killed")
def test_a_taken_port_names_the_port_and_its_holder(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        installation.configure(PORT=port)
        failed = installation.run("start")
    assert failed.returncode == 1
    assert f"Port {port} is taken by process {os.getpid()} (" in failed.stderr
    assert installation.run("status").returncode == 3
    assert installation.run("start").returncode == 0, "once the port is free"
    assert installation.status()["address"] == f"http://127.0.0.1:{port}"


def test_after_a_kill_the_next_start_is_clean(installation: Installation) -> None:
    installation.run("start")
    before = installation.state()["pid"]
    os.kill(before, signal.SIGKILL)
    assert installation.run("status").returncode == 3
    assert installation.run("start").returncode == 0
    assert installation.state()["pid"] != before


def states(bystander: int) -> dict[str, Any]:
    good = {
        "pid": bystander,
        "start_time": start_time_of(bystander),
        "instance": "i",
        "address": "http://127.0.0.1:9",
        "started_at": 1.0,
        "version": "0",
    }
    return {
        "of a reused pid": {**good, "start_time": 1},
        "of an unrelated process": good,
        "without start time": {**good, "start_time": None},
        "of init": {**good, "pid": 1, "start_time": start_time_of(1)},
        "of a process group": {**good, "pid": -bystander},
        "of nobody": {**good, "pid": 4_000_000},
        "of a huge pid": {**good, "pid": 10**30},
        "true": {**good, "pid": True},
        "elsewhere": {**good, "address": "http://127.0.0.1:9/../x"},
        "list": [good],
    }


@pytest.mark.parametrize("kind", states(1))
@pytest.mark.fault("L111", outcome="no process is signalled")
def test_hostile_records_harm_nobody(
    installation: Installation, bystander: subprocess.Popen[bytes], kind: str
) -> None:
    installation.paths.state_file.write_text(json.dumps(states(bystander.pid)[kind]))
    assert installation.run("status").returncode == 3
    stopped = installation.run("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "ccr is not running\n")


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 50, b"[" * 50_000, b"12345\n"])
@pytest.mark.fault("L111", outcome="read as no record")
def test_damaged_records_are_no_records(installation: Installation, content: bytes) -> None:
    installation.paths.state_file.write_bytes(content)
    assert installation.run("status").returncode == 3
    assert installation.run("start").returncode == 0


def test_a_lock_held_by_a_stranger_gets_nobody_signalled(
    installation: Installation, bystander: subprocess.Popen[bytes]
) -> None:
    held = lock.acquire(installation.paths)
    assert held is not None
    try:
        installation.paths.state_file.write_text(json.dumps(states(bystander.pid)["of an unrelated process"]))
        assert installation.status()["condition"] == "unknown"
        refused = installation.run("stop")
        assert refused.returncode == 1
        assert "cannot be identified" in refused.stderr
        late = installation.run("start", "--wait", "0.3")
        assert late.returncode == 1
        assert "did not become healthy" in late.stderr
    finally:
        os.close(held)


@pytest.mark.parametrize("name", ["state_file", "lock_file", "start_log", "key_file"])
@pytest.mark.fault("L112", outcome="refused; the target is untouched")
def test_links_are_not_followed(installation: Installation, name: str) -> None:
    target = installation.paths.home.parent / "target"
    target.write_text("kept")
    link = getattr(installation.paths, name)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    done = installation.run("start")
    assert target.read_text() == "kept"
    if name == "state_file":
        assert done.returncode == 0
        assert not link.is_symlink()
    else:
        assert done.returncode == 1
        assert str(link) in done.stderr


def test_a_death_while_starting_shows_the_last_words(installation: Installation) -> None:
    done = installation.run("start", **installation.with_server(DIES))
    assert done.returncode == 1
    assert "ended while starting" in done.stderr
    assert "second line of the death" in done.stderr
    assert installation.run("status").returncode == 3


def test_a_start_that_takes_too_long_is_ended(installation: Installation) -> None:
    done = installation.run("start", "--wait", "1.5", **installation.with_server(NEVER_READY))
    assert done.returncode == 1
    assert "was not ready within" in done.stderr
    assert installation.run("start").returncode == 0, "nothing is left of it"


def test_stop_now_signals_twice(installation: Installation) -> None:
    started = installation.run("start", **installation.with_server(IGNORES_SIGNALS))
    assert started.returncode == 0, started.stderr
    assert installation.run("stop", "--now").returncode == 0


def test_a_service_that_does_not_answer_is_recognised_by_its_lock(installation: Installation) -> None:
    installation.run("start")
    pid = installation.state()["pid"]
    state = {**installation.state(), "address": "http://127.0.0.1:9"}
    installation.paths.state_file.write_text(json.dumps(state))
    assert installation.status()["condition"] == "unresponsive"
    assert installation.run("status").returncode == 3
    assert installation.run("stop").returncode == 0
    assert not is_alive(pid)


def test_a_service_that_hangs_is_named_and_can_be_ended(installation: Installation) -> None:
    installation.run("start")
    pid = installation.state()["pid"]
    os.kill(pid, signal.SIGSTOP)
    refused = installation.run("start", "--wait", "0.1")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"ccr: Process {pid} does not answer: ")
    assert "`ccr stop --now`" in refused.stderr
    assert installation.run("stop", "--now").returncode == 0
    assert not is_alive(pid)
    assert installation.run("start").returncode == 0


def test_the_devbox_configuration_starts_and_the_log_says_what_became_of_its_file(
    installation: Installation,
) -> None:
    values = json.loads(DEVBOX.read_text())
    installation.configure(**{**values, "PORT": 0})
    started = installation.run("start")
    assert started.returncode == 0
    sentence = "databricks-transformer.js: databricks-custom is built in"
    assert sentence in started.stderr
    assert sentence in installation.run("logs").stdout


def test_a_grown_start_log_begins_anew(installation: Installation) -> None:
    installation.paths.log_dir.mkdir()
    installation.paths.start_log.write_bytes(b"x" * 1_100_000)
    assert installation.run("start").returncode == 0
    assert installation.paths.start_log.stat().st_size < 10_000


def test_in_the_foreground(installation: Installation) -> None:
    with installation.popen("start", "--foreground") as process:
        assert process.stdout is not None
        assert (
            process.stdout.readline()
            == f"ccr is running at {installation.state()['address']} (Ctrl-C ends it)\n"
        )
        assert installation.state()["pid"] == process.pid
        second = installation.run("start", "--foreground")
        assert (second.returncode, "already running" in second.stdout) == (0, True)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert not installation.paths.state_file.exists()


def test_in_the_foreground_on_a_taken_port(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        installation.configure(PORT=taken.getsockname()[1])
        failed = installation.run("start", "--foreground")
    assert failed.returncode == 1
    assert "is taken by process" in failed.stderr


@pytest.mark.fault("L122", outcome="no secret in any file or output of the commands")
def test_no_secret_in_anything_written_or_printed(installation: Installation) -> None:
    outputs = []
    for command in (
        ["start"],
        ["status"],
        ["status", "--json"],
        ["config", "show"],
        ["logs"],
        ["restart"],
        ["stop"],
    ):
        done = installation.run(*command)
        outputs.append(done.stdout + done.stderr)
    key = installation.paths.key_file.read_text().strip()
    files = [file for file in installation.paths.home.rglob("*") if file.is_file()]
    outputs += [file.read_text() for file in files if file.name not in (".key", "config.json")]
    assert len(outputs) > 8
    for output in outputs:
        assert "canary" not in output
        assert key not in output
