"""For the tests of the Responses API: a body as a dict in, the chat as read back from JSON out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ccr.errors import RequestError
from ccr.protocol.chat_from_responses import ChatFromResponses, chat_from_responses
from ccr.protocol.openai import encode_chat_request
from ccr.protocol.responses_for_model import chat_for_model
from ccr.protocol.responses_request import ResponsesRequest, decode_responses_request

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

Json = dict[str, Any]


class Converted(NamedTuple):
    """A chat as read back from its bytes, and the names of the rules applied."""

    chat: Json
    rules: tuple[str, ...]

    @property
    def messages(self) -> list[Json]:
        return list(self.chat["messages"])


def request_of(**body: Any) -> ResponsesRequest:
    return decode_responses_request(json.dumps({"model": "m", "input": "hello", **body}).encode())


def conversion_of(**body: Any) -> ChatFromResponses:
    return chat_from_responses(request_of(**body))


def converted(**body: Any) -> Converted:
    """Return what a request says whatever its model is."""
    found = conversion_of(**body)
    return Converted(json.loads(encode_chat_request(found.chat)), found.rules)


def for_model(traits: ModelTraits, options: Json | None = None, **body: Any) -> Converted:
    """Return what a model is sent, and the rules that it needs."""
    request = request_of(**body)
    chat = chat_from_responses(request).chat
    before = encode_chat_request(chat)
    made, rules = chat_for_model(
        chat, is_summary_wanted=request.is_summary_wanted, traits=traits, **(options or {})
    )
    assert encode_chat_request(chat) == before, "the request was changed in place"
    return Converted(json.loads(encode_chat_request(made)), rules)


def refusal_of(**body: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        conversion_of(**body)
    assert caught.value.status == 400
    return caught.value
