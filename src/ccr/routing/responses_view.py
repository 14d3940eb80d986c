"""A request of the Responses API as the rules see it (`facts.View`): the chat made of it, and its tools.

Tools that run elsewhere are not in the chat any more, but a rule may go by them (``webSearch``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.protocol.anthropic import ABSENT
from ccr.routing.views import ChatView

if TYPE_CHECKING:
    from collections.abc import Collection

    from msgspec import Raw

    from ccr.protocol.openai import ChatRequest
    from ccr.protocol.responses_request import ResponsesRequest


class ResponsesView(ChatView):
    """A decoded request of the Responses API. chat: what it says in the chat format."""

    def __init__(self, request: ResponsesRequest, chat: ChatRequest, body: bytes) -> None:
        super().__init__(chat, body)
        self._request = request

    def metadata(self) -> Raw:
        """Return what the client says about itself."""
        return self._request.given.get("metadata", ABSENT)

    def tool_types(self) -> Collection[str]:
        """Return the types of all tools."""
        return [bytes(tool["type"]).decode().strip('"') for tool in self._request.tools or ()]

    def effort(self) -> str | None:
        """Return the effort asked for."""
        return self._request.effort
