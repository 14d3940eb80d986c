"""Tools of the Responses API as functions, the choice among them, and the way back to their names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.responses_requests import conversion_of, converted, refusal_of

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
READ = {"type": "function", "name": "read", "description": "Read.", "parameters": SCHEMA, "strict": False}
WRITE = {"type": "function", "name": "write", "parameters": SCHEMA}
PATCH = {"type": "custom", "name": "patch", "description": "Change files."}
SPACE = {"type": "namespace", "name": "mcp", "description": "More.", "tools": [READ, PATCH]}
SEARCH = {"type": "web_search"}


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def test_functions_stay_what_they_are() -> None:
    found = converted(tools=[READ, {**WRITE, "strict": True, "description": None}])
    assert found.chat["tools"] == [
        function("read", description="Read.", parameters=SCHEMA),
        function("write", parameters=SCHEMA, strict=True),
    ]
    assert found.rules == ()


@pytest.mark.parametrize("given", [{}, {"parameters": None}, {"parameters": {}}])
def test_a_function_without_parameters_has_an_object_without_properties(given: dict[str, Any]) -> None:
    found = converted(tools=[{"type": "function", "name": "now", **given}])
    assert found.chat["tools"] == [function("now", parameters={"type": "object", "properties": {}})]


def test_a_custom_tool_is_a_function_with_one_text() -> None:
    found = converted(tools=[PATCH])
    parameters = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    assert found.chat["tools"] == [function("patch", description="Change files.", parameters=parameters)]
    assert found.rules == ("custom_tool_as_function",)
    names = conversion_of(tools=[PATCH]).names
    assert names.of("patch") == ("custom", "patch", None)
    assert names.of("other") == ("function", "other", None)


@pytest.mark.parametrize("described", ["Change files.", None])
def test_a_grammar_is_told_in_words(described: str | None) -> None:
    form = {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}
    found = converted(tools=[{**PATCH, "description": described, "format": form}])
    told = found.chat["tools"][0]["function"]["description"]
    assert told.startswith(described or "`input` must be")
    assert told.endswith("(lark):\nstart: /x/")
    assert found.rules == ("custom_tool_as_function", "custom_tool_format_as_text")


def test_a_custom_tool_without_words_has_no_description() -> None:
    found = converted(tools=[{"type": "custom", "name": "patch", "format": {"type": "text"}}])
    assert "description" not in found.chat["tools"][0]["function"]


def test_tools_of_a_namespace_have_its_name_before_theirs() -> None:
    found = conversion_of(tools=[SPACE, READ])
    names = [tool["function"]["name"] for tool in found.chat["tools"]]
    assert names == ["mcp__read", "mcp__patch", "read"]
    assert found.names.of("mcp__read") == ("function", "read", "mcp")
    assert found.names.of("mcp__patch") == ("custom", "patch", "mcp")
    assert found.names.of("read") == ("function", "read", None)
    assert "namespace_flattened" in found.rules


def test_names_that_are_too_long_are_shortened_and_stay_apart() -> None:
    long = {
        "type": "namespace",
        "name": "n" * 40,
        "tools": [{**READ, "name": "a" * 30}, {**READ, "name": "a" * 31}],
    }
    found = conversion_of(tools=[long])
    first, second = (tool["function"]["name"] for tool in found.chat["tools"])
    assert len(first) == len(second) == 64
    assert first != second
    assert found.names.of(first).name == "a" * 30


def test_tools_that_run_elsewhere_are_left_out_and_the_model_is_told() -> None:
    found = converted(instructions="Be kind.", tools=[SEARCH, READ, {"type": "mcp"}, SEARCH])
    assert [tool["function"]["name"] for tool in found.chat["tools"]] == ["read"]
    told = found.messages[0]["content"]
    assert told.startswith("Be kind.\n\nThese tools are not available in this environment: web_search, mcp.")
    assert found.rules == ("server_tools_dropped",)


def test_a_name_that_is_there_twice_counts_once() -> None:
    found = converted(tools=[READ, {**READ, "description": "Other."}, {**READ, "defer_loading": True}])
    assert [tool["function"]["description"] for tool in found.chat["tools"]] == ["Read."]
    assert found.rules == ("duplicate_tool_dropped", "tool_defer_loading_dropped")


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "read"}, {"type": "function", "function": {"name": "read"}}),
        ({"type": "custom", "name": "patch"}, {"type": "function", "function": {"name": "patch"}}),
        (
            {"type": "function", "name": "read", "namespace": "mcp"},
            {"type": "function", "function": {"name": "mcp__read"}},
        ),
    ],
)
def test_choices(choice: Any, sent: Any) -> None:
    found = converted(tools=[READ, PATCH, SPACE], tool_choice=choice)
    assert found.chat.get("tool_choice") == sent


def test_some_of_the_tools_may_be_allowed() -> None:
    allowed = {"type": "allowed_tools", "mode": "required"}
    found = converted(
        tools=[READ, WRITE], tool_choice={**allowed, "tools": [{"type": "function", "name": "write"}, SEARCH]}
    )
    assert [tool["function"]["name"] for tool in found.chat["tools"]] == ["write"]
    assert found.chat["tool_choice"] == "required"
    assert found.rules == ("allowed_tools_filtered",)
    none = converted(tools=[READ], tool_choice={**allowed, "tools": [SEARCH]})
    assert not {"tools", "tool_choice"} & set(none.chat)


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        ({"tool_choice": "auto"}, ()),
        ({"tool_choice": "required"}, ("tool_choice_dropped",)),
        ({"tools": [SEARCH], "tool_choice": SEARCH}, ("server_tools_dropped", "tool_choice_dropped")),
        ({"parallel_tool_calls": False}, ()),
    ],
)
def test_without_functions_there_is_no_choice(body: dict[str, Any], rules: tuple[str, ...]) -> None:
    found = converted(**body)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(found.chat)
    assert found.rules == rules


def test_parallel_calls() -> None:
    assert converted(tools=[READ], parallel_tool_calls=False).chat["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in converted(tools=[READ]).chat


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{}]}, "tools.0.type"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools.0.name"),
        ({"tools": [{"type": "function", "name": 3}]}, "tools.0.name"),
        ({"tools": [{**READ, "parameters": "x"}]}, "tools.0.parameters"),
        ({"tools": [{**READ, "description": 3}]}, "tools.0.description"),
        ({"tools": [{"type": "namespace", "tools": []}]}, "tools.0.name"),
        ({"tools": [{"type": "namespace", "name": "n"}]}, "tools.0.tools"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [SEARCH]}]}, "tools.0.tools.0.type"),
        ({"tool_choice": "read"}, "tool_choice"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": {"type": ["function"]}}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tools": [READ], "tool_choice": {"type": "function", "name": "write"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
        ({"tool_choice": {"type": "allowed_tools", "tools": ["x"]}}, "tool_choice.tools"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [], "mode": "none"}}, "tool_choice.mode"),
        (
            {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "x"}]}},
            "tool_choice.tools.0.name",
        ),
    ],
)
def test_refusals_name_the_place(body: dict[str, Any], param: str) -> None:
    assert refusal_of(**body).param == param
