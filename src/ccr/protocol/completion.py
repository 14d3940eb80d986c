"""What a chat endpoint answers: lenient structs for one chunk of a stream and for a whole completion.

Everything is optional, unknown fields are skipped without being built: upstreams differ in what they leave
out, put to null or repeat. A chunk and a completion have one shape here (``delta`` and ``message`` are both
read), so that a completion sent where a stream was asked for is understood too.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from ccr.errors import ProtocolError
from ccr.protocol.usage import ChatUsage  # noqa: TC001 - msgspec reads annotations at run time


class Summary(msgspec.Struct):
    """One item of a reasoning part: ``summary_text`` (text, signature), ``summary_encrypted_text`` (data)."""

    text: str | None = None
    signature: str | None = None
    data: str | None = None


class Part(msgspec.Struct):
    """One part of ``content`` in list form, by its ``type``: ``reasoning``, ``text``, ``image``, others."""

    type: str = "text"
    text: str | None = None
    summary: list[Summary] | None = None
    citations: Any = None


class Function(msgspec.Struct):
    """Name and arguments of a tool call; ``arguments`` is a string, an object from some upstreams."""

    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()

    def arguments_text(self) -> str:
        """Return the arguments (or the fragment of them) as JSON text; "" when there are none."""
        raw = bytes(self.arguments)
        try:
            if raw[:1] == b'"':
                return _STRING.decode(raw)
            return "" if raw == b"null" else raw.decode()
        except UnicodeDecodeError as error:  # opaque subtrees are not checked before they are used
            raise ProtocolError(f"the upstream sent tool arguments that are not UTF-8: {error}") from error


class ToolCall(msgspec.Struct):
    """One tool call of a message, or a fragment of one in a chunk; for the last three see call_extras.py."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    extra_content: msgspec.Raw = msgspec.Raw()
    thought_signature: msgspec.Raw = msgspec.Raw()
    thought_signature_of_google: msgspec.Raw = msgspec.field(name="thoughtSignature", default=msgspec.Raw())


class Delta(msgspec.Struct):
    """``delta`` of a chunk's choice, ``message`` of a completion's."""

    content: str | list[Part | str] | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    thinking: Any = None
    refusal: str | None = None


class Choice(msgspec.Struct):
    """One choice; the Messages API has no ``n``, so several choices are parts of one message."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """One event of a streamed completion; ``error``, ``error_code``, ``message``: an error instead of one."""

    choices: list[Choice] | None = None
    usage: ChatUsage | None = None
    error: Any = None
    error_code: Any = None
    message: Any = None
    is_repaired: bool = False
    """Halves of surrogate pairs were replaced; set by the decoder, not by the upstream."""

    @property
    def is_error(self) -> bool:
        """The body reports an error, in any of the upstream's shapes."""
        return bool(self.error or self.error_code) or (self.message is not None and self.choices is None)


class Completion(Chunk):
    """A whole chat completion."""


_CHUNK: Final = msgspec.json.Decoder(Chunk, strict=False)
_COMPLETION: Final = msgspec.json.Decoder(Completion, strict=False)
_STRING: Final = msgspec.json.Decoder(str)
_RAW: Final = msgspec.json.Decoder(msgspec.Raw)
_INVALID: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

# One escape of a JSON string; group 1 is half a surrogate pair without the other half.
_ESCAPE: Final = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)", re.DOTALL)

C = TypeVar("C", bound=Chunk)


def decode_chunk(data: bytes) -> Chunk:
    """Return the chunk in one event's data. Raises ProtocolError when it is not one."""
    return _decoded(_CHUNK, data)


def decode_completion(data: bytes) -> Completion:
    """Return the completion in a response's body. Raises ProtocolError when it is not one."""
    return _decoded(_COMPLETION, data)


def _decoded(decoder: msgspec.json.Decoder[C], data: bytes) -> C:
    try:
        return decoder.decode(data)
    except _INVALID as error:
        repaired = without_half_surrogates(data)  # rare, so tried last
        if repaired == data:
            raise _not_json(error) from error
    try:
        answer = decoder.decode(repaired)
    except _INVALID as error:
        raise _not_json(error) from error
    answer.is_repaired = True
    return answer


def without_half_surrogates(data: bytes) -> bytes:
    """Return JSON in which halves of surrogate pairs are U+FFFD: JSON allows them, UTF-8 has none."""
    return _ESCAPE.sub(lambda match: b"\\ufffd" if match[1] else match[0], data)


def _not_json(error: Exception) -> ProtocolError:
    if isinstance(error, msgspec.ValidationError):
        return ProtocolError(f"the upstream answered in a shape that is not a chat completion's: {error}")
    return ProtocolError(f"the upstream answered with JSON that cannot be read: {error}")


def is_json_object(text: str) -> bool:
    """Tell whether the text is one whole JSON object, the only form the input of a tool may have."""
    stripped = text.strip()
    if not stripped.startswith("{") or not stripped.endswith("}"):
        return False
    try:
        _RAW.decode(text)
    except msgspec.DecodeError:
        return _is_json_to_browsers(text)
    except RecursionError:
        return False
    return True


def _is_json_to_browsers(text: str) -> bool:
    # Half a surrogate pair inside the arguments: msgspec refuses it, the client does not.
    try:
        json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return False
    return True


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's
