"""Parameters of OpenAI's clients that Claude on Databricks does not take."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec import Raw

from ccr.transformers.base import Context
from ccr.transformers.databricks import DatabricksCustom
from ccr.transformers.databricks_parameters import response_format_as_instruction, stream_options_removed

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatRequest

Json = dict[str, Any]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "A", "strict": True, "schema": SCHEMA}}
USER = {"role": "user", "content": "x"}


def chat(*messages: Json, **keys: object) -> ChatRequest:
    return cast("ChatRequest", {"model": "m", "messages": list(messages), **keys})


def system_texts(given: ChatRequest) -> list[str]:
    content = given["messages"][0]["content"]
    assert given["messages"][0]["role"] in ("system", "developer")
    return [content] if isinstance(content, str) else [str(part["text"]) for part in content or []]


def test_stream_options_go() -> None:
    given = chat(USER, stream=True, stream_options={"include_usage": True})
    assert stream_options_removed(given) == chat(USER, stream=True)
    assert stream_options_removed(chat(USER)) == chat(USER)


@pytest.mark.parametrize("wanted", [BY_SCHEMA, Raw(json.dumps(BY_SCHEMA).encode())])
def test_a_schema_is_asked_for_in_words(wanted: object) -> None:
    changed = response_format_as_instruction(chat(USER, response_format=wanted))
    assert "response_format" not in changed
    (text,) = system_texts(changed)
    assert json.loads(text.partition("\n")[2]) == SCHEMA
    assert changed["messages"][1:] == [USER]


@pytest.mark.parametrize(
    ("system", "kept"),
    [
        ({"role": "system", "content": "Be kind."}, ["Be kind."]),
        ({"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}, ["Be kind."]),
        ({"role": "system", "content": None}, []),
    ],
)
def test_the_instruction_comes_behind_what_the_system_message_says(system: Json, kept: list[str]) -> None:
    given = chat(system, USER, response_format={"type": "json_object"})
    before = copy.deepcopy(given)
    changed = response_format_as_instruction(given)
    assert system_texts(changed)[:-1] == kept
    assert "JSON object" in system_texts(changed)[-1]
    assert given == before


@pytest.mark.parametrize(
    "wanted", [{"type": "text"}, {"type": "json_schema"}, "json", {"type": "json_schema", "json_schema": 1}]
)
def test_a_format_that_says_nothing_goes(wanted: object) -> None:
    assert response_format_as_instruction(chat(USER, response_format=wanted)) == chat(USER)


def test_a_request_without_messages_gets_one() -> None:
    changed = response_format_as_instruction(chat(response_format={"type": "json_object"}))
    assert len(changed["messages"]) == 1


@pytest.mark.parametrize(
    ("model", "is_changed"), [("databricks-claude-sonnet-4-5", True), ("databricks-gpt-5", False)]
)
def test_only_claude_is_asked_in_words(model: str, is_changed: bool) -> None:
    given = chat(USER, response_format={"type": "json_object"}, stream_options={})
    sent = DatabricksCustom({}).request(given, Context(provider="p", model=model))
    assert ("response_format" not in sent) is is_changed
    assert ("stream_options" not in sent) is is_changed
