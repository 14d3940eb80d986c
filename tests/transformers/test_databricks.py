"""The four steps for Databricks, each alone, then together."""

from __future__ import annotations

import copy
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.protocol.openai import ChatRequest, decode_chat_request, encode_chat_request
from ccr.transformers.base import Context
from ccr.transformers.databricks import (
    CacheMode,
    DatabricksCustom,
    cache_control_handled,
    empty_content_to_null,
    image_urls_repaired,
    parallel_tool_calls_removed,
    repaired_image_url,
)

EPHEMERAL = {"type": "ephemeral"}
LONG = {"type": "ephemeral", "ttl": "1h"}
Json = dict[str, Any]
CONTEXT = Context(provider="p", model="m")


def chat(*messages: Json, **keys: object) -> ChatRequest:
    return cast("ChatRequest", {"model": "m", "messages": list(messages), **keys})


def user(content: object, **keys: object) -> Json:
    return {"role": "user", "content": content, **keys}


def text(value: str, **keys: object) -> Json:
    return {"type": "text", "text": value, **keys}


def image(url: str, **keys: object) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **keys}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", None),
        (" \n", None),
        ("a", "a"),
        (None, None),
        ([], None),
        ([text("")], None),
        ([text(" "), text("a")], [text("a")]),
        ([text("a"), image("https://h")], [text("a"), image("https://h")]),
    ],
)
def test_empty_content_becomes_null(content: object, expected: object) -> None:
    given = chat({"role": "assistant", "content": content, "tool_calls": []})
    result = empty_content_to_null(given)
    assert result["messages"][0]["content"] == expected
    assert (result is given) is (content == expected)


def test_a_message_without_content_stays_without() -> None:
    given = chat({"role": "assistant", "tool_calls": []})
    assert empty_content_to_null(given) is given


@pytest.mark.parametrize(
    ("message", "kept", "stripped"),
    [
        (user("a"), user("a"), user("a")),
        (
            user([text("a", cache_control=LONG), text("b")]),
            user([text("a", cache_control=EPHEMERAL), text("b")]),
            user([text("a"), text("b")]),
        ),
        (user([text("a", cache_control=None)]), user([text("a")]), user([text("a")])),
        (user("a", cache_control=LONG), user([text("a", cache_control=EPHEMERAL)]), user("a")),
        (
            user([text("a"), text("b")], cache_control=EPHEMERAL),
            user([text("a"), text("b", cache_control=EPHEMERAL)]),
            user([text("a"), text("b")]),
        ),
        (user(None, cache_control=EPHEMERAL), user(None), user(None)),
        (user("a", cache_control=None), user("a"), user("a")),
        (
            {"role": "assistant", "tool_calls": [{"id": "t", "cache_control": EPHEMERAL}]},
            {"role": "assistant", "tool_calls": [{"id": "t"}]},
            {"role": "assistant", "tool_calls": [{"id": "t"}]},
        ),
    ],
)
def test_cache_control_in_messages(message: Json, kept: Json, stripped: Json) -> None:
    assert cache_control_handled(chat(message))["messages"] == [kept]
    assert cache_control_handled(chat(message), "strip")["messages"] == [stripped]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("keep", {"type": "function", "cache_control": EPHEMERAL}), ("strip", {"type": "function"})],
)
def test_cache_control_on_tools(mode: CacheMode, expected: Json) -> None:
    given = chat(user("a"), tools=[{"type": "function", "cache_control": LONG}, {"type": "function"}])
    assert cache_control_handled(given, mode).get("tools") == [expected, {"type": "function"}]


def test_requests_without_breakpoints_are_passed_on() -> None:
    given = chat(
        user([text("a")]), {"role": "assistant", "tool_calls": [{"id": "t"}]}, tools=[{"type": "function"}]
    )
    assert cache_control_handled(given) is given
    assert cache_control_handled(given, "strip") is given


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,iVBORw0KGgo=", None),
        ("data:image/png;charset=x;BASE64,iVBORw0KGgo=", None),
        ("data:image/png,iVBORw0KGgo=", "data:image/png;base64,iVBORw0KGgo="),
        ("DATA:image/jpeg,/9j/4AAQ", "data:image/jpeg;base64,/9j/4AAQ"),
        ("data:;base64,R0lGODlh", "data:image/gif;base64,R0lGODlh"),
        ("data:,AAAA", "data:image/png;base64,AAAA"),
        ("data:image/svg+xml,%3Csvg%3E", None),
        ("data:image/png;base64", None),
        ("iVBORw0KGgo=", "data:image/png;base64,iVBORw0KGgo="),
        ("/9j/4AAQSkZJRg==", "data:image/jpeg;base64,/9j/4AAQSkZJRg=="),
        ("UklGRhIAAABXRUJQ", "data:image/webp;base64,UklGRhIAAABXRUJQ"),
        ("iVBOR w0KGgo=", None),
        ("path/to/image", None),
        ("http://h/a.png", None),
        ("https://h/a,b;base64.png?q=data:image/png,AAAA", None),
        ("file:///a.png", None),
        ("", None),
    ],
)
def test_image_urls(url: str, expected: str | None) -> None:
    assert repaired_image_url(url) == (url if expected is None else expected)


def test_images_are_repaired_wherever_they_are() -> None:
    given = chat(
        user("a"),
        user([text("a"), image("data:image/png,AAAA", detail="low"), image("https://h")]),
        user([image("https://h")]),
    )
    assert image_urls_repaired(given)["messages"] == [
        user("a"),
        user([text("a"), image("data:image/png;base64,AAAA", detail="low"), image("https://h")]),
        user([image("https://h")]),
    ]


@pytest.mark.parametrize(
    "part",
    [{"type": "image_url"}, {"type": "image_url", "image_url": "x"}, {"type": "image_url", "image_url": {}}],
)
def test_malformed_images_are_left_to_the_endpoint(part: Json) -> None:
    given = chat(user([part]))
    assert image_urls_repaired(given) is given


def test_parallel_tool_calls_are_really_removed() -> None:
    given = chat(user("a"), parallel_tool_calls=False)
    assert parallel_tool_calls_removed(given) == chat(user("a"))
    assert "parallel_tool_calls" in given
    assert parallel_tool_calls_removed(chat(user("a"))) == chat(user("a"))


CLIENT_REQUEST = {
    "model": "m",
    "parallel_tool_calls": True,
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "parameters": {"type": "object"}},
            "cache_control": None,
        }
    ],
    "messages": [
        {"role": "system", "content": "s", "cache_control": EPHEMERAL},
        {"role": "user", "content": [image("data:image/png,AAAA"), text("")]},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "t", "cache_control": None}]},
    ],
}


def test_all_steps_on_the_request_of_a_client() -> None:
    result = DatabricksCustom({}).request(decode_chat_request(json.dumps(CLIENT_REQUEST).encode()), CONTEXT)
    assert json.loads(encode_chat_request(result)) == {
        "model": "m",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "messages": [
            {"role": "system", "content": [text("s", cache_control=EPHEMERAL)]},
            {"role": "user", "content": [image("data:image/png;base64,AAAA")]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "t"}]},
        ],
    }


MARKS = st.sampled_from([{}, {"cache_control": EPHEMERAL}, {"cache_control": LONG}, {"cache_control": None}])
TEXTS = st.sampled_from(["", " ", "a"])
URLS = st.sampled_from(
    ["data:image/png,AAAA", "iVBORw0KGgo=", "https://h", "data:,AAAA", "data:;base64,AAAA"]
)
PARTS = st.builds(lambda value, mark: text(value, **mark), TEXTS, MARKS) | st.builds(image, URLS)
MESSAGES = st.builds(
    lambda content, mark, call: {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"id": "t"} | call],
        **mark,
    },
    st.none() | TEXTS | st.lists(PARTS, max_size=3),
    MARKS,
    MARKS,
)
TOOLS = st.lists(st.builds(lambda mark: {"type": "function", **mark}, MARKS), max_size=2)


@given(st.lists(MESSAGES, max_size=3), TOOLS, st.sampled_from(["keep", "strip"]))
def test_twice_equals_once_and_the_argument_stays(messages: list[Json], tools: list[Json], mode: str) -> None:
    given = chat(*messages, tools=tools, parallel_tool_calls=True)
    before = copy.deepcopy(given)
    step = DatabricksCustom({"cache_control": mode})
    once = step.request(given, CONTEXT)
    assert step.request(once, CONTEXT) == once
    assert given == before
    sent = json.dumps(once)
    assert "ttl" not in sent
    assert mode == "keep" or "cache_control" not in sent


@pytest.mark.parametrize("options", [{}, {"cache_control": "keep"}, {"debug": True, "forceJs": False}])
def test_options_that_are_accepted(options: Json) -> None:
    assert DatabricksCustom(options).options == options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache_control": "drop"}, 'databricks-custom: option cache_control must be "keep" or "strip"'),
        ({"cache": 1}, "databricks-custom: unknown option 'cache'; allowed: cache_control, debug, forceJs"),
    ],
)
def test_options_that_are_refused(options: Json, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatabricksCustom(options)
