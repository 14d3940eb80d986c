"""The transformers of one route, in order: the provider's, then the model's own.

    request    -> part 1 -> part 2 -> upstream
    answer     <- part 1 <- part 2 <- upstream

A part is a run of steps of this process (`Steps`) or of steps of one host outside it (`RemoteSteps`).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.transformers.base import Transformer
from ccr.transformers.registry import BUILT_IN, build
from ccr.transformers.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ccr.config.model import Provider, Step
    from ccr.protocol.openai import ChatRequest
    from ccr.protocol.traits import Handled
    from ccr.transformers.base import Completion, Context, Target
    from ccr.transformers.remote import RemoteHost, RemoteStep

    AnyStep = Transformer | RemoteStep
    Build = Callable[[Step], AnyStep]


_SHOWN: Final[frozenset[Handled]] = frozenset({"history"})


class RemoteSteps(NamedTuple):
    """Steps of one host that follow each other, in the order of requests."""

    host: RemoteHost
    steps: tuple[RemoteStep, ...]

    @property
    def requesting(self) -> tuple[RemoteStep, ...]:
        """Those that look at requests, in order."""
        return tuple(step for step in self.steps if step.may_request)

    @property
    def responding(self) -> tuple[RemoteStep, ...]:
        """Those that look at answers, in the order of answers."""
        return tuple(step for step in reversed(self.steps) if step.may_respond)


class Pipeline:
    """Steps that are applied one after the other. has_remote: some run outside this process."""

    def __init__(self, steps: Iterable[AnyStep]) -> None:
        self.steps = tuple(steps)
        self.parts = tuple(_parts(self.steps))
        self.has_remote = any(isinstance(part, RemoteSteps) for part in self.parts)

    @classmethod
    def of(cls, provider: Provider, model: str, build: Build = build) -> Pipeline:
        """Return the pipeline of a route. Raises ValueError on a step that cannot be built."""
        return cls(build(step) for step in (*provider.steps, *provider.model_steps.get(model, ())))

    @property
    def returning(self) -> tuple[Steps | RemoteSteps, ...]:
        """The parts in the order in which an answer passes them."""
        return self.parts[::-1]

    @property
    def handles(self) -> frozenset[Handled]:
        """What its steps do about a model's thinking; see ``Transformer.handles``.

        Steps of other processes are shown the history's thinking, and the gateway takes away what they leave.
        """
        handled: set[Handled] = set()
        for step in self.steps:
            handled |= (
                step.handles if isinstance(step, Transformer) else _SHOWN if step.may_request else set()
            )
        return frozenset(handled)

    # The steps of this process alone, for whoever waits for nothing: the gateway goes by the parts.

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request after the steps of this process."""
        for part in self._own():
            chat = part.request(chat, context)
        return chat

    def target(self, target: Target, context: Context) -> Target:
        """Return where the request goes after the steps of this process."""
        for part in self._own():
            target = part.target(target, context)
        return target

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the whole answer after the steps of this process, the last one first."""
        for part in reversed(tuple(self._own())):
            completion = part.completion(completion, context)
        return completion

    def _own(self) -> Iterator[Steps]:
        return (part for part in self.parts if isinstance(part, Steps))


def _parts(steps: tuple[AnyStep, ...]) -> Iterator[Steps | RemoteSteps]:
    built_in = frozenset(BUILT_IN.values())
    for host, group in groupby(steps, lambda step: None if isinstance(step, Transformer) else step.host):
        if host is None:
            yield Steps((step for step in group if isinstance(step, Transformer)), built_in=built_in)
        else:
            yield RemoteSteps(host, tuple(step for step in group if not isinstance(step, Transformer)))
