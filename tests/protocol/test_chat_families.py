"""Messages and tools for models of other vendors."""

from __future__ import annotations

import pytest

from tests.protocol.chat_requests import (
    BUDGET,
    GEMINI,
    GPT,
    GPT_OSS,
    LLAMA,
    Json,
    assistant,
    converted,
    custom_tool,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
    with_messages,
)
from tests.protocol.conversations import call, calls, tool

TWO_CALLS = [
    user("a"),
    assistant("b", thinking(), tool_use("t1"), tool_use("t2")),
    user(tool_result("t2", "two"), tool_result("t1", "one")),
    assistant(tool_use("t3")),
    user(tool_result("t3", "three")),
]
IN_PAIRS = [
    user("a"),
    assistant("b") | {"tool_calls": [call("t1")]},
    tool("t1", "one"),
    calls("t2"),
    tool("t2", "two"),
    calls("t3"),
    tool("t3", "three"),
]


@pytest.mark.parametrize("traits", [GPT_OSS, LLAMA])
def test_parallel_calls_become_one_call_after_the_other(traits: object) -> None:
    result = converted(with_messages(*TWO_CALLS), traits)  # type: ignore[arg-type] # pytest's parameters
    assert result.messages == IN_PAIRS
    assert result.rules == ("thinking_history_dropped", "parallel_calls_split")


@pytest.mark.parametrize("traits", [GPT, GEMINI])
def test_other_families_take_parallel_calls(traits: object) -> None:
    result = converted(with_messages(*TWO_CALLS), traits)  # type: ignore[arg-type] # pytest's parameters
    assert result.messages[1]["tool_calls"] == [call("t1"), call("t2")]
    assert result.rules == ("thinking_history_dropped",)


def test_a_llama_speaks_between_results_and_the_user() -> None:
    body = with_messages(
        user("a"),
        user("b"),
        assistant(tool_use("t")),
        user(tool_result("t"), "c"),
        assistant("d"),
        user("e"),
        system="s",
    )
    assert converted(body, LLAMA).messages == [
        {"role": "system", "content": "s"},
        user("a\n\nb"),
        calls("t"),
        tool("t"),
        assistant("I have the results."),
        user("c"),
        assistant("d"),
        user("e"),
    ]
    assert converted(body, LLAMA).rules == ("messages_merged", "assistant_turn_filled")
    assert converted(body, GPT_OSS).rules == ("messages_merged",)


@pytest.mark.parametrize(("count", "rules"), [(32, ()), (33, ("more_tools_than_documented",))])
def test_many_tools_are_sent_to_a_llama_and_counted(count: int, rules: tuple[str, ...]) -> None:
    result = converted(with_messages(user("a"), tools=[custom_tool(f"T{i}") for i in range(count)]), LLAMA)
    assert len(result.chat["tools"]) == count
    assert result.rules == rules


@pytest.mark.parametrize("traits", [GPT, GPT_OSS, LLAMA, GEMINI])
def test_what_only_claude_takes_is_left_out(traits: object) -> None:
    marked = {"cache_control": {"type": "ephemeral"}}
    body = with_messages(
        user(text("a", **marked)),
        assistant(thinking(), "b"),
        user("c"),
        system=[text("s", **marked)],
        tools=[
            custom_tool("T", strict=True, input_schema={"type": "object", "properties": {"x": {}}}, **marked)
        ],
        stream=True,
    )
    result = converted(body, traits)  # type: ignore[arg-type] # pytest's parameters
    assert set(result.chat) == {"model", "messages", "tools", "max_tokens", "stream"}
    assert set(result.chat["tools"][0]) == {"type", "function"}
    assert set(result.chat["tools"][0]["function"]) == {"name", "description", "parameters"}
    assert result.messages == [{"role": "system", "content": "s"}, user("a"), assistant("b"), user("c")]
    assert {"cache_control_dropped", "thinking_history_dropped", "tool_strict_dropped"} <= set(result.rules)


SCHEMA: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"pattern": {"type": "string", "pattern": "^a$"}},
    "additionalProperties": False,
}
PLAIN: Json = {"type": "object", "properties": {"pattern": {"type": "string"}}}


def test_schemas_for_gemini_lose_what_it_refuses() -> None:
    body = with_messages(user("a"), tools=[custom_tool("T", input_schema=SCHEMA), custom_tool("U")])
    result = converted(body, GEMINI)
    assert result.chat["tools"][0]["function"]["parameters"] == PLAIN
    assert "parameters" not in result.chat["tools"][1]["function"]
    assert result.rules == ("schema_keywords_dropped",)
    assert converted(body, BUDGET).chat["tools"][0]["function"]["parameters"] == SCHEMA


def test_the_schema_of_a_wanted_json_answer_loses_it_too() -> None:
    body = with_messages(user("a"), output_format={"type": "json_schema", "schema": SCHEMA})
    result = converted(body, GEMINI)
    assert result.chat["tools"][0]["function"]["parameters"] == PLAIN
    assert result.rules == ("json_format_as_tool", "schema_keywords_dropped")


def test_a_schema_without_a_type_is_an_object() -> None:
    tools = [{"name": "T", "input_schema": {"properties": {"x": {"type": "string"}}}}]
    result = converted(with_messages(user("a"), tools=tools), GEMINI)
    assert result.chat["tools"][0]["function"]["parameters"] == {
        "properties": {"x": {"type": "string"}},
        "type": "object",
    }
    assert result.rules == ("tool_schema_type_added",)
