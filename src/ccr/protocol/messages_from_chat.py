"""A Messages request from a chat request that ccr made for Claude, for a provider with no other format.

The chat is one of ``chat_for_model``: it alternates as it has to, each call has its results right behind it,
arguments are JSON objects, and parameters are Claude's own. So this is one table, without rules.

    system message            ``system``
    reasoning, text, calls    blocks of an assistant message
    tool messages             ``tool_result`` blocks of one user message
    image_url, file           blocks with the data, or with the address of an image
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

from ccr.errors import RequestError

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatRequest, ChatTool, ContentPart, Summary

Json = dict[str, Any]

_SAME: Final = ("max_tokens", "temperature", "top_p", "thinking", "output_config", "stream")
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}
_DATA_URL: Final = re.compile(r"data:(?P<type>[^;,]*)[^,]*,(?P<data>.*)", re.DOTALL)
_encode: Final = msgspec.json.Encoder().encode


def messages_body_from_chat(chat: ChatRequest) -> bytes:
    """Return the body of a Messages request. Raises RequestError (400) for what Claude cannot be sent."""
    messages = chat["messages"]
    body: Json = {"model": chat["model"]}
    if messages[0]["role"] == "system":
        body["system"] = messages[0].get("content")
        messages = messages[1:]
    body["messages"] = _messages(messages)
    given: Any = chat
    body |= {name: given[name] for name in _SAME if name in given}
    if "tools" in chat:
        body["tools"] = [_tool(tool) for tool in chat["tools"]]
    choice = chat.get("tool_choice")
    if isinstance(choice, str):
        body["tool_choice"] = {"type": _CHOICES[choice]}
    elif choice is not None:
        body["tool_choice"] = {"type": "tool", "name": choice["function"]["name"]}
    return _encode(body)


def _messages(messages: list[ChatMessage]) -> list[Json]:
    made: list[Json] = []
    results: list[Json] | None = None
    for message in messages:
        content = message.get("content")
        if message["role"] == "tool":
            if results is None:
                results = []
                made.append({"role": "user", "content": results})
            said = content if isinstance(content, str) else _blocks(content)
            results.append({"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": said})
            continue
        results = None
        if message["role"] == "user" and isinstance(content, str):
            made.append({"role": "user", "content": content})
            continue
        text: list[Json] = [{"type": "text", "text": content}]
        blocks = text if isinstance(content, str) else _blocks(content)
        for call in message.get("tool_calls", ()):
            function = call["function"]
            given = Raw(function["arguments"].encode())
            blocks.append({"type": "tool_use", "id": call["id"], "name": function["name"], "input": given})
        made.append({"role": message["role"], "content": blocks})
    return made


def _blocks(parts: list[ContentPart] | None) -> list[Json]:
    return [_block(part) for part in parts or ()]


def _block(part: ContentPart) -> Json:
    mark = {"cache_control": part["cache_control"]} if "cache_control" in part else {}
    match part["type"]:
        case "text":
            return {"type": "text", "text": part["text"], **mark}
        case "reasoning":
            return _thinking(part["summary"][0])
        case "image_url":
            return {"type": "image", "source": _source(part["image_url"]["url"]), **mark}
        case "file":
            title = part["file"]["filename"]
            source = _source(part["file"]["file_data"])
            return {"type": "document", "title": title, "source": source, **mark}
    raise RequestError("input: Claude takes no audio", param="input")


def _thinking(entry: Summary) -> Json:
    if "data" in entry:
        return {"type": "redacted_thinking", "data": entry["data"]}
    return {"type": "thinking", "thinking": entry["text"], "signature": entry["signature"]}


def _source(url: str) -> Json:
    found = _DATA_URL.fullmatch(url)
    if found is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": found["type"], "data": found["data"]}


def _tool(tool: ChatTool) -> Json:
    function = tool["function"]
    described = {"description": function["description"]} if "description" in function else {}
    return {"name": function["name"], **described, "input_schema": function["parameters"]}
