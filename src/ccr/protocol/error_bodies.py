"""What an upstream's error body says, in any of the shapes that were seen.

    {"error_code", "message": text or JSON in a text}            Databricks
    {"error": text, "external_model_message": {"message"}}       its external models
    {"error": {"message", "type", "code", "retry_after"}}        OpenAI
    {"type": "error", "error": {"type", "message"}}              Anthropic
    {"detail"}                                                   FastAPI
    ERROR_CODE: text · plain text · <html><title>… · nothing

Source: databricks-sdk's error deserializers and the error table of the reference; this module only reads,
what an error means is decided in errors_from_upstream.py.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from ccr.protocol.sse import Event

MAX_DEPTH: Final = 6
"""How many times a message may be wrapped in another."""

_TITLE: Final = re.compile(
    r"<title[^>]*>(.*?)</title>|<h1[^>]*>(.*?)</h1>|<pre[^>]*>(.*?)</pre>", re.DOTALL | re.IGNORECASE
)
_PAGE: Final = re.compile(
    r"\s*(?:<!--.*?-->\s*)*<(?:!doctype|html|head|body|title)\b", re.DOTALL | re.IGNORECASE
)
_CODE_PREFIX: Final = re.compile(r"([A-Z][A-Z]+(?:_[A-Z]+)+): ")
_TAG: Final = re.compile(r"<[^>]*>")


class ErrorBody(msgspec.Struct, frozen=True):
    """The message ("" when there is none), the upstream's words for the kind of error, its wish to wait."""

    message: str = ""
    codes: tuple[str, ...] = ()
    status: int | None = None
    retry_after_s: float | None = None
    is_page: bool = False


def error_body(data: bytes) -> ErrorBody:
    """Return what the body says; never fails."""
    text = data.decode("utf-8", "replace").strip()
    if _PAGE.match(text):
        return ErrorBody(_title_of(text), is_page=True)
    found = _Found()
    message = found.message_in(text, MAX_DEPTH)
    prefix = _CODE_PREFIX.match(message)
    if prefix is not None:
        found.codes.append(prefix[1])
    return ErrorBody(message, tuple(found.codes), found.status, found.retry_after_s)


class _EventData(msgspec.Struct, gc=False):
    """What tells an error from other events; ``type`` stands in events of the Messages API alone."""

    error: object = None
    error_code: object = None
    message: object = None
    type: object = None
    choices: object = None


_EVENT_DATA: Final = msgspec.json.Decoder(_EventData)


def error_in_event(event: Event) -> bytes | None:
    """Return the error that an event of either format holds in place of an answer's part; None for others."""
    if event.event == "error":
        return event.data
    if event.event or (b"error" not in event.data and b'"message"' not in event.data):
        return None
    try:
        said = _EVENT_DATA.decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if said.error or said.error_code or said.type == "error":
        return event.data
    is_message_alone = said.message is not None and said.type is None and said.choices is None
    return event.data if is_message_alone else None


def _title_of(page: str) -> str:
    match = _TITLE.search(page)
    inner = next((group for group in match.groups() if group is not None), "") if match else ""
    return " ".join(html.unescape(_TAG.sub(" ", inner)).split())


class _Found:
    """What was met on the way to the innermost message."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.status: int | None = None
        self.retry_after_s: float | None = None

    def message_in(self, value: object, depth: int) -> str:
        """Return the innermost message in a text or JSON value; "" when there is none."""
        if isinstance(value, str):
            return self._message_in_text(value.strip(), depth)
        if isinstance(value, list) and value and depth:
            return self.message_in(value[0], depth - 1)
        if not isinstance(value, dict) or not depth:
            return ""
        self._note(value)
        # An error that is an object says more than the message beside it; one that is a word says less.
        error = value.get("error")
        said = [value.get(key) for key in ("message", "error_message", "detail", "errors", "msg")]
        said = [*said, error] if isinstance(error, str) else [error, *said]
        for inner in (value.get("external_model_message"), *said):
            message = self.message_in(inner, depth - 1)
            if message:
                return message
        return ""

    def _message_in_text(self, text: str, depth: int) -> str:
        if text[:1] not in ("{", "[") or not depth:
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return self.message_in(value, depth - 1) or text

    def _note(self, value: dict[str, object]) -> None:
        for key in ("error_code", "code", "type"):
            word = value.get(key)
            if isinstance(word, str):
                self.codes.append(word)
        for key in ("code", "status", "status_code", "http_status"):
            number = value.get(key)
            if isinstance(number, int) and 400 <= number < 600:
                self.status = self.status or number
        seconds = value.get("retry_after")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            self.retry_after_s = float(seconds)
