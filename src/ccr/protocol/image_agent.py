"""A request whose model is to get no images: each becomes a text, and a tool answers questions about them.

    [Image #3fa2c1] …        stands where the image was, also in the result of a tool
    analyzeImage             the tool: which images, and what is to be found out about them
    a block of the system    says so to the model

What an image is called does not change while its conversation goes on, even where the client takes older
ones out of the history: it follows from the image's bytes. Only where the person knows it by a number,
because the client has written ``[Image #2]`` into the prompt beside it, that number is its name.

The tool is offered only where the model may call it. Behaviour after the image agent of the npm router; the
answers are in image_rounds.py and image_stream.py. Pure.
"""

from __future__ import annotations

import re
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from ccr.protocol.anthropic import ToolChoice
from ccr.protocol.native_json import OBJECT, OBJECTS, STRING, JsonObject, decoded, encode, first_byte, raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Raw


class ImageRule(StrEnum):
    """What the image agent did with a request; docs/routing.md describes each."""

    AGENT = "image_agent"
    ANALYZED = "image_analyzed"
    REMEMBERED = "image_analysis_remembered"
    FAILED = "image_analysis_failed"
    AS_TEXT = "image_analysis_as_text"
    LIMITED = "image_rounds_limited"
    CALL_CUT = "image_call_cut"


TOOL: Final = "analyzeImage"
MARK: Final = b'"image"'
"""What stands in every request with an image."""
_IMAGE: Final = b'"image"'
_DOCUMENT: Final = b'"document"'
_TOOL_RESULT: Final = b'"tool_result"'
_TEXT: Final = b'"text"'
_LABEL: Final = re.compile(r"\[Image #(\d{1,9})\]")
_NAME_DIGITS: Final = 6
_CHOICE: Final = msgspec.json.Decoder(ToolChoice | None)

_PLACEHOLDER: Final = "[Image #{name}] An image is here that you cannot see."
_HOW: Final = " {tool} answers questions about it."
_NOTE: Final = (
    "You cannot see images. Where the conversation has one, you find [Image #ID] in its place. When you need "
    "to know what an image shows, call the tool {tool} with its ID and say in detail what you want to know; "
    "another model looks at the image and answers. Do not guess what an image shows, and do not tell the "
    "person that you cannot see it before you have asked. Call {tool} alone, not beside other tools in the "
    "same message."
)
_NOTE_WITHOUT_TOOL: Final = (
    "You cannot see images. Where the conversation has one, you find [Image #ID] in its place. They cannot "
    "be looked at in this answer; do not guess what they show."
)
_DESCRIPTION: Final = (
    "Have another model look at images of this conversation and answer a question about them: texts, "
    "objects, layout, colors, errors, whatever can be seen. It sees nothing but the images and your task."
)
_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "imageId": {
            "type": "array",
            "items": {"type": "string"},
            "description": "IDs of the images, as they stand behind # in [Image #ID]",
        },
        "task": {
            "type": "string",
            "description": "What is to be found out, with all details; the other model knows nothing else",
        },
        "regions": {
            "type": "array",
            "description": "Parts of the image that matter, if only some do",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "x": {"type": "number"},
                    "y": {"type": "number"},
                    "w": {"type": "number"},
                    "h": {"type": "number"},
                    "units": {"type": "string", "enum": ["px", "pct"]},
                },
                "required": ["x", "y", "w", "h", "units"],
            },
        },
    },
    "required": ["imageId", "task"],
}


class AgentRequest(NamedTuple):
    """A Messages request without images.

    body: what is sent in its place. images: the ``source`` of each, by name. tool: the name of the tool, ""
    where the model may not call it.
    """

    body: bytes
    images: Mapping[str, Raw]
    tool: str


def agent_request(body: bytes) -> AgentRequest | None:
    """Return the request in a body without its images, None when it has none.

    Raises RequestError (400) on what is no Messages request.
    """
    if MARK not in body:
        return None
    given = decoded(OBJECT, body)
    taken = _Taken(_tool_of(given))
    messages = decoded(OBJECTS, given.get("messages", b""), "messages")
    written = [taken.message(message, index) for index, message in enumerate(messages)]
    if not taken.images:
        return None
    changed: dict[str, object] = {**given, "messages": written}
    changed["system"] = _system(given, taken.tool)
    if taken.tool:
        tools = decoded(OBJECTS, given["tools"], "tools") if _is_given(given, "tools") else []
        tool = {"name": taken.tool, "description": _DESCRIPTION, "input_schema": _SCHEMA}
        changed["tools"] = [*tools, tool]
    return AgentRequest(encode(changed), taken.images, taken.tool)


class _Taken:
    """The images taken out of one request so far. tool: as in `AgentRequest`."""

    def __init__(self, tool: str) -> None:
        self.tool = tool
        self.images: dict[str, Raw] = {}
        self._names: dict[bytes, str] = {}

    def message(self, message: JsonObject, index: int) -> JsonObject:
        content = message.get("content")
        if content is None or MARK not in bytes(content) or first_byte(content) != ord("["):
            return message
        blocks = decoded(OBJECTS, content, "messages", index, "content")
        labels = _labels(blocks)
        return {**message, "content": raw([self._block(block, labels) for block in blocks])}

    def _block(self, block: JsonObject, labels: list[str]) -> JsonObject:
        kind = bytes(block.get("type", b""))
        if kind == _IMAGE:
            return self._placeholder(block, labels.pop(0) if labels else "")
        if kind == _TOOL_RESULT:
            return self._within(block, "content")
        if kind == _DOCUMENT and "source" in block and first_byte(block["source"]) == ord("{"):
            source = decoded(OBJECT, block["source"], "source")
            return {**block, "source": raw(self._within(source, "content"))}
        return block

    def _within(self, holder: JsonObject, key: str) -> JsonObject:
        content = holder.get(key)
        if content is None or MARK not in bytes(content) or first_byte(content) != ord("["):
            return holder
        blocks = decoded(OBJECTS, content, key)
        return {**holder, key: raw([self._block(block, []) for block in blocks])}

    def _placeholder(self, block: JsonObject, label: str) -> JsonObject:
        text = _PLACEHOLDER.format(name=self._name(block.get("source", raw(None)), label))
        text += _HOW.format(tool=self.tool) if self.tool else ""
        mark = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
        return {"type": raw("text"), "text": raw(text), **mark}

    def _name(self, source: Raw, label: str) -> str:
        """Return what an image is called; one that comes again is called the same."""
        digest = sha256(bytes(source)).digest()
        known = self._names.get(digest)
        if known is not None:
            return known
        digits = _NAME_DIGITS
        name = label
        while not name or name in self.images:
            name = _hexadecimal(digest, digits)
            digits += 1
        self._names[digest] = name
        self.images[name] = source
        return name


def _hexadecimal(digest: bytes, digits: int) -> str:
    """Return the first digits of a digest, the first of them a letter: it is no number of the person's."""
    return "abcdef"[digest[-1] % 6] + digest.hex()[: digits - 1]


def _labels(blocks: list[JsonObject]) -> list[str]:
    """Return the numbers that the client has written for the images of a message, in their order.

    None where it has not written exactly one for each.
    """
    texts = [
        decoded(STRING, block["text"], "text")
        for block in blocks
        if bytes(block.get("type", b"")) == _TEXT and "text" in block
    ]
    labels = list(dict.fromkeys(label for text in texts for label in _LABEL.findall(text)))
    count = sum(bytes(block.get("type", b"")) == _IMAGE for block in blocks)
    return sorted(labels, key=int) if len(labels) == count else []


def _tool_of(given: JsonObject) -> str:
    """Return the name of the tool, which no tool of the client's has; "" where it may not be called."""
    choice = decoded(_CHOICE, given["tool_choice"], "tool_choice") if "tool_choice" in given else None
    if choice is not None and choice.type in ("none", "tool"):
        return ""
    tools = decoded(OBJECTS, given["tools"], "tools") if _is_given(given, "tools") else []
    names = {bytes(tool.get("name", b"")) for tool in tools}
    tool = TOOL
    while encode(tool) in names:
        tool += "_"
    return tool


def _system(given: JsonObject, tool: str) -> list[object]:
    """Return the system prompt with the note behind all that is cached."""
    note = {"type": "text", "text": _NOTE.format(tool=tool) if tool else _NOTE_WITHOUT_TOOL}
    if not _is_given(given, "system"):
        return [note]
    system = given["system"]
    if first_byte(system) != ord("["):
        return [{"type": "text", "text": system}, note]
    return [*decoded(OBJECTS, system, "system"), note]


def _is_given(given: JsonObject, key: str) -> bool:
    return bytes(given.get(key, b"null")) != b"null"
