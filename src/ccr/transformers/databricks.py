"""``databricks-custom``: the four documented steps for Databricks model serving, each a function of its own.

After the conversion they find little to do; on the OpenAI route they mend what clients send. Applying them
twice equals applying them once. Sources: databricks.md §2 (empty content, cache_control, images,
parallel_tool_calls).
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from msgspec import Raw

from ccr.transformers.base import Transformer
from ccr.transformers.databricks_openai import (
    empty_messages_mended,
    foreign_fields_removed,
    system_messages_folded,
)
from ccr.transformers.databricks_parameters import response_format_as_instruction, stream_options_removed
from ccr.transformers.rules import StepRule, noted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.protocol.openai import ChatMessage, ChatRequest, ContentPart
    from ccr.transformers.base import Context

    _Change: TypeAlias = Callable[[ChatRequest], ChatRequest]

CacheMode = Literal["keep", "strip"]

_DATA_URL = re.compile(r"data:(?P<media_type>[^;,]*)(?P<params>(?:;[^;,]*)*),", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_TAKEN = {"type": "ephemeral"}
_MEDIA_TYPE_OF_START = {
    "iVBOR": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}
_PLAIN_MARK = {"type": "ephemeral"}
_OPTIONS = ("cache_control", "debug", "forceJs")
_OF_OPENAI_CLIENTS = (
    (foreign_fields_removed, StepRule.FOREIGN_FIELDS_REMOVED),
    (empty_messages_mended, StepRule.EMPTY_MESSAGES_MENDED),
    (system_messages_folded, StepRule.SYSTEM_MESSAGE_FOLDED),
)
"""For Claude, and not for requests that ccr itself wrote in this format: they never need it."""
_FOR_CLAUDE = (
    (stream_options_removed, StepRule.STREAM_OPTIONS_REMOVED),
    (response_format_as_instruction, StepRule.RESPONSE_FORMAT_AS_INSTRUCTION),
)


class DatabricksCustom(Transformer):
    """The four steps in their documented order, and for Claude what OpenAI's clients say in other words.

    Option ``cache_control``: ``keep`` (default) or ``strip`` (no prompt caching, as the JavaScript file of
    this name did it). ``debug`` is for plugin.log; ``forceJs`` is accepted and means nothing here.
    """

    name = "databricks-custom"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            allowed = ", ".join(_OPTIONS)
            raise ValueError(f"databricks-custom: unknown option {unknown[0]!r}; allowed: {allowed}")
        mode = options.get("cache_control", "keep")
        if mode not in ("keep", "strip"):
            raise ValueError('databricks-custom: option cache_control must be "keep" or "strip"')
        cache_rule = StepRule.CACHE_CONTROL_REDUCED if mode == "keep" else StepRule.CACHE_CONTROL_DROPPED
        self._changes: tuple[tuple[_Change, StepRule], ...] = (
            (empty_content_to_null, StepRule.BLANK_CONTENT_DROPPED),
            (partial(cache_control_handled, mode=cast("CacheMode", mode)), cache_rule),
            (image_urls_repaired, StepRule.IMAGE_URL_REPAIRED),
            (parallel_tool_calls_removed, StepRule.PARALLEL_TOOL_CALLS_REMOVED),
        )

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request as Databricks takes it."""
        for change, rule in self._changes:
            chat = noted(chat, change(chat), context, rule)
        if "claude" in context.model.lower():
            for change, rule in _FOR_CLAUDE if context.is_converted else _OF_OPENAI_CLIENTS + _FOR_CLAUDE:
                chat = noted(chat, change(chat), context, rule)
        return chat


def empty_content_to_null(chat: ChatRequest) -> ChatRequest:
    """Return the request with null for content that is blank, and without blank text parts.

    The endpoint answers "text content blocks must be non-empty" to them; next to tool calls null is what it
    takes.
    """
    return _with_messages(chat, [_without_blank_content(message) for message in chat["messages"]])


def cache_control_handled(chat: ChatRequest, mode: CacheMode = "keep") -> ChatRequest:
    """Return the request with cache breakpoints only where and as they are taken; with ``strip`` without any.

    Taken are ``{"type": "ephemeral"}`` on content parts and tools. A breakpoint on a whole message moves to
    its last part (a breakpoint beside string content does not cache), one on a tool call goes.
    """
    messages = [_with_cache_control(message, mode) for message in chat["messages"]]
    handled = _with_messages(chat, messages)
    tools = chat.get("tools")
    if tools and any("cache_control" in tool for tool in tools):
        marked = [_marked(tool, mode) for tool in tools]
        if any(new is not old for new, old in zip(marked, tools, strict=True)):
            handled = handled.copy()
            handled["tools"] = cast("Any", marked)
    return handled


def image_urls_repaired(chat: ChatRequest) -> ChatRequest:
    """Return the request with inlined images as base64 data URLs; http and other URLs are never touched."""
    messages = [
        message if isinstance(message.get("content"), str) else _with_repaired_images(message)
        for message in chat["messages"]
    ]
    return _with_messages(chat, messages)


def parallel_tool_calls_removed(chat: ChatRequest) -> ChatRequest:
    """Return the request without ``parallel_tool_calls``: the endpoint refuses the key."""
    if "parallel_tool_calls" not in chat:
        return chat
    rest = chat.copy()
    del rest["parallel_tool_calls"]
    return rest


def repaired_image_url(url: str) -> str:
    """Return a base64 data URL for a data URL without ``;base64`` and for a bare base64 image, else the URL.

    A text is taken for a bare image only when it begins as one: a name may consist of the same letters.
    """
    match = _DATA_URL.match(url)
    if match is not None:
        payload = url[match.end() :]
        if "base64" in match["params"].lower() and match["media_type"]:
            return url
        if not _BASE64.fullmatch(payload):
            return url
        media_type = match["media_type"] or _media_type_of(payload) or "image/png"
        return f"data:{media_type};base64,{payload}"
    media_type = _media_type_of(url)
    if media_type is not None and _BASE64.fullmatch(url):
        return f"data:{media_type};base64,{url}"
    return url


def _media_type_of(base64_text: str) -> str | None:
    """Return the media type of an image by the first bytes of its format, None where they are no image's."""
    for start, media_type in _MEDIA_TYPE_OF_START.items():
        if base64_text.startswith(start):
            return media_type
    return None


def _with_messages(chat: ChatRequest, messages: list[ChatMessage]) -> ChatRequest:
    if all(new is old for new, old in zip(messages, chat["messages"], strict=True)):
        return chat
    changed = chat.copy()
    changed["messages"] = messages
    return changed


def _with_content(message: ChatMessage, content: str | list[ContentPart] | None) -> ChatMessage:
    changed = message.copy()
    changed["content"] = content
    return changed


def _without_blank_content(message: ChatMessage) -> ChatMessage:
    content = message.get("content")
    if isinstance(content, str):
        return _with_content(message, None) if not content or content.isspace() else message
    if content is None or not (not content or any(_is_blank(part) for part in content)):
        return message
    return _with_content(message, [part for part in content if not _is_blank(part)] or None)


def _is_blank(part: ContentPart) -> bool:
    if part.get("type") != "text":
        return False
    text = str(part.get("text", ""))
    return not text or text.isspace()


def _with_cache_control(message: ChatMessage, mode: CacheMode) -> ChatMessage:
    content = message.get("content")
    calls = message.get("tool_calls")
    if isinstance(content, list):
        parts = [cast("ContentPart", _marked(part, mode)) for part in content]
        if any(new is not old for new, old in zip(parts, content, strict=True)):
            content = parts
            message = _with_content(message, content)
    if calls and any("cache_control" in call for call in calls):
        message = message.copy()
        message["tool_calls"] = [cast("Any", _marked(call, "strip")) for call in calls]
    if "cache_control" not in message:
        return message
    wanted = _marked(message, mode)
    rest = cast("ChatMessage", {key: value for key, value in message.items() if key != "cache_control"})
    if "cache_control" not in wanted or not content:
        return rest
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    last: ContentPart = {**parts[-1], "cache_control": {"type": "ephemeral"}}
    return _with_content(rest, [*parts[:-1], last])


def _marked(holder: Mapping[str, Any], mode: CacheMode) -> Mapping[str, Any]:
    """Return the holder with its breakpoint, if it has one, reduced or removed; null is none."""
    if "cache_control" not in holder:
        return holder
    mark = holder["cache_control"]
    if mode == "strip" or mark is None or (isinstance(mark, Raw) and bytes(mark) == b"null"):
        return {key: value for key, value in holder.items() if key != "cache_control"}
    return holder if mark == _TAKEN else {**holder, "cache_control": dict(_TAKEN)}


def _with_repaired_images(message: ChatMessage) -> ChatMessage:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [_with_repaired_image(part) for part in content]
    if all(new is old for new, old in zip(parts, content, strict=True)):
        return message
    return _with_content(message, parts)


def _with_repaired_image(part: ContentPart) -> ContentPart:
    image: object = part.get("image_url")
    if not isinstance(image, dict) or not isinstance(image.get("url"), str):
        return part
    url = repaired_image_url(image["url"])
    return part if url == image["url"] else {**part, "image_url": cast("Any", {**image, "url": url})}
