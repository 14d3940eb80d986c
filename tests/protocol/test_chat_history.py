"""Messages to chat messages: order, pairing, repair. Tables of conversations."""

from __future__ import annotations

import pytest

from ccr.errors import RequestError
from tests.protocol.chat_requests import (
    ADAPTIVE,
    BUDGET,
    EPHEMERAL,
    GPT,
    PLAIN_CLAUDE,
    TEXT_ONLY,
    Json,
    assistant,
    converted,
    converted_bytes,
    custom_tool,
    image,
    system,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
    with_messages,
)
from tests.protocol.conversations import CONVERSATIONS, PNG, call, tool
from tests.protocol.torn_conversations import TORN_CONVERSATIONS


@pytest.mark.parametrize(
    ("given", "expected", "rules"),
    [pytest.param(*row[1:], id=row[0]) for row in CONVERSATIONS + TORN_CONVERSATIONS],
)
def test_conversations(given: list[Json], expected: list[Json], rules: list[str]) -> None:
    result = converted(with_messages(*given, thinking={"type": "adaptive"}), ADAPTIVE)
    assert result.messages == expected
    assert list(result.rules) == rules


@pytest.mark.parametrize(
    ("traits", "rule"),
    [(PLAIN_CLAUDE, "thinking_history_dropped"), (GPT, "thinking_history_dropped")],
    ids=["a Claude that does not think", "another vendor's model"],
)
def test_thinking_of_the_history_goes_where_the_model_has_none(traits: object, rule: str) -> None:
    body = with_messages(user("a"), assistant(thinking(), "b"), user("c"))
    result = converted(body, traits)  # type: ignore[arg-type] # a table of two kinds of traits
    assert result.messages == [user("a"), assistant("b"), user("c")]
    assert result.rules == (rule,)


def test_texts_are_one_string_for_other_vendors() -> None:
    body = with_messages(user("a", "b", image()), assistant("c", "d"), user("e", "f"))
    assert converted(body, GPT).messages == [user("a", "b", PNG), assistant("c\n\nd"), user("e\n\nf")]


def test_lifted_images_become_notes_where_the_model_takes_none() -> None:
    body = with_messages(user("a"), assistant(tool_use("t")), user(tool_result("t", [image()])))
    result = converted(body, TEXT_ONLY)
    assert result.messages[-1] == tool("t", "[image left out, the model takes no images]")
    assert result.rules == ("image_as_note",)


def test_tool_ids_are_those_of_the_client_and_those_sent() -> None:
    body = with_messages(user("a"), assistant(tool_use("t"), tool_use("t"), tool_use("x/y")))
    assert converted(body).tool_ids == {"t", "t_2", "x/y", "x_y"}
    assert converted(with_messages(user("a"))).tool_ids == frozenset()


@pytest.mark.parametrize(
    "written",
    [
        '{"z": 1.10, "a": 123456789012345678901234567890, "m": 1e400, "u": "\\u00e9é😀", "n": null}',
        "{}",
        '{ "spaces" :\t1 }',
    ],
)
def test_inputs_are_passed_on_byte_for_byte(written: str) -> None:
    data = (
        '{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":'
        f'[{{"type":"tool_use","id":"t","name":"T","input":{written}}}]}}]}}'
    )
    message = converted_bytes(data.encode()).messages[1]
    assert message["tool_calls"][0]["function"]["arguments"] == written


@pytest.mark.parametrize("keys", [{}, {"input": None}])
def test_a_call_without_input_has_empty_arguments(keys: Json) -> None:
    block = {"type": "tool_use", "id": "t", "name": "T", **keys}
    message = converted(with_messages(user("a"), assistant(block))).messages[1]
    assert message["tool_calls"] == [call("t", "T", "{}")]


@pytest.mark.parametrize("value", ["text", 7, [1], True])
def test_an_input_that_is_no_object_is_refused(value: object) -> None:
    body = with_messages(user("a"), assistant({"type": "tool_use", "id": "t", "name": "T", "input": value}))
    with pytest.raises(RequestError, match="tool_use t: input: Input should be a valid object"):
        converted(body)


def test_an_input_that_is_not_utf8_is_refused() -> None:
    data = (
        b'{"model":"m","messages":[{"role":"assistant","content":'
        b'[{"type":"tool_use","id":"t","name":"T","input":{"a":"\xff"}}]}]}'
    )
    with pytest.raises(RequestError, match="invalid UTF-8"):
        converted_bytes(data)


def test_a_request_as_the_client_sends_it_in_a_tool_loop() -> None:
    body = with_messages(
        user("<system-reminder>\ndate\n</system-reminder>", "list the files"),
        assistant(thinking("I list", "sig"), "I list them.", tool_use("toolu_1")),
        user(tool_result("toolu_1", "a.txt", is_error=False, cache_control=EPHEMERAL)),
        system=[
            text("x-anthropic-billing-header: cc_version=2.1.330.12c; cc_entrypoint=cli;"),
            text("You are Claude Code.", cache_control=EPHEMERAL),
            text("Instructions.", cache_control=EPHEMERAL),
        ],
        tools=[custom_tool()],
        metadata={"user_id": "{}"},
        thinking={"type": "enabled", "budget_tokens": 7999},
        stream=True,
    )
    result = converted(body, BUDGET)
    assert result.chat == {
        "model": "the-endpoint",
        "messages": [
            system(
                text("You are Claude Code.", cache_control=EPHEMERAL),
                text("Instructions.", cache_control=EPHEMERAL),
            ),
            user("<system-reminder>\ndate\n</system-reminder>", "list the files"),
            assistant(
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "I list", "signature": "sig"}],
                },
                "I list them.",
            )
            | {"tool_calls": [call("toolu_1")]},
            tool("toolu_1", [text("a.txt", cache_control=EPHEMERAL)]),
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "Bash", "description": "d", "parameters": {"type": "object"}},
            }
        ],
        "max_tokens": 8000,
        "thinking": {"type": "enabled", "budget_tokens": 7999},
        "stream": True,
    }
    assert result.rules == ("metadata_dropped", "billing_header_dropped")
