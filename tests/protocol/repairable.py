"""For the tests of repairs: requests with something of everything in them, and refusals as bodies."""

from __future__ import annotations

import json
from typing import Any

from ccr.protocol.openai import ChatRequest, decode_chat_request, encode_chat_request
from ccr.protocol.repairs import repair_of

Json = dict[str, Any]

MARK = {"type": "ephemeral"}
REASONING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm", "signature": "sig"}]}
HIDDEN = {"type": "reasoning", "summary": [{"type": "summary_encrypted_text", "data": "xx"}]}
CALL = {"id": "t1", "type": "function", "function": {"name": "Bash", "arguments": '{"command": "ls"}'}}
TOOL = {
    "type": "function",
    "function": {"name": "Bash", "description": "d", "parameters": {"type": "object", "strict": 1}},
    "cache_control": MARK,
}
SYSTEM = {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": MARK}]}
USER = {"role": "user", "content": [{"type": "text", "text": "u", "cache_control": MARK}]}
STEP = {"role": "assistant", "content": [REASONING, {"type": "text", "text": "a"}], "tool_calls": [CALL]}
STEP_WITHOUT = {**STEP, "content": [{"type": "text", "text": "a"}]}
RESULT = {"role": "tool", "tool_call_id": "t1", "content": [{"type": "text", "text": "r"}]}
ANSWER = {"role": "assistant", "content": [HIDDEN, {"type": "text", "text": "b"}]}
IN_LOOP = [SYSTEM, USER, STEP, RESULT]
AFTER_LOOP = [SYSTEM, USER, STEP, RESULT, ANSWER, {"role": "user", "content": "next"}]
ENABLED = {"type": "enabled", "budget_tokens": 10_000}
ADAPTIVE = {"type": "adaptive", "display": "summarized"}


def body(**keys: Any) -> Json:
    """Return a chat request; a key of None is left out."""
    chat = {"model": "m", "messages": AFTER_LOOP, "tools": [TOOL, TOOL], "max_tokens": 32_000, "stream": True}
    return {key: value for key, value in {**chat, **keys}.items() if value is not None}


def request(**keys: Any) -> ChatRequest:
    """Return a chat request as the gateway has it: half of it opaque."""
    return decode_chat_request(json.dumps(body(**keys)).encode())


def plain(chat: ChatRequest) -> Json:
    """Return a chat request as the upstream reads it."""
    read: Json = json.loads(encode_chat_request(chat))
    return read


def databricks(sentence: str) -> bytes:
    """Return a refusal as Databricks sends it: JSON in a message."""
    inner = json.dumps({"message": sentence}) + "\n"
    return json.dumps({"error_code": "BAD_REQUEST", "message": inner}).encode()


def anthropic(sentence: str) -> bytes:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": sentence}}
    return json.dumps(error).encode()


def external(sentence: str) -> bytes:
    said = {"error": "Received error from amazon-bedrock", "external_model_message": {"message": sentence}}
    return json.dumps(said).encode()


def twice_wrapped(sentence: str) -> bytes:
    return databricks(anthropic(sentence).decode())


def bare(sentence: str) -> bytes:
    return sentence.encode()


WRAPPERS = (databricks, anthropic, external, twice_wrapped, bare)


def repaired(sentence: str | bytes, *, status: int = 400, **keys: Any) -> tuple[str, Json] | None:
    """Return the rule and the repaired request; the repair must not have changed what it was given."""
    chat = request(**keys)
    data = sentence if isinstance(sentence, bytes) else databricks(sentence)
    repair = repair_of(status, data, chat)
    if repair is None:
        return None
    after = repair.apply(chat)
    assert plain(chat) == body(**keys)
    assert repair.apply(after) is after
    return repair.rule, plain(after)
