"""Who may ask the pages' server: pure, and on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDict

from ccr.config.model import Secret
from ccr.errors import RequestError
from ccr.ui.calls import METHODS
from ccr.ui.files import load_files
from ccr.ui.guard import HEADERS, KEY_HEADER, MAX_BODY_BYTES, Guard
from ccr.ui.session import Session

if TYPE_CHECKING:
    from tests.ui.conftest import Asked

KEY = Session().key
HOST = ("Host", "127.0.0.1:9")
OWN = ("Sec-Fetch-Site", "same-origin")
OPENED = ("Sec-Fetch-Site", "none")
ORIGIN = ("Origin", "http://127.0.0.1:9")
KEYED = (KEY_HEADER, KEY.reveal())
JSON = (("Content-Type", "application/json"), ("Content-Length", "2"))
CALL = (HOST, OWN, KEYED)
POST = (HOST, OWN, KEYED, ORIGIN, *JSON)
GUARD = Guard(9, KEY, load_files(), METHODS)


def check(method: str, target: str, *headers: tuple[str, str]) -> str:
    return GUARD.path_of(method, target, CIMultiDict(headers))


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/", (HOST, OPENED)),
        ("GET", "/", (HOST,)),
        ("GET", "/", (("Host", "LOCALHOST:9"), OWN)),
        ("GET", "/app.js", (HOST, OWN)),
        ("GET", "/app.js", (HOST, OWN, ORIGIN)),
        ("GET", "/api/overview", CALL),
        ("GET", "/api/overview", (HOST, KEYED)),
        ("GET", "/api/log?name=ccr", CALL),
        ("POST", "/api/change", POST),
        (
            "POST",
            "/api/change",
            (("Host", "localhost:9"), OWN, KEYED, ("Origin", "http://localhost:9"), *JSON),
        ),
        ("POST", "/api/session", (HOST, OWN, ORIGIN, *JSON)),
    ],
)
def test_pages_of_ours_are_answered(method: str, target: str, headers: Any) -> None:
    assert check(method, target, *headers) == target.partition("?")[0]


@pytest.mark.parametrize(
    ("status", "method", "target", "headers"),
    [
        (403, "GET", "/", ()),
        (403, "GET", "/", (("Host", "evil.test:9"),)),
        (403, "GET", "/", (("Host", "127.0.0.1"),)),
        (403, "GET", "/", (("Host", "127.0.0.1:10"),)),
        (403, "GET", "/", (("Host", "127.0.0.1.evil.test:9"),)),
        (403, "GET", "/", (("Host", "[::1]:9"),)),
        (403, "GET", "/", (HOST, HOST)),
        (403, "GET", "/nothing", (("Host", "evil.test:9"),)),
        (403, "GET", "/", (HOST, ("Sec-Fetch-Site", "cross-site"))),
        (403, "GET", "/", (HOST, ("Sec-Fetch-Site", "same-site"))),
        (403, "GET", "/app.js", (HOST, ("Sec-Fetch-Site", "cross-site"))),
        (403, "GET", "/", (HOST, OPENED, ("Sec-Fetch-Site", "cross-site"))),
        (403, "GET", "/api/overview", (HOST, OPENED, KEYED)),
        (403, "GET", "/api/overview", (*CALL, ("Origin", "http://evil.test"))),
        (403, "GET", "/api/overview", (*CALL, ("Origin", "null"))),
        (403, "GET", "/api/overview", (*CALL, ("Origin", "http://127.0.0.1:10"))),
        (403, "GET", "/api/overview", (*CALL, ("Origin", "https://127.0.0.1:9"))),
        (403, "POST", "/api/change", (HOST, OWN, KEYED, *JSON)),
        (403, "POST", "/api/change", (HOST, OWN, KEYED, ORIGIN, ("Origin", "http://evil.test"), *JSON)),
        (403, "POST", "/api/change", (("Host", "localhost:9"), OWN, KEYED, ORIGIN, *JSON)),
        (403, "POST", "/api/session", (HOST, OWN, *JSON)),
        (401, "GET", "/api/overview", (HOST, OWN)),
        (401, "GET", "/api/overview", (HOST, OWN, (KEY_HEADER, ""))),
        (401, "GET", "/api/overview", (HOST, OWN, (KEY_HEADER, Session().key.reveal()))),
        (401, "GET", "/api/overview", (HOST, OWN, (KEY_HEADER, KEY.reveal()[:-1]))),
        (401, "GET", "/api/overview", (HOST, OWN, KEYED, KEYED)),
        (401, "GET", "/api/overview", (HOST, OWN, ("Cookie", f"{KEY_HEADER}={KEY.reveal()}"))),
        (401, "GET", f"/api/overview?key={KEY.reveal()}", (HOST, OWN)),
        (401, "GET", "/api/overview", (HOST, OWN, (KEY_HEADER, "sch\udcfcssel"))),
        (401, "POST", "/api/change", (HOST, OWN, ORIGIN, *JSON)),
        (404, "GET", "/nothing", CALL),
        (404, "GET", "/index.html", CALL),
        (404, "GET", "/?x=1", CALL),
        (404, "GET", "/app.js?x", CALL),
        (404, "GET", "/../app.py", CALL),
        (404, "GET", "/static/../../app.py", CALL),
        (404, "GET", "/%2e%2e/app.py", CALL),
        (404, "GET", "/app%2ejs", CALL),
        (404, "GET", "//app.js", CALL),
        (404, "GET", "/APP.JS", CALL),
        (404, "GET", "/api", CALL),
        (404, "GET", "/api/", CALL),
        (404, "GET", "/api/overview/", CALL),
        (404, "GET", "http://127.0.0.1:9/", CALL),
        (404, "GET", "/v1/messages", CALL),
        (404, "OPTIONS", "*", CALL),
        (405, "POST", "/", POST),
        (405, "HEAD", "/", CALL),
        (405, "OPTIONS", "/api/change", CALL),
        (405, "GET", "/api/change", CALL),
        (405, "GET", "/api/service", CALL),
        (405, "GET", "/api/session", CALL),
        (405, "PUT", "/api/change", POST),
        (405, "POST", "/api/overview", POST),
        (400, "GET", "/", (HOST, ("Upgrade", "websocket"))),
        (400, "GET", "/api/overview", (*CALL, ("Content-Length", "5"))),
        (400, "POST", "/api/change", (*POST, ("Transfer-Encoding", "chunked"))),
        (400, "POST", "/api/change", (*POST, ("Content-Encoding", "gzip"))),
        (411, "POST", "/api/change", (HOST, OWN, KEYED, ORIGIN, JSON[0])),
        (411, "POST", "/api/change", (HOST, OWN, KEYED, ORIGIN, JSON[0], ("Content-Length", "-1"))),
        (411, "POST", "/api/change", (*POST, ("Content-Length", "2"))),
        (
            413,
            "POST",
            "/api/change",
            (HOST, OWN, KEYED, ORIGIN, JSON[0], ("Content-Length", str(MAX_BODY_BYTES + 1))),
        ),
        (415, "POST", "/api/change", (HOST, OWN, KEYED, ORIGIN, JSON[1])),
        (415, "POST", "/api/change", (HOST, OWN, KEYED, ORIGIN, JSON[1], ("Content-Type", "text/plain"))),
        (415, "POST", "/api/change", (*POST, ("Content-Type", "application/json"))),
    ],
)
def test_everybody_else_is_refused(status: int, method: str, target: str, headers: Any) -> None:
    with pytest.raises(RequestError) as refused:
        check(method, target, *headers)
    assert refused.value.status == status


def test_a_key_is_compared_as_it_is() -> None:
    with pytest.raises(RequestError):
        Guard(9, Secret("x"), {}, METHODS).path_of("GET", "/api/overview", CIMultiDict(CALL))


async def test_no_page_of_others_reads_or_changes_anything(pages: Asked) -> None:
    before = pages.installation.paths.config_file.read_bytes()
    own = pages.headers()
    change = b'{"version":"","change":{"what":"log_level","value":"trace"}}'
    foreign = [
        ("GET", "/api/config", own | {"Host": "evil.test"}, b""),
        ("GET", "/api/config", own | {"Origin": "http://evil.test"}, b""),
        ("GET", "/api/config", {**own, KEY_HEADER: "x"}, b""),
        ("GET", "/api/log?name=../../etc/passwd", own, b""),
        ("GET", "/../app.py", own, b""),
        ("GET", "/%2e%2e/%2e%2e/config.json", own, b""),
        ("POST", "/api/change", pages.headers(change) | {"Origin": "http://evil.test"}, change),
        ("POST", "/api/change", pages.headers(change) | {"Content-Type": "text/plain"}, change),
        ("POST", "/api/change", {**pages.headers(change), KEY_HEADER: "x"}, change),
        (
            "OPTIONS",
            "/api/change",
            own | {"Origin": "http://evil.test", "Access-Control-Request-Method": "POST"},
            b"",
        ),
    ]
    for method, target, headers, body in foreign:
        answer = await pages.raw(method, target, headers, body)
        assert answer.status in (401, 403, 404, 405, 415), (method, target, answer.body)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert set(answer.values) == {"error"}
        assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert pages.installation.paths.config_file.read_bytes() == before


async def test_what_every_answer_says_to_the_browser(pages: Asked) -> None:
    for target, content_type in (
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/api/overview", "application/json"),
    ):
        answer = await pages.get(target)
        assert answer.status == 200
        assert answer.headers["content-type"] == content_type
        assert {name: answer.headers[name.lower()] for name in HEADERS} == HEADERS
        assert "set-cookie" not in answer.headers
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_the_pages_hold_no_script_style_or_address_of_others() -> None:
    for path, file in load_files().items():
        text = file.data.decode()
        assert "https://" not in text, path
        assert [
            part for part in text.split("http://")[1:] if not part.startswith("www.w3.org/2000/svg")
        ] == [], path
        if path == "/":
            assert text.count("<script") == text.count('<script type="module" src="/app.js"></script>') == 1
            assert "<style" not in text
            assert "style=" not in text
        if path.endswith(".js"):
            for written in (
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "Function(",
            ):
                assert written not in text, path


def test_the_tables_are_frozen() -> None:
    assert set(METHODS) == {
        "/api/session",
        "/api/overview",
        "/api/service",
        "/api/config",
        "/api/change",
        "/api/check",
        "/api/test",
        "/api/log",
        "/api/usage",
        "/api/requests",
        "/api/explain",
    }
    assert {path for path, method in METHODS.items() if method == "POST"} == {
        "/api/session",
        "/api/service",
        "/api/change",
        "/api/check",
        "/api/test",
        "/api/explain",
    }
