"""What the rules look at in a request, and how it is found: whatever the dialect, and cheaply.

A request is looked into only for what a configured rule asks for, and only where it can stand: the search
of a whole body for a few words takes longer than all rules together. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ccr.routing.subagent import MARK, NO_TAG, Tag, tag_in
from ccr.routing.thinking import KEYWORD_BYTES, has_keyword, more_thinking

if TYPE_CHECKING:
    from collections.abc import Collection

    from msgspec import Raw

    from ccr.protocol.anthropic import Block

    Content = str | list[Block] | None

WEB_SEARCH: Final = "web_search"
_IMAGE_BYTES: Final = b"image"


class Facts(NamedTuple):
    """What is known of a request. Whatever no rule needs stays at its default.

    model: the name that the client asks for. tokens: estimated input tokens, 0 where nobody counted.
    last_tokens: those of the session's last answer, as its upstream counted them; 0 for none.
    subagent: the tag for a subagent. more_thinking: what asks for more thinking, "" for nothing.
    has_image: in the last message of the user. leaves_images: they are left to the image agent.
    """

    model: str
    tokens: int = 0
    last_tokens: int = 0
    subagent: Tag = NO_TAG
    has_web_search: bool = False
    more_thinking: str = ""
    has_image: bool = False
    leaves_images: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to go by but the model's name."""
        return self == (self.model, 0, 0, NO_TAG, False, "", False, False)


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

    @property
    def count(self) -> int:
        """The number of messages."""

    def role(self, index: int) -> str:
        """Return the role of a message."""

    def message(self, index: int, mark: bytes) -> Content:
        """Return the content of a message; it may be None where ``mark`` is not in its bytes."""

    def answers_a_tool(self, index: int) -> bool:
        """Tell whether a message has the result of a tool."""

    def system(self, mark: bytes) -> Content:
        """Return the system prompt; it may be None where ``mark`` is not in its bytes."""

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
    wanted: Collection[str],
    *,
    body_bytes: int,
    always_effort: str,
    count_from_bytes: int = 0,
    last_tokens: int = 0,
) -> Facts:
    """Return the facts of a request.

    wanted: the scenarios somebody has a route for. always_effort: what the client asks for by itself with
    this model. count_from_bytes: smaller bodies are no long context, whatever they hold.
    """
    is_long = "longContext" in wanted and body_bytes > count_from_bytes
    return Facts(
        view.model,
        tokens=view.tokens() if is_long else 0,
        last_tokens=last_tokens if is_long else 0,
        subagent=_tag(view),
        has_web_search="webSearch" in wanted and _has_web_search(view),
        more_thinking=_more_thinking(view, always_effort) if "think" in wanted else "",
        has_image="image" in wanted and _has_image(view),
    )


def first_user_message(view: View) -> int | None:
    """Return the index of the first message of the user."""
    return next((index for index in range(view.count) if view.role(index) == "user"), None)


def _tag(view: View) -> Tag:
    found = tag_in(view.system(MARK), is_system=True)
    if found is NO_TAG:
        index = first_user_message(view)
        if index is not None:
            found = tag_in(view.message(index, MARK), is_system=False)
    return found


def _has_web_search(view: View) -> bool:
    return any(type_.startswith(WEB_SEARCH) for type_ in view.tool_types())


def _more_thinking(view: View, always_effort: str) -> str:
    return more_thinking(
        effort=view.effort(),
        budget_tokens=view.budget_tokens(),
        is_asked_in_words=_has_keyword(view),
        always_effort=view.always_effort or always_effort,
    )


def _has_keyword(view: View) -> bool:
    """Tell whether the keyword's reminder stands in the running turn.

    A turn begins with the last message of the user that does not answer a tool.
    """
    for index in range(view.count - 1, -1, -1):
        role = view.role(index)
        if role == "assistant":
            continue
        if has_keyword(view.message(index, KEYWORD_BYTES)):
            return True
        if role == "user" and not view.answers_a_tool(index):
            break
    return False


def _has_image(view: View) -> bool:
    """Tell whether the last message of the user has an image, also in the result of a tool."""
    last = next((index for index in range(view.count - 1, -1, -1) if view.role(index) == "user"), None)
    return last is not None and _holds_image(view.message(last, _IMAGE_BYTES))


def _holds_image(content: object) -> bool:
    if not isinstance(content, list):
        return False
    return any(
        block.type == "image" or (block.type == "tool_result" and _holds_image(block.content))
        for block in content
    )
