"""Requests of the Responses API as the rules see them."""

from __future__ import annotations

from ccr.protocol.anthropic import ABSENT
from ccr.protocol.chat_from_responses import chat_from_responses
from ccr.routing.responses_view import ResponsesView
from tests.protocol.responses_requests import request_of


def view_of(**body: object) -> ResponsesView:
    request = request_of(**body)
    return ResponsesView(request, chat_from_responses(request).chat, b"{}")


def test_tools_that_run_elsewhere_are_seen() -> None:
    view = view_of(tools=[{"type": "web_search"}, {"type": "function", "name": "read"}])
    assert list(view.tool_types()) == ["web_search", "function"]
    assert list(view_of().tool_types()) == []


def test_what_else_is_seen() -> None:
    view = view_of(instructions="Be kind.", reasoning={"effort": "high"}, metadata={"user_id": "x"})
    assert (view.effort(), bytes(view.metadata()), view.count) == ("high", b'{"user_id": "x"}', 2)
    assert [block.text for block in view.system(b"") or () if not isinstance(block, str)] == ["Be kind."]
    assert (view_of().effort(), view_of().metadata()) == (None, ABSENT)
