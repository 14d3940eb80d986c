"""What the client is told of a request that is larger than its provider takes: what to take out of it. Pure.

A 413 would be shown as the client's own sentence about 32 MB (claude-code-client.md §3), hence a 400. When
even the texts are too much no image need go: then the words are those that make the client compact. The
request for that is as large as the conversation; the same words make the client repeat it without its images
and documents (observed with 2.1), so that ``/compact`` is a way out in either case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.errors import ApiError, RequestError
from ccr.protocol.images import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccr.protocol.images import Attachment

NAMED_PARTS: Final = 3
"""How many of the largest parts are named."""


class Part(NamedTuple):
    """An image or document where the client has it, and its size as it would be sent."""

    attachment: Attachment
    size_bytes: int


def too_large(
    *,
    provider: str,
    max_bytes: int,
    size_bytes: int,
    parts: Sequence[Part],
    is_smaller: bool,
    has_pillow: bool,
    is_compaction: bool,
) -> ApiError:
    """Return the error for a request of ``size_bytes``.

    is_smaller: its images have been made smaller already. has_pillow: ccr can do that. is_compaction: it asks
    for a summary of the conversation.
    """
    if is_compaction or size_bytes - sum(part.size_bytes for part in parts) > max_bytes:
        said = f"{_mb(size_bytes)} in one request, and {provider} takes {_mb(max_bytes)}"
        return ApiError(400, f"prompt is too long: {said}")
    largest = sorted(parts, key=lambda part: -part.size_bytes)[:NAMED_PARTS]
    although = ", although its images were made smaller" if is_smaller else ""
    sentences = [
        f"{provider} takes requests of at most {_mb(max_bytes)}; this one has {_mb(size_bytes)}{although}.",
        f"Its largest parts: {'; '.join(map(_said, largest))}.",
        "Take one of them out of the conversation (in Claude Code: /rewind to before it, or /compact).",
    ]
    if not has_pillow and any(part.attachment.kind == "image" for part in parts):
        sentences.append('After `pip install "ccr-proxy[images]"` ccr makes images smaller by itself.')
    return RequestError(" ".join(sentences))


def _said(part: Part) -> str:
    kind, place = part.attachment.kind, part.attachment.place
    article = "an" if kind == "image" else "a"
    where = f"message {place[0] + 1}" if len(place) == 2 else f"a tool's result in message {place[0] + 1}"
    return f"{article} {kind} of {_mb(part.size_bytes)} in {where} ({path_of(place)})"


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1_000_000:.1f} MB"
