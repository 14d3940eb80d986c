"""The tag by which a person chooses the model of a subagent: ``<CCR-SUBAGENT-MODEL>x</CCR-SUBAGENT-MODEL>``.

It may stand in any block of the system prompt and in the first message of the user, which is where the
client puts the prompt of a subagent. It is taken out of what is sent. Source: the npm router's
documentation. In the user's message ``<system-reminder>`` sections do not count: the client puts CLAUDE.md
there, and a page that explains the tag must not choose the model of the whole session.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ccr.protocol.anthropic import Block

MARK: Final = b"CCR-SUBAGENT-MODEL"
"""Bytes of every request with a tag."""
_MARK_TEXT: Final = MARK.decode()
_TAG: Final = r"<CCR-SUBAGENT-MODEL>(?P<model>[^<>\r\n]{1,256})</CCR-SUBAGENT-MODEL>[ \t]*(?:\r?\n)?"
_IN_SYSTEM: Final = re.compile(_TAG)
_IN_MESSAGE: Final = re.compile(r"(?P<reminder><system-reminder>.*?</system-reminder>)|" + _TAG, re.DOTALL)


class Tag(NamedTuple):
    """A tag. model: the name in it, "" for no tag. is_certain: it was written as a tag, not as an example.

    That is one in the system prompt or at the beginning of a line.
    """

    model: str
    is_certain: bool = True


NO_TAG: Final = Tag("")


def tag_in(content: str | list[Block] | None, *, is_system: bool) -> Tag:
    """Return the first tag in the texts of a content, `NO_TAG` for none."""
    for text in _texts(content):
        if _MARK_TEXT not in text:
            continue
        for match in _pattern(is_system=is_system).finditer(text):
            model = (match["model"] or "").strip()
            if model:
                start = match.start()
                line = text[text.rfind("\n", 0, start) + 1 : start]
                return Tag(model, is_system or not line.strip())
    return NO_TAG


def text_without_tag(text: str, tag: Tag, *, is_system: bool) -> str:
    """Return a text without the tags that name the same model; the same object where there is none."""
    if _MARK_TEXT not in text:
        return text

    def kept(match: re.Match[str]) -> str:
        return "" if (match["model"] or "").strip() == tag.model else match[0]

    return _pattern(is_system=is_system).sub(kept, text)


def _pattern(*, is_system: bool) -> re.Pattern[str]:
    return _IN_SYSTEM if is_system else _IN_MESSAGE


def _texts(content: str | list[Block] | None) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [block.text for block in content or () if block.type == "text" and block.text]
