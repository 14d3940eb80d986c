"""Steps of this process that follow each other in a route, and what happens when one of them fails.

What a step does not override is never called: a group that leaves answers alone says so (`may_complete`,
`may_stream`), and the gateway passes the upstream's bytes by it.

Steps of the person's own get a request of their own in plain values, without ``msgspec.Raw``: they may read
every leaf of it, and what they change in place reaches nobody else. Built-in steps see what the gateway
holds.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from ccr.errors import ApiError, TransformerError
from ccr.protocol.openai import encode_chat_request
from ccr.protocol.redaction import redacted
from ccr.transformers.base import SILENT, Target, Transformer
from ccr.transformers.targets import fault_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import ChunkStep, Completion, Context, StepLogger

MAX_REASON_CHARS: Final = 500
NAMES_IN_LOG: Final = {
    "request": "transformRequestIn",
    "completion": "transformResponseOut",
    "stream": "transformResponseOut",
    "chunk": "transformResponseOut",
    "end": "transformResponseOut",
}
"""Hooks as ``plugin.log`` names them: by the npm router's words, which people search it for."""


class NamedChunkStep(NamedTuple):
    """What looks at the chunks of one stream, with the name and the log of its transformer."""

    name: str
    step: ChunkStep
    logger: StepLogger = SILENT


class Steps:
    """One or more steps in order. built_in: the classes that take requests as the gateway holds them."""

    def __init__(self, steps: Iterable[Transformer], *, built_in: frozenset[type[Transformer]]) -> None:
        self.steps = tuple(steps)
        self._requests = tuple(
            (step, type(step) not in built_in) for step in self.steps if overrides(step, "request")
        )
        self._targets = tuple(step for step in self.steps if overrides(step, "target"))
        reverse = self.steps[::-1]
        self._completions = tuple(step for step in reverse if overrides(step, "completion"))
        self._streams = tuple(step for step in reverse if overrides(step, "stream"))

    @property
    def may_complete(self) -> bool:
        """Whether a step looks at whole answers."""
        return bool(self._completions)

    @property
    def may_stream(self) -> bool:
        """Whether a step may look at streams."""
        return bool(self._streams)

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request after all steps. Raises TransformerError, or the ApiError a step raised."""
        for step, is_own in self._requests:
            step.logger.called(NAMES_IN_LOG["request"])
            with naming(step.name, "request", step.logger):
                given = opened(chat) if is_own else chat
                chat = checked(step.request(given, context), dict, "a request", step.name, "request")
                if is_own:
                    encode_chat_request(
                        chat
                    )  # what cannot be written as JSON is refused by its author's name
        return chat

    def target(self, target: Target, context: Context) -> Target:
        """Return where the request goes after all steps."""
        for step in self._targets:
            step.logger.called("target")
            with naming(step.name, "target", step.logger):
                answer = step.target(target, context)
                target = checked_target(checked(answer, Target, "a Target", step.name, "target"), step.name)
        return target

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the whole answer after all steps, the last one first."""
        for step in self._completions:
            step.logger.called(NAMES_IN_LOG["completion"])
            with naming(step.name, "completion", step.logger):
                answer = step.completion(completion, context)
                completion = checked(answer, dict, "a completion", step.name, "completion")
        return completion

    def chunk_steps(self, context: Context) -> list[NamedChunkStep]:
        """Return what looks at the chunks of a new stream, in the order in which they see them."""
        found = []
        for step in self._streams:
            step.logger.called(NAMES_IN_LOG["stream"])
            with naming(step.name, "stream", step.logger):
                made = step.stream(context)
            if made is not None:
                found.append(NamedChunkStep(step.name, made, step.logger))
        return found


def overrides(step: Transformer, hook: str) -> bool:
    """Tell whether a step has a hook of its own."""
    return getattr(type(step), hook) is not getattr(Transformer, hook) or hook in vars(step)


def opened(chat: ChatRequest) -> ChatRequest:
    """Return a copy of the request in plain values: no leaf of it is ``msgspec.Raw``."""
    plain: ChatRequest = msgspec.json.decode(encode_chat_request(chat))
    return plain


@contextmanager
def naming(name: str, hook: str, logger: StepLogger = SILENT) -> Iterator[None]:
    """Turn what a step raises into a TransformerError; an ApiError is the step's own word to the client.

    Also what is no ``Exception``: a step that calls ``sys.exit`` would end the whole service. logger: the
    step's, which is told of the failure.
    """
    try:
        yield
    except TransformerError as error:
        logger.failed(NAMES_IN_LOG.get(hook, hook), error)
        raise
    except (ApiError, KeyboardInterrupt):
        raise
    except BaseException as error:
        logger.failed(NAMES_IN_LOG.get(hook, hook), error)
        reason = redacted(f"{type(error).__name__}: {error}")[:MAX_REASON_CHARS]
        raise TransformerError(name, hook, reason) from error


def checked(value: Any, kind: type[Any], what: str, name: str, hook: str) -> Any:
    """Return what a hook returned. Raises TransformerError when it is not ``what`` it should be."""
    if isinstance(value, kind):
        return value
    raise bad_result(value, what, name, hook)


def checked_target(target: Target, name: str) -> Target:
    """Return where a step wants a request to go. Raises TransformerError when no request can go there."""
    fault = fault_of(target)
    if fault is not None:
        raise TransformerError(name, "target", fault)
    return target


def bad_result(value: object, what: str, name: str, hook: str) -> TransformerError:
    """Return the error for something that a hook may not return."""
    if inspect.iscoroutine(value):
        value.close()
        return TransformerError(name, hook, "it is `async`, and hooks are plain functions")
    found = "nothing" if value is None else type(value).__name__
    return TransformerError(name, hook, f"it returned {found}, not {what}")
