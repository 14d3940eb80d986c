"""What OpenAI's clients write into a conversation, and Claude on Databricks does not take; ccr never does.

    parameters and fields of OpenAI's own service     removed: the endpoint refuses every key it does not know
    parameters that are null, a list of no tools      removed
    the role `developer`                              is `system`
    system messages after the first                   joined to it, or a reminder where they stand
    messages with nothing in them                     left out; a tool that gave nothing gave `(no output)`
    a call with nothing as arguments                  `{}`

Source: databricks.md §2 (request table, message rules).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Raw

from ccr.protocol.chat_results import NO_OUTPUT
from ccr.protocol.chat_turns import REMINDER_CLOSE, REMINDER_OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatMessage, ChatRequest, ChatTool, ContentPart

PARAMETERS: Final = frozenset(
    {"frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "seed", "verbosity"}
    | {"reasoning_effort", "modalities", "audio", "prediction", "web_search_options", "service_tier"}
    | {"user", "safety_identifier", "store", "metadata", "prompt_cache_key", "prompt_cache_retention"}
)
MESSAGE_FIELDS: Final = frozenset({"name", "refusal", "annotations", "audio", "function_call"})
_SYSTEM: Final = frozenset({"system", "developer"})
_NOTHING: Final = frozenset({"", "null"})
_ARGUMENTS: Final = msgspec.json.Decoder(str)

Json = dict[str, Any]


def foreign_fields_removed(chat: ChatRequest) -> ChatRequest:
    """Return the request without what only OpenAI's service has, and without parameters that are nothing."""
    without = {key for key, value in chat.items() if key in PARAMETERS or _is_null(value)}
    if not chat.get("tools", True):
        without |= {"tools", "tool_choice"}
    rest = cast("ChatRequest", _without(chat, frozenset(without)))
    messages = [_with_known_fields(message) for message in chat["messages"]]
    rest = _with(rest, "messages", chat["messages"], messages)
    tools = rest.get("tools")
    return _with(rest, "tools", tools, [_without_strict(tool) for tool in tools]) if tools else rest


def system_messages_folded(chat: ChatRequest) -> ChatRequest:
    """Return the request with one system message, its first one; later ones become reminders of the user's.

    One between a call and its results comes behind these, which have to follow the call.
    """
    messages = chat["messages"]
    start = next((i for i, message in enumerate(messages) if message["role"] not in _SYSTEM), len(messages))
    is_usual = start == 0 or (start == 1 and messages[0]["role"] == "system")
    if is_usual and all(message["role"] not in _SYSTEM for message in messages[start:]):
        return chat
    folded: list[ChatMessage] = []
    parts = [part for message in messages[:start] for part in _parts_of(message)]
    if parts:
        folded.append({"role": "system", "content": _content_of(parts)})
    held: list[ChatMessage] = []
    for message in messages[start:]:
        if message["role"] in _SYSTEM:
            held += _reminder(message)
        elif message["role"] == "tool":
            folded.append(message)
        else:
            folded += [*held, message]
            held = []
    return _with(chat, "messages", messages, folded + held)


def empty_messages_mended(chat: ChatRequest) -> ChatRequest:
    """Return the request without messages and arguments of nothing. After `empty_content_to_null`."""
    mended = [_with_something(message) for message in chat["messages"]]
    kept = [message for message in mended if message.get("content") is not None or "tool_calls" in message]
    return _with(chat, "messages", chat["messages"], kept or chat["messages"])


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, Raw) and bytes(value) == b"null")


def _with_known_fields(message: ChatMessage) -> ChatMessage:
    known = cast("ChatMessage", _without(message, MESSAGE_FIELDS))
    if "tool_calls" in known and not known["tool_calls"]:
        known = cast("ChatMessage", _without(known, frozenset({"tool_calls"})))
    return known


def _without_strict(tool: ChatTool) -> ChatTool:
    function: object = tool.get("function")
    if isinstance(function, Raw):
        function = msgspec.json.decode(function, type=dict[str, Raw])
    if not isinstance(function, dict) or "strict" not in function:
        return tool
    return cast("ChatTool", {**tool, "function": _without(function, frozenset({"strict"}))})


def _parts_of(message: ChatMessage) -> list[ContentPart]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content or []


def _content_of(parts: list[ContentPart]) -> str | list[ContentPart]:
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def _reminder(message: ChatMessage) -> list[ChatMessage]:
    texts = "\n".join(str(part.get("text", "")) for part in _parts_of(message))
    text = f"{REMINDER_OPEN}\n{texts}\n{REMINDER_CLOSE}"
    return [{"role": "user", "content": text}] if texts and not texts.isspace() else []


def _with_something(message: ChatMessage) -> ChatMessage:
    if message["role"] == "tool" and message.get("content") is None:
        return {**message, "content": NO_OUTPUT}
    calls = message.get("tool_calls")
    if not calls:
        return message
    filled = [_with_arguments(cast("Json", call)) for call in calls]
    if all(new is old for new, old in zip(filled, calls, strict=True)):
        return message
    return {**message, "tool_calls": cast("Any", filled)}


def _with_arguments(call: Json) -> Json:
    given = call.get("function")
    function = msgspec.json.decode(given, type=dict[str, Raw]) if isinstance(given, Raw) else given
    if not isinstance(function, dict) or _text_of(function.get("arguments", "")).strip() not in _NOTHING:
        return call
    return {**call, "function": {**function, "arguments": "{}"}}


def _text_of(arguments: object) -> str:
    if isinstance(arguments, Raw):
        arguments = msgspec.json.decode(arguments)
    return arguments if isinstance(arguments, str) else "" if arguments is None else "{}"


def _without(given: Mapping[str, Any], keys: frozenset[str]) -> Mapping[str, Any]:
    """Return an object without these keys; the object itself when it has none of them."""
    if keys.isdisjoint(given):
        return given
    return {key: value for key, value in given.items() if key not in keys}


def _with(chat: ChatRequest, key: str, before: list[Any], after: list[Any]) -> ChatRequest:
    """Return the request with other entries in a list; the request itself when none is another."""
    if len(before) == len(after) and all(new is old for new, old in zip(after, before, strict=True)):
        return chat
    return cast("ChatRequest", {**chat, key: after})
