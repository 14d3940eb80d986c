"""A provider that runs in a thread, and clients that ask the service again and again."""

from __future__ import annotations

import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = json.dumps(
    {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
).encode()


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


class Provider:
    """Streams five words, ``pause_s`` apart, then ends; or waits for `go_on` after the first."""

    def __init__(self, *, pause_s: float = 0.02, waits: bool = False) -> None:
        self.go_on = threading.Event()
        if not waits:
            self.go_on.set()
        self.began = threading.Semaphore(0)
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for number in range(5):
                    self._write(chunk({"role": "assistant", "content": f"word{number} "}))
                    if number == 0:
                        provider.began.release()
                        provider.go_on.wait(60)
                    time.sleep(pause_s)
                self._write(chunk({}, "stop") + b"data: [DONE]\n\n")
                self.wfile.write(b"0\r\n\r\n")

            def _write(self, data: bytes) -> None:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                self.wfile.flush()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def settings(self) -> dict[str, Any]:
        port = self._server.server_address[1]
        return {
            "name": "databricks",
            "api_base_url": f"http://127.0.0.1:{port}/serving-endpoints/m/invocations",
            "api_key": "canary-provider-key",
            "models": ["m"],
            "transformer": {"use": ["databricks-custom"]},
        }

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


class Client(threading.Thread):
    """Asks on one kept connection, as clients do, until told to stop; a failure is kept, never repeated."""

    def __init__(self, address: str, key: str, *, times: int | None = None) -> None:
        super().__init__(daemon=True)
        self.failures: list[str] = []
        self.answers = 0
        self.stopped = threading.Event()
        self._address = urlsplit(address)
        self._key = key
        self._times = times

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        for _ in self._turns():
            if connection is None:
                assert self._address.hostname is not None
                connection = http.client.HTTPConnection(
                    self._address.hostname, self._address.port, timeout=60
                )
            try:
                headers = {"x-api-key": self._key, "content-type": "application/json"}
                connection.request("POST", "/v1/messages", BODY, headers)
                response = connection.getresponse()
                data = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
                connection = None
                continue
            if response.status == 200 and b"word4" in data and b"message_stop" in data:
                self.answers += 1
            else:
                self.failures.append(f"{response.status} {data[-300:]!r}")
            if response.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _turns(self) -> Iterator[int]:
        number = 0
        while not self.stopped.is_set() and number != self._times:
            yield number
            number += 1
