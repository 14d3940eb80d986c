"""Whether the person asked for more thinking than the client always asks for.

Claude Code sends ``thinking`` with every request of its main loop: ``adaptive`` with an effort of ``high``,
or ``enabled`` with a budget of 31,999 tokens (docs/client.md). More than that comes from the person:

- ``/effort xhigh`` and ``/effort max``, as ``output_config.effort``;
- the word ``ultrathink`` in a prompt, as a reminder of the client's beside it;
- a larger budget, which other clients can send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.anthropic import Block

ALWAYS_BUDGET_TOKENS: Final = 31_999
ALWAYS_EFFORT: Final = "high"
ALWAYS_EFFORT_OF: Final[Mapping[str, str]] = {"claude-opus-4-7": "xhigh"}
"""Canonical model name -> the effort that the client asks for by itself, where it is not `ALWAYS_EFFORT`."""
KEYWORD: Final = 'The user included the keyword "ultrathink"'
"""How the client's reminder begins (2.1.197 and 2.1.330)."""
KEYWORD_BYTES: Final = b"ultrathink"
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def more_thinking(
    *, effort: str | None, budget_tokens: int, is_asked_in_words: bool, always_effort: str
) -> str:
    """Return what asks for more thinking, "" for nothing. Efforts nobody knows ask for nothing."""
    if is_asked_in_words:
        return "ultrathink"
    if effort in _EFFORTS and _EFFORTS.index(effort) > _EFFORTS.index(always_effort):
        return f"effort {effort}"
    if budget_tokens > ALWAYS_BUDGET_TOKENS:
        return f"a budget of {budget_tokens} tokens"
    return ""


def has_keyword(content: str | list[Block] | None) -> bool:
    """Tell whether the client's reminder stands in the texts of a content."""
    if isinstance(content, str):
        return KEYWORD in content
    return any(block.text is not None and KEYWORD in block.text for block in content or ())
