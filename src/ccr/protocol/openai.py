"""The OpenAI chat request as ccr writes and relays it: plain dicts whose opaque leaves are ``msgspec.Raw``.

Transformers work on these dicts. Tool parameters stay the client's bytes; tool-call arguments are a JSON
*string* whose text is the client's. This module knows no model and no endpoint.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, Required, TypedDict, TypeVar, cast

import msgspec
from msgspec import Raw

from ccr.errors import RequestError
from ccr.protocol.anthropic import check_model_name, checked_text, refusal_of_body
from ccr.protocol.history_memory import HISTORIES


class CacheControl(TypedDict):
    """A cache breakpoint, in the one form Databricks takes."""

    type: Literal["ephemeral"]


class ImageUrl(TypedDict):
    """The address of an image: a data URL or an http URL."""

    url: str


class File(TypedDict):
    """A document as a data URL."""

    filename: str
    file_data: str


class Summary(TypedDict, total=False):
    """One piece of reasoning: ``summary_text`` (text, signature) or ``summary_encrypted_text`` (data)."""

    type: Required[Literal["summary_text", "summary_encrypted_text"]]
    text: str
    signature: str
    data: str


class ContentPart(TypedDict, total=False):
    """One part of array-form content; which keys are set depends on ``type``."""

    type: Required[str]
    text: str
    image_url: ImageUrl
    file: File
    summary: list[Summary]
    cache_control: CacheControl


class CalledFunction(TypedDict):
    """Name and arguments of a call; ``arguments`` is JSON in a string."""

    name: str
    arguments: str


class ToolCall(TypedDict):
    """A call the assistant made."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class MessageThinking(TypedDict):
    """The thinking before a message, for transformers to send in the form their provider takes."""

    content: str
    signature: str


class ChatMessage(TypedDict, total=False):
    """One message; an assistant message with tool calls may have no ``content``.

    thinking: only where a transformer asked for it (``ModelTraits.handled``), which then takes it away.
    """

    role: Required[str]
    content: str | list[ContentPart] | None
    tool_calls: list[ToolCall]
    tool_call_id: str
    thinking: MessageThinking


class ChatFunction(TypedDict, total=False):
    """A function the model may call; ``parameters`` is a JSON Schema object (or a dict of Raw values)."""

    name: Required[str]
    description: str
    parameters: Raw | dict[str, Raw]


class ChatTool(TypedDict):
    """A tool definition."""

    type: Literal["function"]
    function: ChatFunction
    cache_control: NotRequired[CacheControl]


class NamedFunction(TypedDict):
    """The function part of a forced choice."""

    name: str


class NamedToolChoice(TypedDict):
    """A choice that forces one function."""

    type: Literal["function"]
    function: NamedFunction


class ChatThinking(TypedDict, total=False):
    """Databricks' ``thinking`` parameter."""

    type: Required[Literal["enabled", "adaptive"]]
    budget_tokens: int
    display: str


class ChatOutputConfig(TypedDict, total=False):
    """Databricks' ``output_config`` parameter."""

    effort: str


class ChatRequest(TypedDict, total=False):
    """The body of ``POST …/chat/completions``; keys the client added itself are kept as Raw values."""

    model: Required[str]
    messages: Required[list[ChatMessage]]
    tools: list[ChatTool]
    tool_choice: str | NamedToolChoice
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    stop: list[str]
    thinking: ChatThinking
    output_config: ChatOutputConfig
    reasoning_effort: str
    stream: bool
    parallel_tool_calls: bool


_T = TypeVar("_T")

_ENCODER = msgspec.json.Encoder()
_BODY = msgspec.json.Decoder(dict[str, Raw])
_MODEL = msgspec.json.Decoder(str)
_STREAM = msgspec.json.Decoder(bool | None)
_OBJECTS = msgspec.json.Decoder(list[dict[str, Raw]])
_CALLS = msgspec.json.Decoder(list[dict[str, Raw]] | None)
_ROLE = msgspec.json.Decoder(str)
_CONTENT = msgspec.json.Decoder(str | list[dict[str, Any]] | None)


def encode_chat_request(chat: ChatRequest) -> bytes:
    """Return the bytes of a chat request; Raw leaves are copied verbatim, and so is what is remembered."""
    messages: object = chat.get("messages")
    if not isinstance(messages, list):  # a step may have made something else of the request
        return _ENCODER.encode(chat)
    return _ENCODER.encode({**chat, "messages": HISTORIES.written(messages)})


def decode_chat_request(data: bytes) -> ChatRequest:
    """Return the request of a ``POST /v1/chat/completions`` body, with unknown keys kept and numbers exact.

    ``model``, ``stream``, each message's ``role`` and ``content``, and the objects of ``tools`` and
    ``tool_calls`` are Python values; everything else is Raw. Raises RequestError (400) on whatever is not
    such a request.
    """
    body = _decoded(_BODY, data, "")
    checked_text(data)
    chat: dict[str, object] = dict(body)
    for key in ("model", "messages"):
        if key not in body:
            raise RequestError(f"{key}: Field required")
    model = _decoded(_MODEL, body["model"], "model")
    check_model_name(model)
    chat["model"] = model
    messages = _decoded(_OBJECTS, body["messages"], "messages")
    if not messages:
        raise RequestError("messages: at least one message is required")
    chat["messages"] = [_message(message, index) for index, message in enumerate(messages)]
    if "stream" in body:
        chat["stream"] = bool(_decoded(_STREAM, body["stream"], "stream"))
    if "tools" in body:
        chat["tools"] = _decoded(_CALLS, body["tools"], "tools") or []
    return cast("ChatRequest", chat)


def _message(message: dict[str, Raw], index: int) -> dict[str, object]:
    where = f"messages.{index}"
    if "role" not in message:
        raise RequestError(f"{where}.role: Field required")
    decoded: dict[str, object] = dict(message)
    decoded["role"] = _decoded(_ROLE, message["role"], f"{where}.role")
    if "content" in message:
        decoded["content"] = _decoded(_CONTENT, message["content"], f"{where}.content")
    if "tool_calls" in message:
        decoded["tool_calls"] = _decoded(_CALLS, message["tool_calls"], f"{where}.tool_calls")
    return decoded


def _decoded(decoder: msgspec.json.Decoder[_T], data: bytes | Raw, where: str) -> _T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal_of_body(error, where) from None
