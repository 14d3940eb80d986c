"""The request with which the client has its conversation summed up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.compaction import INSTRUCTION, is_compaction

ASKED = {"type": "text", "text": f"{INSTRUCTION}\n\n- Do NOT use Read"}
OTHER = {"type": "text", "text": "hello"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([OTHER, ASKED], True),
        ([ASKED, OTHER], True),
        ([ASKED, OTHER, OTHER], False),
        (f"\n{INSTRUCTION}", True),
        (f"They said: {INSTRUCTION}", False),
        ("hello", False),
        ([{"type": "tool_result", "tool_use_id": "t", "content": INSTRUCTION}], False),
        ([], False),
    ],
)
def test_the_last_message_decides(content: Any, expected: bool) -> None:
    messages = [{"role": "user", "content": content}]
    body = {"model": "m", "messages": messages}
    assert is_compaction(decode_messages_request(json.dumps(body).encode())) is expected
    body["messages"] = [*messages, {"role": "user", "content": "more"}]
    assert not is_compaction(decode_messages_request(json.dumps(body).encode()))
