"""The last records of files of JSON lines that may be very large: read from the end, within a bound."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BLOCK_BYTES: Final = 64 * 1024
TRANSCRIPT_BYTES: Final = 4 * 1024 * 1024
LOG_BYTES: Final = 256 * 1024
MADE_UP: Final = "<synthetic>"
"""The client's word for the model of messages that it wrote itself."""
ASIDE: Final = "image_agent"
"""Route of the requests that the service sends of its own accord, beside a session's answers."""


@dataclass(frozen=True)
class Answer:
    """A session's last answer, as its transcript has it. Tokens count as the Messages API counts them."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True)
class Measured:
    """What the service's log says of a session's last answer. Speed in tokens a second, time in seconds."""

    tokens_per_s: float | None = None
    first_token_s: float | None = None
    provider: str = ""
    model: str = ""
    rule: str = ""


def lines_from_end(path: str, *, limit_bytes: int, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Yield the lines of a file, the last first; what lies before the last ``limit_bytes`` is not looked at.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        at = file.seek(0, os.SEEK_END)
        first = max(at - limit_bytes, 0)
        pieces: list[bytes] = []
        while at > first:
            size = min(block_bytes, at - first)
            at -= size
            file.seek(at)
            block = file.read(size)
            if b"\n" not in block:
                pieces.append(block)
                continue
            lines = block.split(b"\n")
            yield lines[-1] + b"".join(reversed(pieces))
            yield from reversed(lines[1:-1])
            pieces = [lines[0]]
        if at == 0:
            yield b"".join(reversed(pieces))


def last_answer(transcript: str) -> Answer | None:
    """Return the last answer of a model in a transcript; None when there is none, or it cannot be read."""
    if not transcript:
        return None
    try:
        for line in lines_from_end(transcript, limit_bytes=TRANSCRIPT_BYTES):
            answer = _answer_from(line) if b'"assistant"' in line else None
            if answer is not None:
                return answer
    except OSError:
        pass
    return None


def last_measured(log: str, session: str) -> Measured | None:
    """Return what the service's log says of the last answer of a session, None when it says nothing."""
    if not session:
        return None
    mark = session.encode()
    try:
        for line in lines_from_end(log, limit_bytes=LOG_BYTES):
            record = _record_from(line) if mark in line and b"output_tokens" in line else {}
            is_answer = record.get("session_id") == session and record.get("route") != ASIDE
            if is_answer and number_from(record.get("output_tokens")):
                return _measured_from(record)
    except OSError:
        pass
    return None


def number_from(value: object) -> float:
    """Return a number that is one, else 0."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _answer_from(line: bytes) -> Answer | None:
    record = _record_from(line)
    message = record.get("message")
    if (
        record.get("type") != "assistant"
        or record.get("isSidechain") is True
        or not isinstance(message, dict)
    ):
        return None
    model, usage = message.get("model"), message.get("usage")
    if not isinstance(model, str) or not model or model == MADE_UP:
        return None
    counted: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    cached = ("cache_read_input_tokens", "cache_creation_input_tokens")
    return Answer(
        model,
        int(number_from(counted.get("input_tokens"))),
        int(number_from(counted.get("output_tokens"))),
        sum(int(number_from(counted.get(name))) for name in cached),
    )


def _measured_from(record: Mapping[str, Any]) -> Measured:
    first_ms, all_ms = number_from(record.get("first_byte_ms")), number_from(record.get("ms"))
    tokens = number_from(record.get("output_tokens"))
    speed = tokens * 1000 / (all_ms - first_ms) if record.get("stream") and all_ms > first_ms else None
    return Measured(
        tokens_per_s=speed,
        first_token_s=first_ms / 1000 if first_ms else None,
        provider=str(record.get("provider", "")),
        model=str(record.get("upstream_model", "")),
        rule=str(record.get("rule", "")),
    )


def _record_from(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
