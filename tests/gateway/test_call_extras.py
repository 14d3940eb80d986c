"""Gemini's signatures over two turns of a client that knows nothing of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.raw_client import ask, request
from tests.server.service import MODEL, config_for, message_body, running
from tests.upstream.raw import DONE, FINISH, Exchange, chunk_of, raw_upstream

SIGNED = {"extra_content": {"google": {"thought_signature": "s=="}}}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "Read", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "call_1", "name": "Read", "input": {}}


async def calling(exchange: Exchange) -> None:
    if json.loads(exchange.got.body).get("stream"):
        await exchange.stream_head()
        await exchange.chunk(chunk_of(delta={"tool_calls": [{"index": 0, **CALL, **SIGNED}]}))
        await exchange.chunk(FINISH + DONE)
        await exchange.end()
    else:
        message = {"role": "assistant", "tool_calls": [{**CALL, **SIGNED}]}
        await exchange.answer(json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}))


@pytest.mark.parametrize("stream", [True, False])
async def test_a_signature_comes_back_with_its_call(*, stream: bool) -> None:
    messages = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "r"}]},
    ]
    async with raw_upstream(calling) as raw, running(config_for(raw.url)) as service:
        body = message_body(stream=stream)
        first = await ask(service.port, request(service.port, body=body))
        assert first.status == 200
        assert b"thought_signature" not in first.body
        await service.idle()
        await ask(service.port, request(service.port, body=message_body(stream=stream, messages=messages)))
        sent = json.loads(raw.got[1].body)
        assert [call for each in sent["messages"] for call in each.get("tool_calls", ())] == [
            {**CALL, **SIGNED}
        ]
        await service.idle()
        assert "call_signature_restored" in service.records[1]["rules"]
        assert service.records[1]["upstream_model"] == MODEL
