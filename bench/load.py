"""Two loads and what they leave behind: many open streams, and many large bodies at once.

1000 streams of one event a second: no error, at most 64 KB of memory each. 100 bodies of 8 MB at once: each is
answered, and a minute later the process needs no more than a fifth above what it needed at rest.
Needs the programs that ``bench/run`` builds. Exit code 1 if a bound does not hold.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import compare

HERE = Path(__file__).resolve().parent
STREAM_KB = 64
BACK_TO_REST = 1.2
BACK_S = 60
BODIES_S = (20, 60, 180)
MODEL = "databricks-claude-sonnet-4"


def config(port: int, upstream: int) -> str:
    """The configuration of compare.py, for bodies of any size."""
    values = json.loads(compare.config(port, upstream, "chat"))
    values["Providers"][0]["max_payload_bytes"] = 64 * 2**20
    return json.dumps(values)


def body(text: str, *, stream: bool) -> bytes:
    """A request with one message."""
    message = {"role": "user", "content": text}
    request = {"model": MODEL, "max_tokens": 100, "messages": [message], "stream": stream}
    return json.dumps(request, separators=(",", ":")).encode()


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the process is gone")


def generate(
    port: int, data: bytes, folder: Path, connections: int, seconds: float
) -> subprocess.Popen[bytes]:
    """Start the load generator."""
    path = folder / "body.json"
    path.write_bytes(data)
    command = [str(HERE / "bin/lg"), "127.0.0.1", str(port), "/v1/messages", str(path)]
    command += [str(connections), str(seconds), "0", f"x-api-key: {compare.KEY}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


class Beside(threading.Thread):
    """Asks for nothing but a sign of life beside a load; longest_s: what it waited for one at most."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.longest_s = 0.0
        self._port = port
        self._ended = threading.Event()

    def run(self) -> None:
        """Ask until told to stop."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._ended.wait(0.02):
            began = time.monotonic()
            connection.request("GET", "/health")
            connection.getresponse().read()
            self.longest_s = max(self.longest_s, time.monotonic() - began)
        connection.close()

    def end(self) -> float:
        """Stop, and return the longest wait."""
        self._ended.set()
        self.join()
        return self.longest_s


def peak(load: subprocess.Popen[bytes], pid: int) -> tuple[dict[str, object], float]:
    """Wait for the load to end; return what it says and the highest memory meanwhile."""
    highest = 0.0
    while load.poll() is None:
        highest = max(highest, memory_mb(pid))
        time.sleep(0.1)
    assert load.stdout is not None
    return json.loads(load.stdout.read()), highest


def main() -> int:
    """Run both loads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--bodies", type=int, default=100)
    arguments = parser.parse_args()
    upstream, port = compare.free_port(), compare.free_port()
    processes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(config(port, upstream))
        (folder / "config.json").chmod(0o600)
        environment = {**os.environ, "CCR_HOME": name}
        quiet = subprocess.DEVNULL
        try:
            processes.append(
                subprocess.Popen([str(HERE / "bin/mock"), str(upstream)], stdout=quiet, stderr=quiet)
            )
            ccr = subprocess.Popen(
                [str(compare.CCR), "start", "--foreground"], env=environment, stdout=quiet, stderr=quiet
            )
            processes.append(ccr)
            compare.wait_for(upstream)
            compare.wait_for(port)
            time.sleep(1)
            return run(ccr.pid, port, folder, arguments)
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
                process.wait(40)


def run(pid: int, port: int, folder: Path, arguments: argparse.Namespace) -> int:
    """Measure; return the exit code."""
    problems = []
    generate(port, body("BENCH:n=3,d=0,t=0;", stream=True), folder, 1, 1).wait()
    rest = memory_mb(pid)
    beside = Beside(port)
    beside.start()
    for seconds in BODIES_S:  # a busy machine needs longer until each is answered; nothing else is at stake
        load = generate(port, body("x" * 8 * 2**20, stream=False), folder, arguments.bodies, seconds)
        said, highest = peak(load, pid)
        if said["errors"] or said["requests"] >= arguments.bodies:
            break
    waited_s = beside.end()
    began = time.monotonic()
    while memory_mb(pid) > rest * BACK_TO_REST and time.monotonic() - began < BACK_S:
        time.sleep(0.5)
    after = memory_mb(pid)
    print(
        f"{arguments.bodies} bodies of 8 MB at once: {said['requests']} answered, {said['errors']} errors; "
        f"{rest:.0f} MB at rest, {highest:.0f} MB at most, {after:.0f} MB after {time.monotonic() - began:.0f} s"
    )
    print(f"a request beside them waited {waited_s * 1000:.0f} ms at most")
    if said["errors"] or said["requests"] < arguments.bodies:
        problems.append(f"not every body was answered: {said}")
    if after > rest * BACK_TO_REST:
        problems.append(f"{after:.0f} MB are not back to rest ({rest:.0f} MB)")
    before = memory_mb(pid)
    load = generate(port, body("BENCH:n=10,d=1000000,t=0;", stream=True), folder, arguments.streams, 8)
    said, highest = peak(load, pid)
    each_kb = (highest - before) * 1024 / arguments.streams
    print(
        f"{arguments.streams} streams of 1 event/s: {said['requests']} complete, {said['errors']} errors, "
        f"{each_kb:.0f} KB each (bound {STREAM_KB})"
    )
    if said["errors"] or said["unfinished"] or said["requests"] < arguments.streams:
        problems.append(f"not every stream was complete: {said}")
    if each_kb > STREAM_KB:
        problems.append(f"{each_kb:.0f} KB a stream")
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
