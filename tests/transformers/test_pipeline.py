"""Transformers by name, and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from ccr.config.model import Provider, Secret, Step
from ccr.transformers import Pipeline, Transformer, build
from ccr.transformers.base import Context
from ccr.transformers.databricks import DatabricksCustom
from ccr.transformers.openai import OpenAI

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatRequest

CHAT = cast(
    "ChatRequest", {"model": "m", "messages": [{"role": "user", "content": "a"}], "parallel_tool_calls": True}
)

CONTEXT = Context(provider="p", model="m")


def provider(*steps: Step, **model_steps: tuple[Step, ...]) -> Provider:
    return Provider(
        name="p", url="https://h/x", api_key=Secret("k"), models=("m",), steps=steps, model_steps=model_steps
    )


class Appending(Transformer):
    """Writes its option behind the model, to show the order."""

    name = "appending"

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        changed = chat.copy()
        changed["model"] += self.options["text"]
        return changed


def appending(text: str) -> Transformer:
    return Appending({"text": text})


@pytest.mark.parametrize(("name", "kind"), [("OpenAI", OpenAI), ("databricks-custom", DatabricksCustom)])
def test_built_in_names(name: str, kind: type[Any]) -> None:
    assert type(build(Step(name=name))) is kind
    assert kind.name == name


@pytest.mark.parametrize("name", ["anthropic", "openai", "", "nothing"])
def test_unknown_names_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"unknown transformer .*; known transformers: Anthropic, OpenAI, .*databricks-custom",
    ):
        build(Step(name=name))


def test_options_reach_the_transformer() -> None:
    with pytest.raises(ValueError, match="cache_control"):
        build(Step(name="databricks-custom", options={"cache_control": "x"}))


def test_openai_changes_nothing() -> None:
    assert OpenAI({}).request(CHAT, CONTEXT) is CHAT


def test_steps_run_one_after_the_other() -> None:
    result = Pipeline([appending("-1"), appending("-2")]).request(CHAT, CONTEXT)
    assert result["model"] == "m-1-2"
    assert CHAT["model"] == "m"
    assert Pipeline([]).request(CHAT, CONTEXT) is CHAT


def test_the_providers_steps_come_before_the_models_own() -> None:
    config = provider(Step(name="OpenAI"), Step(name="databricks-custom"), m=(Step(name="OpenAI"),))
    assert [step.name for step in Pipeline.of(config, "m").steps] == ["OpenAI", "databricks-custom", "OpenAI"]
    assert [step.name for step in Pipeline.of(config, "n").steps] == ["OpenAI", "databricks-custom"]
    assert "parallel_tool_calls" not in Pipeline.of(config, "m").request(CHAT, CONTEXT)


def test_a_step_that_cannot_be_built_stops_the_pipeline() -> None:
    with pytest.raises(ValueError, match="unknown transformer 'x'"):
        Pipeline.of(provider(Step(name="x")), "m")
