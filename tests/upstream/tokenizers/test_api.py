"""Services that count: what they are asked in each form, and what is made of their answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Secret
from ccr.config.tokenizers import TokenizerApi
from ccr.errors import RequestError
from ccr.upstream.tokenizers import api as module
from ccr.upstream.tokenizers.api import ApiTokenizer, api_request, count_in
from ccr.upstream.tokenizers.errors import TokenizerError
from ccr.upstream.ways import Reach
from tests.upstream.raw import Exchange, RawUpstream, raw_upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MESSAGES = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": [{"type": "tool_use", "name": "A", "input": {"x": 1.0}}]},
]
VALUES: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 5,
    "system": "be brief",
    "tools": [{"name": "A", "input_schema": {"type": "object"}}],
    "messages": MESSAGES,
    "metadata": {"user_id": "private"},
}
BODY = json.dumps(VALUES).encode()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("standard", {key: VALUES[key] for key in ("messages", "system", "tools")}),
        ("anthropic", {"model": "m", **{key: VALUES[key] for key in ("messages", "system", "tools")}}),
        (
            "openai",
            {
                "model": "m",
                "messages": [
                    {"role": "user", "content": "hello"},
                    {"role": "assistant", "content": 'A {"x":1.0}'},
                ],
            },
        ),
        ("custom", {"text": 'hello A {"x":1.0} be brief A {"type":"object"}'}),
    ],
)
def test_what_is_asked(form: str, expected: Any) -> None:
    assert json.loads(api_request(BODY, form, "m")) == expected


def test_odd_messages_and_no_request() -> None:
    asked = api_request(b'{"messages": [3, {"content": "x"}]}', "openai", "m")
    assert json.loads(asked)["messages"] == [{"role": None, "content": ""}, {"role": None, "content": "x"}]
    for form in ("standard", "openai", "custom"):
        with pytest.raises(RequestError):
            api_request(b'{"input": "x"}', form, "m")


@pytest.mark.parametrize(
    ("answer", "count"), [({"token_count": 7}, 7), ({"token_count": 7.6}, 8), ({"token_count": 0}, 0)]
)
def test_the_count(answer: Any, count: int) -> None:
    assert count_in(json.dumps(answer).encode(), ("token_count",), "h") == count


def test_a_count_deeper_down() -> None:
    assert count_in(b'{"usage": {"input_tokens": 3}}', ("usage", "input_tokens"), "h") == 3


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"\xff", b"[]", b"{}", b'{"token_count": "7"}', b'{"token_count": true}',
               b'{"token_count": -1}', b'{"token_count": 1e30}', b'{"token_count": null}']
)  # fmt: skip
def test_an_answer_without_one(answer: bytes) -> None:
    with pytest.raises(TokenizerError, match=r"^h answered with"):
        count_in(answer, ("token_count",), "h")


def says(body: str, status: int = 200, **headers: str) -> Callable[[Exchange], Awaitable[None]]:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, status, **headers)

    return play


async def prepared(raw: RawUpstream, **changes: Any) -> ApiTokenizer:
    api = TokenizerApi(url=f"{raw.url}/tokenize", key=Secret("canary-key"), **changes)
    tokenizer = ApiTokenizer(api, "m", Reach())
    await tokenizer.prepare()
    return tokenizer


async def test_the_same_content_is_asked_once() -> None:
    async with raw_upstream(says('{"token_count": 12}')) as raw:
        tokenizer = await prepared(raw, headers=(("X-Team", Secret("a")),))
        for _ in range(3):
            assert await tokenizer.count(BODY) == 12
        assert await tokenizer.count(BODY.replace(b"hello", b"other")) == 12
        await tokenizer.close()
        assert len(raw.got) == 2
        assert raw.got[0].head.startswith("POST /tokenize HTTP/1.1")
        assert raw.got[0].headers["authorization"] == "Bearer canary-key"
        assert raw.got[0].headers["x-team"] == "a"
        assert "private" not in raw.got[0].body.decode()


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 1)
    async with raw_upstream(says('{"token_count": 12}')) as raw:
        tokenizer = await prepared(raw)
        for text in ("a", "b", "a"):
            await tokenizer.count(BODY.replace(b"hello", text.encode()))
        await tokenizer.close()
        assert len(raw.got) == 3


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, "{}", "answered 500"),
        (302, "", "answered 302"),
        (200, "x" * 100_000, "not JSON"),
        (200, '{"tokens": 3}', "without a number at token_count"),
    ],
)
async def test_what_is_no_count(status: int, body: str, said: str) -> None:
    headers = {"location": "http://127.0.0.1:1/other"} if status == 302 else {}
    async with raw_upstream(says(body, status, **headers)) as raw:
        tokenizer = await prepared(raw)
        with pytest.raises(TokenizerError, match=said) as caught:
            await tokenizer.count(BODY)
        assert "canary" not in str(caught.value)
        await tokenizer.close()


async def test_nobody_is_there() -> None:
    async with raw_upstream(says("")) as raw:
        tokenizer = await prepared(raw)
    with pytest.raises(TokenizerError, match="the tokenizer"):
        await tokenizer.count(BODY)
    await tokenizer.close()


async def test_a_proxy_that_needs_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.upstream.socks.has_socks", lambda: False)
    api = TokenizerApi(url="https://far.example/x")
    tokenizer = ApiTokenizer(api, "m", Reach(Secret("socks5://127.0.0.1:1")))
    with pytest.raises(TokenizerError) as caught:
        await tokenizer.prepare()
    assert caught.value.is_final
    await tokenizer.close()
