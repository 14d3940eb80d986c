"""A provider, a sign-in and a proxy that repeat every secret they are given, in every kind of answer."""

from __future__ import annotations

import contextlib
import json
import threading
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

OAUTH_TOKENS: Final = "canary-oauth-token/"
"""What every token of the sign-in begins with; its number follows."""

SSE: Final = "text/event-stream"
BEGUN: Final = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
# What a model says is never changed, whatever it is: these are errors, all of them.
ANSWERS: Final = (
    (401, "application/json", '{"error_code":"401","message":"token %s is not valid"}'),
    (403, "application/json", '{"message":"%s may not"}'),
    (403, "application/json", '{"error_code":"403","message":"Invalid Token: %s"}'),
    (400, "application/json", '{"error":{"message":"what is %s?"}}'),
    (404, "application/json", '{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no %s"}'),
    (429, "application/json", '{"message":"%s asks too much"}'),
    (500, "text/html", "<html><title>%s</title>Authorization: Bearer %s</html>"),
    (503, "text/plain", "%s"),
    (307, "text/plain", "%s"),
    (200, "application/json", '{"error":{"message":"%s"}}'),
    (200, "application/json", '{"choices": "%s"}'),
    (200, "text/html", "<html>sign in, %s</html>"),
    (200, SSE, 'data: {"error":{"message":"%s"}}\n\n'),
    (200, SSE, BEGUN + 'data: {"error":{"message":"%s"}}\n\n'),
    (400, "application/json", '{"error":{"message":"what are %e?"}}'),
    (503, "text/plain", "%e"),
)


def encoded(secret: str) -> str:
    """Return a secret as it may stand in what somebody quotes: in URLs, in JSON, in Base64 of any length."""
    data = secret.encode()
    in_base64 = [b64encode(before + data + after) for before in (b"", b"a", b"ab") for after in (b"", b"cd")]
    forms = [quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]]
    return " ".join([*forms, *(each.decode() for each in in_base64)])


class Handler(BaseHTTPRequestHandler):
    """Signs in every other time; answers models' requests with ANSWERS in turn; refuses as a proxy."""

    number = 0
    tokens = 0

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
        if self.path.endswith("/oidc/v1/token"):
            self._sign_in(asked)
            return
        headers = ("authorization", "x-api-key", "x-forwarded-access-token")
        given = " ".join(self.headers[name].removeprefix("Bearer ") for name in headers if self.headers[name])
        status, kind, text = ANSWERS[Handler.number % len(ANSWERS)]
        Handler.number += 1
        text = text.replace("%e", encoded(given)) if given else text
        self._say(status, kind, text.replace("%s", given), location=f"https://login.test/{given}")

    def _sign_in(self, asked: str) -> None:
        basic = self.headers.get("authorization", "").removeprefix("Basic ")
        secret = (b64decode(basic).decode() if basic else "") + str(parse_qs(asked)) + basic
        Handler.tokens += 1
        if Handler.tokens % 4 == 1:
            self._say(
                503, "application/json", json.dumps({"error": "server_error", "error_description": secret})
            )
            return
        token = f"{OAUTH_TOKENS}{Handler.tokens:04d}+ZQ=="
        self._say(200, "application/json", json.dumps({"access_token": token, "expires_in": 2}))

    def do_CONNECT(self) -> None:
        given = self.headers.get("proxy-authorization", "")
        decoded = b64decode(given.removeprefix("Basic ")).decode()
        self._say(407, "text/plain", f"who is {given}, that is {decoded}?")

    def do_GET(self) -> None:
        self._say(500, "text/plain", self.headers.get("authorization", "").removeprefix("Bearer "))

    def _say(self, status: int, kind: str, text: str, **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def echoing() -> Iterator[int]:
    """Give the port at which all of it listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
