"""Refusals of an endpoint that is stricter than today's, on both routes."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.sandbox import Workspace
from ccr.sandbox.models import rules_of
from ccr.sandbox.refusals import Refused
from ccr.sandbox.tomorrow import Tomorrow
from tests.sandbox.bodies import OLD, native_body
from tests.sandbox.http import SERVING, ask, chat

BODY: dict[str, Any] = {
    "metadata": {"user_id": "u"},
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [{"type": "tool_result", "content": [{"type": "text", "citations": []}]}, "text"],
        }
    ],
    "tools": [{"name": "a", "input_schema": {"foo": 1}, "strict": True}],
}


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("metadata", "metadata"),
        ("user_id", "metadata.user_id"),
        ("cache_control", "system.0.text.cache_control"),
        ("strict", "tools.0.custom.strict"),
        ("citations", "messages.0.content.0.tool_result.content.0.text.citations"),
        ("foo", None),
    ],
)
def test_a_key_is_refused_by_its_path(key: str, path: str | None) -> None:
    tomorrow = Tomorrow(frozenset({key}))
    if path is None:
        tomorrow.check_keys(BODY)
        return
    with pytest.raises(Refused) as caught:
        tomorrow.check_keys(BODY)
    assert caught.value.refusal.sentence == f"{path}: Extra inputs are not permitted"


def test_nothing_is_different_by_default() -> None:
    tomorrow = Tomorrow()
    rules = rules_of(OLD)
    tomorrow.check_keys(BODY)
    assert tomorrow.rules(rules) is rules
    assert tomorrow.problem_of_betas({"anthropic-beta": "x"}) is None


async def test_both_routes_are_stricter() -> None:
    async with Workspace(max_output=100, refused_betas=["effort-2025-11-24"]) as workspace:
        refused = [
            await chat(workspace, max_tokens=101),
            await ask(workspace, "POST", SERVING, json=native_body(max_tokens=101)),
        ]
        for answered in refused:
            assert answered.status == 400
            assert "101 > 100" in answered.json["message"]
        workspace.tomorrow.max_output = None
        workspace.tomorrow.keys = frozenset({"max_tokens"})
        for answered in [
            await chat(workspace, max_tokens=101),
            await ask(workspace, "POST", SERVING, json=native_body(max_tokens=101)),
        ]:
            assert "max_tokens: Extra inputs" in answered.json["message"]
        assert len(workspace.refusals) == 4
