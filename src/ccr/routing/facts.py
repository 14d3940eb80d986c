"""What the rules look at in a request, and how it is found: whatever the dialect, and cheaply.

A request is looked into only for what a configured rule asks for, and only where a look at its bytes says
that it could be there. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ccr.routing.subagent import MARK, NO_TAG, Tag, tag_in
from ccr.routing.thinking import KEYWORD_BYTES, has_keyword, more_thinking

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from msgspec import Raw

    from ccr.protocol.anthropic import Block

    Content = str | list[Block] | None

WEB_SEARCH: Final = "web_search"
_WEB_SEARCH_BYTES: Final = WEB_SEARCH.encode()
_IMAGE_BYTES: Final = b"image"


class Facts(NamedTuple):
    """What is known of a request. Whatever no rule needs stays at its default.

    model: the name that the client asks for. tokens: estimated input tokens, 0 where nobody counted.
    last_tokens: those of the session's last answer, as its upstream counted them; 0 for none.
    subagent: the tag for a subagent. more_thinking: what asks for more thinking, "" for nothing.
    """

    model: str
    tokens: int = 0
    last_tokens: int = 0
    subagent: Tag = NO_TAG
    has_web_search: bool = False
    more_thinking: str = ""
    has_image: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to go by but the model's name."""
        return self == (self.model, 0, 0, NO_TAG, False, "", False)


class View(Protocol):
    """A request of any dialect, taken apart no further than it was already."""

    @property
    def model(self) -> str:
        """The name of the model."""

    @property
    def always_effort(self) -> str | None:
        """The effort that clients of the dialect always ask for, None where it depends on the model."""

    def metadata(self) -> Raw:
        """Return what the client says about itself, empty for nothing."""

    def roles(self) -> Sequence[str]:
        """Return the role of each message."""

    def message(self, index: int) -> Content:
        """Return the content of a message."""

    def system(self) -> Content:
        """Return the system prompt."""

    def tool_types(self) -> Collection[str]:
        """Return the types of all tools."""

    def effort(self) -> str | None:
        """Return the effort asked for."""

    def budget_tokens(self) -> int:
        """Return the tokens of thinking asked for, 0 where none are named."""

    def tokens(self) -> int:
        """Return an estimate of the input tokens."""


def facts_from_view(
    view: View,
    body: bytes,
    wanted: Collection[str],
    *,
    always_effort: str,
    count_from_bytes: int = 0,
    last_tokens: int = 0,
) -> Facts:
    """Return the facts of a request.

    body: its bytes. wanted: the scenarios somebody has a route for. always_effort: what the client asks for
    by itself with this model. count_from_bytes: smaller bodies are no long context, whatever they hold.
    """
    model = view.model
    if not wanted and MARK not in body:
        return Facts(model)
    is_long = "longContext" in wanted and len(body) > count_from_bytes
    return Facts(
        model,
        tokens=view.tokens() if is_long else 0,
        last_tokens=last_tokens if is_long else 0,
        subagent=_tag(view) if MARK in body else NO_TAG,
        has_web_search="webSearch" in wanted and _WEB_SEARCH_BYTES in body and _has_web_search(view),
        more_thinking=_more_thinking(view, body, always_effort) if "think" in wanted else "",
        has_image="image" in wanted and _IMAGE_BYTES in body and _has_image(view),
    )


def first_user_message(roles: Sequence[str]) -> int | None:
    """Return the index of the first message of the user."""
    return next((index for index, role in enumerate(roles) if role == "user"), None)


def _tag(view: View) -> Tag:
    found = tag_in(view.system(), is_system=True)
    if found is NO_TAG:
        index = first_user_message(view.roles())
        if index is not None:
            found = tag_in(view.message(index), is_system=False)
    return found


def _has_web_search(view: View) -> bool:
    return any(type_.startswith(WEB_SEARCH) for type_ in view.tool_types())


def _more_thinking(view: View, body: bytes, always_effort: str) -> str:
    is_asked_in_words = KEYWORD_BYTES in body and _has_keyword(view)
    return more_thinking(
        effort=view.effort(),
        budget_tokens=view.budget_tokens(),
        is_asked_in_words=is_asked_in_words,
        always_effort=view.always_effort or always_effort,
    )


def _has_keyword(view: View) -> bool:
    """Tell whether the keyword's reminder stands in the running turn.

    A turn begins with the last message of the user that does not answer a tool.
    """
    roles = view.roles()
    for index in range(len(roles) - 1, -1, -1):
        if roles[index] == "assistant":
            continue
        content = view.message(index)
        if has_keyword(content):
            return True
        if roles[index] == "user" and not _answers_a_tool(content):
            break
    return False


def _answers_a_tool(content: Content) -> bool:
    return isinstance(content, list) and any(block.type == "tool_result" for block in content)


def _has_image(view: View) -> bool:
    """Tell whether the last message of the user has an image, also in the result of a tool."""
    roles = view.roles()
    last = next((index for index in range(len(roles) - 1, -1, -1) if roles[index] == "user"), None)
    return last is not None and _holds_image(view.message(last))


def _holds_image(content: object) -> bool:
    if not isinstance(content, list):
        return False
    return any(
        block.type == "image" or (block.type == "tool_result" and _holds_image(block.content))
        for block in content
    )
