"""Everybody's providers on one port: a strict fake of their chat APIs, and what else a test lets them say.

The first part of a request's path is the host that the configuration names. Chat requests are checked against
what the OpenAI format is; what is wrong is answered with 400 and kept in `refusals`.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.dropin.chat_rules import what_is_wrong

Json = dict[str, Any]
USAGE = {"prompt_tokens": 120, "completion_tokens": 7, "total_tokens": 127}


@dataclass(frozen=True)
class Got:
    """One request. host: as the configuration names it; headers: lower-case names."""

    host: str
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Json:
        """The body as JSON."""
        return dict(json.loads(self.raw))


@dataclass(frozen=True)
class Said:
    """An answer at the level of HTTP."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


@dataclass(frozen=True)
class Answer:
    """What a chat model says, in deltas of the OpenAI format; whole answers are put together from them."""

    deltas: tuple[Json, ...] = ({"content": "hel"}, {"content": "lo"})
    finish: str = "stop"

    def to(self, asked: Json) -> Said:
        """Return the answer in the form in which it was asked for."""
        head = {"id": "chat-1", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": None, **_merged(self.deltas)}
            choice = {"index": 0, "message": message, "finish_reason": self.finish}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": USAGE}
            return Said(json.dumps(whole).encode())
        steps = [(delta, None) for delta in ({"role": "assistant", "content": ""}, *self.deltas)]
        choices = [
            {"index": 0, "delta": delta, "finish_reason": end} for delta, end in [*steps, ({}, self.finish)]
        ]
        chunks = [{**head, "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
        chunks[-1]["usage"] = USAGE
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return Said("".join([*lines, "data: [DONE]\n\n"]).encode(), content_type="text/event-stream")


def _merged(deltas: tuple[Json, ...]) -> Json:
    """Put deltas together: texts are joined, tool calls by their index."""
    found: Json = {}
    calls: dict[int, Json] = {}
    for delta in deltas:
        for key, value in delta.items():
            if key != "tool_calls":
                found[key] = found.get(key, "") + value
                continue
            for part in value:
                call = calls.setdefault(
                    part["index"], {"type": "function", "function": {"name": "", "arguments": ""}}
                )
                call.setdefault("id", part.get("id"))
                for name, text in part["function"].items():
                    call["function"][name] += text
    return {**found, "tool_calls": list(calls.values())} if calls else found


Talk = Callable[[Got], Said]


@dataclass
class Providers:
    """A running fake. answers: by host; talks: by path without query, for what is not the OpenAI format.

    extras: host -> keys that its chat requests may have beyond the format's own.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    talks: dict[str, Talk] = field(default_factory=dict)
    extras: dict[str, set[str]] = field(default_factory=dict)
    got: deque[Got] = field(default_factory=deque)
    refusals: list[str] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Providers:
        """Listen, in threads."""
        self._server = _Server(("127.0.0.1", 0), _Handler, self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where all hosts are."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}"

    def last(self) -> Got:
        """Return the last request, and forget all."""
        found = self.got[-1]
        self.got.clear()
        return found

    def answer(self, got: Got) -> Said:
        """Return what a host answers."""
        self.got.append(got)
        plain = f"{got.host}{got.path.partition('?')[0]}"
        if plain in self.talks:
            return self.talks[plain](got)
        if not plain.endswith("/chat/completions"):
            return self._refused(f"{plain}: there is nothing here", 404)
        wrong = what_is_wrong(got.headers, got.raw, self.extras.get(got.host, set()))
        if wrong:
            return self._refused(f"{got.host}: {wrong}", 400)
        return self.answers.get(got.host, Answer()).to(got.body)

    def _refused(self, why: str, status: int) -> Said:
        self.refusals.append(why)
        body = {"error": {"message": why, "type": "invalid_request_error", "code": None}}
        return Said(json.dumps(body).encode(), status)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[_Handler], providers: Providers) -> None:
        super().__init__(address, handler)
        self.providers = providers


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        _, host, path = self.path.split("/", 2)
        headers = {name.lower(): value for name, value in self.headers.items()}
        said = self.server.providers.answer(Got(host, f"/{path}", headers, data))
        self.send_response(said.status)
        self.send_header("content-type", said.content_type)
        self.send_header("content-length", str(len(said.body)))
        self.end_headers()
        for start in range(0, len(said.body), 97):  # cut anywhere, as networks do
            self.wfile.write(said.body[start : start + 97])
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""
