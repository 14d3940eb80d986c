"""The parts of the service control, each on its own."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ccr.config.model import Config, Secret
from ccr.config.paths import Paths
from ccr.config.private import write_private
from ccr.daemon import control, lock, process
from ccr.daemon.__main__ import main as daemon_main
from ccr.daemon.health import ask_health, ask_status, proof_of
from ccr.daemon.identity import Found, find_service
from ccr.daemon.listen import client_address, listen
from ccr.daemon.main import _loop_factory, run
from ccr.daemon.report import Report, await_outcome, outcome_from
from ccr.daemon.state import State, read_state, remove_state, state_from, write_state
from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.daemon.installation import Installation

KEY = Secret("canary-local-key")
STATE = State(
    pid=77, start_time=5, instance="abc", address="http://127.0.0.1:3456", started_at=1.5, version="0.1"
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


class TestState:
    def test_round_trip(self, paths: Paths) -> None:
        assert read_state(paths) is None
        write_state(paths, STATE)
        assert read_state(paths) == STATE
        remove_state(paths, "another")
        assert read_state(paths) == STATE
        remove_state(paths, "abc")
        assert read_state(paths) is None
        remove_state(paths)
        remove_state(paths, "abc")

    @pytest.mark.parametrize(
        "changes",
        [
            {"pid": 0},
            {"pid": 1},
            {"pid": -7},
            {"pid": "77"},
            {"pid": None},
            {"pid": 77.0},
            {"pid": True},
            {"start_time": "5"},
            {"start_time": True},
            {"instance": ""},
            {"address": "https://127.0.0.1:1"},
            {"address": "http://127.0.0.1"},
            {"address": "http://u@127.0.0.1:1"},
            {"address": "http://127.0.0.1:1/\r\nx"},
            {"started_at": "now"},
            {"version": 1},
        ],
    )
    def test_anything_else_is_no_record(self, changes: dict[str, Any]) -> None:
        good = {
            "pid": 77,
            "start_time": 5,
            "instance": "abc",
            "address": "http://127.0.0.1:3456",
            "started_at": 1.5,
            "version": "0.1",
        }
        assert state_from(good) == STATE
        assert state_from({**good, "address": "http://[::1]:3456", "start_time": None})
        assert state_from({**good, **changes}) is None
        assert state_from([good]) is None


class TestReport:
    @pytest.mark.parametrize(
        ("received", "word", "sentence", "pid"),
        [
            (b"", "died", "", None),
            (b"pid 7\n", "died", "", 7),
            (b"pid 7\nready\n", "ready", "", 7),
            (b"pid 7\nrea", "died", "", 7),
            (b"pid x\ntaken\n", "taken", "", None),
            (b"pid 7\nfailed one\vtwo\n", "failed", "one\ntwo", 7),
            (b"noise\nready\nfailed x\n", "ready", "", None),
        ],
    )
    def test_outcomes(self, received: bytes, word: str, sentence: str, pid: int | None) -> None:
        outcome = outcome_from(received, otherwise="died")
        assert (outcome.word, outcome.sentence, outcome.pid) == (word, sentence, pid)

    def test_through_a_pipe(self) -> None:
        reading, writing = os.pipe()
        report = Report(writing)
        report.tell("failed", "first\nsecond")
        report.tell("ready")
        outcome = await_outcome(reading, 5)
        assert (outcome.word, outcome.sentence, outcome.pid) == ("failed", "first\nsecond", os.getpid())
        os.close(reading)

    def test_the_end_without_a_word(self) -> None:
        reading, writing = os.pipe()
        os.write(writing, b"pid 9\n")
        os.close(writing)
        assert await_outcome(reading, 5).word == "died"
        os.close(reading)

    def test_late(self) -> None:
        reading, writing = os.pipe()
        os.write(writing, b"pid 9\n")
        outcome = await_outcome(reading, 0.05)
        assert (outcome.word, outcome.pid) == ("late", 9)
        os.close(reading)
        Report(writing).tell("ready")  # nobody listens any more, and nothing happens

    def test_without_a_pipe(self) -> None:
        Report(None).tell("ready")


class TestLock:
    def test_one_holder(self, paths: Paths) -> None:
        assert not lock.is_held(paths)
        held = lock.acquire(paths)
        assert held is not None
        assert paths.lock_file.stat().st_mode & 0o777 == 0o600
        assert lock.is_held(paths)
        assert lock.acquire(paths, patience_s=0.03) is None
        os.close(held)
        assert not lock.is_held(paths)

    @pytest.mark.fault("L114", outcome="a read-only home can be asked")
    def test_a_read_only_home_can_be_asked(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        held = lock.acquire(paths)
        assert held is not None
        original = os.open

        def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
            if flags & os.O_ACCMODE != os.O_RDONLY:
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            return original(path, flags, mode)

        monkeypatch.setattr(os, "open", read_only)
        assert lock.is_held(paths)
        os.close(held)
        assert not lock.is_held(paths)


class TestProcess:
    def test_this_process(self) -> None:
        pid = os.getpid()
        assert process.is_alive(pid)
        assert (process.start_time_of(pid) or 0) > 0
        assert "python" in (process.command_of(pid) or "")

    def test_nobody(self) -> None:
        pid = 4_194_303
        assert not process.is_alive(pid)
        assert process.start_time_of(pid) is None
        assert process.command_of(pid) is None
        assert process.has_open(pid, Path(__file__)) is None

    def test_a_zombie_is_not_alive(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", ""])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not process.is_alive(child.pid)
        child.wait()

    def test_somebody_else_s(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(pid: int, number: int) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "kill", refuse)
        assert process.is_alive(1)

    def test_a_system_without_proc(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(process, "PROC", tmp_path)
        assert process.is_alive(os.getpid())
        assert process.start_time_of(os.getpid()) is None
        assert process.holder_of_port(80) is None
        assert process.has_open(os.getpid(), Path(__file__)) is None

    def test_open_files(self, tmp_path: Path) -> None:
        file = tmp_path / "x"
        with file.open("w"):
            assert process.has_open(os.getpid(), file) is True
        assert process.has_open(os.getpid(), file) is False

    def test_commands_are_printable_and_short(self) -> None:
        child = subprocess.Popen(["sleep", "300"], executable="/bin/sleep")
        child.kill()
        child.wait()
        odd = subprocess.Popen(
            [sys.executable, "-c", "input()", "\x1b[2J\n" + "x" * 500], stdin=subprocess.PIPE
        )
        try:
            command = process.command_of(odd.pid)
            assert command is not None
            assert command.isprintable()
            assert len(command) <= 121
        finally:
            odd.communicate(b"\n")

    def test_processes_and_files_that_vanish_while_they_are_looked_at(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "net").mkdir()
        row = " 0: 0100007F:{port:04X} 0:0 0A 0 0 0 0 0 {inode}\n"
        table = "head\n" + row.format(port=80, inode=4242) + row.format(port=82, inode=5151)
        (tmp_path / "net" / "tcp").write_text(table)
        folder = tmp_path / "77" / "fd"
        folder.mkdir(parents=True)
        (folder / "0").write_text("no link")
        (folder / "1").symlink_to("/nowhere")
        (folder / "2").symlink_to("socket:[4242]")
        (tmp_path / "66").mkdir()
        monkeypatch.setattr(process, "PROC", tmp_path)
        assert process.holder_of_port(80) == 77
        assert process.holder_of_port(81) is None, "nobody listens there"
        assert process.holder_of_port(82) is None, "somebody does who cannot be seen"
        assert process.has_open(77, folder / "0") is True
        assert process.has_open(77, Path(__file__)) is False
        assert process.command_of(77) is None

    def test_the_holder_of_a_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert process.holder_of_port(port) == os.getpid()
        assert process.holder_of_port(port) is None


class TestListen:
    def test_any_free_port(self) -> None:
        with listen("127.0.0.1", 0) as listening:
            assert client_address(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"
        with listen("localhost", 0) as listening:
            assert client_address(listening).startswith("http://127.0.0.1:")

    def test_wildcards_are_reached_over_loopback(self) -> None:
        with listen("0.0.0.0", 0) as listening:  # noqa: S104 - closed at once
            assert client_address(listening).startswith("http://127.0.0.1:")

    def test_not_an_address(self) -> None:
        with pytest.raises(StartError, match="is no address of this machine"):
            listen("no.such.host.invalid", 0)

    def test_not_of_this_machine(self) -> None:
        with pytest.raises(StartError, match="Cannot listen on 192\\.0\\.2\\.1"):
            listen("192.0.2.1", 0)

    @pytest.mark.parametrize(
        ("number", "sentence"),
        [(errno.EACCES, "needs more rights"), (errno.EADDRINUSE, "which one cannot be seen")],
    )
    def test_refusals(self, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str) -> None:
        def refuse(self: socket.socket, address: Any) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("ccr.daemon.listen.holder_of_port", lambda port: None)
        monkeypatch.setattr(socket.socket, "bind", refuse)
        with pytest.raises(StartError, match=sentence):
            listen("127.0.0.1", 80)

    def test_a_holder_without_a_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ccr.daemon.listen.command_of", lambda pid: None)
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartError) as caught:
            listen("127.0.0.1", taken.getsockname()[1])
        assert f"is taken by process {os.getpid()}. Stop" in str(caught.value)


@pytest.fixture
def answering() -> Iterator[Callable[[Callable[[bytes], bytes]], tuple[str, list[bytes]]]]:
    """Start a server that answers one connection with what a function makes of the request."""
    servers: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: Callable[[bytes], bytes]) -> tuple[str, list[bytes]]:
        server = socket.create_server(("127.0.0.1", 0))
        received: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(65536))
                connection.sendall(answer(received[0]))

        servers.append(server)
        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}", received

    yield start
    for thread in threads:
        thread.join(5)
    for server in servers:
        server.close()


def answer_with(**values: Any) -> bytes:
    return b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(values).encode()


class TestHealth:
    def test_ours(self, answering: Any) -> None:
        def prove(request: bytes) -> bytes:
            nonce = parse_qs(urlsplit(request.split()[1].decode()).query)["nonce"][0]
            return answer_with(status="ok", instance="i", proof=proof_of(KEY, nonce, "i"))

        address, received = answering(prove)
        health = ask_health(address, KEY)
        assert (health.verdict, health.instance) == ("ours", "i")
        assert received[0].endswith(
            b"\r\nHost: " + address.removeprefix("http://").encode() + b"\r\nConnection: close\r\n\r\n"
        )
        assert KEY.reveal().encode() not in received[0]

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 404 Not Found\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\n\r\nnot json",
            b"HTTP/1.1 200 OK\r\n\r\n[]",
            b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000,
            b"x" * 200_000,
            answer_with(status="ok"),
            answer_with(instance="i", proof=5),
            answer_with(instance="i", proof="\u00e9"),
            answer_with(instance="i", proof="0" * 64),
            answer_with(instance="i", proof=proof_of(KEY, "another nonce", "i")),
        ],
    )
    def test_foreign(self, answering: Any, answer: bytes) -> None:
        address, received = answering(lambda request: answer)
        health = ask_health(address, KEY)
        assert health.verdict in ("foreign", "silent")
        assert health.instance is None
        assert KEY.reveal().encode() not in received[0]

    def test_silent(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"http://127.0.0.1:{server.getsockname()[1]}"
            assert ask_health(address, KEY, timeout_s=0.05).verdict == "silent"
        assert ask_health(address, KEY).verdict == "silent"
        assert ask_health("nonsense", KEY).verdict == "silent"

    def test_the_counters_are_asked_with_the_key(self, answering: Any) -> None:
        address, received = answering(lambda request: answer_with(requests={"ok": 2}))
        assert ask_status(address, KEY) == {"requests": {"ok": 2}}
        assert received[0].startswith(b"GET /status HTTP/1.1\r\n")
        assert b"\r\nx-api-key: " + KEY.reveal().encode() + b"\r\n" in received[0]

    def test_counters_that_nobody_tells(self) -> None:
        assert ask_status("http://127.0.0.1:9", KEY) == {}


class TestControl:
    def test_a_service_of_this_process_is_found_by_its_lock(self, paths: Paths) -> None:
        held = lock.acquire(paths)
        assert held is not None
        mine = State(
            pid=os.getpid(),
            start_time=process.start_time_of(os.getpid()),
            instance="i",
            address="http://127.0.0.1:9",
            started_at=1.0,
            version="0",
        )
        write_state(paths, mine)
        assert find_service(paths, KEY).condition == "unresponsive"
        assert find_service(paths, None).state == mine
        os.close(held)
        assert find_service(paths, KEY).condition == "stopped"

    def test_the_key_of_a_broken_installation(self, paths: Paths) -> None:
        assert control.known_key(paths, {}) is None
        paths.key_file.write_text("k" * 43)
        assert control.known_key(paths, {}) == Secret("k" * 43)
        paths.key_file.write_text("short")
        assert control.known_key(paths, {}) is None

    def test_stopping_without_process_descriptors(
        self, installation: Installation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing(pid: int) -> int:
            raise OSError(errno.ENOSYS, "not here")

        monkeypatch.setattr(os, "pidfd_open", missing)
        assert installation.run("start").returncode == 0
        key = control.known_key(installation.paths, {})
        stopped = control.stop(installation.paths, key)
        assert stopped is not None
        assert not process.is_alive(stopped.pid)

    @pytest.mark.parametrize("has_descriptors", [True, False])
    def test_one_that_does_not_end(
        self, installation: Installation, monkeypatch: pytest.MonkeyPatch, has_descriptors: bool
    ) -> None:
        from tests.daemon.test_service import IGNORES_SIGNALS

        if not has_descriptors:
            monkeypatch.delattr(os, "pidfd_open")
        assert installation.run("start", **installation.with_server(IGNORES_SIGNALS)).returncode == 0
        key = control.known_key(installation.paths, {})
        with pytest.raises(StartError, match="ccr stop --now"):
            control.stop(installation.paths, key, wait_s=0.1)
        assert control.stop(installation.paths, key) is not None, "the second signal is one too many"

    def test_one_that_ends_meanwhile(self, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = iter([Found("running", STATE), Found("stopped")])
        monkeypatch.setattr(control, "find_service", lambda paths, key: next(answers))
        monkeypatch.setattr(os, "kill", pytest.fail)
        assert control.stop(paths, KEY) is None


class TestMain:
    def test_a_second_process_leaves_quietly(self, paths: Paths) -> None:
        held = lock.acquire(paths)
        assert held is not None
        reading, writing = os.pipe()
        assert run({"CCR_HOME": str(paths.home)}, Report(writing)) == 0
        assert await_outcome(reading, 5).word == "taken"
        os.close(reading)
        os.close(held)

    def test_without_a_configuration(self, paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
        assert run({"CCR_HOME": str(paths.home)}, Report(None)) == 2
        assert "There is no configuration" in capsys.readouterr().err

    def test_without_a_home(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "environ", {})
        assert daemon_main([]) == 1
        assert "HOME is not set" in capsys.readouterr().err

    def test_without_uvloop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert _loop_factory() is not None
        monkeypatch.setitem(sys.modules, "uvloop", None)
        assert _loop_factory() is None

    def test_no_image_of_the_process_is_left(self) -> None:
        program = (
            "import resource; from ccr.daemon.main import _harden; _harden();"
            "print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        core, _, descriptors = done.stdout.partition(") ")
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        # 0 would be heeded for files, not for programs that collect crashes; it cannot be raised, though.
        assert core == ("(0, 0" if most == 0 else "(1, 1")
        soft, hard = descriptors.strip("()\n ").split(", ")
        assert soft == hard

    def test_last_words_hold_no_secret(self, paths: Paths) -> None:
        key = "a-key-of-a-provider-8Zq"
        provider = {"name": "p", "api_base_url": "http://127.0.0.1:9/chat", "api_key": key, "models": ["m"]}
        values = {"PORT": 0, "Providers": [provider], "Router": {"default": "p,m"}}
        write_private(paths.config_file, json.dumps(values).encode())
        program = f"""
import os, sys
from ccr.daemon import main
from ccr.daemon.report import Report

async def serve(self):
    raise RuntimeError("it had {key}")

main._Service.serve = serve
sys.exit(main.run({{**os.environ, "CCR_HOME": {str(paths.home)!r}}}, Report(None)))
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "RuntimeError: it had ***" in done.stderr
        assert key not in done.stderr + paths.log_file.read_text()

    def test_a_crash_leaves_no_file(self, tmp_path: Path) -> None:
        program = "import os; from ccr.daemon.main import _harden; _harden(); os.abort()"
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
        assert done.returncode == -signal.SIGABRT
        assert list(tmp_path.iterdir()) == []

    def test_config_is_a_value(self) -> None:
        assert Config() == Config()


@pytest.mark.parametrize(
    ("founds", "signalled"),
    [
        ([Found("running", STATE), Found("running", STATE)], [signal.SIGHUP]),
        ([Found("stopped")], []),
        ([Found("running", STATE), Found("stopped")], []),
        ([Found("running", STATE), Found("running", replace(STATE, instance="other"))], []),
        ([Found("other_key", STATE), Found("other_key", STATE)], []),
    ],
)
def test_only_a_proven_service_is_asked_to_read_its_configuration(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, founds: list[Found], signalled: list[signal.Signals]
) -> None:
    sent: list[signal.Signals] = []

    class Process:
        signal = staticmethod(sent.append)

    monkeypatch.setattr(control, "find_service", lambda *_: founds.pop(0))
    monkeypatch.setattr(control, "_process", lambda _: nullcontext(Process))
    assert control.ask_to_reload(paths, KEY) is bool(signalled)
    assert sent == signalled
