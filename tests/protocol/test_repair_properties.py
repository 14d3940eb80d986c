"""Whatever a request holds, a repaired one is valid and differs in the named thing only."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.chat_from_messages import chat_request_from_messages
from ccr.protocol.openai import decode_chat_request
from ccr.protocol.repairs import repair_of
from tests.protocol.chat_requests import (
    ALL_TRAITS,
    Json,
    assistant,
    custom_tool,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
)
from tests.protocol.endpoint_rules import violations
from tests.protocol.repairable import plain

EXTRA = "Extra inputs are not permitted"
MARK = {"type": "ephemeral"}
# The refusal, and the keys of the request that its repair may change.
REFUSALS = {
    f"output_config: {EXTRA}": {"output_config"},
    f"stop: {EXTRA}": {"stop"},
    f"top_k: {EXTRA}": {"top_k"},
    f"thinking.adaptive.display: {EXTRA}": {"thinking"},
    f"tools.0.custom.strict: {EXTRA}": {"tools"},
    f"tools.0.cache_control: {EXTRA}": {"tools", "messages"},
    "max_tokens (32000) cannot exceed 8192": {"max_tokens", "thinking"},
    "max_tokens: 2000 > 1000, which is the maximum": {"max_tokens", "thinking", "messages"},
    "messages.1.content.0: Invalid `signature` in `thinking` block": {"messages", "thinking"},
    "adaptive thinking is not supported on this model": {"messages", "thinking"},
    '"thinking.type.enabled" is not supported for this model': {"messages", "thinking"},
    "This model does not support thinking": {"messages", "thinking"},
    "`temperature` is not supported for this model.": {"temperature"},
    "Thinking may not be enabled when tool_choice forces tool use.": {"tool_choice"},
    "This model does not support the effort parameter": {"output_config", "reasoning_effort"},
}
STEPS = st.lists(
    st.lists(st.sampled_from([thinking(), thinking(""), text("a", cache_control=MARK)]), max_size=2),
    max_size=3,
)


@st.composite
def bodies(draw: st.DrawFn) -> Json:
    messages = [user(text("u", cache_control=MARK))]
    for number, blocks in enumerate(draw(STEPS)):
        messages += [assistant(*blocks, tool_use(f"t{number}")), user(tool_result(f"t{number}"))]
    if draw(st.booleans()):
        messages += [assistant(thinking(), "done"), user("next")]
    options: dict[str, st.SearchStrategy[Any]] = {
        "thinking": st.sampled_from(
            [{"type": "adaptive", "display": "omitted"}, {"type": "enabled", "budget_tokens": 9000}]
        ),
        "output_config": st.just({"effort": "high"}),
        "temperature": st.just(1),
        "top_k": st.just(3),
        "stop_sequences": st.just(["x"]),
        "tool_choice": st.sampled_from([{"type": "any"}, {"type": "tool", "name": "Bash"}]),
    }
    keys = draw(st.fixed_dictionaries({}, optional=options))
    tools = [custom_tool("Bash", cache_control=MARK), custom_tool("Read")]
    limit = draw(st.sampled_from([1024, 1500, 32_000]))
    return {"model": "m", "max_tokens": limit, "messages": messages, "tools": tools, **keys}


@given(
    body=bodies(),
    traits=st.sampled_from(ALL_TRAITS),
    refusal=st.sampled_from(sorted(REFUSALS)),
    is_openai=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_a_repaired_request_is_valid_and_differs_in_the_named_thing_only(
    body: Json, traits: Any, refusal: str, *, is_openai: bool
) -> None:
    chat = chat_request_from_messages(
        decode_messages_request(json.dumps(body).encode()), model="m", traits=traits
    ).chat
    if is_openai:
        chat = decode_chat_request(json.dumps(plain(chat)).encode())
    before = plain(chat)
    repair = repair_of(400, refusal.encode(), chat)
    if repair is None:
        return
    repaired = repair.apply(chat)
    after = plain(repaired)
    assert plain(chat) == before
    assert after != before
    assert repair.apply(repaired) is repaired
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} <= REFUSALS[
        refusal
    ]
    assert set(violations(after)) <= set(violations(before))
    assert spoken(after) == spoken(before)


def spoken(chat: Json) -> list[str]:
    """Return all texts, calls and results, in order."""
    return re.findall(
        r'"(?:text|arguments|content|tool_call_id)": "[^"]*"', json.dumps(without_reasoning(chat))
    )


def without_reasoning(value: Any) -> Any:
    if isinstance(value, list):
        kept = [item for item in value if not (isinstance(item, dict) and item.get("type") == "reasoning")]
        return [without_reasoning(item) for item in kept]
    if isinstance(value, dict):
        return {key: without_reasoning(inner) for key, inner in value.items()}
    return value


LONG = (
    "a",
    "thinking ",
    "max_tokens ",
    f"{'a.' * 90}: {EXTRA} ",
    "signature ",
    "temperature top_p ",
    "cache_control ",
    "`",
    "loc' : (",
    "effort ",
    "unknown field ",
    "not supported ",
    "tool_choice ",
    "expected thinking ",
    "[",
)


@pytest.mark.parametrize("said", LONG)
@pytest.mark.parametrize("status", [400, 429])
def test_a_long_refusal_is_read_and_means_nothing(said: str, status: int) -> None:
    chat = decode_chat_request(b'{"model": "m", "messages": [{"role": "user"}], "max_tokens": 9000}')
    assert repair_of(status, (said * 70_000)[:70_000].encode(), chat) is None
