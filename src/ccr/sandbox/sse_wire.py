"""Server-sent events as bytes, in every form the standard and real servers allow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccr.sandbox.script import Wire


def sse_event(data: dict[str, Any] | str, wire: Wire, *, event: str | None = None, number: int = 0) -> bytes:
    """Return one event; ``number`` counts the events of the stream (for ``id:`` lines)."""
    if isinstance(data, str):
        text = data
    else:
        text = json.dumps(data, ensure_ascii=False, indent=2 if wire.multi_line_data else None)
    colon = ": " if wire.space_after_colon else ":"
    lines = [f": comment {number}"] if wire.comments else []
    if wire.extra_fields:
        lines += [f"id{colon}{number}", f"retry{colon}3000"]
    if event is not None:
        lines.append(f"event{colon}{event}")
    lines += [f"data{colon}{line}" for line in text.split("\n")]
    return "".join(line + wire.newline for line in (*lines, "")).encode()
