"""A conversation whose history a server is to hold is refused on both routes, never cut to its last turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.errors import RequestError
from ccr.protocol.anthropic import decode_count_request, decode_messages_request
from ccr.protocol.native_request import sanitized_request
from ccr.protocol.traits import ModelTraits

BODY: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
THREADS = [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}, "anything"]


def native(data: bytes) -> object:
    return sanitized_request(data, model="m", traits=ModelTraits())


@pytest.mark.parametrize("decode", [decode_messages_request, decode_count_request, native])
@pytest.mark.parametrize("thread", THREADS)
def test_threads_are_refused_in_the_words_the_client_decides_by(decode: Any, thread: object) -> None:
    with pytest.raises(RequestError, match=r"thread: .*whole history") as caught:
        decode(json.dumps({**BODY, "thread": thread}).encode())
    assert caught.value.status == 400
    assert caught.value.details == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


@pytest.mark.parametrize("decode", [decode_messages_request, native])
def test_no_thread_is_no_thread(decode: Any) -> None:
    decode(json.dumps({**BODY, "thread": None}).encode())
