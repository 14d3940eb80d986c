"""Streams choice by choice: for steps that must remember what came before in the same choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccr.transformers.base import Chunk, ChunkStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Choice = dict[str, Any]
"""One entry of a chunk's ``choices``, with a ``delta``."""


class ChoiceStep:
    """What a step does with one choice of a stream. index: which one it is."""

    def __init__(self, index: int) -> None:
        self.index = index

    def choice(self, choice: Choice) -> list[Choice]:
        """Return what stands in its place, in order: none, one or several; the same one for no change."""
        raise NotImplementedError

    def end(self) -> list[Choice]:
        """Return what is still to be passed on when the stream has ended well."""
        return []


class ByChoice(ChunkStep):
    """Gives each choice of a stream to a step of its own. make: makes it, from the choice's index."""

    def __init__(self, make: Callable[[int], ChoiceStep]) -> None:
        self._make = make
        self._steps: dict[int, ChoiceStep] = {}
        self._envelope: Chunk = {}

    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        """Return the chunk as the steps of its choices leave it; one without choices stays as it is."""
        choices = chunk.get("choices")
        if not choices:
            return (chunk,)
        self._envelope = chunk
        made = [self._made(choice) for choice in choices]
        if all(len(new) == 1 and new[0] is old for new, old in zip(made, choices, strict=True)):
            return (chunk,)
        return _chunks(chunk, made)

    def end(self) -> Iterable[Chunk]:
        """Return what the steps still hold."""
        return [
            {**_without_usage(self._envelope), "choices": [choice]}
            for step in self._steps.values()
            for choice in step.end()
        ]

    def _made(self, choice: Any) -> list[Choice]:
        if not isinstance(choice, dict) or not isinstance(choice.get("delta"), dict):
            return [choice]
        index = choice.get("index") or 0
        if index not in self._steps:
            self._steps[index] = self._make(index)
        return self._steps[index].choice(choice)


def _chunks(chunk: Chunk, made: list[list[Choice]]) -> list[Chunk]:
    """Return chunks with the n-th of what each choice became in the n-th; the counts come with the last."""
    count = max(len(new) for new in made)
    if not count:
        return [{**chunk, "choices": []}] if chunk.get("usage") else []
    rows = [[new[row] for new in made if row < len(new)] for row in range(count)]
    first = [{**_without_usage(chunk), "choices": row} for row in rows[:-1]]
    return [*first, {**chunk, "choices": rows[-1]}]


def _without_usage(chunk: Chunk) -> Chunk:
    return {key: value for key, value in chunk.items() if key != "usage"}
