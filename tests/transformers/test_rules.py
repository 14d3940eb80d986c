"""What the built-in steps drop or mend has a name: noted by the step, and listed in the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw

from ccr.config.model import Step
from ccr.protocol.thinking_wish import ThinkingWish
from ccr.transformers.base import Context
from ccr.transformers.registry import build
from ccr.transformers.rules import StepRule
from tests.transformers.answers import call, chunk, completed, completion, through, whole_call

if TYPE_CHECKING:
    from tests.protocol.message_oracle import Json

PAGE = (Path(__file__).parents[2] / "docs" / "transformers-builtin.md").read_text("utf-8")
ON = ThinkingWish(True, None, "high")
OFF = ThinkingWish(False)
USER: Json = {"role": "user", "content": "hi"}
MARK = {"type": "ephemeral"}
TOOL: Json = {"type": "function", "function": {"name": "f", "parameters": Raw(b'{"$schema":"x"}')}}
PLAIN_TOOL: Json = {"type": "function", "function": {"name": "f", "parameters": {}}}

REQUESTS: list[tuple[str, Any, dict[str, Any], dict[str, Any], set[str]]] = [
    # step, options, request, context, rules
    ("databricks-custom", {}, {}, {}, set()),
    (
        "databricks-custom",
        {},
        {"messages": [{"role": "user", "content": " "}]},
        {},
        {"blank_content_dropped"},
    ),
    (
        "databricks-custom",
        {},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": MARK}]}]},
        {},
        set(),
    ),
    ("databricks-custom", {}, {"tools": [{**TOOL, "cache_control": MARK}]}, {}, set()),
    (
        "databricks-custom",
        {},
        {"tools": [{**TOOL, "cache_control": {**MARK, "ttl": "1h"}}]},
        {},
        {"cache_control_reduced"},
    ),
    (
        "databricks-custom",
        {"cache_control": "strip"},
        {"tools": [{**TOOL, "cache_control": MARK}]},
        {},
        {"cache_control_dropped"},
    ),
    (
        "databricks-custom",
        {},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "/9j/4AA="}}]}
            ]
        },
        {},
        {"image_url_repaired"},
    ),
    ("databricks-custom", {}, {"parallel_tool_calls": True}, {}, {"parallel_tool_calls_removed"}),
    ("databricks-custom", {}, {"stream_options": {}}, {"model": "claude"}, {"stream_options_removed"}),
    ("databricks-custom", {}, {"stream_options": {}}, {"model": "llama"}, set()),
    ("databricks-custom", {}, {"seed": 1}, {"model": "claude"}, {"foreign_fields_removed"}),
    ("databricks-custom", {}, {"seed": 1}, {"model": "llama"}, set()),
    (
        "databricks-custom",
        {},
        {"messages": [{"role": "developer", "content": "x"}, USER]},
        {"model": "claude"},
        {"system_message_folded"},
    ),
    (
        "databricks-custom",
        {},
        {"messages": [USER, {"role": "assistant", "content": None}]},
        {"model": "claude"},
        {"empty_messages_mended"},
    ),
    (
        "databricks-custom",
        {},
        {"response_format": {"type": "json_object"}},
        {"model": "claude"},
        {"response_format_as_instruction"},
    ),
    ("cleancache", {}, {"tools": [{**TOOL, "cache_control": MARK}]}, {}, {"cache_control_dropped"}),
    ("cleancache", {}, {}, {}, set()),
    ("maxtoken", {"max_tokens": 5}, {"max_tokens": 6}, {}, {"max_tokens_capped"}),
    ("maxtoken", {"max_tokens": 5}, {"max_tokens": 5}, {}, set()),
    ("maxcompletiontokens", {"max_completion_tokens": 5}, {"max_tokens": 6}, {}, {"max_tokens_capped"}),
    ("sampling", {"temperature": 0.5}, {"temperature": 1}, {}, {"sampling_replaced"}),
    ("sampling", {"temperature": 0.5}, {"temperature": 0.5}, {}, set()),
    ("sampling", {"temperature": 0.5, "max_tokens": 5}, {"max_tokens": 6}, {}, {"max_tokens_capped"}),
    ("customparams", {"a": {"b": 1}}, {"a": {"b": 2}}, {}, {"parameters_replaced"}),
    ("customparams", {"a": {"b": 1}}, {"a": {"c": 2}}, {}, set()),
    ("customparams", {"a": 1}, {"a": 2}, {}, set()),
    ("groq", {}, {"tools": [TOOL]}, {}, {"schema_dialect_dropped"}),
    ("groq", {}, {"tools": [{**PLAIN_TOOL, "cache_control": MARK}]}, {}, {"cache_control_dropped"}),
    ("tooluse", {}, {"tools": [PLAIN_TOOL]}, {}, {"tool_choice_required"}),
    (
        "tooluse",
        {},
        {"tools": [PLAIN_TOOL], "thinking": {"type": "enabled"}},
        {},
        {"tool_choice_as_reminder"},
    ),
    ("tooluse", {}, {}, {}, set()),
    ("reasoning", {}, {}, {"thinking": ThinkingWish(True, 2000)}, set()),
    ("reasoning", {}, {}, {"thinking": ON}, {"effort_dropped"}),
    ("reasoning", {"enable": False}, {}, {"thinking": ON}, {"thinking_turned_off"}),
    ("deepseek", {}, {"max_tokens": 64_000}, {}, {"max_tokens_capped"}),
    (
        "deepseek",
        {},
        {"tools": [PLAIN_TOOL], "messages": [USER, {"role": "assistant", "content": "x"}]},
        {},
        {"reasoning_content_filled"},
    ),
    ("openrouter", {}, {}, {"thinking": ON}, set()),
    ("openrouter", {}, {}, {"thinking": OFF}, {"thinking_disabled_dropped"}),
    ("openrouter", {}, {}, {"thinking": ThinkingWish(True, None, "max")}, {"effort_replaced"}),
    ("openrouter", {}, {}, {"thinking": ThinkingWish(True, 2000, "high")}, {"effort_dropped"}),
    ("openrouter", {}, {"output_config": {"effort": "low"}}, {"model": "claude"}, {"effort_dropped"}),
    ("openrouter", {}, {"tools": [{**TOOL, "cache_control": MARK}]}, {}, {"cache_control_dropped"}),
    ("openrouter", {"provider": {"only": ["a"]}}, {"provider": {"only": ["b"]}}, {}, {"parameters_replaced"}),
    ("cerebras", {}, {"thinking": {"type": "enabled"}}, {}, {"thinking_dropped"}),
    ("cerebras", {}, {"thinking": {"type": "disabled"}}, {}, set()),
    ("forcereasoning", {}, {}, {"thinking": ON}, {"thinking_as_instruction"}),
    ("forcereasoning", {}, {}, {}, set()),
    ("streamoptions", {}, {"stream": True}, {}, set()),
    ("OpenAI", {}, {}, {}, set()),
]
EXIT = whole_call('{"response": "bye"}', name="ExitTool")
ANSWERS: list[tuple[str, list[Json], Json, set[str]]] = [
    # step, stream, the same as a whole answer, rules
    (
        "enhancetool",
        [chunk(call(0, "{'a': 1}", id="c1", name="f")), chunk({}, "tool_calls")],
        completion({"tool_calls": [whole_call("{'a': 1}")]}, "tool_calls"),
        {"arguments_repaired"},
    ),
    (
        "enhancetool",
        [chunk(call(0, '{"a": 1}', id="c1", name="f")), chunk({}, "tool_calls")],
        completion({"tool_calls": [whole_call('{"a": 1}')]}, "tool_calls"),
        set(),
    ),
    (
        "tooluse",
        [chunk(call(0, '{"response": "bye"}', id="c1", name="ExitTool")), chunk({}, "tool_calls")],
        completion({"tool_calls": [EXIT]}, "tool_calls"),
        {"exit_tool_as_text"},
    ),
    (
        "groq",
        [chunk(call(0, "{}", name="f")), chunk({}, "tool_calls")],
        completion({"tool_calls": [whole_call("{}", call_id=None)]}, "tool_calls"),
        {"call_id_made"},
    ),
    (
        "openrouter",
        [chunk(call(0, "{}", id="c1", name="f")), chunk({}, "stop")],
        completion({"tool_calls": [whole_call("{}")]}, "stop"),
        {"finish_reason_repaired"},
    ),
    (
        "extrathinktag",
        [chunk({"content": "<think>hm</think>yes"}), chunk({}, "stop")],
        completion({"content": "<think>hm</think>yes"}),
        {"thinking_parted"},
    ),
    ("extrathinktag", [chunk({"content": "yes"}), chunk({}, "stop")], completion({"content": "yes"}), set()),
]


class Noted:
    """A context that remembers what is noted."""

    def __init__(self, **about: Any) -> None:
        self.rules: list[str] = []
        values = {"provider": "p", "model": "m", "request_id": "req_1", **about}
        self.context = Context(**values, noted=self.rules.append)


@pytest.mark.parametrize(("name", "options", "request_", "about", "rules"), REQUESTS)
def test_requests(
    name: str, options: dict[str, Any], request_: dict[str, Any], about: dict[str, Any], rules: set[str]
) -> None:
    noted = Noted(**about)
    chat: Any = {"model": "m", "messages": [USER], **request_}
    build(Step(name=name, options=options)).request(chat, noted.context)
    assert set(noted.rules) == rules


@pytest.mark.parametrize(("name", "stream", "whole", "rules"), ANSWERS)
def test_answers(name: str, stream: list[Json], whole: Json, rules: set[str]) -> None:
    step = build(Step(name=name))
    for_stream, for_whole = Noted(is_stream=True), Noted()
    through(step, stream, for_stream.context)
    completed(step, whole, for_whole.context)
    assert set(for_stream.rules) == set(for_whole.rules) == rules


def test_every_rule_is_noted_by_a_step_and_is_in_the_docs() -> None:
    section = PAGE.partition("\n## Rules\n")[2]
    rows = re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(StepRule)
    noted = set().union(*(row[-1] for row in REQUESTS), *(row[-1] for row in ANSWERS))
    assert noted == set(StepRule)


def test_a_rule_needs_a_name() -> None:
    noted = Noted()
    noted.context.note("house_cap")
    for name in ("", "House", "a b", "a" * 65, "1a"):
        with pytest.raises(ValueError, match="a rule has a name"):
            noted.context.note(name)
    assert noted.rules == ["house_cap"]
    Context(provider="p", model="m").note("nobody_listens")
