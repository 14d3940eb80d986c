"""Fields are found by an upstream's path and taken out of every place of their kind, and of no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw

from ccr.protocol.repair_fields import MARK_FIELD, fields_in, without_field, without_key
from ccr.protocol.repairs import RepairRule, repair_of
from tests.protocol.repairable import (
    CALL,
    MARK,
    REASONING,
    TOOL,
    WRAPPERS,
    Json,
    body,
    plain,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EXTRA = "Extra inputs are not permitted"


def with_key(value: Json, path: str, key: str, found: Any = 1) -> Json:
    """Return the value with ``key`` in every object at the path, for instance ``tools.function``."""
    head, _, rest = path.partition(".")
    if not head:
        return {**value, key: found}
    inner = value[head]
    if isinstance(inner, list):
        return {**value, head: [with_key(item, rest, key, found) for item in inner]}
    return {**value, head: with_key(inner, rest, key, found)}


PARTS = [{"role": "user", "content": [{"type": "text", "text": "u", "cache_control": MARK}]}]
CALLS = [{"role": "user", "content": "u"}, {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]}]
THOUGHTS = [{"role": "assistant", "content": [REASONING]}]
PICTURES = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}
]

# The refusal; where the key stands in the request; its name for a person; messages that have such a place.
PLACED: list[tuple[str, str, str, str, list[Json]]] = [
    (f"context_management: {EXTRA}", "", "context_management", "context_management", PARTS),
    (f"`context_management`: {EXTRA}", "", "context_management", "context_management", PARTS),
    (f"body.context_management: {EXTRA}", "", "context_management", "context_management", PARTS),
    (f"output_config: {EXTRA}", "", "output_config", "output_config", PARTS),
    (f"prompt_cache_key: {EXTRA}", "", "prompt_cache_key", "prompt_cache_key", PARTS),
    (f"reasoning_effort: {EXTRA}", "", "reasoning_effort", "reasoning_effort", PARTS),
    (f"parallel_tool_calls: {EXTRA}", "", "parallel_tool_calls", "parallel_tool_calls", PARTS),
    ('json: unknown field "store"', "", "store", "store", PARTS),
    ('json: unknown field "store"', "tools", "store", "store", PARTS),
    ('json: unknown field "store"', "tools.function", "store", "store", PARTS),
    ('json: unknown field "store"', "messages", "store", "store", PARTS),
    ('json: unknown field "store"', "messages.content", "store", "store", PARTS),
    ("Unknown parameter: 'tools[0].function.strict'.", "tools.function", "strict", "tools.strict", PARTS),
    ("Unrecognized request argument supplied: store", "", "store", "store", PARTS),
    ("Unsupported parameter: 'store' is not supported with this model.", "", "store", "store", PARTS),
    ("unexpected keyword argument 'store'", "", "store", "store", PARTS),
    (
        "Invalid JSON payload received. Unknown name \"strict\" at 'tools[0].function': Cannot find field.",
        "tools.function",
        "strict",
        "tools.strict",
        PARTS,
    ),
    (f"tools.0.custom.strict: {EXTRA}", "tools.function", "strict", "tools.strict", PARTS),
    (f"tools.0.custom.defer_loading: {EXTRA}", "tools", "defer_loading", "tools.defer_loading", PARTS),
    (f"tools.7.eager_input_streaming: {EXTRA}", "tools", "eager_input_streaming", "", PARTS),
    (f"tools.0.function.strict: {EXTRA}", "tools.function", "strict", "tools.strict", PARTS),
    (
        f"system.1.cache_control.ephemeral.scope: {EXTRA}",
        "messages.content.cache_control",
        "scope",
        "",
        PARTS,
    ),
    (f"tools.0.cache_control.ephemeral.ttl: {EXTRA}", "tools.cache_control", "ttl", "", PARTS),
    (f"messages.0.content.0.text.citations: {EXTRA}", "messages.content", "citations", "", PARTS),
    (f"system.0.text.beta: {EXTRA}", "messages.content", "beta", "messages.content.beta", PARTS),
    (f"messages.2.name: {EXTRA}", "messages", "name", "messages.name", PARTS),
    (f"messages.0.content.0.image_url.detail: {EXTRA}", "messages.content.image_url", "detail", "", PICTURES),
    (f"messages.0.content.0.image.detail: {EXTRA}", "messages.content.image_url", "detail", "", PICTURES),
    (f"messages.0.content.0.thinking.index: {EXTRA}", "messages.content.summary", "index", "", THOUGHTS),
]


@pytest.mark.parametrize("wrapped", WRAPPERS)
@pytest.mark.parametrize(("sentence", "path", "key", "name", "messages"), PLACED)
def test_a_field_goes_from_everywhere_of_its_kind(
    sentence: str, path: str, key: str, name: str, messages: list[Json], wrapped: Callable[[str], bytes]
) -> None:
    expected = body(messages=messages)
    chat = request(**with_key(expected, path, key))
    repair = repair_of(400, wrapped(sentence), chat)
    assert repair is not None
    assert (repair.rule, repair.memory) == (RepairRule.UNKNOWN_FIELD_REMOVED, "model")
    assert name in ("", repair.what)
    assert plain(repair.apply(chat)) == expected


@pytest.mark.parametrize("path", ["messages.tool_calls", "messages.tool_calls.function"])
@pytest.mark.parametrize("named", ["messages.1.tool_calls.0.caller", "messages.1.content.0.tool_use.caller"])
def test_a_field_goes_from_all_calls(named: str, path: str) -> None:
    expected = body(messages=CALLS[1:])
    chat = request(**with_key(expected, path, "caller"))
    repair = repair_of(400, f"{named}: {EXTRA}".encode(), chat)
    assert repair is not None
    assert plain(repair.apply(chat)) == expected


def test_the_key_may_be_in_one_tool_only_and_everything_else_stays() -> None:
    strict = {**TOOL, "function": {**TOOL["function"], "strict": True}}  # type: ignore[dict-item]  # a dict
    chat = request(tools=[TOOL, strict])
    repair = repair_of(400, f"tools.1.custom.strict: {EXTRA}".encode(), chat)
    assert repair is not None
    repaired = repair.apply(chat)
    assert plain(repaired) == body()
    assert repaired["tools"][0] is chat["tools"][0]
    assert repaired["messages"] is chat["messages"]


def test_a_place_that_is_not_known_is_not_needed_to_find_the_field() -> None:
    chat = request(**with_key(body(messages=PARTS), "tools", "beta"))
    repair = repair_of(400, f"request.tools.0.beta: {EXTRA}".encode(), chat)
    assert repair is not None
    assert plain(repair.apply(chat)) == body(messages=PARTS)


def test_nested_options_go_without_their_neighbours_and_an_empty_one_goes_whole() -> None:
    chat = request(thinking={"type": "adaptive", "display": "omitted"}, output_config={"effort": "low"})
    display = repair_of(400, f"thinking.adaptive.display: {EXTRA}".encode(), chat)
    assert display is not None
    assert plain(display.apply(chat))["thinking"] == {"type": "adaptive"}
    effort = repair_of(400, f"output_config.effort: {EXTRA}".encode(), chat)
    assert effort is not None
    assert plain(effort.apply(chat)) == body(thinking={"type": "adaptive", "display": "omitted"})


@pytest.mark.parametrize(
    "sentence",
    [
        f"system.0.cache_control.ephemeral.scope: {EXTRA}",  # the request has no scope
        f"messages.3.content.0.cache_control: {EXTRA}",
        f"messages.3.content.0.tool_use.cache_control: {EXTRA}",
        f"tools.0.custom.cache_control: {EXTRA}",
        f"cache_control.type: {EXTRA}",
        'json: unknown field "cache_control"',
        "cache_control is only supported for Databricks-hosted Claude models",
        "This model does not support cache_control",
    ],
)
def test_a_refused_breakpoint_means_all_breakpoints(sentence: str) -> None:
    chat = request()
    repair = repair_of(400, sentence.encode(), chat)
    assert repair is not None
    assert (repair.what, repair.memory) == ("cache_control", "model")
    repaired = plain(repair.apply(chat))
    assert "cache_control" not in json.dumps(repaired)
    assert repaired["messages"][1]["content"] == [{"type": "text", "text": "u"}]


@pytest.mark.parametrize(
    "sentence",
    [
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        "messages.0.content.0.cache_control.ttl: a ttl='1h' block must not come after a ttl='5m' block",
    ],
)
def test_misplaced_breakpoints_go_from_this_request_only(sentence: str) -> None:
    chat = request()
    repair = repair_of(400, sentence.encode(), chat)
    assert repair is not None
    assert (repair.what, repair.memory) == ("cache_control", "request")
    repaired = repair.apply(chat)
    assert "cache_control" not in json.dumps(plain(repaired))
    assert without_field(repaired, MARK_FIELD) is repaired


@pytest.mark.parametrize(
    "path",
    [
        "model",
        "messages",
        "max_tokens",
        "tools",
        "stream",
        "messages.0.role",
        "messages.0.content",
        "messages.2.tool_calls",
        "messages.3.tool_call_id",
        "messages.0.content.0.type",
        "messages.0.content.0.text.text",
        "messages.2.content.0.thinking.signature",
        "messages.2.content.0.tool_use.name",
        "tools.0.custom.name",
        "tools.0.custom.description",
        "tools.0.function.parameters",
        "tools.0.custom.input_schema.strict",
        "tools.0.function.parameters.strict",
        "messages.1.content.0.tool_use.input.command",
        "thinking.enabled.budget_tokens",
        "no_such_field",
        "error",
    ],
)
def test_what_is_needed_or_opaque_or_absent_stays(path: str) -> None:
    assert repair_of(400, f"{path}: {EXTRA}".encode(), request(thinking=None, messages=PARTS)) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"detail":[{"loc":["body","store"],"msg":"Extra inputs are not permitted"}]}',
        "[{'type': 'extra_forbidden', 'loc': ('body', 'store'), 'msg': 'Extra inputs are not permitted'}]",
        "1 validation error for ChatRequest\nstore\n  Extra inputs are not permitted [type=extra_forbidden]",
        '{"message":"[{\\"loc\\": [\\"body\\", \\"store\\"], \\"msg\\": \\"Not permitted\\"}]"}',
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_validators_name_the_place_beside_the_sentence(text: str, status: int) -> None:
    chat = request(store=True)
    repair = repair_of(status, text.encode(), chat)
    assert repair is not None
    assert plain(repair.apply(chat)) == body()


def test_fields_are_named_once_and_not_without_end() -> None:
    text = "\n".join(f"f{number % 3}: {EXTRA}" for number in range(6)) + f"\nbody: {EXTRA}"
    assert [field.name for field in fields_in(text)] == ["f0", "f1", "f2"]
    assert len(list(fields_in("\n".join(f"g{number}: {EXTRA}" for number in range(99))))) == 8


def test_values_that_are_no_objects_stay() -> None:
    values: list[Any] = [Raw(b"1"), Raw(b'"a"'), "a", None, Raw(b'{"b":1}'), [Raw(b"[2]")]]
    for value in values:
        assert without_key(value, ("a",), "x") is value
        assert without_key(value, (), "x") is value


def test_opaque_values_are_copied_byte_for_byte() -> None:
    value = Raw(b'[{"a": 1.50, "x": 1}, 7]')
    assert without_key(value, (), "x") == [{"a": Raw(b"1.50")}, Raw(b"7")]
