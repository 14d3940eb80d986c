"""One stream through the steps that look at its chunks: the upstream's bytes in, bytes of the same form out.

    bytes -> sse.Decoder -> chunks -> the last step -> ... -> the first step -> bytes

Only chunks of a completion pass the steps (objects with ``choices``). Whatever else an upstream sends stays
as it is: errors, other events, what is no JSON. Before ``[DONE]``, or at the end of a stream that has come
to its ``finish_reason``, each step gives what it still holds (``end``), and the steps that follow see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccr.errors import ApiError
from ccr.protocol.completion import without_half_surrogates
from ccr.protocol.sse import DONE, Decoder, Event
from ccr.transformers.steps import bad_result, naming

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ccr.transformers.base import Chunk
    from ccr.transformers.steps import NamedChunkStep

_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder().decode
_INVALID: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ChunkFilter:
    """One stream. steps: in the order in which they see a chunk.

    ``feed`` and ``close`` raise ProtocolError as the decoder does, and what a step raises (ApiError), but
    only after the bytes made before it were returned.
    """

    def __init__(self, steps: Sequence[NamedChunkStep]) -> None:
        self.is_finishing = False
        """The upstream gave its finish_reason."""
        self.has_replaced_half_surrogates = False
        self._steps = steps
        self._decoder = Decoder()
        self._out: list[bytes] = []
        self._is_ended = False
        self._error: ApiError | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what one read of the upstream becomes, ``b""`` when the steps keep it."""
        self._raise_kept()
        return self._taken(self._decoder.feed(data))

    def close(self) -> bytes:
        """Return what the end of the upstream's bytes completes, and what steps still held."""
        self._raise_kept()
        out = self._taken(self._decoder.close())
        return out + self.finish() if self._error is None else out

    def finish(self) -> bytes:
        """Return what steps still hold of a stream that ended well; once, and nothing for one that is cut."""
        if self.is_finishing and not self._is_ended:
            try:
                self._end()
            except ApiError as error:
                self._keep(error)
        return self._take_out()

    def _taken(self, events: Iterable[Event]) -> bytes:
        try:
            for event in events:
                self._event(event)
        except ApiError as error:
            self._keep(error)
        return self._take_out()

    def _keep(self, error: ApiError) -> None:
        """Raise the error by the call that has nothing to return, like the decoder."""
        self._error = error
        if not self._out:
            raise error

    def _raise_kept(self) -> None:
        if self._error is not None:
            raise self._error

    def _take_out(self) -> bytes:
        out, self._out = b"".join(self._out), []
        return out

    def _event(self, event: Event) -> None:
        if event.data.strip() == DONE:
            if not self._is_ended:
                self._end()
        elif not event.event and not self._is_ended:
            chunk = self._chunk_in(event.data)
            if chunk is not None:
                self.is_finishing = self.is_finishing or _has_finish_reason(chunk)
                self._pass(chunk, self._steps)
                return
        self._out.append(_event_bytes(event))

    def _chunk_in(self, data: bytes) -> Chunk | None:
        """Return the chunk in an event, None when it holds anything else."""
        value = self._decoded(data)
        return value if isinstance(value, dict) and isinstance(value.get("choices"), list) else None

    def _decoded(self, data: bytes) -> Any:
        try:
            return _DECODE(data)
        except _INVALID:
            repaired = without_half_surrogates(data)
        try:
            value = _DECODE(repaired)
        except _INVALID:
            return None
        self.has_replaced_half_surrogates = True
        return value

    def _pass(self, chunk: Chunk, steps: Sequence[NamedChunkStep]) -> None:
        """Write what the steps make of a chunk, one after the other."""
        if not steps:
            name, _, logger = self._steps[-1]
            with naming(name, "chunk", logger):  # what cannot be written as JSON is refused here
                self._out.append(b"data: " + _ENCODE(chunk) + b"\n\n")
            return
        name, step, logger = steps[0]
        with naming(name, "chunk", logger):
            made = _chunks(step.chunk(chunk), name, "chunk")
        for each in made:
            self._pass(each, steps[1:])

    def _end(self) -> None:
        self._is_ended = True
        for at, (name, step, logger) in enumerate(self._steps):
            with naming(name, "end", logger):
                made = _chunks(step.end(), name, "end")
            for each in made:
                self._pass(each, self._steps[at + 1 :])


def _chunks(made: Any, name: str, hook: str) -> list[Chunk]:
    """Return what a step returned as a list. Raises TransformerError when these are not chunks."""
    if isinstance(made, dict) or not hasattr(made, "__iter__"):
        raise bad_result(made, "a list of chunks", name, hook)
    chunks = list(made)
    for chunk in chunks:
        if not isinstance(chunk, dict):
            raise bad_result(chunk, "a list of chunks", name, hook)
    return chunks


def _has_finish_reason(chunk: Chunk) -> bool:
    return any(isinstance(choice, dict) and choice.get("finish_reason") for choice in chunk["choices"])


def _event_bytes(event: Event) -> bytes:
    name = b"event: " + event.event.encode() + b"\n" if event.event else b""
    return name + b"data: " + event.data.replace(b"\n", b"\ndata: ") + b"\n\n"
