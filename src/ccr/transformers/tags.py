"""Thinking between two tags in the text of an answer, taken out of it: at any cut, without losing a letter.

    text      -> <open>   thinking                   the first open tag counts, wherever it stands
    thinking  -> <close>  the rest is text, whatever it holds

What may be the beginning of a tag is held until it is one or not; nothing else waits. Blank space around the
tags is left out: it only separates. Without an open tag everything is text, without a close tag everything
after the open one is thinking.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ccr.transformers.choices import Choice, ChoiceStep
from ccr.transformers.rules import StepRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.transformers.base import Completion, Context

_AFTER_TEXT: Final = ("tool_calls", "function_call", "refusal")
"""Keys of a delta that follow its text."""


class Tags(NamedTuple):
    """What stands before thinking, and what after it."""

    open: str
    close: str


class _Where(Enum):
    BEFORE = 0
    INSIDE = 1
    BEHIND = 2
    AFTER = 3


class Piece(NamedTuple):
    """A piece of an answer. key: the field of a delta it belongs to, ``content`` or ``reasoning_content``."""

    key: str
    text: str


class Splitter:
    """Splits the text of one answer, fed in pieces."""

    def __init__(self, tags: Tags) -> None:
        self._tags = tags
        self._where = _Where.BEFORE
        self._held = ""
        self._is_blank = True
        """Nothing but blank space came since the start, or since the open tag."""

    def feed(self, text: str) -> list[Piece]:
        """Return what the text completes."""
        self._held += text
        pieces: list[Piece] = []
        if self._where is _Where.BEFORE:
            self._before(pieces)
        if self._where is _Where.INSIDE:
            self._inside(pieces)
        if self._where is _Where.BEHIND:
            self._held = self._held.lstrip()
            if self._held:
                self._where = _Where.AFTER
        if self._where is _Where.AFTER:
            self._write(pieces, "content", self._held, 0)
        return pieces

    def flush(self) -> list[Piece]:
        """Return what is held although nothing more of this text comes."""
        is_thinking = self._where is _Where.INSIDE
        pieces: list[Piece] = []
        text = self._held.rstrip() if is_thinking else self._held
        self._write(pieces, "reasoning_content" if is_thinking else "content", text, 0)
        return pieces

    def _before(self, pieces: list[Piece]) -> None:
        found = self._held.find(self._tags.open)
        text = self._held[:found] if found >= 0 else _whole(self._held, self._tags.open)
        if self._is_blank and not text.strip():
            text = ""
        if found >= 0:
            self._write(pieces, "content", text, len(self._held) - found - len(self._tags.open))
            self._where, self._is_blank = _Where.INSIDE, True
        else:
            self._write(pieces, "content", text, len(self._held) - len(text))

    def _inside(self, pieces: list[Piece]) -> None:
        if self._is_blank:
            self._held = self._held.lstrip()
        found = self._held.find(self._tags.close)
        text = (self._held[:found] if found >= 0 else _whole(self._held, self._tags.close)).rstrip()
        if found >= 0:
            self._write(pieces, "reasoning_content", text, len(self._held) - found - len(self._tags.close))
            self._where = _Where.BEHIND
        else:
            self._write(pieces, "reasoning_content", text, len(self._held) - len(text))

    def _write(self, pieces: list[Piece], key: str, text: str, kept: int) -> None:
        """Add a piece, if there is any text; keep the last characters of what is held."""
        if text:
            pieces.append(Piece(key, text))
            self._is_blank = False
        self._held = self._held[len(self._held) - kept :]


def _whole(text: str, tag: str) -> str:
    """Return the text without what may be the beginning of the tag."""
    return text[: len(text) - _partial(text, tag)]


def _partial(text: str, tag: str) -> int:
    """Return how many characters at the end of the text may begin the tag."""
    sizes = range(min(len(tag) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(tag[:size])), 0)


class TagStep(ChoiceStep):
    """One choice of a stream."""

    def __init__(self, index: int, tags: Tags, context: Context) -> None:
        super().__init__(index)
        self._splitter = Splitter(tags)
        self._context = context

    def choice(self, choice: Choice) -> list[Choice]:
        """Return the choice with its text parted, as one choice for each piece."""
        delta = choice["delta"]
        content = delta.get("content")
        is_text = isinstance(content, str)
        pieces = self._splitter.feed(content) if is_text and content else []
        has_more = any(delta.get(key) for key in _AFTER_TEXT)
        if choice.get("finish_reason") or has_more or (content and not is_text):
            held = self._splitter.flush()
            if content and not is_text:
                return [*(self._of(piece) for piece in held), choice]
            pieces += held
        if pieces == [Piece("content", content)] or (not content and not pieces):
            return [choice]
        return self._parted(choice, pieces)

    def end(self) -> list[Choice]:
        """Return what is still held."""
        return [self._of(piece) for piece in self._splitter.flush()]

    def _of(self, piece: Piece) -> Choice:
        self._note((piece,))
        return {"index": self.index, "delta": {piece.key: piece.text}, "finish_reason": None}

    def _note(self, pieces: Iterable[Piece]) -> None:
        if any(piece.key == "reasoning_content" for piece in pieces):
            self._context.note(StepRule.THINKING_PARTED)

    def _parted(self, choice: Choice, pieces: list[Piece]) -> list[Choice]:
        """Return one choice a piece; what goes before a text comes first, what follows it last."""
        self._note(pieces)
        delta = choice["delta"]
        first = {key: value for key, value in delta.items() if key not in (*_AFTER_TEXT, "content")}
        last = {key: value for key, value in delta.items() if key in _AFTER_TEXT}
        deltas: list[dict[str, Any]] = [{piece.key: piece.text} for piece in pieces]
        deltas = [*([first] if first else []), *deltas, *([last] if last else [])]
        if not deltas:
            return [{**choice, "delta": {}}] if choice.get("finish_reason") else []
        made = [{"index": self.index, "delta": each, "finish_reason": None} for each in deltas]
        made[-1] = {**choice, "delta": deltas[-1]}
        return made


def with_thinking_parted(completion: Completion, tags: Tags, context: Context) -> Completion:
    """Return a whole answer with the thinking in its texts as ``reasoning_content``."""
    choices = completion.get("choices")
    if not isinstance(choices, list):
        return completion
    parted = [_parted_choice(choice, tags) for choice in choices]
    if any(new is not old for new, old in zip(parted, choices, strict=True)):
        context.note(StepRule.THINKING_PARTED)
    return {**completion, "choices": parted}


def _parted_choice(choice: Any, tags: Tags) -> Any:
    message = choice.get("message") if isinstance(choice, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, str) or tags.open not in content:
        return choice
    splitter = Splitter(tags)
    texts = {"content": "", "reasoning_content": message.get("reasoning_content") or ""}
    for piece in [*splitter.feed(content), *splitter.flush()]:
        texts[piece.key] += piece.text
    return {**choice, "message": {**message, **texts}}
