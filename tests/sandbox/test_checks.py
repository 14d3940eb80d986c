"""Every refusal of the chat dialect, next to what is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.sandbox.checks import TOP_LEVEL, decode_body, problem_of_chat_request
from ccr.sandbox.models import rules_of
from ccr.sandbox.refusals import Refused
from tests.sandbox.bodies import (
    NEW,
    OLD,
    PDF,
    PNG,
    Body,
    changed,
    chat_body,
    chat_loop,
    function_tool,
    reasoning,
    redacted,
    tool_call,
)


def sentence_of(body: Body, model: str = OLD) -> str | None:
    refusal = problem_of_chat_request(body, rules_of(model))
    return None if refusal is None else refusal.sentence


PLAIN = chat_body()
LOOP = chat_loop()
SECOND_STEP = LOOP | {
    "messages": [
        *LOOP["messages"],
        {"role": "assistant", "tool_calls": [tool_call("toolu_3")]},
        {"role": "tool", "tool_call_id": "toolu_3", "content": "c"},
    ]
}
ADAPTIVE = chat_body(thinking={"type": "adaptive", "display": "summarized"}, output_config={"effort": "high"})

TAKEN: dict[str, tuple[Body, str]] = {
    "plain": (PLAIN, OLD),
    "loop with everything": (LOOP, OLD),
    "a loop whose later step has no reasoning": (SECOND_STEP, OLD),
    "adaptive": (ADAPTIVE, NEW),
    "adaptive and budget model": (ADAPTIVE, "databricks-claude-opus-4-6"),
    "plain on the same": (PLAIN, "databricks-claude-sonnet-4-6"),
    "an unknown family": (ADAPTIVE, "databricks-claude-next-9"),
    "max_completion_tokens": ({"messages": PLAIN["messages"], "max_completion_tokens": 5}, OLD),
    "no limit": ({"messages": PLAIN["messages"]}, OLD),
    "model in the body": (chat_body(model=OLD, n=1), OLD),
    "sampling": (chat_body(temperature=0.5, top_p=0.9, top_k=40, stop="END"), OLD),
    "sampling beside thinking": (LOOP | {"temperature": 1, "top_p": 0.95}, OLD),
    "assistant without content": (
        changed(LOOP, "messages.2.content") | {"thinking": {"type": "disabled"}},
        OLD,
    ),
    "assistant with null content": (changed(LOOP, "messages.2.content", None) | {"thinking": None}, OLD),
    "adaptive loop without thinking": (
        {
            "messages": changed(LOOP, "messages.2.content", "text")["messages"],
            "thinking": {"type": "adaptive"},
        },
        NEW,
    ),
    "prefill": (chat_body(messages=[*PLAIN["messages"], {"role": "assistant", "content": "I"}]), OLD),
    "prefill in parts": (
        chat_body(
            messages=[*PLAIN["messages"], {"role": "assistant", "content": [{"type": "text", "text": "I"}]}]
        ),
        OLD,
    ),
    "forced tool": (
        chat_body(tools=[function_tool()], tool_choice={"type": "function", "function": {"name": "Bash"}}),
        OLD,
    ),
    "required tool": (chat_body(tools=[function_tool()], tool_choice="required"), OLD),
    "tool without parameters": (
        chat_body(tools=[{"type": "function", "function": {"name": "Now"}}], tool_choice="none"),
        OLD,
    ),
    "limit of the model": (chat_body(max_tokens=64_000), OLD),
}


@pytest.mark.parametrize("name", TAKEN)
def test_takes(name: str) -> None:
    body, model = TAKEN[name]
    assert sentence_of(body, model) is None


EXTRA = "Extra inputs are not permitted"
REFUSED: list[tuple[Body, str]] = [
    *[
        (chat_body(**{name: value}), f"{name}: {EXTRA}")
        for name, value in {
            "reasoning_effort": "high",
            "parallel_tool_calls": False,
            "stream_options": {"include_usage": True},
            "store": False,
            "service_tier": "auto",
            "metadata": {},
            "user": "me",
            "prompt_cache_key": "k",
            "response_format": {"type": "json_object"},
            "seed": 1,
            "presence_penalty": 0,
            "logprobs": True,
            "context_management": {},
            "system": "x",
        }.items()
    ],
    # limits and sampling
    (chat_body(max_tokens=0), "max_tokens: Input should be greater than or equal to 1"),
    (chat_body(max_tokens=True), "max_tokens: Input should be a valid integer"),
    (chat_body(max_tokens="5"), "max_tokens: Input should be a valid integer"),
    (chat_body(max_tokens=64_001), "max_tokens: 64001 > 64000, which is the maximum"),
    (chat_body(max_completion_tokens=5), "max_completion_tokens: cannot be given beside max_tokens"),
    (chat_body(temperature=1.1), "temperature: range"),
    (chat_body(temperature="hot"), "temperature: Input should be a valid number"),
    (chat_body(top_k=1.5), "top_k: Input should be a valid number"),
    (chat_body(n=2), "n: Input should be 1"),
    (chat_body(stream="true"), "stream: Input should be a valid boolean"),
    (chat_body(stop=[" "]), "must contain non-whitespace"),
    (chat_body(stop=5), "stop: Input should be a valid list"),
    (chat_body(stop=[5]), "stop.0: Input should be a valid string"),
    # tools
    (chat_body(tools=[]), "tools: List should have at least 1 item"),
    (chat_body(tools={}), "tools: Input should be a valid list"),
    (chat_body(tools=[5]), "tools.0: Input should be a valid dictionary"),
    (chat_body(tools=[function_tool(strict=True)]), f"tools.0.custom.strict: {EXTRA}"),
    (chat_body(tools=[function_tool(defer_loading=True)]), f"tools.0.custom.defer_loading: {EXTRA}"),
    (chat_body(tools=[function_tool() | {"input_schema": {}}]), f"tools.0.input_schema: {EXTRA}"),
    (chat_body(tools=[function_tool() | {"type": "web_search"}]), "tools.0.type: Input should be 'function'"),
    (chat_body(tools=[function_tool("no spaces")]), "tools.0.custom.name: String should match pattern"),
    (chat_body(tools=[function_tool(), function_tool()]), "Tool names must be unique"),
    (chat_body(tools=[function_tool(description=None)]), "description: Input should be a valid string"),
    (chat_body(tools=[function_tool(parameters={})]), "input_schema.type: Input should be 'object'"),
    (chat_body(tools=[function_tool(parameters=[])]), "input_schema: Input should be a valid dictionary"),
    (
        chat_body(tools=[function_tool() | {"cache_control": {"type": "x"}}]),
        "cache_control.type: Input should be",
    ),
    # tool_choice
    (chat_body(tool_choice="auto"), "tool_choice: cannot be given without tools"),
    (chat_body(tools=[function_tool()], tool_choice="any"), "tool_choice: Input should be"),
    (
        chat_body(tools=[function_tool()], tool_choice={"type": "function", "function": {"name": "No"}}),
        "tool 'No' not found",
    ),
    (
        chat_body(tools=[function_tool()], tool_choice={"type": "tool", "name": "Bash"}),
        f"tool_choice.name: {EXTRA}",
    ),
    (LOOP | {"tool_choice": "required"}, "Thinking may not be enabled when tool_choice forces"),
    # thinking
    (chat_body(thinking="on"), "thinking: Input should be a valid dictionary"),
    (chat_body(thinking={"type": "maybe"}), "thinking: Input tag 'maybe'"),
    (chat_body(thinking={"type": "adaptive"}), '"thinking.type.adaptive" is not supported'),
    (chat_body(thinking={"type": "enabled"}), "budget_tokens: Field required"),
    (chat_body(thinking={"type": "enabled", "budget_tokens": 1023}), "greater than or equal to 1024"),
    (chat_body(thinking={"type": "enabled", "budget_tokens": 4000}), "`max_tokens` must be greater than"),
    (
        {"messages": PLAIN["messages"], "thinking": {"type": "enabled", "budget_tokens": 1024}},
        "`max_tokens` must be greater than",
    ),
    (
        chat_body(thinking={"type": "enabled", "budget_tokens": 1024, "display": "omitted"}),
        f"thinking.enabled.display: {EXTRA}",
    ),
    (LOOP | {"temperature": 0.5}, "`temperature` may only be set to 1"),
    (LOOP | {"top_k": 5}, "`top_k` must be unset"),
    (LOOP | {"top_p": 0.9}, "`top_p` must be greater than or equal to 0.95"),
    (chat_body(output_config={"effort": "high"}), f"output_config: {EXTRA}"),
    (
        changed(changed(LOOP, "messages.2.content.0"), "messages.2.content.0"),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`",
    ),
    (changed(LOOP, "messages.2.content"), "Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
    (LOOP | {"thinking": {"type": "disabled"}}, "cannot contain `thinking`"),
    (SECOND_STEP | {"thinking": {"type": "disabled"}}, "messages.1.content.0.type: When `thinking` is"),
    (
        changed(changed(SECOND_STEP, "messages.2.content"), "messages.6.content", [reasoning()]),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ),
    (
        chat_body(
            messages=[*PLAIN["messages"], {"role": "assistant", "content": [reasoning()]}, *PLAIN["messages"]]
        ),
        "The final block in an assistant message cannot be `thinking`",
    ),
    # reasoning is replayed word for word
    (
        changed(LOOP, "messages.2.content.0.summary.0.text", "I thought"),
        "messages.2.content.0: Invalid `signature`",
    ),
    (changed(LOOP, "messages.2.content.0", reasoning(model=NEW)), "Invalid `signature` in `thinking` block"),
    (changed(LOOP, "messages.2.content.0.summary.0.signature", "sig"), "Invalid `signature`"),
    (changed(LOOP, "messages.2.content.0.summary.0.signature"), "signature: Input should be a valid string"),
    (changed(LOOP, "messages.2.content.0.summary.0.extra", 1), f"summary.0.extra: {EXTRA}"),
    (changed(LOOP, "messages.2.content.0.summary.0.type", "x"), "summary.0.type: Input should be"),
    (changed(LOOP, "messages.2.content.0.summary", []), "exactly 1 item"),
    (changed(LOOP, "messages.2.content.0.cache_control", {"type": "ephemeral"}), f"cache_control: {EXTRA}"),
    (changed(LOOP, "messages.2.content.1", redacted(model=NEW)), "Invalid `data` in `redacted_thinking`"),
    (changed(LOOP, "messages.2.content.1.summary.0.data", "??"), "Invalid `data`"),
    # messages
    ({"max_tokens": 5}, "messages: Input should be a valid list"),
    (chat_body(messages=[]), "messages: at least one message is required"),
    (chat_body(messages=[{"role": "system", "content": "x"}]), "messages: at least one message is required"),
    (chat_body(messages=["x"]), "messages.0: Input should be a valid dictionary"),
    (chat_body(messages=[{"role": "developer", "content": "x"}]), "messages.0.role: Input should be"),
    (chat_body(messages=[{"role": "assistant", "content": "x"}]), 'first message must use the "user" role'),
    (
        chat_body(messages=[*PLAIN["messages"], {"role": "system", "content": "x"}]),
        "only allowed as the first message",
    ),
    (changed(PLAIN, "messages.0.name", "me"), f"messages.0.name: {EXTRA}"),
    (changed(PLAIN, "messages.0.cache_control", {}), f"messages.0.cache_control: {EXTRA}"),
    (changed(PLAIN, "messages.0.content"), "messages.0.content: Field required"),
    (changed(PLAIN, "messages.0.content", None), "messages.0.content: Field required"),
    (changed(PLAIN, "messages.0.content", 5), "messages.0.content: Input should be a valid list"),
    (changed(PLAIN, "messages.0.content", ""), "messages: text content blocks must be non-empty"),
    (changed(PLAIN, "messages.0.content", " \n"), "must contain non-whitespace text"),
    (changed(PLAIN, "messages.0.content", []), "messages: text content blocks must be non-empty"),
    (changed(LOOP, "messages.1.content.0.text", ""), "messages: text content blocks must be non-empty"),
    (changed(LOOP, "messages.2.content.2.text", "\t"), "must contain non-whitespace text"),
    (changed(LOOP, "messages.4.content", ""), "messages: text content blocks must be non-empty"),
    # parts
    (changed(LOOP, "messages.1.content.0", "x"), "messages.1.content.0: Input should be a valid dictionary"),
    (changed(LOOP, "messages.1.content.0", reasoning()), "messages.1.content.0: Input tag 'reasoning'"),
    (changed(LOOP, "messages.1.content.0.type"), "Input tag 'None'"),
    (changed(LOOP, "messages.1.content.0.text", 5), "text: Input should be a valid string"),
    (changed(LOOP, "messages.1.content.0.citations", []), f"text.citations: {EXTRA}"),
    (
        changed(LOOP, "messages.1.content.1.image_url.url", "http://a/b.png"),
        "Http data URLs are not supported",
    ),
    (
        changed(LOOP, "messages.1.content.1.image_url.url", "data:image/tiff;base64,AA=="),
        "image_url.url: Input",
    ),
    (changed(LOOP, "messages.1.content.1.image_url.url", f"data:image/png,{PNG}"), "image_url.url: Input"),
    (changed(LOOP, "messages.1.content.1.image_url.url", "data:image/png;base64,A*"), "invalid base64 data"),
    (changed(LOOP, "messages.1.content.1.image_url.url", "data:image/png;base64,"), "invalid base64 data"),
    (changed(LOOP, "messages.1.content.1.image_url.detail", "low"), f"image_url.detail: {EXTRA}"),
    (changed(LOOP, "messages.1.content.2.file.filename"), "filename: Input should be a valid string"),
    (changed(LOOP, "messages.1.content.2.file.file_id", "f"), f"file.file_id: {EXTRA}"),
    (
        changed(LOOP, "messages.1.content.2.file.file_data", f"data:text/plain;base64,{PDF}"),
        "data URL of application/pdf",
    ),
    (
        changed(LOOP, "messages.1.content.2.file.file_data", f"data:application/pdf;base64,{PNG}"),
        "The PDF specified was not valid",
    ),
    # cache_control
    (changed(LOOP, "messages.0.content.0.cache_control.ttl", "1h"), f"ephemeral.ttl: {EXTRA}"),
    (changed(LOOP, "messages.0.content.0.cache_control.scope", "x"), f"ephemeral.scope: {EXTRA}"),
    (
        changed(LOOP, "messages.0.content.0.cache_control", "x"),
        "cache_control: Input should be a valid dictionary",
    ),
    (
        changed(
            LOOP,
            "messages.5.content",
            [{"type": "text", "text": str(n), "cache_control": {"type": "ephemeral"}} for n in range(3)],
        ),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    # tool calls and results
    (changed(LOOP, "messages.2.tool_calls", []), "tool_calls: List should have at least 1 item"),
    (changed(LOOP, "messages.2.tool_calls.0", 5), "tool_calls.0: Input should be a valid dictionary"),
    (changed(LOOP, "messages.2.tool_calls.0.index", 0), f"tool_calls.0.index: {EXTRA}"),
    (changed(LOOP, "messages.2.tool_calls.0.type", "x"), "tool_calls.0.type: Input should be 'function'"),
    (changed(LOOP, "messages.2.tool_calls.0.id", "call é"), "id: String should match pattern"),
    (changed(LOOP, "messages.2.tool_calls.0.function.name", ""), "name: String should match pattern"),
    (changed(LOOP, "messages.2.tool_calls.0.function.strict", True), f"function.strict: {EXTRA}"),
    (changed(LOOP, "messages.2.tool_calls.0.function.arguments", "{"), "a JSON string that holds an object"),
    (changed(LOOP, "messages.2.tool_calls.0.function.arguments", "[]"), "a JSON string that holds an object"),
    (
        changed(LOOP, "messages.2.tool_calls.0.function.arguments", {}),
        "arguments: Input should be a valid string",
    ),
    (changed(LOOP, "messages.2.tool_calls.0.function.arguments", ""), "a JSON string that holds an object"),
    (changed(LOOP, "messages.2.tool_calls.1", tool_call("toolu_1")), "`tool_use` ids must be unique"),
    (changed(LOOP, "messages.4.tool_call_id"), "tool_call_id: Input should be a valid string"),
    (changed(LOOP, "messages.4.name", "Bash"), f"messages.4.name: {EXTRA}"),
    (changed(LOOP, "messages.4.tool_call_id", "toolu_9"), "messages.2.content: unexpected `tool_use_id`"),
    (changed(LOOP, "messages.4.tool_call_id", "toolu_2"), "unexpected `tool_use_id` found"),
    (changed(LOOP, "messages.4"), "messages.1: `tool_use` ids were found without `tool_result` blocks"),
    (
        LOOP | {"messages": LOOP["messages"][:4]},
        "were found without `tool_result` blocks immediately after: toolu_1",
    ),
    (changed(LOOP, "messages.4", {"role": "user", "content": "wait"}), "toolu_1"),
    (
        chat_body(messages=[{"role": "tool", "tool_call_id": "toolu_1", "content": "a"}]),
        "unexpected `tool_use_id`",
    ),
    (
        chat_body(messages=[*PLAIN["messages"], {"role": "assistant", "content": "I "}]),
        "cannot end with trailing whitespace",
    ),
    # context
    (chat_body(messages=[{"role": "user", "content": "word " * 200_000}]), "prompt is too long: 25"),
    (
        chat_body(messages=[{"role": "user", "content": "x" * 799_000}]),
        "input length and `max_tokens` exceed context limit: ",
    ),
]


@pytest.mark.parametrize(("body", "expected"), REFUSED, ids=[expected[:60] for _, expected in REFUSED])
def test_refuses(body: Body, expected: str) -> None:
    assert expected in (sentence_of(body) or "taken")


NEW_REFUSED: list[tuple[Body, str]] = [
    (chat_body(temperature=1), "`temperature` is not supported"),
    (chat_body(top_p=1), "`top_p` is not supported"),
    (chat_body(top_k=1), "`top_k` is not supported"),
    (
        chat_body(thinking={"type": "enabled", "budget_tokens": 1024}),
        '"thinking.type.enabled" is not supported',
    ),
    (chat_body(thinking={"type": "disabled"}), '"thinking.type.disabled" is not supported'),
    (chat_body(thinking={"type": "adaptive", "display": "updates"}), "display: Input should be"),
    (
        chat_body(thinking={"type": "adaptive", "budget_tokens": 1024}),
        f"thinking.adaptive.budget_tokens: {EXTRA}",
    ),
    (chat_body(output_config={"effort": "extreme"}), "output_config.effort: Input should be one of"),
    (chat_body(output_config={"format": {}}), f"output_config.format: {EXTRA}"),
    (chat_body(output_config=[]), "output_config: Input should be a valid dictionary"),
    (
        chat_body(messages=[*PLAIN["messages"], {"role": "assistant", "content": "I"}]),
        "does not support assistant",
    ),
    (
        chat_body(tools=[function_tool()], tool_choice="required", thinking={"type": "adaptive"}),
        "Thinking may not be enabled",
    ),
]


@pytest.mark.parametrize(
    ("body", "expected"), NEW_REFUSED, ids=[expected[:60] for _, expected in NEW_REFUSED]
)
def test_newer_families_refuse(body: Body, expected: str) -> None:
    assert expected in (sentence_of(body, NEW) or "taken")


def test_the_model_answers_in_json_inside_the_message() -> None:
    refusal = problem_of_chat_request(changed(PLAIN, "messages.0.content", ""), rules_of(OLD))
    assert refusal is not None
    assert refusal.status == 400
    assert refusal.body["error_code"] == "BAD_REQUEST"
    assert json.loads(refusal.body["message"]) == {
        "message": "messages: text content blocks must be non-empty"
    }


def test_remote_images_have_a_code_of_their_own() -> None:
    body = changed(LOOP, "messages.1.content.1.image_url.url", "https://example.invalid/a.png")
    refusal = problem_of_chat_request(body, rules_of(OLD))
    assert refusal is not None
    assert refusal.body == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "Http data URLs are not supported by Claude",
    }


def test_the_request_is_not_changed() -> None:
    body = chat_loop()
    problem_of_chat_request(body, rules_of(OLD))
    assert body == chat_loop()


def test_only_listed_fields_are_taken() -> None:
    assert "parallel_tool_calls" not in TOP_LEVEL


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\xff"}',
        b"{} x",
        b"[" * 100_000,
    ],
)
def test_refuses_what_is_no_object(raw: bytes) -> None:
    with pytest.raises(Refused):
        decode_body(raw)


def test_decodes_an_object() -> None:
    value: Any = {"a": [1, "é", None]}
    assert decode_body(json.dumps(value).encode()) == value
