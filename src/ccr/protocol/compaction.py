"""Recognises the request with which Claude Code has its conversation summed up (``/compact``).

It is the conversation with one more text at its end (claude-code-client.md, table of requests, row i;
observed with 2.1). A client that words it otherwise is not recognised, which costs an answer to measure only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ccr.protocol.anthropic import MessagesRequest

INSTRUCTION: Final = "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools."


def is_compaction(request: MessagesRequest) -> bool:
    """Tell whether the request asks for a summary of its own conversation."""
    content = request.messages[-1].content
    texts = [content] if isinstance(content, str) else [block.text or "" for block in content[-2:]]
    return any(text.lstrip().startswith(INSTRUCTION) for text in texts)
