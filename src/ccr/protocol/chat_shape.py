"""The types in a chat request, wherever the chat API says one: wrong ones never reach an upstream.

Only types are looked at, and whether anything may be answered at all (``max_tokens``). What is missing,
unknown, or of the right type and an odd value, is the upstream's to judge, because endpoints differ in that.
``null`` stands for an absent key everywhere, as OpenAI's clients write it. Source: OpenAI's reference of
``POST /v1/chat/completions``, and what its server answers (400, with the key named).
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ccr.errors import RequestError
from ccr.protocol.anthropic import refusal_of_body
from ccr.protocol.openai import ChatRequest, decode_chat_request

Json = dict[str, Raw]
Number = int | float
Text = str | None


class _ImageUrl(Struct):
    url: str
    detail: Text = None


class _Part(Struct):
    type: str
    text: str | UnsetType | None = UNSET
    refusal: Text = None
    image_url: str | _ImageUrl | None = None
    file: Json | None = None
    input_audio: Json | None = None
    cache_control: Json | None = None
    summary: list[Json] | None = None


class _CalledFunction(Struct):
    name: Text = None
    arguments: Text = None


class _Call(Struct):
    id: Text = None
    type: Text = None
    function: _CalledFunction | None = None
    custom: Json | None = None


class _Message(Struct):
    role: str
    content: str | list[_Part] | None = None
    name: Text = None
    refusal: Text = None
    tool_call_id: Text = None
    tool_calls: list[_Call] | None = None
    function_call: _CalledFunction | None = None


class _Function(Struct):
    name: str
    description: Text = None
    parameters: Json | None = None
    strict: bool | None = None


class _Tool(Struct):
    type: Text = None
    function: _Function | None = None
    custom: Json | None = None
    cache_control: Json | None = None


class _Chat(Struct):
    model: str
    messages: list[_Message]
    tools: list[_Tool] | None = None
    tool_choice: str | Json | None = None
    functions: list[_Function] | None = None
    function_call: str | Json | None = None
    parallel_tool_calls: bool | None = None
    stream: bool | None = None
    stream_options: Json | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: int | None = None
    top_logprobs: int | None = None
    logprobs: bool | None = None
    logit_bias: Json | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    n: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    response_format: Json | None = None
    reasoning_effort: Text = None
    thinking: Json | None = None
    output_config: Json | None = None
    metadata: Json | None = None
    user: Text = None
    service_tier: Text = None
    store: bool | None = None
    modalities: list[str] | None = None


_DECODER = msgspec.json.Decoder(_Chat)


def decode_client_chat_request(data: bytes) -> ChatRequest:
    """Return the request of a client's body, as `decode_chat_request` does, with all of its types right.

    Raises RequestError (400) that names the key, what stands there and what may.
    """
    chat = decode_chat_request(data)
    check_chat_shape(data)
    return chat


def check_chat_shape(data: bytes) -> None:
    """Refuse a body in which something has another type than the chat API gives it, or no token is wanted.

    Raises RequestError (400) that names the key, what stands there and what may.
    """
    try:
        chat = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of_body(error) from None
    for key in ("max_tokens", "max_completion_tokens"):
        limit: int | None = getattr(chat, key)
        if limit is not None and limit < 1:
            raise RequestError(f"{key}: must be greater than or equal to 1")
    for index, message in enumerate(chat.messages):
        parts = message.content if isinstance(message.content, list) else ()
        for place, part in enumerate(parts):
            if part.type == "text" and not isinstance(part.text, str):
                raise RequestError(f"messages.{index}.content.{place}.text: Field required")
