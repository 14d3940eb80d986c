"""Mixed load with faults for minutes; at the end everything must be as it was and every outcome explained.

A ccr process of its own, an upstream and the clients in this one. One request in twenty meets a fault of the
upstream, one in ten is left by its client at a random moment. Exit code 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

HERE = Path(__file__).resolve().parent
CCR = Path(sys.executable).parent / "ccr"
KEY = "soak-key-0123456789abcdefghij"
MODEL = "databricks-claude-sonnet-4-5"
FAULT_SHARE, LEAVE_SHARE = 0.05, 0.10
SLOPE_MB, SLOPE_MB_PER_MIN = 3.0, 0.1
"""The line through the memory may rise by so much in all; in a long run by 1 MB in ten minutes."""
WARM_UP_SHARE = 0.35
"""Pools, memories of tools and estimates fill up in this part of the time."""
REST_S = 3.0
KEPT_S = 45
"""Longer than connections to the upstream are kept."""
MOST_DATABASE_FILES = 3
"""The database, its write-ahead log and the index of that."""

# kind of request -> outcomes that are right. A status in front means an error answer before anything streamed.
GOOD = {"text": {"ok"}, "tool": {"ok"}, "whole": {"ok"}}
FAULTS = {
    "429": {"429"},
    "500": {"500", "502", "503", "529"},
    "reset": {"502", "503", "529"},
    "page": {"502"},
    "cut": {"error_event"},
    "garbage": {"error_event"},
    "error_event": {"error_event"},
    "once_503": {"ok", "503", "529"},
}
"""Faults may also end as a breaker's answer: 503 or 529 without the upstream being asked."""
BREAKER = {"429", "503", "529"}


# -- the upstream ---------------------------------------------------------------------------------------------------


def chunk(**choice: object) -> bytes:
    data = json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]})
    return f"data: {data}\n\n".encode()


class Upstream:
    """Answers as the request's text says: ``SOAK:kind:number;``."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                size = int(re.search(r"content-length: (\d+)", head, re.IGNORECASE)[1])
                body = await reader.readexactly(size)
                if not await self.answer(writer, body):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the last: the run is over
        finally:
            writer.close()

    async def answer(self, writer: asyncio.StreamWriter, body: bytes) -> bool:
        kind, number = re.search(rb"SOAK:(\w+):(\d+);", body).groups()
        kind = kind.decode()
        if kind == "once_503":
            kind = "text" if number in self.seen else "503"
            self.seen.add(number)
        if kind.isdigit():
            said = b'{"error_code":"X","message":"said by the upstream"}'
            self._head(writer, int(kind), b"application/json", len(said))
            writer.write(said)
        elif kind == "page":
            self._head(writer, 200, b"text/html", 15)
            writer.write(b"<html>no</html>")
        elif kind == "reset":
            writer.transport.abort()
            return False
        elif kind == "whole" or b'"stream":true' not in body:
            message = {"role": "assistant", "content": f"answer {number.decode()}"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            said = json.dumps({"id": "c", "choices": [choice], "usage": USAGE}).encode()
            self._head(writer, 200, b"application/json", len(said))
            writer.write(said)
        else:
            return await self._stream(writer, kind, number)
        await writer.drain()
        return True

    def _head(self, writer: asyncio.StreamWriter, status: int, kind: bytes, size: int) -> None:
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (status, kind, size)
        )

    async def _stream(self, writer: asyncio.StreamWriter, kind: str, number: bytes) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )

        async def say(data: bytes) -> None:
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
            await asyncio.sleep(random.random() * 0.01)

        await say(chunk(delta={"role": "assistant", "content": "answer "}))
        if kind == "cut":
            await say(chunk(delta={"content": "cut"}))
            writer.transport.abort()
            return False
        if kind == "garbage":
            await say(b'data: {"choices": [\n\n')
            return False
        if kind == "error_event":
            await say(b'data: {"error_code":"X","message":"said in the middle"}\n\n')
            writer.write(b"0\r\n\r\n")
            return True
        for _ in range(random.randrange(20)):
            await say(chunk(delta={"content": ""}))
        await say(chunk(delta={"content": number.decode()}))
        if kind == "tool":
            call = {"index": 0, "id": f"t{number.decode()}", "type": "function"}
            await say(chunk(delta={"tool_calls": [{**call, "function": {"name": "read", "arguments": ""}}]}))
            arguments = json.dumps({"n": number.decode()})
            await say(chunk(delta={"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}))
        end = json.loads(chunk(delta={}, finish_reason="tool_calls" if kind == "tool" else "stop")[6:])
        await say(b"data: " + json.dumps({**end, "usage": USAGE}).encode() + b"\n\ndata: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


# -- the clients ----------------------------------------------------------------------------------------------------


def body_of(kind: str, number: int) -> bytes:
    filler = "Grüße " * random.choice([1, 1, 10, 2000])
    tools = [{"name": "read", "description": "r", "input_schema": {"type": "object", "properties": {}}}]
    request = {
        "model": MODEL,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": f"{filler} SOAK:{kind}:{number};"}],
        "tools": tools,
        "stream": kind != "whole",
    }
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()


async def ask(session: aiohttp.ClientSession, url: str, kind: str, number: int) -> str:
    """Return what came of a request, in one word."""
    async with session.post(f"{url}/v1/messages", data=body_of(kind, number)) as response:
        if response.status != 200:
            said = await response.json()
            assert said["type"] == "error", said
            assert said["request_id"] == response.headers["request-id"], said
            return str(response.status)
        if kind == "whole":
            message = await response.json()
            assert message["content"] == [{"type": "text", "text": f"answer {number}"}], message
            return "ok"
        return outcome_of((await response.read()).decode(), kind, number)


def outcome_of(text: str, kind: str, number: int) -> str:
    events = [json.loads(block.split("\ndata: ", 1)[1]) for block in text.split("\n\n") if block]
    kinds = [event["type"] for event in events]
    if kinds[-1] == "error":
        assert "message_stop" not in kinds, text
        return "error_event"
    assert kinds[-1] == "message_stop", text
    said = "".join(
        event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"
    )
    assert said == f"answer {number}", text
    if kind == "tool":
        arguments = "".join(
            event["delta"].get("partial_json", "")
            for event in events
            if event["type"] == "content_block_delta"
        )
        assert json.loads(arguments) == {"n": str(number)}, text
    return "ok"


class Load:
    """Clients that ask until the time is over."""

    def __init__(self, url: str, seconds: float, fault_share: float = FAULT_SHARE) -> None:
        self.url = url
        self.fault_share = fault_share
        self.end = time.monotonic() + seconds
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.unexplained: list[str] = []
        self.number = 0

    async def client(self) -> None:
        headers = {"x-api-key": KEY, "content-type": "application/json"}
        async with aiohttp.ClientSession(headers=headers) as session:
            while time.monotonic() < self.end:
                await self.one(session)

    async def one(self, session: aiohttp.ClientSession) -> None:
        self.number += 1
        number = self.number
        is_fault = random.random() < self.fault_share
        kind = random.choice(list(FAULTS if is_fault else GOOD))
        asking = asyncio.ensure_future(ask(session, self.url, kind, number))
        if random.random() < LEAVE_SHARE:
            await asyncio.sleep(random.random() * 0.1)
            if asking.cancel():
                await asyncio.wait([asking])
                self.outcomes["left"] += 1
                return
        try:
            outcome = await asking
        except (aiohttp.ClientError, AssertionError, ValueError, KeyError, IndexError) as error:
            outcome = f"{type(error).__name__}: {error}"[:300]
        self.outcomes[f"{kind} -> {outcome}"] += 1
        if outcome not in (FAULTS | GOOD)[kind] | (BREAKER if outcome in BREAKER else set()):
            self.unexplained.append(f"{kind} {number}: {outcome}")


# -- the process under load -----------------------------------------------------------------------------------------


def memory_mb(pid: int) -> float:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


def open_files(pid: int, home: Path) -> int:
    """Return how many files are open, without those of the database of requests, opened with the first one."""
    return len(os.listdir(f"/proc/{pid}/fd")) - len(database_files(pid, home))


def database_files(pid: int, home: Path) -> list[str]:
    """Return the names under which the database of requests is open."""
    names = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            names.append(os.readlink(entry))
    return [name for name in names if name.startswith(str(home.resolve() / "usage.sqlite"))]


async def status(url: str) -> dict:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/status", headers={"x-api-key": KEY}) as got,
    ):
        return await got.json()


def slope_per_minute(samples: list[tuple[float, float]]) -> float:
    """Return the slope of a line through (seconds, MB), in MB a minute."""
    n = len(samples)
    mean_x = sum(x for x, _ in samples) / n
    mean_y = sum(y for _, y in samples) / n
    over = sum((x - mean_x) ** 2 for x, _ in samples)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / over if over else 0.0


def free_port() -> int:
    with socket.socket() as sock:
        for port in range(19000, 20000):
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                return port
    raise SystemExit("no free port between 19000 and 20000")


async def soak(home: Path, minutes: float, clients: int, slope_mb: float) -> int:
    upstream = await asyncio.start_server(Upstream().serve, "127.0.0.1", 0)
    upstream_port = upstream.sockets[0].getsockname()[1]
    port = free_port()
    provider = {
        "name": "databricks",
        "api_base_url": f"http://127.0.0.1:{upstream_port}/serving-endpoints/{MODEL}/invocations",
        "api_key": "soak-token",
        "models": [MODEL],
        "transformer": {"use": ["databricks-custom"]},
    }
    config = {
        "PORT": port,
        "APIKEY": KEY,
        "Providers": [provider],
        "Router": {"default": f"databricks,{MODEL}"},
    }
    (home / "config.json").write_text(json.dumps(config))
    (home / "config.json").chmod(0o600)
    environment = {**os.environ, "CCR_HOME": str(home)}
    command = [str(CCR), "start", "--foreground"]
    with (home / "stderr.log").open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stdout=errors, stderr=errors)  # noqa: ASYNC220 - once
    url = f"http://127.0.0.1:{port}"
    try:
        await until_healthy(url)
        return await loaded(url, process.pid, home, minutes * 60, clients, slope_mb)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        upstream.close()


async def until_healthy(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(200):
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/health"):
                    return
            await asyncio.sleep(0.05)
    raise SystemExit("ccr did not start")


async def loaded(url: str, pid: int, home: Path, seconds: float, clients: int, slope_mb: float) -> int:
    await status(url)
    await asyncio.sleep(REST_S)
    files = open_files(pid, home)
    # no faults: the last ones would be all that is left of it, and open the breaker for the load itself
    warm = Load(url, min(5.0, seconds / 4), fault_share=0.0)
    await asyncio.gather(*(warm.client() for _ in range(clients)))
    await asyncio.sleep(REST_S)
    tasks = (await status(url)).get("tasks")
    began = time.monotonic()
    load = Load(url, seconds)
    load.number = warm.number
    samples: list[tuple[float, float]] = []

    async def watch() -> None:
        while True:
            samples.append((time.monotonic() - began, memory_mb(pid)))
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(load.client() for _ in range(clients)))
    watching.cancel()
    await asyncio.sleep(REST_S)
    settled = [sample for sample in samples if sample[0] > seconds * WARM_UP_SHARE]
    slope = slope_per_minute(settled)
    end = await status(url)
    problems = [f"unexplained outcome: {each}" for each in (warm.unexplained + load.unexplained)[:20]]
    allowed = max(slope_mb / (seconds / 60), SLOPE_MB_PER_MIN)
    if slope > allowed:
        problems.append(f"memory grows by {slope:.2f} MB a minute (allowed: {allowed:.2f})")
    kept = open_files(pid, home)
    for _ in range(KEPT_S):  # connections to the upstream are kept for a while
        if kept <= files:
            break
        await asyncio.sleep(1)
        kept = open_files(pid, home)
    if kept > files:
        problems.append(f"{kept - files} more open files than before: {files} -> {kept}")
    database = database_files(pid, home)
    if len(database) > MOST_DATABASE_FILES:
        problems.append(f"the database of requests is open {len(database)} times: {', '.join(database)}")
    if end["active"]:
        problems.append(f"{end['active']} requests are still counted as running")
    if tasks is not None and end["tasks"] > tasks:
        problems.append(f"{end['tasks'] - tasks} more tasks than before")
    problems += unhandled(home)
    print(f"{sum(load.outcomes.values())} requests by {clients} clients in {seconds:.0f} s")
    for outcome, count in sorted(load.outcomes.items()):
        print(f"  {count:7d}  {outcome}")
    print(f"memory {samples[0][1]:.0f} -> {samples[-1][1]:.0f} MB, slope {slope:+.2f} MB a minute")
    print(f"open files {files} -> {kept}, and {len(database)} of the database of requests")
    print(f"tasks {tasks} -> {end.get('tasks')}, active {end['active']}")
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    print("soak: " + ("failed" if problems else "all as it was"))
    return 1 if problems else 0


def unhandled(home: Path) -> list[str]:
    """Return the log's lines that tell of faults of ours."""
    words = ("Traceback", "unexpected error", "never retrieved", '"level":"error"')
    found = [
        f"{path.name}: {line[:300]}"
        for path in home.rglob("*.log")
        for line in path.read_text(errors="replace").splitlines()
        if any(word in line for word in words)
    ]
    return found[:10]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--slope-mb", type=float, default=SLOPE_MB, help="more for runs under a minute")
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(soak(Path(folder), arguments.minutes, arguments.clients, arguments.slope_mb))


if __name__ == "__main__":
    raise SystemExit(main())
