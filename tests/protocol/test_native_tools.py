"""Tools and the choice among them."""

from __future__ import annotations

import pytest

from tests.protocol.chat_requests import (
    ADAPTIVE,
    ALWAYS,
    EPHEMERAL,
    Json,
    custom_tool,
    text,
    user,
    with_messages,
)
from tests.protocol.native_requests import sanitized

BASH = custom_tool()
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
PLACEHOLDER = custom_tool("DeferredToolPlaceholder", defer_loading=True)


@pytest.mark.parametrize(
    ("given", "sent", "rules"),
    [
        (None, None, ()),
        ([], None, ()),
        ([BASH], [BASH], ()),
        ([BASH | {"type": "custom"}], [BASH | {"type": "custom"}], ()),
        ([BASH | {"type": None}], [BASH | {"type": None}], ()),
        (
            [custom_tool(cache_control={"type": "ephemeral", "scope": "x"})],
            [custom_tool(cache_control=EPHEMERAL)],
            ("cache_control_reduced",),
        ),
        (
            [custom_tool(defer_loading=True, strict=False, input_examples=[{}])],
            [BASH],
            ("tool_defer_loading_dropped", "tool_input_examples_dropped", "tool_strict_dropped"),
        ),
        (
            [custom_tool(eager_input_streaming=True, allowed_callers=["direct"], novel=1)],
            [BASH],
            ("tool_options_dropped",),
        ),
        ([BASH, PLACEHOLDER], [BASH], ("placeholder_tool_dropped",)),
        ([PLACEHOLDER], None, ("placeholder_tool_dropped",)),
        ([custom_tool("DeferredToolPlaceholder")], [custom_tool("DeferredToolPlaceholder")], ()),
        (
            [{"type": "bash_20250124", "name": "bash", "defer_loading": True}],
            [{"type": "bash_20250124", "name": "bash"}],
            ("tool_defer_loading_dropped",),
        ),
        (
            [{"type": "text_editor_20250728", "name": "e", "max_characters": 9, "cache_control": EPHEMERAL}],
            [{"type": "text_editor_20250728", "name": "e", "max_characters": 9, "cache_control": EPHEMERAL}],
            (),
        ),
    ],
)
def test_tools(given: list[Json] | None, sent: list[Json] | None, rules: tuple[str, ...]) -> None:
    result = sanitized(with_messages(user("a"), tools=given))
    assert result.body.get("tools") == sent
    assert result.rules == rules


def test_a_type_written_with_escapes_is_the_same_type() -> None:
    result = sanitized(with_messages(user("a"), tools=[BASH | {"type": "cust\u00f6m"}]))
    assert "tools" not in result.body
    assert result.rules == ("server_tools_dropped",)


@pytest.mark.parametrize("tool", [WEB_SEARCH, {"type": "mcp_toolset"}, {"type": "web_fetch_1", "name": ""}])
def test_hosted_tools_are_dropped_and_the_model_is_told(tool: Json) -> None:
    result = sanitized(with_messages(user("a"), system=[text("s")], tools=[BASH, tool]))
    assert result.body["tools"] == [BASH]
    kept, note = result.body["system"]
    assert kept == text("s")
    assert (tool.get("name") or tool["type"]) in note["text"]
    assert result.rules == ("server_tools_dropped",)


AUTO = {"type": "auto"}
FORCED = {"type": "tool", "name": "Bash"}


@pytest.mark.parametrize(
    ("tools", "choice", "is_thinking", "sent", "rules"),
    [
        ([BASH], None, False, None, ()),
        ([BASH], AUTO, True, AUTO, ()),
        ([BASH], FORCED, False, FORCED, ()),
        ([BASH], {"type": "none"}, True, {"type": "none"}, ()),
        ([BASH], FORCED, True, AUTO, ("forced_tool_choice_as_auto",)),
        (
            [BASH],
            {"type": "any", "disable_parallel_tool_use": True},
            True,
            {"type": "auto", "disable_parallel_tool_use": True},
            ("forced_tool_choice_as_auto",),
        ),
        ([], AUTO, False, None, ("tool_choice_dropped",)),
        (
            [WEB_SEARCH],
            {"type": "tool", "name": "web_search"},
            False,
            None,
            ("server_tools_dropped", "tool_choice_dropped"),
        ),
        (
            [BASH, PLACEHOLDER],
            {"type": "tool", "name": "DeferredToolPlaceholder"},
            False,
            None,
            ("placeholder_tool_dropped", "tool_choice_dropped"),
        ),
        ([BASH, WEB_SEARCH], {"type": "any"}, False, {"type": "any"}, ("server_tools_dropped",)),
        ([BASH], {"type": "tool", "name": "Other"}, False, {"type": "tool", "name": "Other"}, ()),
    ],
)
def test_tool_choice(
    tools: list[Json], choice: Json | None, is_thinking: bool, sent: Json | None, rules: tuple[str, ...]
) -> None:
    thinking = {"type": "adaptive"} if is_thinking else None
    body = with_messages(user("a"), tools=tools, tool_choice=choice, thinking=thinking)
    result = sanitized(body, ADAPTIVE)
    assert result.body.get("tool_choice") == sent
    assert result.rules == rules


@pytest.mark.parametrize("thinking_key", [{}, {"thinking": {"type": "disabled"}}])
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "Bash"}])
def test_a_model_that_always_thinks_cannot_be_forced(thinking_key: Json, choice: Json) -> None:
    body = with_messages(user("a"), tools=[BASH], tool_choice=choice, **thinking_key)
    result = sanitized(body, ALWAYS)
    assert result.body["tool_choice"] == {"type": "auto"}
    assert "forced_tool_choice_as_auto" in result.rules
    assert "thinking" not in result.body
    assert sanitized(body, ADAPTIVE).body["tool_choice"] == choice
