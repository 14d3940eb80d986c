"""Images and documents of a request: where they are, how large, and the request with others in their place.

In both dialects, as values. A request is only looked through where something has to be done about its images:
it is larger than its provider takes, or it names images by http addresses. What an image holds is nobody's
business here; re-encoding and fetching are in upstream/images/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

import msgspec

from ccr.protocol.anthropic import Block, Source
from ccr.protocol.native_json import OBJECT, OBJECTS, JsonObject, encode, first_byte, raw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msgspec import Raw

    from ccr.protocol.anthropic import MessagesRequest
    from ccr.protocol.openai import ChatRequest

Kind = Literal["image", "document"]
Place = tuple[int, ...]
"""Number of the message, of the part in it and, inside a tool's result, of the part in that; from 0."""


class Attachment(NamedTuple):
    """An image or document of a request: its bytes in base64, or its http address; the other one is empty."""

    kind: Kind
    place: Place
    media_type: str = ""
    data: str = ""
    url: str = ""


class InlineImage(NamedTuple):
    """An image as it is sent: its media type and its bytes in base64."""

    media_type: str
    data: str


Replacements = Mapping[Place, InlineImage | str]
"""What comes to a place: an image, or a text."""

_DATA_URL: Final = re.compile(r"data:(?P<media_type>[^;,]*)[^,]*;base64,", re.IGNORECASE)
_REMOTE: Final = ("http://", "https://")
_QUOTED_URL: Final = b'"url"'
_TYPE: Final = b'"type":'
_BEFORE: Final = 24
_KINDS: Final[dict[bytes, Kind]] = {b'"image"': "image", b'"document"': "document"}
_TOOL_RESULT: Final = b'"tool_result"'
_SOURCE: Final = msgspec.json.Decoder(Source)


def path_of(place: Place) -> str:
    """Return a place as errors name it: ``messages.2.content.1``."""
    return "messages." + ".content.".join(map(str, place))


def note_for(attachment: Attachment, reason: str) -> str:
    """Return the text that tells the model of an attachment that is not sent."""
    return f"[{attachment.kind} left out, {reason}: {attachment.url}]"


# -- chat requests ----------------------------------------------------------------------------------------


def attachments_in_chat(chat: ChatRequest) -> list[Attachment]:
    """Return the images and documents of a chat request, in its order."""
    return [found for place, kind, url in _urls_in_chat(chat) if (found := _from_url(kind, place, url))]


def remote_images_in_chat(chat: ChatRequest) -> list[Attachment]:
    """Return the images that a chat request names by http addresses."""
    return [
        Attachment("image", place, url=url)
        for place, kind, url in _urls_in_chat(chat)
        if kind == "image" and _is_remote(url)
    ]


def chat_with(chat: ChatRequest, replacements: Replacements) -> ChatRequest:
    """Return the request with other images, or texts, in these places."""
    messages = list(chat["messages"])
    for (message, part), replacement in replacements.items():
        parts = list(cast("list[Any]", messages[message]["content"]))
        parts[part] = _chat_part(parts[part], replacement)
        messages[message] = {**messages[message], "content": parts}
    return {**chat, "messages": messages}


def _urls_in_chat(chat: ChatRequest) -> Iterator[tuple[Place, Kind, str]]:
    for number, message in enumerate(chat["messages"]):
        content = message.get("content")
        if not isinstance(content, list):
            continue
        for index, part in enumerate(content):
            kind = part.get("type")
            if kind == "image_url":
                found = _text_at(part.get("image_url"), "url")
            elif kind == "file":
                found = _text_at(part.get("file"), "file_data")
            else:
                continue
            if found:
                yield (number, index), "image" if kind == "image_url" else "document", found


def _text_at(holder: object, key: str) -> str:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""


def _from_url(kind: Kind, place: Place, url: str) -> Attachment | None:
    """Return the attachment of a data URL or an http one, None for whatever else stands there."""
    if _is_remote(url):
        return Attachment(kind, place, url=url)
    match = _DATA_URL.match(url)
    return Attachment(kind, place, match["media_type"], url[match.end() :]) if match is not None else None


def _is_remote(url: str) -> bool:
    return url[:8].lower().startswith(_REMOTE)


def _chat_part(part: dict[str, Any], replacement: InlineImage | str) -> dict[str, Any]:
    if isinstance(replacement, str):
        mark = {"cache_control": part["cache_control"]} if "cache_control" in part else {}
        return {"type": "text", "text": replacement, **mark}
    url = f"data:{replacement.media_type};base64,{replacement.data}"
    return {**part, "image_url": {**part["image_url"], "url": url}}


# -- Messages requests ------------------------------------------------------------------------------------


def attachments_in_request(request: MessagesRequest) -> list[Attachment]:
    """Return the images and documents of a decoded Messages request, in its order."""
    found: list[Attachment] = []
    for number, message in enumerate(request.messages):
        for place, block in _blocks(message.content, (number,)):
            if block.type in ("image", "document") and isinstance(block.source, Source):
                found += _from_source(cast("Kind", block.type), place, block.source)
    return found


def attachments_in_messages(body: bytes) -> list[Attachment]:
    """Return the images and documents in the body of a Messages request, in its order."""
    found: list[Attachment] = []
    for number, message in enumerate(OBJECTS.decode(OBJECT.decode(body)["messages"])):
        found += _attachments_in(message, (number,))
    return found


def may_have_remote_sources(body: bytes) -> bool:
    """Tell at a glance whether the body of a Messages request may name a source by its address.

    That is ``"type": "url"``; inside texts the quotes are escaped. A body of 1 MB takes half a millisecond.
    """
    at = body.find(_QUOTED_URL)
    while at >= 0:
        if body[max(0, at - _BEFORE) : at].translate(None, b" \t\r\n").endswith(_TYPE):
            return True
        at = body.find(_QUOTED_URL, at + 1)
    return False


def messages_with(body: bytes, replacements: Replacements) -> bytes:
    """Return the body of a Messages request with other images, or texts, in these places."""
    given = OBJECT.decode(body)
    messages = OBJECTS.decode(given["messages"])
    for number, inner in _by_first(replacements).items():
        messages[number] = _with_blocks(messages[number], inner)
    return encode({**given, "messages": messages})


def _blocks(content: str | list[Block] | Block | None, place: Place) -> Iterator[tuple[Place, Block]]:
    for index, block in enumerate(content if isinstance(content, list) else ()):
        yield (*place, index), block
        if block.type == "tool_result":
            yield from _blocks(block.content, (*place, index))


def _attachments_in(holder: JsonObject, place: Place) -> Iterator[Attachment]:
    for index, block in enumerate(_content_of(holder)):
        kind = bytes(block.get("type", b""))
        if kind == _TOOL_RESULT:
            yield from _attachments_in(block, (*place, index))
        elif kind in _KINDS and "source" in block:
            yield from _from_json(_KINDS[kind], (*place, index), block["source"])


def _content_of(holder: JsonObject) -> list[JsonObject]:
    content = holder.get("content")
    return OBJECTS.decode(content) if content is not None and first_byte(content) == ord("[") else []


def _from_json(kind: Kind, place: Place, source: Raw) -> list[Attachment]:
    try:
        return _from_source(kind, place, _SOURCE.decode(source))
    except msgspec.ValidationError:
        return []  # no source at all: the endpoint says so better than we would


def _from_source(kind: Kind, place: Place, source: Source) -> list[Attachment]:
    if source.type == "base64" and source.data:
        return [Attachment(kind, place, source.media_type or "", source.data)]
    if source.type == "url" and source.url:
        return [Attachment(kind, place, url=source.url)]
    return []


def _by_first(replacements: Replacements) -> dict[int, dict[Place, InlineImage | str]]:
    inner: dict[int, dict[Place, InlineImage | str]] = {}
    for (first, *rest), replacement in replacements.items():
        inner.setdefault(first, {})[tuple(rest)] = replacement
    return inner


def _with_blocks(holder: JsonObject, replacements: Replacements) -> JsonObject:
    blocks = _content_of(holder)
    for index, inner in _by_first(replacements).items():
        block = blocks[index]
        blocks[index] = _block(block, inner[()]) if () in inner else _with_blocks(block, inner)
    return {**holder, "content": raw(blocks)}


def _block(block: JsonObject, replacement: InlineImage | str) -> JsonObject:
    if not isinstance(replacement, str):
        media_type, data = replacement
        return {**block, "source": raw({"type": "base64", "media_type": media_type, "data": data})}
    mark = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    return {"type": raw("text"), "text": raw(replacement), **mark}
