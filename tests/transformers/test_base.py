"""What a step does that overrides nothing: it hands on what it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ccr.transformers.base import Completion, Context, Target, Transformer

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatRequest


def test_a_step_that_overrides_nothing_changes_nothing() -> None:
    step, context = Transformer({"a": 1}), Context(provider="p", model="m")
    chat = cast("ChatRequest", {"model": "m", "messages": []})
    target = Target("https://x.test/", {})
    completion: Completion = {"choices": []}
    assert step.options == {"a": 1}
    assert step.request(chat, context) is chat
    assert step.target(target, context) is target
    assert step.completion(completion, context) is completion
    assert step.stream(context) is None
