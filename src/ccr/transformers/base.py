"""What a transformer is: one step between the conversion and the upstream. Pure; knows no network.

A request passes the steps of its route in order, its answer passes them in exact reverse::

    request    -> step 1 -> step 2 -> upstream
    answer     <- step 1 <- step 2 <- upstream

Every hook takes a value and returns one; nothing that was handed in is changed. A step overrides the hooks
it needs; what it leaves out costs nothing. Built-in steps use nothing but this interface.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.protocol.thinking_wish import ThinkingWish
    from ccr.protocol.traits import Handled

Chunk = dict[str, Any]
"""One ``chat.completion.chunk``, decoded."""
Completion = dict[str, Any]
"""One whole ``chat.completion``, decoded."""
_RULE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class StepLogger(Protocol):
    """Where a step writes for ``plugin.log``; levels are those of ``LOG_LEVEL``."""

    def writes(self, level: str) -> bool:
        """Tell whether lines of this level are written."""
        ...

    def write(self, level: str, text: str) -> None:
        """Write a line, unless its level is not wanted."""
        ...

    def called(self, hook: str) -> None:
        """Note that a hook is called; whoever runs the steps does so."""
        ...

    def failed(self, hook: str, error: BaseException) -> None:
        """Note that a hook failed; whoever runs the steps does so."""
        ...


class _NoLog:
    """The logger of steps that nobody has given one."""

    def writes(self, _level: str) -> bool:
        return False

    def write(self, _level: str, _text: str) -> None:
        pass

    def called(self, _hook: str) -> None:
        pass

    def failed(self, _hook: str, _error: BaseException) -> None:
        pass


SILENT: Final[StepLogger] = _NoLog()


def _unheard(_rule: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a step may know about the request it works on. model: as the provider calls it.

    thinking: what the client asked of the model's thinking, whatever the conversion made of it; None where
    it said nothing, or came in the chat format, where its own words are in the request. is_converted: the
    client's request came in another format than the chat format. noted: is told the rules of `note`.
    """

    provider: str
    model: str
    is_stream: bool = False
    request_id: str = ""
    session_id: str | None = None
    thinking: ThinkingWish | None = None
    is_converted: bool = False
    noted: Callable[[str], None] = field(default=_unheard, repr=False, compare=False)

    def note(self, rule: str) -> None:
        """Say by a name that something of the request or the answer was dropped or mended.

        The name stands in the request's record and is counted (``GET /status``). Raises ValueError on what is
        no name: small letters, digits and ``_``, at most 64.
        """
        if not _RULE.fullmatch(rule):
            raise ValueError(f"a rule has a name of small letters, digits and _, not {rule[:80]!r}")
        self.noted(str(rule))


class Target(NamedTuple):
    """Where a request goes. headers: beyond those every request has; None takes a header away."""

    url: str
    headers: Mapping[str, str | None]


class ChunkStep:
    """What a step does with one stream; made for each stream, so that it may remember what came before."""

    def chunk(self, chunk: Chunk) -> Iterable[Chunk]:
        """Return the chunks to pass on instead of ``chunk``: none, one or several."""
        return (chunk,)

    def end(self) -> Iterable[Chunk]:
        """Return what is still to be passed on when the stream has ended well."""
        return ()


class Transformer:
    """Base of all steps. Subclasses set ``name`` (the configured name) and override hooks.

    options: what the configuration gives the step. Raises ValueError with a sentence on options it cannot
    use.

    handles: what the step does about the thinking of models that have no ``thinking`` parameter in the
    conversion. ``wish``: it writes a parameter for ``Context.thinking``; the conversion then writes none.
    ``history``: it sends the history's thinking; assistant messages then come with ``thinking``
    (``{"content", "signature"}``), which it has to take away.
    """

    name: ClassVar[str] = ""
    handles: ClassVar[frozenset[Handled]] = frozenset()
    logger: StepLogger = SILENT
    """``plugin.log``, given after construction."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request to send instead of ``chat``, which stays as it is.

        ``chat`` comes from the conversion or, on the OpenAI route, from the client: then keys the client
        added are there too, and leaves may be ``msgspec.Raw``.
        """
        return chat

    def target(self, target: Target, context: Context) -> Target:
        """Return where the request goes, and with which headers, instead of ``target``."""
        return target

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the whole answer to pass on instead of ``completion``."""
        return completion

    def stream(self, context: Context) -> ChunkStep | None:
        """Return what looks at the chunks of one stream, None when they pass as they are."""
        return None
