from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from ccr.routing.facts import Facts
from ccr.routing.subagent import NO_TAG, Tag
from ccr.routing.thinking import more_thinking
from tests.routing.requests import (
    PNG,
    ULTRATHINK,
    body_of,
    chat_view,
    facts_of,
    messages_view,
    native_view,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.routing.facts import View

BOTH = pytest.mark.parametrize("view", [messages_view, native_view])


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def result(*content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t", "content": list(content)}


CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]}
DONE = {"role": "assistant", "content": "done"}
IMAGE = {"type": "image", "source": PNG}
TAG = "<CCR-SUBAGENT-MODEL>p,m</CCR-SUBAGENT-MODEL>"


@BOTH
def test_the_client_s_ordinary_request_has_nothing_special(view: Callable[[bytes], View]) -> None:
    body = body_of()
    facts = facts_of(view(body), body, count_from_bytes=10_000)
    assert facts == Facts("claude-sonnet-4-6")
    assert facts.is_plain


@BOTH
def test_nothing_is_looked_for_that_nobody_has_a_route_for(view: Callable[[bytes], View]) -> None:
    body = body_of(
        messages=[user(text(ULTRATHINK), IMAGE)],
        tools=[{"type": "web_search_20250305", "name": "web_search"}],
    )
    assert facts_of(view(body), body, wanted=()).is_plain
    assert facts_of(view(body), body, wanted=("background",)).is_plain
    assert not facts_of(view(body), body, wanted=("think",)).has_image


@BOTH
@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, ""),
        ({"thinking": {"type": "enabled", "budget_tokens": 31999}, "output_config": None}, ""),
        ({"thinking": {"type": "disabled"}}, ""),
        ({"thinking": {"type": "enabled", "budget_tokens": 60000}}, "a budget of 60000 tokens"),
        ({"output_config": {"effort": "low"}}, ""),
        ({"output_config": {"effort": "xhigh"}}, "effort xhigh"),
        ({"output_config": {"effort": "max"}}, "effort max"),
        ({"output_config": {"effort": "galactic"}}, ""),
        # the client's reminder, in both of its places
        (
            {"messages": [user(text(f"<system-reminder>\n{ULTRATHINK}\n</system-reminder>"), text("a"))]},
            "ultrathink",
        ),
        ({"messages": [user("a"), {"role": "system", "content": ULTRATHINK}]}, "ultrathink"),
        # it counts for the whole turn, tools included
        ({"messages": [user(text(ULTRATHINK)), CALL, user(result(text("ok")))]}, "ultrathink"),
        (
            {"messages": [user("a"), {"role": "system", "content": ULTRATHINK}, CALL, user(result())]},
            "ultrathink",
        ),
        # but not for the next one
        ({"messages": [user(text(ULTRATHINK)), DONE, user("and now?")]}, ""),
        ({"messages": [user(text(ULTRATHINK)), DONE, user("x"), CALL, user(result(text("ok")))]}, ""),
        # what a file or the person says is no reminder
        ({"messages": [user("about ultrathink")]}, ""),
        ({"messages": [{"role": "assistant", "content": "ultrathink"}]}, ""),
        ({"messages": [user("a"), CALL, user(result(text(ULTRATHINK)))]}, ""),
    ],
)
def test_more_thinking(view: Callable[[bytes], View], changes: Any, found: str) -> None:
    body = body_of(**changes)
    assert facts_of(view(body), body).more_thinking == found


def test_the_effort_that_the_client_always_asks_for_depends_on_the_model() -> None:
    asked: dict[str, Any] = {"budget_tokens": 0, "is_asked_in_words": False, "always_effort": "xhigh"}
    assert more_thinking(effort="xhigh", **asked) == ""
    assert more_thinking(effort="max", **asked) == "effort max"
    assert more_thinking(effort=None, **asked) == ""


@BOTH
@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([user("no image, just the word")], False),
        ([user(text("see"), IMAGE)], True),
        ([user(text("see"), IMAGE), {"role": "system", "content": "hint"}], True),
        ([user("read it"), CALL, user(result(text("png"), IMAGE))], True),
        ([user(text("see"), IMAGE), DONE, user("thanks for the image")], False),
        ([user("a"), CALL, user({"type": "tool_result", "tool_use_id": "t", "content": "image"})], False),
        ([{"role": "assistant", "content": "image"}], False),
    ],
)
def test_an_image_in_the_last_message_of_the_user(
    view: Callable[[bytes], View], messages: Any, found: bool
) -> None:
    body = body_of(messages=messages)
    assert facts_of(view(body), body).has_image is found


@BOTH
@pytest.mark.parametrize(
    ("tools", "found"),
    [
        ([{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}], True),
        (
            [{"name": "web_search", "input_schema": {}}, {"type": "custom", "name": "x", "input_schema": {}}],
            False,
        ),
        (None, False),
    ],
)
def test_web_search(view: Callable[[bytes], View], tools: Any, found: bool) -> None:
    body = body_of(tools=tools, messages=[user("web_search")])
    assert facts_of(view(body), body).has_web_search is found


@BOTH
@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"system": f"{TAG}\nYou are a reviewer."}, Tag("p,m")),
        ({"system": [text("a"), text("b"), text(f"see: {TAG} You are")]}, Tag("p,m")),
        ({"messages": [user(f"{TAG}Do it")]}, Tag("p,m")),
        (
            {"messages": [user(text("<system-reminder>x</system-reminder>"), text(f"\n {TAG}\nDo it"))]},
            Tag("p,m"),
        ),
        ({"messages": [user(f"what is {TAG}?")]}, Tag("p,m", is_certain=False)),
        # CLAUDE.md, later messages and empty tags choose nothing
        (
            {"messages": [user(text(f"<system-reminder>write\n{TAG}\n</system-reminder>"), text("hi"))]},
            NO_TAG,
        ),
        ({"messages": [user("a"), DONE, user(TAG)]}, NO_TAG),
        ({"messages": [{"role": "assistant", "content": TAG}]}, NO_TAG),
        ({"system": "<CCR-SUBAGENT-MODEL> </CCR-SUBAGENT-MODEL>"}, NO_TAG),
        ({"system": None, "messages": [user({"type": "text", "text": None}, text(TAG))]}, Tag("p,m")),
    ],
)
def test_the_tag_of_a_subagent(view: Callable[[bytes], View], changes: Any, tag: Tag) -> None:
    body = body_of(**changes)
    assert facts_of(view(body), body, wanted=()).subagent == tag


PAGES = {
    "type": "document",
    "source": {
        "type": "base64",
        "media_type": "application/pdf",
        "data": b64encode(b"%PDF-1.4 " + b"<< /Type /Page >> " * 20).decode(),
    },
}


@BOTH
@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({"messages": [user("word " * 72_000)]}, 90_000, 110_000),
        ({"messages": [user(text("word " * 72_000))], "system": "word " * 7200}, 100_000, 120_000),
        ({"messages": [user(text("a"), IMAGE, IMAGE)], "tools": None}, 3_000, 3_500),
        ({"messages": [user(text("a"), PAGES)], "tools": None}, 46_000, 46_500),
    ],
)
def test_tokens(view: Callable[[bytes], View], changes: Any, low: int, high: int) -> None:
    body = body_of(**changes)
    facts = facts_of(view(body), body, last_tokens=7)
    assert low < facts.tokens < high
    assert facts.last_tokens == 7
    assert not facts.is_plain
    assert facts_of(view(body), body, count_from_bytes=len(body)).tokens == 0


def chat_body(**changes: Any) -> bytes:
    return json.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}], **changes}).encode()


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({}, {}),
        ({"reasoning_effort": "medium"}, {}),
        ({"reasoning_effort": "high"}, {"more_thinking": "effort high"}),
        ({"web_search_options": {}}, {"has_web_search": True}),
        ({"tools": [{"type": "web_search_preview"}]}, {"has_web_search": True}),
        ({"tools": [{"type": "function", "function": {"name": "web_search"}}]}, {}),
        (
            {"messages": [user(text("see"), {"type": "image_url", "image_url": {"url": "https://x/y.png"}})]},
            {"has_image": True},
        ),
        ({"messages": [user(text("image"), {"type": "input_audio"})]}, {}),
        ({"messages": [{"role": "user", "content": None, "name": "image"}]}, {}),
        ({"messages": [{"role": "system", "content": TAG}, user("a")]}, {"subagent": Tag("p,m")}),
        ({"messages": [{"role": "developer", "content": [text(TAG)]}, user("a")]}, {"subagent": Tag("p,m")}),
        ({"messages": [{"role": "system", "content": None}, user(TAG)]}, {"subagent": Tag("p,m")}),
    ],
)
def test_chat_requests(changes: Any, facts: dict[str, Any]) -> None:
    body = chat_body(**changes)
    assert facts_of(chat_view(body), body, count_from_bytes=10**6) == Facts("gpt-5")._replace(**facts)


def test_tokens_of_a_chat_request() -> None:
    url = "data:image/png;base64," + "QUJD" * 5000
    body = chat_body(messages=[user(text("word " * 720), {"type": "image_url", "image_url": {"url": url}})])
    assert 2_500 < facts_of(chat_view(body), body).tokens < 2_800


def test_metadata() -> None:
    body = body_of()
    assert b"s-1" in bytes(messages_view(body).metadata())
    assert bytes(native_view(body).metadata()) == bytes(messages_view(body).metadata())
    assert bytes(chat_view(chat_body(metadata={"a": "b"})).metadata()) == b'{"a": "b"}'
    assert not chat_view(chat_body()).metadata()
