from __future__ import annotations

import pytest
from multidict import CIMultiDict

from ccr.config.model import Secret
from ccr.errors import RequestError
from ccr.server.guard import Guard, Hosts, is_last
from ccr.server.routes import ROUTES

KEY = "local-key-0123456789abcdefghij"
PORT = 3456
ENDPOINTS = {path: served.endpoint for path, served in ROUTES.items()}
GUARD = Guard(Hosts.of("127.0.0.1", [PORT]), Secret(KEY), ENDPOINTS)
OPEN = Guard(Hosts.of("127.0.0.1", [PORT]), None, ENDPOINTS)


def headers(*more: tuple[str, str], without: str = "") -> CIMultiDict[str]:
    base = [("Host", f"127.0.0.1:{PORT}"), ("Content-Type", "application/json"), ("x-api-key", KEY)]
    return CIMultiDict([(name, value) for name, value in base if name != without] + list(more))


def refusal(
    method: str,
    path: str,
    given: CIMultiDict[str],
    guard: Guard = GUARD,
    version: tuple[int, int] = (1, 1),
) -> tuple[int, str] | None:
    try:
        guard.check(method, path, given, version)
    except RequestError as error:
        return error.status, error.message
    return None


@pytest.mark.parametrize(
    "target",
    ["/v1/messages", "/v1/messages?beta=true", "/v1/v1/messages?x", "/", "/?x=1", "/health?nonce=1"],
)
def test_a_query_does_not_matter(target: str) -> None:
    assert GUARD.path_of(target) == target.partition("?")[0]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.test/v1/messages", 400),
        ("http://127.0.0.1:3456/health", 400),
        ("evil.test:443", 400),
        ("*", 400),
        ("", 400),
        ("//v1/messages", 404),
        ("//health", 404),
        ("/health/../v1/messages", 404),
        ("/v1%2fmessages", 404),
        ("/%68ealth", 404),
        ("/v1/messages;x", 404),
        ("/v1/messages/", 404),
        ("/HEALTH", 404),
        ("/healthX", 404),
        ("/ui", 404),
        ("/api/config", 404),
        ("/v1/messages#x", 404),
        ("/v1/messages\x1b[2J", 404),
    ],
)
@pytest.mark.fault("A18", outcome="400 or 404, decided on the bytes of the request line")
def test_a_target_is_taken_byte_for_byte(target: str, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        GUARD.path_of(target)
    assert caught.value.status == status
    assert "\x1b" not in caught.value.message


def test_the_npm_router_s_path_of_a_preset_is_answered_with_what_to_do_instead() -> None:
    with pytest.raises(RequestError, match="`ccr NAME` runs it") as caught:
        GUARD.path_of("/preset/team/v1/messages")
    assert caught.value.status == 404


@pytest.mark.parametrize("host", ["127.0.0.1:3456", "localhost:3456", "LOCALHOST:3456", "[::1]:3456"])
def test_our_names_are_ours(host: str) -> None:
    assert refusal("POST", "/v1/messages", headers(("Host", host), without="Host")) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:3456",
        "127.0.0.1.evil.test:3456",
        "localhost.evil.test:3456",
        "127.0.0.1@evil.test",
        "127.0.0.1:3456@evil.test",
        "[::ffff:7f00:1]:3456",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:3457",
        "127.0.0.1:3456 ",
        "127.0.0.1/health?",
        "0.0.0.0:3456",
        "localhost.:3456",
        "",
        "127.1:3456",
        "2130706433:3456",
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/health", "/"])
def test_other_names_are_refused_on_every_route(host: str, path: str) -> None:
    found = refusal("GET", path, headers(("Host", host), without="Host"))
    assert found is not None
    assert found[0] == 403


@pytest.mark.parametrize(
    "given", [headers(without="Host"), headers(("Host", "127.0.0.1:3456"))], ids=["none", "two"]
)
def test_there_is_exactly_one_host(given: CIMultiDict[str]) -> None:
    found = refusal("GET", "/health", given)
    assert found is not None
    assert found[0] == 400


@pytest.mark.parametrize(
    ("configured", "port", "allowed", "refused"),
    [
        ("127.0.0.1", 80, ["127.0.0.1", "localhost:80"], ["127.0.0.1:3456"]),
        ("10.0.0.5", 3456, ["10.0.0.5:3456", "127.0.0.1:3456"], ["10.0.0.6:3456"]),
        ("Proxy.Lan", 3456, ["proxy.lan:3456"], ["other.lan:3456"]),
        ("fe80::1", 3456, ["[fe80::1]:3456"], ["fe80::1:3456"]),
        (
            "0.0.0.0",  # noqa: S104 - nothing is bound here
            3456,
            ["10.0.0.5:3456", "[fe80::1]:3456", "localhost:3456"],
            [
                *("0.0.0.0:3456", "[::]:3456", "10.0.0.5:80", "10.0.0.5", "evil.test:3456", "fe80::1:3456"),
                *("[10.0.0.5:3456", "[10.0.0.5]:3456x"),
            ],
        ),
        ("::", 3456, ["[fe80::1]:3456", "10.0.0.5:3456"], ["[::]:3456"]),
    ],
)
def test_names_follow_the_configured_host(
    configured: str, port: int, allowed: list[str], refused: list[str]
) -> None:
    hosts = Hosts.of(configured, [port])
    assert [host for host in allowed if not hosts.allow(host)] == []
    assert [host for host in refused if hosts.allow(host)] == []


@pytest.mark.parametrize(
    ("version", "encodings", "is_taken"),
    [
        ((1, 1), [], True),
        ((1, 0), [], True),
        ((1, 1), ["chunked"], True),
        ((1, 1), ["Chunked "], True),
        ((1, 0), ["chunked"], False),
        ((0, 9), [], False),
        ((1, 9), [], False),
        ((2, 0), [], False),
        ((1, 1), ["gzip, chunked"], False),
        ((1, 1), ["identity, chunked"], False),
        ((1, 1), ["gzip", "chunked"], False),
        ((1, 1), ["chunked", "chunked"], False),
        ((1, 1), ["identity"], False),
        ((1, 1), [""], False),
    ],
)
@pytest.mark.fault("R28", outcome="400 for any but `chunked`, once, of HTTP/1.1")
def test_a_body_comes_by_its_length_or_in_plain_chunks(
    version: tuple[int, int], encodings: list[str], is_taken: bool
) -> None:
    given = headers(*(("Transfer-Encoding", value) for value in encodings))
    found = refusal("POST", "/v1/messages", given, version=version)
    assert (found is None) is is_taken
    assert is_taken or (found is not None and found[0] == 400)
    assert is_last("POST", given, version) is not is_taken


def test_what_asks_for_another_protocol_is_the_last_on_its_connection() -> None:
    assert is_last("CONNECT", headers())
    assert is_last("TRACE", headers())
    assert is_last("GET", headers(("Upgrade", "websocket")))
    assert not is_last("OPTIONS", headers())


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.test"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:3456"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "same-origin"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/health", "/"])
def test_web_pages_are_not_answered(header: tuple[str, str], path: str) -> None:
    found = refusal("GET", path, headers(header))
    assert found == (403, "requests of web pages are not answered")


def test_a_typed_address_is_no_web_page() -> None:
    assert refusal("GET", "/", headers(("Sec-Fetch-Site", "none"))) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("PUT", "/v1/messages"),
        ("DELETE", "/v1/messages"),
        ("OPTIONS", "/v1/messages"),
        ("HEAD", "/health"),
        ("POST", "/health"),
        ("POST", "/"),
        ("TRACE", "/"),
        ("CONNECT", "/"),
        ("POST", "/v1/models"),
        ("GET", "/v1/messages/count_tokens"),
    ],
)
def test_other_methods_are_not_possible(method: str, path: str) -> None:
    found = refusal(method, path, headers())
    assert found is not None
    assert found[0] == 405


@pytest.mark.fault("A21", outcome="400")
def test_upgrades_are_not_possible() -> None:
    found = refusal("GET", "/", headers(("Upgrade", "websocket"), ("Connection", "upgrade")))
    assert found is not None
    assert found[0] == 400


@pytest.mark.parametrize(
    "given",
    [
        ("x-api-key", KEY),
        ("X-API-Key", f" {KEY} "),
        ("Authorization", f"Bearer {KEY}"),
        ("authorization", f"bearer {KEY}"),
        ("Authorization", f"BEARER  {KEY}"),
    ],
)
def test_a_key_is_taken_from_either_header(given: tuple[str, str]) -> None:
    assert refusal("POST", "/v1/messages", headers(given, without="x-api-key")) is None


@pytest.mark.parametrize(
    "given",
    [
        [],
        [("x-api-key", "")],
        [("x-api-key", KEY[:-1] + "x")],
        [("x-api-key", KEY + "x")],
        [("x-api-key", KEY.upper())],
        [("x-api-key", "' OR 1=1--")],
        [("x-api-key", "\udcff\udcfe")],
        [("x-api-key", "x" * 1_000_000)],
        [("Authorization", KEY)],
        [("Authorization", f"Bearer{KEY}")],
        [("Authorization", f"Basic {KEY}")],
        [("Authorization", f"Bearer {KEY} {KEY}")],
        [("Authorization", "Bearer")],
        [("x-api-key", "wrong"), ("Authorization", "Bearer wrong")],
    ],
)
@pytest.mark.fault("A2", outcome="403 for keys of any length and any bytes, compared in constant time")
def test_other_keys_are_refused_with_the_remedy(given: list[tuple[str, str]]) -> None:
    found = refusal("POST", "/v1/messages", headers(*given, without="x-api-key"))
    assert found is not None
    assert found[0] == 403
    assert "ccr code" in found[1]
    assert "ccr env" in found[1]
    assert KEY not in found[1]
    assert "x-api-key" not in found[1], "the client would show its own sentence about API keys instead"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([("x-api-key", KEY), ("Authorization", "Bearer other")], "the bearer token"),
        ([("x-api-key", "other"), ("Authorization", f"Bearer {KEY}")], "the API key"),
    ],
)
@pytest.mark.fault("A4", outcome="403 that names the wrong header")
def test_both_headers_must_be_right(given: list[tuple[str, str]], named: str) -> None:
    found = refusal("POST", "/v1/messages", headers(*given, without="x-api-key"))
    assert found is not None
    assert found[0] == 403
    assert found[1].startswith(f"{named} is not the local key of ccr")
    assert "ANTHROPIC_API_KEY" in found[1]


@pytest.mark.parametrize("name", ["Authorization", "x-api-key"])
def test_a_key_is_given_once(name: str) -> None:
    value = KEY if name == "x-api-key" else f"Bearer {KEY}"
    found = refusal("GET", "/v1/models", headers((name, value), (name, value), without="x-api-key"))
    assert found is not None
    assert found[0] == 400


def test_both_headers_may_hold_the_key() -> None:
    assert refusal("POST", "/v1/messages", headers(("Authorization", f"Bearer {KEY}"))) is None


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("HEAD", "/"), ("GET", "/health")])
def test_open_routes_need_no_key(method: str, path: str) -> None:
    assert refusal(method, path, headers(without="x-api-key")) is None


def test_no_key_is_asked_for_when_there_is_none() -> None:
    assert refusal("POST", "/v1/messages", headers(without="x-api-key"), OPEN) is None
    assert refusal("POST", "/v1/messages", headers(("Authorization", "Bearer any")), OPEN) is None


@pytest.mark.parametrize("value", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_is_taken(value: str) -> None:
    given = headers(("Content-Type", value), without="Content-Type")
    assert refusal("POST", "/v1/messages", given) is None


@pytest.mark.parametrize(
    "given",
    [
        headers(without="Content-Type"),
        headers(("Content-Type", "text/plain"), without="Content-Type"),
        headers(("Content-Type", "application/x-www-form-urlencoded"), without="Content-Type"),
        headers(("Content-Type", "application/json, text/plain"), without="Content-Type"),
        headers(("Content-Type", "application/json")),
        headers(("Content-Encoding", "gzip")),
        headers(("Content-Encoding", "identity"), ("Content-Encoding", "br")),
    ],
)
def test_bodies_that_are_not_plain_json_are_refused(given: CIMultiDict[str]) -> None:
    found = refusal("POST", "/v1/messages", given)
    assert found is not None
    assert found[0] == 415


@pytest.mark.fault("R40", outcome="417 for an expectation that cannot be met")
def test_only_one_expectation_can_be_met() -> None:
    assert refusal("POST", "/v1/messages", headers(("Expect", "100-Continue"))) is None
    found = refusal("POST", "/v1/messages", headers(("Expect", "a miracle")))
    assert found is not None
    assert found[0] == 417


def test_identity_is_no_compression() -> None:
    assert refusal("POST", "/v1/messages", headers(("Content-Encoding", "identity"))) is None
