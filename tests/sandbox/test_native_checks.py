from __future__ import annotations

from typing import Any

import pytest

from ccr.sandbox.direct_checks import problem_of_direct_request
from ccr.sandbox.models import rules_of
from ccr.sandbox.native_checks import problem_of_native_headers, problem_of_native_request
from tests.sandbox.bodies import NEW, OLD, PNG, Body, changed, native_body, native_loop

PLAIN = native_body()
LOOP = native_loop()
SECOND_STEP = LOOP | {
    "messages": [
        *LOOP["messages"],
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_3", "name": "Bash", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_3"}]},
    ]
}
EXTRA = "Extra inputs are not permitted"
TOOL = {"name": "Bash", "input_schema": {"type": "object"}}
SCOPED = {"type": "ephemeral", "scope": "global"}


def sentence_of(body: Body, model: str = OLD) -> str:
    refusal = problem_of_native_request(body, rules_of(model))
    return "taken" if refusal is None else refusal.sentence


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (PLAIN, OLD),
        (LOOP, OLD),
        (SECOND_STEP, OLD),
        (native_body(system="You help.", model=NEW, thinking={"type": "adaptive"}), NEW),
        (native_body(tools=[TOOL | {"type": "custom"}], tool_choice={"type": "any"}), OLD),
        (native_body(tools=[TOOL], tool_choice={"type": "tool", "name": "Bash"}), OLD),
        (native_body(messages=[*PLAIN["messages"], {"role": "assistant", "content": "I"}]), OLD),
    ],
)
def test_takes(body: Body, model: str) -> None:
    assert sentence_of(body, model) == "taken"


REFUSED: list[tuple[Body, str]] = [
    *[
        (native_body(**{name: {}}), f"{name}: {EXTRA}")
        for name in ("context_management", "container", "safeguards", "mcp_servers", "service_tier", "betas")
    ],
    (native_body(output_config={"effort": "high"}), f"output_config: {EXTRA}"),
    (changed(PLAIN, "max_tokens"), "max_tokens: Field required"),
    (native_body(max_tokens=64_001), "max_tokens: 64001 > 64000"),
    (native_body(metadata={"user": "x"}), f"metadata.user: {EXTRA}"),
    (native_body(stop_sequences=[""]), "must contain non-whitespace"),
    (native_body(stop_sequences="x"), "stop_sequences: Input should be a valid list"),
    (native_body(system=[{"type": "text", "text": ""}]), "text content blocks must be non-empty"),
    (native_body(system=[{"type": "image"}]), "system.0.type: Input should be 'text'"),
    (changed(LOOP, "system.0.cache_control", SCOPED), f"system.0.cache_control.ephemeral.scope: {EXTRA}"),
    (
        native_body(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        "tools.0: Input tag 'web_search_",
    ),
    (native_body(tools=[TOOL | {"defer_loading": True}]), f"tools.0.custom.defer_loading: {EXTRA}"),
    (native_body(tools=[TOOL | {"eager_input_streaming": True}]), f"custom.eager_input_streaming: {EXTRA}"),
    (native_body(tools=[{"name": "Bash"}]), "tools.0.custom.input_schema: Field required"),
    (native_body(tools=[TOOL, TOOL]), "Tool names must be unique"),
    (native_body(tool_choice={"type": "auto"}), "tool_choice: cannot be given without tools"),
    (native_body(tools=[TOOL], tool_choice={"type": "required"}), "tool_choice: Input tag 'required'"),
    (native_body(tools=[TOOL], tool_choice={"type": "tool", "name": "No"}), "tool 'No' not found"),
    (LOOP | {"tool_choice": {"type": "any"}}, "Thinking may not be enabled"),
    (native_body(messages=[]), "messages: at least one message is required"),
    (native_body(messages=[{"role": "assistant", "content": "x"}]), 'first message must use the "user" role'),
    (
        native_body(messages=[*PLAIN["messages"], {"role": "system", "content": "x"}]),
        'Unexpected role "system"',
    ),
    (changed(PLAIN, "messages.0.role", "tool"), "messages.0.role: Input should be 'user' or 'assistant'"),
    (changed(PLAIN, "messages.0.id", "x"), f"messages.0.id: {EXTRA}"),
    (changed(PLAIN, "messages.0.content", []), "text content blocks must be non-empty"),
    (changed(PLAIN, "messages.0.content", " "), "must contain non-whitespace text"),
    (changed(LOOP, "messages.0.content.0.type", "tool_use"), "messages.0.content.0: Input tag 'tool_use'"),
    (
        changed(LOOP, "messages.2.content.1.content.0", {"type": "tool_reference", "tool_name": "X"}),
        "messages.2.content.1.tool_result.content.0: Input tag 'tool_reference'",
    ),
    (changed(LOOP, "messages.0.content.1.source", {"type": "url", "url": "x"}), f"source.url: {EXTRA}"),
    (changed(LOOP, "messages.0.content.1.source.media_type", "image/tiff"), "Input should be base64 data of"),
    (changed(LOOP, "messages.0.content.2.source.data", PNG), "The PDF specified was not valid"),
    (
        changed(LOOP, "messages.1.content.0.signature", "x"),
        "messages.1.content.0: Invalid `signature` in `thinking`",
    ),
    (changed(LOOP, "messages.1.content.1.data", "x"), "Invalid `data` in `redacted_thinking`"),
    (changed(changed(LOOP, "messages.1.content.0"), "messages.1.content.0"), "but found `text`"),
    (LOOP | {"thinking": {"type": "disabled"}}, "cannot contain `thinking`"),
    (SECOND_STEP | {"thinking": {"type": "disabled"}}, "messages.1.content.0.type: When `thinking` is"),
    (
        changed(SECOND_STEP, "messages.1.content", SECOND_STEP["messages"][1]["content"][2:]),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`",
    ),
    (changed(LOOP, "messages.1.content.3.id", "a b"), "tool_use.id: String should match pattern"),
    (changed(LOOP, "messages.1.content.3.name", "a b"), "tool_use.name: String should match pattern"),
    (changed(LOOP, "messages.1.content.3.input", "x"), "tool_use.input: Input should be a valid dictionary"),
    (changed(LOOP, "messages.1.content.3.id", "toolu_2"), "`tool_use` ids must be unique"),
    (changed(LOOP, "messages.2.content.0.is_error", 1), "is_error: Input should be a valid boolean"),
    (changed(LOOP, "messages.2.content.0.tool_use_id", "toolu_9"), "unexpected `tool_use_id`"),
    (changed(LOOP, "messages.2.content.0.tool_use_id", "toolu_1"), "unexpected `tool_use_id`"),
    (changed(LOOP, "messages.2.content.0"), "messages.1: `tool_use` ids were found without"),
    (
        LOOP | {"messages": LOOP["messages"][:2], "thinking": None},
        "messages.1: `tool_use` ids were found without",
    ),
    (changed(LOOP, "messages.2.content.2.cache_control", SCOPED), f"ephemeral.scope: {EXTRA}"),
    (
        changed(
            LOOP,
            "messages.2.content",
            [
                *LOOP["messages"][2]["content"],
                *({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}} for _ in range(2)),
            ],
        ),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (native_body(messages=[{"role": "user", "content": "word " * 200_000}]), "prompt is too long: "),
]


@pytest.mark.parametrize(("body", "expected"), REFUSED, ids=[expected[:60] for _, expected in REFUSED])
def test_refuses(body: Body, expected: str) -> None:
    assert expected in sentence_of(body)


@pytest.mark.parametrize("model", ["databricks-claude-opus-5-5", "databricks-claude-fable-5-1"])
def test_models_that_always_think_cannot_be_forced(model: str) -> None:
    tool = {"name": "Bash", "input_schema": {"type": "object"}}
    body = native_body(model=model, tools=[tool], tool_choice={"type": "any"})
    assert sentence_of(body, model) == "Thinking may not be enabled when tool_choice forces tool use."
    assert problem_of_native_request(body, rules_of(NEW)) is None, "others think only when they are asked to"


def test_newer_families_take_no_prefill() -> None:
    body = native_body(messages=[*PLAIN["messages"], {"role": "assistant", "content": "I"}])
    assert "does not support assistant message prefill" in sentence_of(body, NEW)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"anthropic-version": "2023-06-01"}, "taken"),
        ({"anthropic-version": "2023-06-01", "anthropic-beta": "claude-code-20250219, "}, "taken"),
        ({}, "anthropic-version: header is required"),
        (
            {"anthropic-version": "2023-06-01", "anthropic-beta": "effort-2025-11-24,new-2027-01-01"},
            "Unexpected value(s) `new-2027-01-01` for the `anthropic-beta` header.",
        ),
    ],
)
def test_headers(headers: dict[str, str], expected: str) -> None:
    refusal = problem_of_native_headers(headers)
    assert (refusal.sentence if refusal else "taken") == expected


class TestDirect:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"context_management": {}, "output_config": {"effort": "high"}, "model": "claude-any"},
            {
                "messages": [
                    {"role": "user", "content": "x"},
                    {"role": "system", "content": [{"type": "text", "text": "y"}]},
                ]
            },
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            {"messages": LOOP["messages"]},
            {
                "messages": changed(LOOP, "messages.2.content.1.content.0", {"type": "tool_reference"})[
                    "messages"
                ]
            },
        ],
    )
    def test_takes(self, fields: dict[str, Any]) -> None:
        assert problem_of_direct_request(native_body(**fields)) is None

    def test_counts_need_no_limit(self) -> None:
        assert problem_of_direct_request(changed(PLAIN, "max_tokens"), is_count=True) is None

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (changed(PLAIN, "max_tokens"), "max_tokens: Field required"),
            (changed(PLAIN, "model"), "model: Input should be a valid string"),
            (changed(PLAIN, "messages"), "messages: Input should be a valid list"),
            (
                changed(PLAIN, "messages", [{"role": "system", "content": "x"}]),
                "at least one message is required",
            ),
            (changed(PLAIN, "messages.0.role", "tool"), "messages.0.role: Input should be"),
            (changed(PLAIN, "messages.0.content", ""), "must be non-empty"),
            (changed(LOOP, "messages.1.content.2.text", " "), "must contain non-whitespace"),
            (
                changed(LOOP, "messages.1.content.0.thinking", "else"),
                "messages.1.content.0: Invalid `signature`",
            ),
            (changed(LOOP, "messages.1.content.1.data", "else"), "messages.1.content.1: Invalid `data`"),
            (changed(LOOP, "messages.1.content.3.name"), "name: Input should be a valid string"),
            (changed(LOOP, "messages.1.content.3.input", "x"), "input: Input should be a valid dictionary"),
            (changed(LOOP, "messages.2.content.0"), "were found without `tool_result`"),
            (
                changed(LOOP, "messages.2.content.0.tool_use_id"),
                "tool_use_id: Input should be a valid string",
            ),
            (native_body(tools=[{}]), "tools.0.name: Input should be a valid string"),
        ],
    )
    def test_refuses(self, body: Body, expected: str) -> None:
        refusal = problem_of_direct_request(body)
        assert refusal is not None
        assert expected in refusal.sentence
        assert refusal.body == {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": refusal.sentence},
        }

    def test_thinking_of_another_model_is_taken(self) -> None:
        assert problem_of_direct_request(native_body(model="claude-else", messages=LOOP["messages"])) is None
