"""Whatever a client sends: the endpoint gets what it takes, nothing said is lost, and once is enough."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ccr.protocol.native_request import sanitized_request
from tests.protocol.chat_requests import ALL_TRAITS, Json, with_messages
from tests.protocol.native_requests import ENDPOINT
from tests.protocol.test_chat_properties import MESSAGES, OPTIONS

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

BODY_KEYS = {
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "metadata",
    "max_tokens",
    "thinking",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "output_config",
    "stream",
}
KEYS_OF_BLOCK = {
    "text": {"type", "text", "citations", "cache_control"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "title", "context", "citations", "cache_control"},
    "search_result": {"type", "source", "title", "content", "citations", "cache_control"},
    "tool_use": {"type", "id", "name", "input", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
THINKING = {"thinking", "redacted_thinking"}
BODIES = st.builds(
    lambda messages, options: with_messages(*messages) | options,
    st.lists(MESSAGES, min_size=1, max_size=6),
    OPTIONS,
)


def violations(body: Json) -> list[str]:
    """Return what the endpoint would refuse that the client did not ask for by itself."""
    found = [f"key {key}" for key in body.keys() - BODY_KEYS]
    if body["messages"][0]["role"] != "user":
        found.append("the first message is not the user's")
    for message in body["messages"]:
        if message.keys() != {"role", "content"} or message["role"] not in ("user", "assistant"):
            found.append(f"message {message}")
        blocks = blocks_of(message["content"])
        found += [] if blocks else ["message without content"]
        found += [fault for block in blocks for fault in violations_of_block(block)]
        if all(block["type"] in THINKING for block in blocks) and message["role"] == "assistant":
            found.append("nothing but thinking")
    found += [fault for block in blocks_of(body.get("system", [])) for fault in violations_of_block(block)]
    if ("tool_choice" in body and "tools" not in body) or body.get("tools") == []:
        found.append("tools")
    found += [f"tool {tool}" for tool in body.get("tools", []) if "type" in tool]
    return found + violations_of_thinking(body)


def violations_of_block(block: Json) -> list[str]:
    found = [f"{block['type']}.{key}" for key in block.keys() - KEYS_OF_BLOCK[block["type"]]]
    if block["type"] == "text" and not block["text"].strip():
        found.append("blank text")
    if block.get("cache_control", {"type": "ephemeral"}).keys() - {"type", "ttl"}:
        found.append("cache_control")
    if block["type"] == "thinking" and not block["signature"]:
        found.append("unsigned thinking")
    if block["type"] == "tool_result" and isinstance(block.get("content"), list):
        found += [fault for inner in block["content"] for fault in violations_of_block(inner)]
    return found


def violations_of_thinking(body: Json) -> list[str]:
    thinking = body.get("thinking", {"type": "disabled"})
    if thinking["type"] == "disabled":
        return []
    found = []
    if body.get("temperature", 1) != 1 or "top_k" in body:
        found.append("sampling beside thinking")
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        found.append("forced tool beside thinking")
    if thinking["type"] == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        found.append("budget")
    return found


def blocks_of(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


@settings(max_examples=300)
@given(BODIES, st.sampled_from(ALL_TRAITS))
def test_the_endpoint_takes_it_and_a_second_time_changes_nothing(body: Json, traits: ModelTraits) -> None:
    first = sanitized_request(json.dumps(body).encode(), model=ENDPOINT, traits=traits)
    assert violations(json.loads(first.body)) == []
    assert len(set(first.rules)) == len(first.rules)
    second = sanitized_request(first.body, model=ENDPOINT, traits=traits)
    assert second.body == first.body
    assert second.rules == ()
    assert second.stream == first.stream == bool(body.get("stream"))


NUMBERS = st.integers(-(10**30), 10**30).map(str) | st.sampled_from(["1.0", "1e5", "0.10", "-0"])
STRINGS = st.text(st.characters(exclude_categories=["Cs"])).map(json.dumps) | st.sampled_from([r'"\u00e9\/"'])
INPUTS = st.dictionaries(STRINGS, NUMBERS | STRINGS, max_size=3).map(
    lambda pairs: "{" + ",".join(f"{key}:{value}" for key, value in pairs.items()) + "}"
)
SAID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda value: value.strip())


@given(st.lists(st.tuples(st.sampled_from(["user", "system"]), SAID, INPUTS, SAID), min_size=1, max_size=4))
def test_no_word_and_no_input_is_lost(rounds: list[tuple[str, str, str, str]]) -> None:
    """Each round: words of the user or of a system message, a call with an input, its result."""
    messages = []
    pieces = []
    for index, (role, words, used, result) in enumerate(rounds):
        said, answer = json.dumps(f"{index}: {words}"), json.dumps(result)
        call = f'"id":"t{index}","name":"T","input":{used}'
        returned = f'"tool_use_id":"t{index}","content":{answer}'
        messages += [
            f'{{"role":"{role}","content":[{{"type":"text","text":{said}}}]}}',
            f'{{"role":"assistant","content":[{{"type":"tool_use",{call}}}]}}',
            f'{{"role":"user","content":[{{"type":"tool_result",{returned}}}]}}',
        ]
        pieces += [said[1:-1], call, returned]
    body = f'{{"model":"m","max_tokens":9,"messages":[{",".join(messages)}]}}'
    sent = sanitized_request(body.encode(), model="e", traits=ALL_TRAITS[0]).body.decode()
    position = 0
    for piece in pieces:
        position = sent.index(piece, position) + len(piece)
