"""Whatever a client sends, the endpoint gets what it takes, and no text and no input is lost."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.chat_requests import ALL_TRAITS, BUDGET, Json, converted, custom_tool, with_messages
from tests.protocol.endpoint_rules import violations

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

MARKS = st.sampled_from([None, None, None, {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])
IDS = st.sampled_from(["t1", "t2", "t3", "a/b", "", None])
WORDS = st.sampled_from(["", " ", "\n", "w", "w é", ' w\\" '])


def texts() -> st.SearchStrategy[Json]:
    return st.builds(lambda word, mark: {"type": "text", "text": word, "cache_control": mark}, WORDS, MARKS)


def images() -> st.SearchStrategy[Json]:
    sources = [
        {"type": "base64", "media_type": "image/png", "data": "AAAA"},
        {"type": "url", "url": "https://h/i.png"},
        {"type": "file", "file_id": "f"},
    ]
    return st.builds(
        lambda source, mark: {"type": "image", "source": source, "cache_control": mark},
        st.sampled_from(sources),
        MARKS,
    )


def documents() -> st.SearchStrategy[Json]:
    sources = [
        {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
        {"type": "text", "media_type": "text/plain", "data": ""},
        {"type": "content", "content": [{"type": "text", "text": " "}]},
        {"type": "url", "url": "https://h/d.pdf"},
    ]
    return st.builds(lambda source: {"type": "document", "source": source}, st.sampled_from(sources))


def results() -> st.SearchStrategy[Json]:
    inner = texts() | images() | documents() | st.just({"type": "tool_reference", "tool_name": "T"})
    contents = st.none() | WORDS | st.lists(inner, max_size=3)
    return st.builds(
        lambda one, content, is_error, mark: {
            "type": "tool_result",
            "tool_use_id": one,
            "content": content,
            "is_error": is_error,
            "cache_control": mark,
        },
        IDS,
        contents,
        st.sampled_from([None, False, True]),
        MARKS,
    )


def uses() -> st.SearchStrategy[Json]:
    return st.builds(
        lambda one, mark: {"type": "tool_use", "id": one, "name": "T", "input": {}, "cache_control": mark},
        IDS,
        MARKS,
    )


def thoughts() -> st.SearchStrategy[Json]:
    return st.sampled_from(
        [
            {"type": "thinking", "thinking": "", "signature": "s"},
            {"type": "thinking", "thinking": "x", "signature": ""},
            {"type": "redacted_thinking", "data": "d"},
        ]
    )


OTHERS = st.sampled_from(
    [
        {"type": "novel"},
        {"type": "server_tool_use", "name": "web_search", "input": {"q": 1}},
        {"type": "search_result"},
    ]
)
BLOCKS = st.one_of(
    texts(), texts(), results(), results(), uses(), uses(), thoughts(), images(), documents(), OTHERS
)
MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "user", "assistant", "assistant", "system"]),
    WORDS | st.lists(BLOCKS, max_size=4),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.sampled_from([1, 1024, 1025, 32_000, 500_000]),
        "system": WORDS | st.lists(texts(), max_size=6),
        "tools": st.lists(
            st.sampled_from(
                [
                    custom_tool("A", cache_control={"type": "ephemeral"}),
                    custom_tool("B"),
                    {"type": "web_search_1", "name": "web_search"},
                ]
            ),
            max_size=3,
        ),
        "thinking": st.sampled_from(
            [
                {"type": "disabled"},
                {"type": "adaptive"},
                {"type": "enabled", "budget_tokens": 1},
                {"type": "enabled", "budget_tokens": 31_999},
            ]
        ),
        "tool_choice": st.sampled_from(
            [{"type": "any"}, {"type": "auto", "disable_parallel_tool_use": True}, {"type": "none"}]
        ),
        "temperature": st.sampled_from([0, 0.5, 1]),
        "top_p": st.sampled_from([0.1, 0.99]),
        "top_k": st.just(5),
        "stop_sequences": st.lists(WORDS, max_size=2),
        "output_config": st.sampled_from(
            [{"effort": "high"}, {"format": {"type": "json_schema", "schema": {"type": "object"}}}]
        ),
        "metadata": st.just({"user_id": "u"}),
        "stream": st.booleans(),
        "novel": st.just(1),
    },
)


@settings(max_examples=400, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=7), OPTIONS, st.sampled_from(ALL_TRAITS))
def test_any_request_meets_the_demands_of_the_endpoint(
    messages: list[Json], options: Json, traits: ModelTraits
) -> None:
    result = converted({"model": "m", "messages": messages, **options}, traits)
    assert violations(result.chat, traits.family) == []
    if traits.family != "claude":
        assert "cache_control" not in json.dumps(result.chat)
    if not traits.takes_sampling:
        assert not result.chat.keys() & {"temperature", "top_p", "top_k"}
    if traits.max_output_tokens is not None:
        assert result.chat["max_tokens"] <= traits.max_output_tokens


@settings(max_examples=200, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=7), st.sampled_from(ALL_TRAITS))
def test_no_text_and_no_input_is_lost(messages: list[Json], traits: ModelTraits) -> None:
    numbers = count(1)
    marked = [numbered(message, numbers) for message in messages]
    result = converted(with_messages(*marked), traits)
    sent = json.dumps(result.chat["messages"])
    last = next(numbers)
    for number in range(1, last):
        assert f"<<{number}>>" in sent, number


def numbered(value: Any, numbers: count[int]) -> Any:
    """Return the value with a number of its own in each text that is to be sent, and in each input."""
    if isinstance(value, list):
        return [numbered(each, numbers) for each in value]
    if not isinstance(value, dict):
        return value
    changed = {key: numbered(each, numbers) for key, each in value.items()}
    if value.get("type") == "tool_use":
        changed["input"] = {"value": f"<<{next(numbers)}>>"}
    for key in ("text", "content"):
        if isinstance(value.get(key), str) and value[key].strip():
            changed[key] = f"{value[key]}<<{next(numbers)}>>"
    return changed


@settings(max_examples=100, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=5), MESSAGES)
def test_a_further_message_leaves_what_was_sent_before(messages: list[Json], further: Json) -> None:
    """Prompt caching depends on it: only the last turn may change when the conversation grows."""
    before = converted(with_messages(*messages), BUDGET)
    after = converted(with_messages(*messages, {"role": "user", "content": "x"}, further), BUDGET)
    stable = settled(before.messages)
    assert settled(after.messages)[: len(stable)] == stable


def settled(messages: list[Json]) -> list[Json]:
    """Return the messages before the last answer, without breakpoints, which the limit of four may move."""
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    kept = messages[: answers[-1]] if answers else []
    return [
        message
        if isinstance(message.get("content"), str | None)
        else {
            **message,
            "content": [
                {key: value for key, value in part.items() if key != "cache_control"}
                for part in message["content"]
            ],
        }
        for message in kept
    ]
