"""What a client asked of the model's thinking, apart from any provider's way of saying it.

The conversion writes the parameter that Databricks takes for a model (chat_thinking.py). A provider with a
form of its own is served by a transformer, which starts from this value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ccr.protocol.anthropic import MessagesRequest


class ThinkingWish(NamedTuple):
    """is_on: think, or expressly do not. budget_tokens, effort: how much, as the client said it, or None.

    effort: Anthropic's word (``low``, ``medium``, ``high``, ``xhigh``, ``max``), or another provider's.
    """

    is_on: bool
    budget_tokens: int | None = None
    effort: str | None = None


def wish_from_request(request: MessagesRequest) -> ThinkingWish | None:
    """Return what a Messages request says of thinking, None where it says nothing.

    An effort alone is none: it is about the whole answer, not about thinking.
    """
    wanted = request.thinking
    if wanted is None or wanted.type not in ("enabled", "adaptive", "disabled"):
        return None
    if wanted.type == "disabled":
        return ThinkingWish(False)
    effort = request.output_config.effort if request.output_config else None
    return ThinkingWish(True, wanted.budget_tokens, effort)
