"""Parameters: limits, sampling, stop sequences, effort, wanted JSON, and what is never sent."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from ccr.errors import RequestError
from ccr.protocol.traits import ModelTraits
from tests.protocol.chat_requests import (
    ADAPTIVE,
    BOTH,
    BUDGET,
    GPT,
    PLAIN_CLAUDE,
    Json,
    converted,
    converted_bytes,
    custom_tool,
    user,
    with_messages,
)

ENABLED = {"type": "enabled", "budget_tokens": 2000}
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}
FORMAT = {"type": "json_schema", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("wanted", "traits", "sent", "rules"),
    [
        (100, BUDGET, 100, ()),
        (10**30, BUDGET, 64_000, ("max_tokens_clamped",)),
        (10**30, PLAIN_CLAUDE, 10**30, ()),
        (None, BUDGET, 32_000, ("max_tokens_filled",)),
        (None, PLAIN_CLAUDE, 32_000, ("max_tokens_filled",)),
        (None, ModelTraits(max_output_tokens=8192), 8192, ("max_tokens_filled",)),
        (None, GPT, None, ()),
        (8192, ModelTraits(max_tokens_cap=8192), 8192, ()),
        (8193, ModelTraits(max_tokens_cap=8192), 8192, ("max_tokens_capped",)),
        (10**6, structs.replace(BUDGET, max_tokens_cap=9), 9, ("max_tokens_clamped", "max_tokens_capped")),
        (10**6, structs.replace(BUDGET, max_tokens_cap=10**5), 64_000, ("max_tokens_clamped",)),
        (None, structs.replace(BUDGET, max_tokens_cap=8192), 8192, ("max_tokens_filled",)),
        (None, structs.replace(GPT, max_tokens_cap=8192), None, ()),
        (9000, structs.replace(GPT, max_tokens_cap=8192), 8192, ("max_tokens_capped",)),
    ],
)
def test_max_tokens(
    wanted: int | None, traits: ModelTraits, sent: int | None, rules: tuple[str, ...]
) -> None:
    result = converted({"model": "m", "messages": [user("a")], "max_tokens": wanted}, traits)
    assert result.chat.get("max_tokens") == sent
    assert result.rules == rules


@pytest.mark.parametrize(
    ("cap", "thinking", "rules"),
    [
        (2000, {"type": "enabled", "budget_tokens": 1999}, ("max_tokens_capped", "thinking_budget_clamped")),
        (2001, ENABLED, ("max_tokens_capped",)),
        (1024, None, ("max_tokens_capped", "thinking_off_for_max_tokens")),
    ],
)
def test_a_thinking_budget_stays_below_the_cap(
    cap: int, thinking: Json | None, rules: tuple[str, ...]
) -> None:
    body = {"model": "m", "messages": [user("a")], "max_tokens": 32_000, "thinking": ENABLED}
    result = converted(body, structs.replace(BUDGET, max_tokens_cap=cap))
    assert (result.chat["max_tokens"], result.chat.get("thinking")) == (cap, thinking)
    assert result.rules == rules


@pytest.mark.parametrize(
    ("given", "traits", "sent", "rules"),
    [
        (
            {"temperature": 0.2, "top_p": 0.5, "top_k": 5},
            BUDGET,
            {"temperature": 0.2, "top_p": 0.5, "top_k": 5},
            (),
        ),
        ({"temperature": 1}, ADAPTIVE, {}, ("sampling_dropped",)),
        ({"temperature": 0, "top_p": 1, "top_k": 5}, ADAPTIVE, {}, ("sampling_dropped",)),
        (
            {"thinking": ENABLED, "temperature": 1, "top_p": 0.95},
            BUDGET,
            {"temperature": 1, "top_p": 0.95},
            (),
        ),
        (
            {"thinking": ENABLED, "temperature": 0.5, "top_p": 0.9, "top_k": 5},
            BUDGET,
            {},
            ("sampling_dropped",),
        ),
        ({"thinking": ENABLED, "top_p": 1.5}, BUDGET, {}, ("sampling_dropped",)),
        (
            {"stop_sequences": ["a", "", " \n", "b"]},
            BUDGET,
            {"stop": ["a", "b"]},
            ("empty_stop_sequence_dropped",),
        ),
        ({"stop_sequences": [" "]}, BUDGET, {}, ("empty_stop_sequence_dropped",)),
        ({"stop_sequences": []}, BUDGET, {}, ()),
        ({"output_config": {"effort": "max"}}, BOTH, {"output_config": {"effort": "max"}}, ()),
        ({"output_config": {"effort": "low"}}, BUDGET, {}, ("effort_dropped",)),
        ({"output_config": {}}, BUDGET, {}, ()),
        ({"stream": True}, BUDGET, {"stream": True}, ()),
        ({"stream": False}, BUDGET, {}, ()),
    ],
)
def test_parameters(given: Json, traits: ModelTraits, sent: Json, rules: tuple[str, ...]) -> None:
    result = converted(with_messages(user("a"), **given), traits)
    always = ("model", "messages", "max_tokens", "thinking")
    assert {key: value for key, value in result.chat.items() if key not in always} == sent
    assert result.rules == rules


@pytest.mark.parametrize(
    ("key", "value", "rules"),
    [
        ("metadata", {"user_id": "u"}, ("metadata_dropped",)),
        ("metadata", {}, ()),
        ("metadata", None, ()),
        ("context_management", {"edits": [{}]}, ("context_management_dropped",)),
        ("container", "c", ("container_dropped",)),
        ("mcp_servers", [{"url": "u"}], ("mcp_servers_dropped",)),
        ("mcp_servers", [], ()),
        ("service_tier", "auto", ("service_tier_dropped",)),
        ("cache_control", {"type": "ephemeral"}, ("request_cache_control_dropped",)),
        ("speed", "fast", ("unknown_fields_dropped",)),
    ],
)
def test_parameters_that_are_never_sent(key: str, value: object, rules: tuple[str, ...]) -> None:
    result = converted(with_messages(user("a"), **{key: value}))
    assert set(result.chat) == {"model", "messages", "max_tokens"}
    assert result.rules == rules


@pytest.mark.parametrize("where", [{"output_config": {"format": FORMAT}}, {"output_format": FORMAT}])
def test_wanted_json_is_asked_for_with_a_tool(where: Json) -> None:
    result = converted(with_messages(user("a"), thinking={"type": "disabled"}, **where))
    assert result.json_tool == "json_response"
    assert result.chat["tool_choice"] == {"type": "function", "function": {"name": "json_response"}}
    (tool,) = result.chat["tools"]
    assert (tool["function"]["name"], tool["function"]["parameters"]) == ("json_response", SCHEMA)
    assert result.messages == [user("a")]
    assert result.rules == ("json_format_as_tool",)


@pytest.mark.parametrize(
    "keys",
    [
        {"tools": [custom_tool()]},
        {"thinking": ENABLED},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "array"}}}},
        {"output_config": {"format": {"type": "json_schema", "schema": True}}},
    ],
)
def test_wanted_json_is_asked_for_in_words_where_no_tool_can_be_forced(keys: Json) -> None:
    body = with_messages(user("a"), **({"output_config": {"format": FORMAT}} | keys))
    result = converted(body)
    schema = json.dumps(body["output_config"]["format"]["schema"])
    assert result.messages[0]["role"] == "system"
    assert result.messages[0]["content"].endswith(f"\n{schema}")
    assert "tool_choice" not in result.chat
    assert (result.json_tool, result.rules) == (None, ("json_format_as_instruction",))


@pytest.mark.parametrize("wanted", [{"type": "grammar"}, {"type": "json_schema"}])
def test_formats_that_say_nothing_are_dropped(wanted: Json) -> None:
    result = converted(with_messages(user("a"), output_config={"format": wanted}))
    assert set(result.chat) == {"model", "messages", "max_tokens"}
    assert result.rules == ("output_format_dropped",)


def test_a_schema_that_is_not_utf8_is_refused() -> None:
    data = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],'
        b'"output_format":{"type":"json_schema","schema":{"title":"\xff"}}}'
    )
    with pytest.raises(RequestError, match="invalid UTF-8"):
        converted_bytes(data)
