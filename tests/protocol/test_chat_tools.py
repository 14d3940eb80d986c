"""Tools, the choice among them, and the one system message with its notes."""

from __future__ import annotations

import json

import pytest

from ccr.errors import RequestError
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.chat_from_messages import chat_request_from_messages
from ccr.protocol.openai import encode_chat_request
from tests.protocol.chat_requests import (
    ADAPTIVE,
    BUDGET,
    EPHEMERAL,
    GPT,
    Json,
    converted,
    converted_bytes,
    custom_tool,
    text,
    user,
    with_messages,
)

WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
ONE_AT_A_TIME = "Call at most one tool in each of your messages, and wait for its result before the next."
UNAVAILABLE = (
    "These tools are not available in this environment: web_search. Do not try to call them. "
    "Answer from what you know and from the conversation, and say plainly that you could not use them."
)


def names(chat: Json) -> list[str]:
    return [tool["function"]["name"] for tool in chat.get("tools", [])]


@pytest.mark.parametrize(
    ("tools", "sent", "rules"),
    [
        ([], [], ()),
        ([custom_tool("A"), custom_tool("B", type="custom")], ["A", "B"], ()),
        ([custom_tool("A"), custom_tool("A", description="other")], ["A"], ("duplicate_tool_dropped",)),
        ([custom_tool("A", strict=True)], ["A"], ("tool_strict_dropped",)),
        ([custom_tool("A", strict=False, defer_loading=False)], ["A"], ()),
        ([custom_tool("A", defer_loading=True)], ["A"], ("tool_defer_loading_dropped",)),
        ([custom_tool("A", input_examples=[{}])], ["A"], ("tool_input_examples_dropped",)),
        ([custom_tool("A", eager_input_streaming=True)], ["A"], ("tool_options_dropped",)),
        ([custom_tool("A", allowed_callers=["x"])], ["A"], ("tool_options_dropped",)),
        (
            [custom_tool("DeferredToolPlaceholder", defer_loading=True), custom_tool("A")],
            ["A"],
            ("placeholder_tool_dropped",),
        ),
        ([WEB_SEARCH, custom_tool("A")], ["A"], ("server_tools_dropped",)),
        ([WEB_SEARCH], [], ("server_tools_dropped",)),
    ],
)
def test_which_tools_are_sent(tools: list[Json], sent: list[str], rules: tuple[str, ...]) -> None:
    result = converted(with_messages(user("a"), tools=tools))
    assert names(result.chat) == sent
    assert ("tools" in result.chat) is bool(sent)
    assert result.rules == rules


def test_a_tool_in_full_and_without_a_description() -> None:
    tools = [
        custom_tool("A", cache_control=EPHEMERAL | {"ttl": "1h"}),
        {"name": "B", "input_schema": {"type": "object"}},
    ]
    result = converted(with_messages(user("a"), tools=tools))
    assert result.chat["tools"] == [
        {
            "type": "function",
            "function": {"name": "A", "description": "d", "parameters": {"type": "object"}},
            "cache_control": EPHEMERAL,
        },
        {"type": "function", "function": {"name": "B", "parameters": {"type": "object"}}},
    ]
    assert result.rules == ("cache_control_reduced",)


@pytest.mark.parametrize(
    ("schema", "sent", "rules"),
    [
        ('{"type": "object", "x": 1.10}', '{"type": "object", "x": 1.10}', ()),
        ('{"$schema":"http://s","type":"object"}', '{"$schema":"http://s","type":"object"}', ()),
        ('{"properties":{"é":{}},"type":"object"}', '{"properties":{"é":{}},"type":"object"}', ()),
        (
            '{"x":1.10,"y":{"type":"z"}}',
            '{"x":1.10,"y":{"type":"z"},"type":"object"}',
            ("tool_schema_type_added",),
        ),
        ('{"type":null}', '{"type":"object"}', ("tool_schema_type_added",)),
        ("{}", '{"type":"object"}', ("tool_schema_type_added",)),
        ("null", '{"type":"object","properties":{}}', ("tool_schema_type_added",)),
    ],
)
def test_schemas_are_passed_on_byte_for_byte(schema: str, sent: str, rules: tuple[str, ...]) -> None:
    data = (
        '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],'
        f'"tools":[{{"name":"A","input_schema":{schema}}}]}}'
    )
    result = chat_request_from_messages(decode_messages_request(data.encode()), model="m", traits=BUDGET)
    assert f'"parameters":{sent}' in encode_chat_request(result.chat).decode()
    assert result.rules == rules


def test_a_tool_without_a_schema_takes_no_arguments() -> None:
    result = converted(with_messages(user("a"), tools=[{"name": "A"}]))
    assert result.chat["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        (b'[{"name":"A","input_schema":[]}]', r"tools\.0\.input_schema: Input should be a valid object"),
        (b'[{"name":"A","input_schema":"x"}]', r"tools\.0\.input_schema: Input should be a valid object"),
        (b'[{"name":"A"},{"description":"x"}]', r"tools\.1\.name: Field required"),
        (b'[{"name":"A","input_schema":{"type":"object","x":"\xff"}}]', "invalid UTF-8"),
    ],
)
def test_tools_that_are_refused(tools: bytes, message: str) -> None:
    data = b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":' + tools + b"}"
    with pytest.raises(RequestError, match=message):
        converted_bytes(data)


TOOLS = [custom_tool("A"), WEB_SEARCH, custom_tool("DeferredToolPlaceholder")]
FORCED_A = {"type": "function", "function": {"name": "A"}}


@pytest.mark.parametrize(
    ("choice", "thinking", "sent", "rules"),
    [
        (None, None, None, ()),
        ({"type": "auto"}, None, "auto", ()),
        ({"type": "any"}, None, "required", ()),
        ({"type": "none"}, None, "none", ()),
        ({"type": "tool", "name": "A"}, None, FORCED_A, ()),
        ({"type": "tool", "name": "web_search"}, None, None, ("tool_choice_dropped",)),
        ({"type": "tool", "name": "DeferredToolPlaceholder"}, None, None, ("tool_choice_dropped",)),
        ({"type": "any"}, {"type": "adaptive"}, "auto", ("forced_tool_choice_as_auto",)),
        ({"type": "tool", "name": "A"}, {"type": "adaptive"}, "auto", ("forced_tool_choice_as_auto",)),
        ({"type": "none"}, {"type": "adaptive"}, "none", ()),
        ({"type": "none", "disable_parallel_tool_use": True}, None, "none", ()),
        ({"type": "auto", "disable_parallel_tool_use": False}, None, "auto", ()),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            None,
            "auto",
            ("parallel_tool_use_as_instruction",),
        ),
    ],
)
def test_tool_choice(
    choice: Json | None, thinking: Json | None, sent: object, rules: tuple[str, ...]
) -> None:
    result = converted(with_messages(user("a"), tools=TOOLS, tool_choice=choice, thinking=thinking), ADAPTIVE)
    assert result.chat.get("tool_choice") == sent
    assert result.rules[:2] == ("server_tools_dropped", "placeholder_tool_dropped")
    assert result.rules[2:] == rules


def test_a_choice_without_tools_is_dropped() -> None:
    result = converted(with_messages(user("a"), tool_choice={"type": "any"}))
    assert "tool_choice" not in result.chat
    assert result.rules == ("tool_choice_dropped",)


@pytest.mark.parametrize("choice", [{"type": "tool", "name": "B"}, {"type": "tool"}])
def test_a_forced_tool_that_is_not_defined_is_refused(choice: Json) -> None:
    with pytest.raises(RequestError, match=r"tool_choice\.name: tool .* is not among the tools"):
        converted(with_messages(user("a"), tools=TOOLS, tool_choice=choice))


def test_the_request_for_a_web_search_tells_the_model_that_there_is_none() -> None:
    body = with_messages(
        user("Perform a web search"), tools=[WEB_SEARCH], tool_choice={"type": "tool", "name": "web_search"}
    )
    result = converted(body)
    assert result.messages == [{"role": "system", "content": UNAVAILABLE}, user("Perform a web search")]
    assert set(result.chat) == {"model", "messages", "max_tokens"}
    assert result.rules == ("server_tools_dropped", "tool_choice_dropped")


def test_a_server_tool_without_a_name_is_told_by_its_type() -> None:
    result = converted(with_messages(user("a"), tools=[{"type": "mcp_toolset", "mcp_server_name": "x"}]))
    assert "not available in this environment: mcp_toolset." in result.messages[0]["content"]


BILLING = "x-anthropic-billing-header: cc_version=1; cc_entrypoint=cli;"
MARKED = text("s", cache_control=EPHEMERAL)


@pytest.mark.parametrize(
    ("system", "expected", "rules"),
    [
        (None, None, ()),
        ("s", "s", ()),
        ("", None, ("empty_text_dropped",)),
        ([], None, ()),
        ([text("s")], "s", ()),
        ([text("s"), text("t")], [text("s"), text("t")], ()),
        ([MARKED], [MARKED], ()),
        ([text(BILLING), MARKED], [MARKED], ("billing_header_dropped",)),
        ([text(BILLING)], None, ("billing_header_dropped",)),
        (f"{BILLING}\nrest", "rest", ("billing_header_dropped",)),
        (f"{BILLING}\n ", None, ("billing_header_dropped",)),
        ([text(" "), text("s")], "s", ("empty_text_dropped",)),
    ],
)
def test_the_system_message(system: object, expected: object, rules: tuple[str, ...]) -> None:
    result = converted(with_messages(user("a"), system=system))
    systems = [message["content"] for message in result.messages if message["role"] == "system"]
    assert systems == ([] if expected is None else [expected])
    assert result.rules == rules


def test_notes_follow_the_clients_system_text_and_spare_its_cached_prefix() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    body = with_messages(user("a"), system=[MARKED], tools=[WEB_SEARCH, custom_tool()], tool_choice=choice)
    assert converted(body).messages[0]["content"] == [MARKED, text(UNAVAILABLE), text(ONE_AT_A_TIME)]
    assert converted(body, GPT).messages[0]["content"] == f"s\n\n{UNAVAILABLE}\n\n{ONE_AT_A_TIME}"


def test_the_same_request_gives_the_same_bytes() -> None:
    data = json.dumps(with_messages(user("a"), tools=TOOLS, system=[MARKED], metadata={"a": 1})).encode()
    first, second = (
        chat_request_from_messages(decode_messages_request(data), model="m", traits=BUDGET) for _ in range(2)
    )
    assert encode_chat_request(first.chat) == encode_chat_request(second.chat)
    assert first.rules == second.rules
