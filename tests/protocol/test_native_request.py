"""The body of a request for the native route: what is sent, what becomes of the rest, what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from ccr.errors import RequestError
from ccr.protocol.native_request import PASSED_BETAS, beta_header, sanitized_request
from ccr.sandbox.models import rules_of
from ccr.sandbox.native_checks import problem_of_native_request
from tests.protocol.chat_requests import (
    ADAPTIVE,
    BOTH,
    BUDGET,
    EPHEMERAL,
    PLAIN_CLAUDE,
    Json,
    assistant,
    custom_tool,
    system,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
    with_messages,
)
from tests.protocol.native_requests import ENDPOINT, sanitized, sanitized_bytes

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

ENABLED = {"type": "enabled", "budget_tokens": 4000}
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}
JSON_FORMAT = {"type": "json_schema", "schema": SCHEMA}


def test_a_plain_request_only_changes_its_model() -> None:
    body = with_messages(
        user("a"),
        assistant("b"),
        system=[text("s", cache_control=EPHEMERAL)],
        tools=[custom_tool()],
        tool_choice={"type": "auto"},
        metadata={"user_id": "u"},
        stop_sequences=["x"],
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stream=True,
    )
    result = sanitized(body)
    assert result.body == body | {"model": ENDPOINT}
    assert result.rules == ()
    assert result.stream


def test_bytes_of_texts_inputs_schemas_and_numbers_are_the_clients() -> None:
    data = (
        rb'{"model":"m", "max_tokens" : 8000,"temperature":1.0,"metadata":{"b":1e3,"a":0.10},'
        rb'"messages":[{"role":"user","content":"\u00e9\/"},{"role":"assistant","content":['
        rb'{"type":"tool_use","id":"t","name":"B","input":{"z":123456789012345678901234567890,"a":1.50}}]},'
        rb'{"role":"system","content":"\u00fc\ud83d\ude00"},'
        rb'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"\u001f"}]}],'
        rb'"tools":[{"name":"B","input_schema":{"type":"object","z":1.0,"a":[1E5]}}]}'
    )
    sent = sanitized_request(data, model="e", traits=BUDGET).body
    for piece in (
        rb'"metadata":{"b":1e3,"a":0.10}',
        rb'"temperature":1.0',
        rb'"input":{"z":123456789012345678901234567890,"a":1.50}',
        rb'"input_schema":{"type":"object","z":1.0,"a":[1E5]}',
        rb'"content":"\u00e9\/"',
        rb'"text":"<system-reminder>\n\u00fc\ud83d\ude00\n</system-reminder>"',
        rb'"content":"\u001f"',
    ):
        assert piece in sent


@pytest.mark.parametrize(
    ("extra", "rules"),
    [
        ({"context_management": {"edits": [{"type": "x"}]}}, ("context_management_dropped",)),
        ({"context_management": None, "container": {}, "mcp_servers": []}, ()),
        ({"cache_control": EPHEMERAL}, ("request_cache_control_dropped",)),
        ({"safeguards": {"a": 1}, "service_tier": "auto"}, ("service_tier_dropped", "safeguards_dropped")),
        ({"novel_thing": 1, "another": [1]}, ("novel_thing_dropped", "another_dropped")),
        ({"Odd-Key": 1, "x" * 60: 1}, ("unknown_fields_dropped",)),
        ({f"k{n}": 1 for n in range(10)}, (*(f"k{n}_dropped" for n in range(8)), "unknown_fields_dropped")),
    ],
)
def test_other_fields_are_dropped_by_name(extra: Json, rules: tuple[str, ...]) -> None:
    result = sanitized(with_messages(user("a"), **extra))
    assert result.body.keys() == {"model", "max_tokens", "messages"}
    assert result.rules == rules


@pytest.mark.parametrize(
    ("given", "sent", "rules"),
    [
        ("", None, ("empty_text_dropped",)),
        ([], None, ()),
        (None, None, ()),
        ("s", [text("s")], ()),
        ([text(" "), text("s")], [text("s")], ("empty_text_dropped",)),
        ([text("x-anthropic-billing-header: a=1;")], None, ("billing_header_dropped",)),
        ("x-anthropic-billing-header: a=1;\nYou help.", [text("You help.")], ("billing_header_dropped",)),
        ("x-anthropic-billing-header: a=1;\n ", None, ("billing_header_dropped",)),
        (
            [
                text("x-anthropic-billing-header: a=1;"),
                text("s", cache_control={"type": "ephemeral", "scope": "global", "ttl": "1h"}),
            ],
            [text("s", cache_control={"type": "ephemeral", "ttl": "1h"})],
            ("billing_header_dropped", "cache_control_reduced"),
        ),
    ],
)
def test_system(given: object, sent: list[Json] | None, rules: tuple[str, ...]) -> None:
    result = sanitized(with_messages(user("a"), system=given))
    assert result.body.get("system") == sent
    assert result.rules == rules


@pytest.mark.parametrize(
    ("wanted", "traits", "sent", "rules"),
    [
        ({"type": "disabled"}, BUDGET, {"type": "disabled"}, ()),
        ({"type": "disabled"}, BOTH, {"type": "disabled"}, ()),
        ({"type": "disabled"}, ADAPTIVE, None, ("thinking_disabled_dropped",)),
        ({"type": "disabled"}, PLAIN_CLAUDE, None, ("thinking_disabled_dropped",)),
        (None, BUDGET, None, ()),
        (ENABLED, BUDGET, ENABLED, ()),
        (ENABLED | {"display": "updates"}, BUDGET, ENABLED, ("thinking_display_dropped",)),
        (ENABLED | {"novel": 1}, BUDGET, ENABLED, ("thinking_fields_dropped",)),
        (ENABLED, ADAPTIVE, {"type": "adaptive"}, ("thinking_enabled_as_adaptive",)),
        (ENABLED, PLAIN_CLAUDE, None, ("thinking_dropped",)),
        (
            {"type": "enabled", "budget_tokens": 99_999},
            BUDGET,
            {"type": "enabled", "budget_tokens": 7999},
            ("thinking_budget_clamped",),
        ),
        ({"type": "adaptive"}, ADAPTIVE, {"type": "adaptive"}, ()),
        (
            {"type": "adaptive", "display": "omitted"},
            ADAPTIVE,
            {"type": "adaptive", "display": "omitted"},
            (),
        ),
        (
            {"type": "adaptive", "display": "updates"},
            BOTH,
            {"type": "adaptive", "display": "summarized"},
            ("thinking_display_replaced",),
        ),
        (
            {"type": "adaptive"},
            BUDGET,
            {"type": "enabled", "budget_tokens": 7999},
            ("thinking_adaptive_as_enabled", "thinking_budget_clamped"),
        ),
    ],
)
def test_thinking(
    wanted: Json | None, traits: ModelTraits, sent: Json | None, rules: tuple[str, ...]
) -> None:
    result = sanitized(with_messages(user("a"), thinking=wanted), traits)
    assert result.body.get("thinking") == sent
    assert result.rules == rules


def test_thinking_is_off_when_the_limit_leaves_no_room() -> None:
    result = sanitized({"model": "m", "max_tokens": 1024, "messages": [user("a")], "thinking": ENABLED})
    assert "thinking" not in result.body
    assert result.rules == ("thinking_off_for_max_tokens",)


LOOP = [user("a"), assistant(tool_use("t1")), user(tool_result("t1"), "and")]
THOUGHTFUL = [
    user("a"),
    assistant(thinking(), tool_use("t1")),
    user(tool_result("t1")),
    assistant("more", tool_use("t2")),
    user(tool_result("t2")),
]


@pytest.mark.parametrize(
    ("messages", "wanted", "sent", "rules"),
    [
        (LOOP, ENABLED, None, ("thinking_off_for_history",)),
        (THOUGHTFUL, ENABLED, ENABLED, ()),
        ([*LOOP, assistant("done"), user("b")], ENABLED, ENABLED, ()),
        (THOUGHTFUL, None, None, ("thinking_history_dropped",)),
        (THOUGHTFUL, {"type": "disabled"}, {"type": "disabled"}, ("thinking_history_dropped",)),
        ([*THOUGHTFUL, assistant("done"), user("b")], None, None, ()),
    ],
)
def test_the_tool_loop_decides_about_a_budget(
    messages: list[Json], wanted: Json | None, sent: Json | None, rules: tuple[str, ...]
) -> None:
    result = sanitized(with_messages(*messages, thinking=wanted))
    assert result.body.get("thinking") == sent
    assert result.rules == rules
    has_thinking = any(block["type"] == "thinking" for block in result.messages[1]["content"])
    assert has_thinking == (
        "thinking_history_dropped" not in rules and messages[1]["content"][0] == thinking()
    )


@pytest.mark.parametrize("wanted", [None, {"type": "adaptive"}])
def test_adaptive_models_take_any_history(wanted: Json | None) -> None:
    for messages in (LOOP, THOUGHTFUL):
        result = sanitized(with_messages(*messages, thinking=wanted), ADAPTIVE)
        assert result.messages == messages
        assert result.body.get("thinking") == wanted


@pytest.mark.parametrize(
    ("extra", "traits", "sent", "rules"),
    [
        ({"temperature": 1, "top_p": 0.99, "top_k": 4}, ADAPTIVE, {}, ("sampling_dropped",)),
        (
            {"temperature": 0.2, "top_k": 4, "thinking": ENABLED},
            BUDGET,
            {"thinking": ENABLED},
            ("sampling_dropped",),
        ),
        ({"stop_sequences": ["", "x"]}, BUDGET, {"stop_sequences": ["x"]}, ("empty_stop_sequence_dropped",)),
        ({"stop_sequences": [" "]}, BUDGET, {}, ("empty_stop_sequence_dropped",)),
        ({"max_tokens": 100_000}, BUDGET, {"max_tokens": 64_000}, ("max_tokens_clamped",)),
        ({"max_tokens": None}, BUDGET, {"max_tokens": 32_000}, ("max_tokens_filled",)),
        (
            {"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 9000}},
            structs.replace(BUDGET, max_tokens_cap=8192),
            {"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 8191}},
            ("max_tokens_capped", "thinking_budget_clamped"),
        ),
        ({"output_config": {"effort": "high"}}, ADAPTIVE, {"output_config": {"effort": "high"}}, ()),
        ({"output_config": {"effort": "high"}}, BUDGET, {}, ("effort_dropped",)),
        ({"output_config": None}, BUDGET, {}, ()),
        (
            {"output_config": {"effort": "low", "task_budget": {"x": 1}, "none": None}},
            ADAPTIVE,
            {"output_config": {"effort": "low"}},
            ("output_config_fields_dropped",),
        ),
        ({"output_format": {"type": "novel"}}, BUDGET, {}, ("output_format_dropped",)),
        ({"stream": None}, BUDGET, {}, ()),
        ({"metadata": None}, BUDGET, {}, ()),
    ],
)
def test_parameters(extra: Json, traits: ModelTraits, sent: Json, rules: tuple[str, ...]) -> None:
    result = sanitized(with_messages(user("a"), **extra), traits)
    changed = extra.keys() | sent.keys()
    assert {key: result.body[key] for key in changed if key in result.body} == sent
    assert result.rules == rules
    assert not result.stream


@pytest.mark.parametrize(
    "extra", [{"output_config": {"format": JSON_FORMAT}}, {"output_format": JSON_FORMAT}]
)
def test_a_json_format_is_asked_for_in_the_system_prompt(extra: Json) -> None:
    result = sanitized(with_messages(user("a"), system=[text("s", cache_control=EPHEMERAL)], **extra))
    assert result.body.keys() == {"model", "max_tokens", "messages", "system"}
    kept, note = result.body["system"]
    assert kept == text("s", cache_control=EPHEMERAL)
    assert note.keys() == {"type", "text"}
    assert json.dumps(SCHEMA) in note["text"]
    assert result.rules == ("json_format_as_instruction",)


MALFORMED = [
    (b"", "The request body is not valid JSON: Input data was truncated"),
    (b"[]", "body: Input should be a valid object, got list"),
    (b'{"messages":[1]}', "messages.0: Input should be a valid object, got integer"),
    (b'{"model":"m"}', "messages: Field required"),
    (b'{"messages":[{"role":"user","content":"x"}]}', "model: Field required"),
    (b'{"model":"m","messages":[]}', "messages: at least one message is required"),
    (b'{"model":"m","messages":[{"content":"x"}]}', "messages.0.role: Field required"),
    (b'{"model":"m","messages":[{"role":"user"}]}', "messages.0.content: Field required"),
    (b'{"model":"m","messages":[{"role":"tool","content":"x"}]}', "messages.0.role: unexpected value 'tool'"),
    (
        b'{"model":"m","messages":[{"role":1,"content":"x"}]}',
        "messages.0.role: Input should be a valid string, got integer",
    ),
    (
        b'{"model":"m","messages":[{"role":"user","content":1}]}',
        "messages.0.content: Input should be a valid list, got integer",
    ),
    (
        b'{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}',
        "messages.0.content.0.type: Field required",
    ),
    (
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":1}]}]}',
        "messages.0.content.0.text: Input should be a valid string, got integer",
    ),
    (
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":[2]}]}]}',
        "messages.0.content.0.content.0: Input should be a valid object, got integer",
    ),
    (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"system":7}',
        "system: Input should be a valid string or list, got integer",
    ),
    (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":1}]}',
        "tools.0.type: Input should be a valid string, got integer",
    ),
    (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"thinking":"on"}',
        "thinking: Input should be a valid object, got string",
    ),
    (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"some"}}',
        "tool_choice.type: unexpected value 'some'",
    ),
    (b'{"model":"m","messages":[{"role":"user","content":NaN}]}', "not valid JSON"),
    (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', "not valid JSON"),
    (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "not valid JSON: invalid UTF-8"),
    (b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("data", "message"), MALFORMED, ids=[message for _, message in MALFORMED])
def test_what_is_no_request_is_refused_with_the_key_path(data: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=r".") as caught:
        sanitized_request(data, model="e", traits=BUDGET)
    assert message in caught.value.message
    assert caught.value.status == 400


def test_unicode_and_escaped_words_are_understood() -> None:
    data = (
        '{"model":"m","max_tokens":9,"messages":[{"role":"\\u0075ser","content":'
        '[{"type":"t\\u0065xt","text":"é"},{"type":"text","text":"\\u3000"},'
        '{"type":"text","text":"ü","cache_control":{"type":"ephemeral","\\u0073cope":"x"}}]}]}'
    ).encode()
    result = sanitized_bytes(data)
    assert result.messages == [user("é", text("ü", cache_control=EPHEMERAL))]
    assert result.rules == ("empty_text_dropped", "cache_control_reduced")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, None),
        ("", None),
        ("claude-code-20250219", None),
        ("interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"),
        (
            "claude-code-20250219, context-1m-2025-08-07,effort-2025-11-24 ,novel,effort-2025-11-24",
            "context-1m-2025-08-07,effort-2025-11-24",
        ),
    ],
)
def test_betas(given: str | None, sent: str | None) -> None:
    assert beta_header(given) == sent
    assert beta_header(sent) == sent


def test_betas_of_what_is_taken_out_are_not_passed() -> None:
    for word in ("scope", "management", "tool-use", "structured", "mid-conversation", "display"):
        assert not [beta for beta in PASSED_BETAS if word in beta]


def test_the_strict_endpoint_takes_what_the_newest_client_sends() -> None:
    """The main request of client 2.1.330 (docs/client.md), shortened: every peculiarity at once."""
    marked = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
    body = {
        "model": "claude-opus-4-8",
        "messages": [
            user("<system-reminder>\nx\n</system-reminder>", text("list files", cache_control=EPHEMERAL)),
            system(text("skills …"), text("context", cache_control=EPHEMERAL)),
            assistant("I search.", tool_use("toolu_1", "ToolSearch")),
            user(tool_result("toolu_1", [{"type": "tool_reference", "tool_name": "Bash"}])),
            system(text("remember", cache_control=EPHEMERAL)),
        ],
        "system": [
            text("x-anthropic-billing-header: cc_version=2.1.330.abc;"),
            text("You", cache_control=marked),
        ],
        "tools": [
            custom_tool("ToolSearch"),
            custom_tool("Bash", defer_loading=True, eager_input_streaming=True),
            custom_tool("DeferredToolPlaceholder", defer_loading=True),
        ],
        "metadata": {"user_id": '{"session_id":"s"}'},
        "max_tokens": 64_000,
        "thinking": {"type": "adaptive", "display": "updates"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
    }
    result = sanitized(body, ADAPTIVE)
    refusal = problem_of_native_request(result.body, rules_of("databricks-claude-opus-4-8"))
    assert refusal is None, refusal
    assert [tool["name"] for tool in result.body["tools"]] == ["ToolSearch", "Bash"]
    assert [message["role"] for message in result.messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "text", "text": "image"}, False),
        ({"type": "image", "source": {"type": "url", "url": "https://x.test"}}, True),
        ({"type": "document", "source": {}, "cache_control": {"type": "ephemeral"}}, True),
        ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {}}]}, True),
    ],
)
def test_whether_there_are_attachments(block: Json, expected: bool) -> None:
    body = json.dumps(with_messages({"role": "user", "content": [block]})).encode()
    assert sanitized_request(body, model="m", traits=BUDGET).has_attachments is expected
