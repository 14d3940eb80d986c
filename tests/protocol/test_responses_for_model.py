"""What each model is sent of a Responses request: thinking, limits, history, caching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ccr.protocol.responses_reasoning import encrypted_content
from tests.protocol.chat_requests import (
    ADAPTIVE,
    ALWAYS,
    BOTH,
    BUDGET,
    GPT,
    LLAMA,
    PLAIN_CLAUDE,
    REASONING_GPT,
    TEXT_ONLY,
    of_vendor,
)
from tests.protocol.responses_requests import Json, for_model

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

HI = {"role": "user", "content": "hello"}
READ = {"type": "function", "name": "read", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "done"}
SIGNED = {"type": "reasoning", "summary": [], "encrypted_content": encrypted_content("Hm.", "s1")}
SEALED = {"type": "reasoning", "summary": [], "encrypted_content": encrypted_content("", "", "d1")}
UNSIGNED = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
YES = {"role": "assistant", "content": "yes"}
MARK = {"cache_control": {"type": "ephemeral"}}
GEMINI = of_vendor("gemini")


@pytest.mark.parametrize(
    ("traits", "reasoning", "thinking", "effort"),
    [
        (ADAPTIVE, None, None, None),
        (ADAPTIVE, {"effort": "high"}, {"type": "adaptive"}, "high"),
        (ADAPTIVE, {"effort": "minimal"}, {"type": "adaptive"}, "low"),
        (
            ADAPTIVE,
            {"effort": "low", "summary": "auto"},
            {"type": "adaptive", "display": "summarized"},
            "low",
        ),
        (ADAPTIVE, {"summary": "auto"}, None, None),
        (ADAPTIVE, {"effort": "none"}, None, None),
        (ALWAYS, {"summary": "auto"}, {"type": "adaptive", "display": "summarized"}, None),
        (ALWAYS, None, None, None),
        (BOTH, {"effort": "max"}, {"type": "adaptive"}, "max"),
        (BUDGET, {"effort": "minimal"}, {"type": "enabled", "budget_tokens": 4000}, None),
        (BUDGET, {"effort": "medium", "summary": "auto"}, {"type": "enabled", "budget_tokens": 10000}, None),
        (BUDGET, {"effort": "high"}, {"type": "enabled", "budget_tokens": 16000}, None),
        (BUDGET, {"effort": "none"}, None, None),
        (PLAIN_CLAUDE, {"effort": "high"}, None, None),
    ],
)
def test_effort_of_claude(traits: ModelTraits, reasoning: Any, thinking: Any, effort: str | None) -> None:
    found = for_model(traits, reasoning=reasoning)
    assert found.chat.get("thinking") == thinking
    assert found.chat.get("output_config") == ({"effort": effort} if effort else None)
    assert "reasoning_effort" not in found.chat
    assert found.chat["max_tokens"] == 32_000


@pytest.mark.parametrize(
    ("traits", "effort", "limit", "rules"),
    [
        (BUDGET, "high", 5000, ("effort_as_budget",)),
        (BUDGET, "high", 800, ("effort_as_budget", "thinking_off_for_max_tokens")),
        (BUDGET, "high", 1500, ("effort_as_budget", "thinking_budget_clamped")),
        (BUDGET, "high", 90_000, ("max_tokens_clamped", "effort_as_budget")),
        (ADAPTIVE, "minimal", 900, ("effort_replaced",)),
        (ALWAYS, "none", 900, ("thinking_disabled_dropped",)),
        (PLAIN_CLAUDE, "low", 900, ("thinking_dropped",)),
    ],
)
def test_what_an_effort_costs(traits: ModelTraits, effort: str, limit: int, rules: tuple[str, ...]) -> None:
    found = for_model(traits, reasoning={"effort": effort}, max_output_tokens=limit)
    assert found.rules == rules
    budget = found.chat.get("thinking", {}).get("budget_tokens", 0)
    assert budget < found.chat["max_tokens"]


@pytest.mark.parametrize("traits", [GPT, REASONING_GPT])
def test_other_models_get_their_own_words(traits: ModelTraits) -> None:
    found = for_model(
        traits, reasoning={"effort": "xhigh"}, temperature=0.5, tools=[READ], parallel_tool_calls=False
    )
    assert found.chat["reasoning_effort"] == "xhigh"
    assert found.chat["temperature"] == 0.5
    assert found.chat["parallel_tool_calls"] is False
    assert not {"thinking", "max_tokens", "stream_options"} & set(found.chat)
    assert found.rules == ()


def test_streams_are_asked_for_their_counts() -> None:
    asked: Json = {"is_workspace": False}
    assert for_model(GPT, asked, stream=True).chat["stream_options"] == {"include_usage": True}
    assert "stream_options" not in for_model(GPT, asked).chat
    assert "stream_options" not in for_model(GPT, stream=True).chat


@pytest.mark.parametrize("traits", [PLAIN_CLAUDE, GPT])
@pytest.mark.parametrize("instructions", [None, "Be kind."])
def test_where_nothing_is_asked_a_turn_is_made_up(traits: ModelTraits, instructions: str | None) -> None:
    found = for_model(traits, input="", instructions=instructions)
    assert found.messages[-1] == {"role": "user", "content": "(no content)"}
    assert found.rules[:2] == ("empty_message_dropped", "user_turn_filled")


def test_claude_wants_the_user_to_end_what_the_user_ends() -> None:
    found = for_model(PLAIN_CLAUDE, input=[HI, YES, {"role": "user", "content": " "}], max_output_tokens=9)
    assert found.messages[1:] == [
        YES,
        {"role": "user", "content": [{"type": "text", "text": "(no content)", **MARK}]},
    ]
    assert found.rules == (
        "empty_text_dropped",
        "empty_message_dropped",
        "user_turn_filled",
        "cache_control_added",
    )
    assert for_model(PLAIN_CLAUDE, input=[HI, YES]).messages[-1] == YES


def test_claude_wants_the_user_to_begin() -> None:
    found = for_model(PLAIN_CLAUDE, input=[YES, HI])
    assert [message["role"] for message in found.messages] == ["user", "assistant", "user"]
    assert for_model(GPT, input=[YES, HI]).rules == ()


def test_other_families_get_history_and_schemas_as_they_take_them() -> None:
    items = [HI, CALL, {**CALL, "call_id": "c2"}, OUTPUT, {**OUTPUT, "call_id": "c2"}, HI]
    found = for_model(LLAMA, input=items, tools=[READ])
    roles = [message["role"] for message in found.messages]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]
    assert found.rules == ("parallel_calls_split", "assistant_turn_filled")
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}, "$schema": "s"}
    found = for_model(GEMINI, tools=[{**READ, "parameters": schema}])
    parameters = found.chat["tools"][0]["function"]["parameters"]
    assert parameters == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert found.rules == ("schema_keywords_dropped",)


@pytest.mark.parametrize(
    ("traits", "sampling", "sent", "rules"),
    [
        (PLAIN_CLAUDE, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}, ()),
        (ADAPTIVE, {"temperature": 0.5}, {}, ("sampling_dropped",)),
        (
            BUDGET,
            {"temperature": 1, "reasoning": {"effort": "low"}},
            {"temperature": 1},
            ("effort_as_budget",),
        ),
        (
            BUDGET,
            {"temperature": 0.5, "reasoning": {"effort": "low"}},
            {},
            ("effort_as_budget", "sampling_dropped"),
        ),
    ],
)
def test_sampling(traits: ModelTraits, sampling: Json, sent: Json, rules: tuple[str, ...]) -> None:
    found = for_model(traits, max_output_tokens=9000, **sampling)
    assert {name: found.chat[name] for name in ("temperature", "top_p") if name in found.chat} == sent
    assert found.rules == rules


def test_a_forced_tool_and_thinking_do_not_go_together() -> None:
    forced: Json = {"tools": [READ], "tool_choice": {"type": "function", "name": "read"}}
    found = for_model(ADAPTIVE, reasoning={"effort": "low"}, **forced)
    assert found.chat["tool_choice"] == "auto"
    assert "forced_tool_choice_as_auto" in found.rules
    assert for_model(ADAPTIVE, **forced).chat["tool_choice"]["type"] == "function"


def reasonings(messages: list[Json]) -> list[Any]:
    return [
        part["summary"]
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if part["type"] == "reasoning"
    ]


SIGNED_ENTRY = {"type": "summary_text", "text": "Hm.", "signature": "s1"}
LOOP = [HI, SIGNED, SEALED, CALL, OUTPUT]


def test_claude_gets_its_own_thinking_back() -> None:
    found = for_model(BUDGET, input=LOOP, tools=[READ], reasoning={"effort": "low"})
    sealed = {"type": "summary_encrypted_text", "data": "d1"}
    assert reasonings(found.messages) == [[SIGNED_ENTRY], [sealed]]
    assert "thinking" in found.chat


def test_without_thinking_a_loop_has_none() -> None:
    found = for_model(BUDGET, input=LOOP, tools=[READ])
    assert reasonings(found.messages) == []
    assert "thinking_history_dropped" in found.rules


def test_a_loop_that_began_without_thinking_goes_on_without() -> None:
    found = for_model(BUDGET, input=[HI, UNSIGNED, CALL, OUTPUT], tools=[READ], reasoning={"effort": "low"})
    assert "thinking" not in found.chat
    assert {"unsigned_thinking_dropped", "thinking_off_for_history"} <= set(found.rules)


@pytest.mark.parametrize(
    ("traits", "rule"),
    [
        (GPT, "thinking_history_dropped"),
        (PLAIN_CLAUDE, "thinking_history_dropped"),
        (msgspec.structs.replace(PLAIN_CLAUDE, handled=frozenset({"history"})), "thinking_history_dropped"),
    ],
)
def test_who_has_no_use_for_thinking_gets_none(traits: ModelTraits, rule: str) -> None:
    found = for_model(traits, input=[HI, SIGNED, YES, HI])
    assert reasonings(found.messages) == []
    assert rule in found.rules


def test_a_transformer_may_write_the_thinking_of_the_history() -> None:
    traits = msgspec.structs.replace(GPT, handled=frozenset({"history"}))
    found = for_model(traits, input=[HI, SIGNED, UNSIGNED, YES, SEALED, HI])
    assert found.messages[1] == {
        "role": "assistant",
        "content": "yes",
        "thinking": {"content": "Hm.\n\nHm.", "signature": ""},
    }
    assert found.rules == ("thinking_history_dropped",)


@pytest.mark.parametrize(
    ("items", "rule"),
    [
        ([HI, SIGNED, HI], "thinking_only_message_dropped"),
        ([HI, UNSIGNED, HI], "empty_message_dropped"),
        ([HI, {"role": "user", "content": []}, HI], "empty_message_dropped"),
        ([HI, {"role": "user", "content": ""}, HI], "empty_message_dropped"),
    ],
)
def test_messages_that_say_nothing_are_left_out(items: list[Json], rule: str) -> None:
    found = for_model(ADAPTIVE, input=items)
    assert found.messages == [HI, HI]
    assert rule in found.rules


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,x", "detail": "high"}
FILE = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,x"}


@pytest.mark.parametrize(
    ("traits", "part", "kind", "rules"),
    [
        (PLAIN_CLAUDE, IMAGE, "image_url", ("image_detail_dropped",)),
        (GPT, IMAGE, "image_url", ()),
        (PLAIN_CLAUDE, FILE, "file", ()),
        (TEXT_ONLY, IMAGE, "text", ("image_as_note",)),
        (TEXT_ONLY, FILE, "text", ("document_as_note",)),
        (GPT, FILE, "text", ("document_as_note",)),
    ],
)
def test_pictures_and_documents(traits: ModelTraits, part: Json, kind: str, rules: tuple[str, ...]) -> None:
    parts = [{"type": "input_text", "text": "See:"}, part]
    found = for_model(traits, max_output_tokens=9, input=[{"role": "user", "content": parts}])
    content = found.messages[0]["content"]
    if isinstance(content, str):
        assert kind == "text"
        assert content.startswith("See:\n\n[")
    else:
        assert content[1]["type"] == kind
        assert "detail" not in content[1].get("image_url", {}) or traits is GPT
    assert found.rules == rules


@pytest.mark.parametrize("instructions", [None, "Be kind."])
def test_claude_is_told_to_call_one_tool_at_a_time(instructions: str | None) -> None:
    found = for_model(
        msgspec.structs.replace(PLAIN_CLAUDE, takes_cache_control=False),
        instructions=instructions,
        tools=[READ],
        parallel_tool_calls=False,
        max_output_tokens=9,
    )
    assert found.messages[0]["content"].endswith("wait for its result before the next.")
    assert "parallel_tool_calls" not in found.chat
    assert found.rules == ("parallel_tool_use_as_instruction",)


def test_a_conversation_of_claude_is_cached() -> None:
    found = for_model(
        PLAIN_CLAUDE, instructions="Be kind.", input=[HI, YES, HI], max_output_tokens=9, tools=[READ]
    )
    system, first, answer, last = found.messages
    assert system["content"] == [{"type": "text", "text": "Be kind.", **MARK}]
    assert (first, answer) == (HI, YES)
    assert last["content"] == [{"type": "text", "text": "hello", **MARK}]
    assert found.rules == ("cache_control_added",)


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ({"input": [HI]}, HI),
        ({"input": [HI, YES]}, YES),
        (
            {"input": [HI], "tools": [READ]},
            {"role": "user", "content": [{"type": "text", "text": "hello", **MARK}]},
        ),
    ],
)
def test_what_can_have_a_breakpoint(body: Json, last: Json) -> None:
    found = for_model(PLAIN_CLAUDE, max_output_tokens=9, **body)
    assert found.messages[-1] == last


def test_a_part_that_is_no_text_may_be_the_last() -> None:
    parts = [{"type": "input_text", "text": "See:"}, IMAGE]
    found = for_model(PLAIN_CLAUDE, input=[{"role": "user", "content": parts}], tools=[READ])
    assert found.messages[-1]["content"][-1] == {
        "type": "image_url",
        "image_url": {"url": IMAGE["image_url"]},
        **MARK,
    }
    sound = [{"type": "input_audio", "input_audio": {}}]
    found = for_model(PLAIN_CLAUDE, input=[{"role": "user", "content": sound}], tools=[READ])
    assert "cache_control" not in found.messages[-1]["content"][-1]
