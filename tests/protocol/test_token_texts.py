"""What a tokenizer is given of requests in both dialects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import RequestError
from ccr.protocol.media_tokens import IMAGE_TOKENS
from ccr.protocol.token_texts import TokenTexts, texts_from_body

PDF = "JVBERi0xLjQK"


def texts(content: Any, **more: Any) -> TokenTexts:
    return texts_from_body(json.dumps({"messages": [{"role": "user", "content": content}], **more}).encode())


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("hello", ["hello"]),
        ("", []),
        (None, []),
        (3, []),
        ([{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}], ["a", "b"]),
        ([{"type": "tool_use", "name": "Read", "input": {"p": [1, "ü"]}}], ["Read", '{"p":[1,"ü"]}']),
        ([{"type": "tool_use", "name": "Read"}], ["Read"]),
        ([{"type": "tool_result", "content": "done"}], ["done"]),
        ([{"type": "tool_result", "content": [{"type": "text", "text": "x"}, "y"]}], ["x", "y"]),
        ([{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking"}], []),
        ([{"type": "document", "source": {"type": "text", "data": "doc"}}], ["doc"]),
        ([{"type": "document", "source": {"type": "content", "content": ["c"]}}], ["c"]),
        ([{"type": "search_result", "title": "T", "content": [{"type": "text", "text": "c"}]}], ["T", "c"]),
        ([{"type": "image"}, {"type": "text"}, {}], []),
    ],
)  # fmt: skip
def test_contents(content: Any, found: list[str]) -> None:
    assert texts(content) == TokenTexts(tuple(found))


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ([{"type": "image", "source": {"type": "url", "url": "https://x"}}], IMAGE_TOKENS),
        ([{"type": "image", "source": {"type": "base64", "data": "QUJD"}}], IMAGE_TOKENS),
        ([{"type": "image_url", "image_url": {"url": "https://x"}}], IMAGE_TOKENS),
        ([{"type": "image_url", "image_url": "data:image/png;base64,QUJD"}], IMAGE_TOKENS),
        ([{"type": "document", "source": {"type": "base64", "data": PDF}}], 2300),
        ([{"type": "document", "source": {"type": "url", "url": "https://x"}}], 0),
    ],
)
def test_images_and_documents_count_by_what_they_measure(content: Any, tokens: int) -> None:
    assert texts(content) == TokenTexts((), tokens)


def test_system_and_tools_of_both_dialects() -> None:
    schema = {"type": "object", "properties": {}}
    found = texts(
        "hi",
        system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        tools=[
            {"name": "A", "description": "does a", "input_schema": schema},
            {"type": "function", "function": {"name": "B", "description": "does b", "parameters": schema}},
            {"type": "web_search_20250305", "name": "web_search"},
            "odd",
        ],
    )
    written = json.dumps(schema, separators=(",", ":"))
    assert found.texts == ("hi", "s", "Adoes a", written, "Bdoes b", written, "web_search")
    assert texts("hi", system="s", tools=None).texts == ("hi", "s")


def test_calls_of_a_chat_request() -> None:
    calls = [{"function": {"name": "A", "arguments": '{"x":1}'}}, {"function": {"name": 3}}, {}, 3]
    body = {"messages": [{"role": "assistant", "content": None, "tool_calls": calls}, "odd"]}
    assert texts_from_body(json.dumps(body).encode()).texts == ("A", '{"x":1}')


def test_no_depth_is_too_deep() -> None:
    content: Any = "deep"
    for _ in range(200):
        content = [{"type": "tool_result", "content": content}]
    assert texts(content).texts == ("deep",)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"{}", b'{"messages": 3}', b'{"input": "x"}', b"[" * 100_000]
)
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(RequestError):
        texts_from_body(body)


@given(st.lists(st.text(min_size=1)), st.text(min_size=1))
def test_no_text_is_lost(parts: list[str], system: str) -> None:
    content = [{"type": "text", "text": part} for part in parts]
    assert texts(content, system=system).texts == (*parts, system)
