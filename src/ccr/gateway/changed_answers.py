"""An upstream's answer as its transformers change it, while it arrives; read like the answer itself.

    WholeThroughSteps     a whole completion through steps of this process
    StreamThroughSteps    a stream through steps of this process
    HoppedAnswer          either, through steps that run elsewhere

Whatever is read from one of these has the form the upstream should have answered in.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec

from ccr.errors import ApiError, ProtocolError, TransformerError, UpstreamError
from ccr.protocol.completion import without_half_surrogates
from ccr.protocol.openai import encode_chat_request
from ccr.protocol.response_rules import ResponseRule
from ccr.transformers.steps import naming

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from ccr.gateway.record import Record
    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import Context
    from ccr.transformers.chunks import ChunkFilter
    from ccr.transformers.remote import Asked, HookedResponse, RemoteHost, RemoteStep
    from ccr.transformers.steps import Steps
    from ccr.upstream.answer import Answer
    from ccr.upstream.client import Upstream

    Incoming: TypeAlias = "Answer | ChangedAnswer"

KEPT: Final = b":\n\n"
"""A comment of the stream: the upstream has spoken, and the steps keep what it said for later."""
PAUSE_S: Final = 3600.0
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_DECODE: Final = msgspec.json.Decoder().decode


class Failures(Protocol):
    """Whoever logs what transformers do wrong."""

    def failed(self, error: TransformerError, context: Context) -> None:
        """Log it."""
        ...


class ChangedAnswer:
    """An answer on top of another one. See `Answer` for what is not described here."""

    def __init__(self, inner: Incoming) -> None:
        self.inner = inner
        self.status: int = inner.status
        self.headers: Mapping[str, str] = inner.headers

    @property
    def content_type(self) -> str:
        """The media type, lower case, without parameters; "" when none was given."""
        value = next((text for name, text in self.headers.items() if name.lower() == "content-type"), "")
        return value.partition(";")[0].strip().lower()

    @property
    def waited_s(self) -> float:
        """How long the first event of the answer below was waited for in vain."""
        return self.inner.waited_s

    async def next(self, timeout_s: float) -> bytes:
        """Return what has arrived, b"" at the end. Raises TimeoutError, ApiError."""
        return await self.inner.next(timeout_s)

    async def read(self, *, timeout_s: float) -> bytes:
        """Return the whole body. Raises ApiError."""
        return await self.inner.read(timeout_s=timeout_s)

    async def read_start(self, *, max_bytes: int, timeout_s: float) -> bytes:
        """Return the start of the body, as much of it as comes."""
        start = b""
        try:
            while len(start) < max_bytes and (data := await self.next(timeout_s)):
                start += data
        except (TimeoutError, ApiError):
            pass  # an error's text is worth showing even when its end is missing
        return start[:max_bytes]

    def close(self) -> None:
        """Close it and the one below."""
        self.inner.close()

    def release(self, upstream: Upstream) -> None:
        """Give the connection back after a complete answer."""
        release(upstream, self.inner)


def release(upstream: Upstream, answer: Incoming) -> None:
    """Give the connection of a complete answer back for the next request."""
    if isinstance(answer, ChangedAnswer):
        answer.release(upstream)
    else:
        upstream.release(answer)


def bytes_of(value: ChatRequest | bytes) -> bytes:
    """Return a request as it is sent."""
    return value if isinstance(value, bytes) else encode_chat_request(value)


class WholeThroughSteps(ChangedAnswer):
    """A whole completion; what is none (an error, a web page) passes as it is."""

    def __init__(self, inner: Incoming, steps: Steps, failures: Failures, context: Context) -> None:
        super().__init__(inner)
        self._steps = steps
        self._failures = failures
        self._context = context

    async def read(self, *, timeout_s: float) -> bytes:
        """Return the body after the steps."""
        data = await self.inner.read(timeout_s=timeout_s)
        completion = _object_in(data)
        if completion is None or not isinstance(completion.get("choices"), list):
            return data
        try:
            changed = self._steps.completion(completion, self._context)
            first = self._steps.steps[0]
            with naming(first.name, "completion", first.logger):
                return msgspec.json.encode(changed)
        except TransformerError as error:
            self._failures.failed(error, self._context)
            raise


class StreamThroughSteps(ChangedAnswer):
    """A stream, chunk by chunk."""

    def __init__(
        self,
        inner: Incoming,
        chunks: ChunkFilter,
        failures: Failures,
        context: Context,
        record: Record,
    ) -> None:
        super().__init__(inner)
        self._chunks = chunks
        self._failures = failures
        self._context = context
        self._record = record

    async def next(self, timeout_s: float) -> bytes:
        """Return what the steps make of one read; a comment when they keep it all."""
        chunks = self._chunks
        try:
            data = await self.inner.next(timeout_s)
        except (TimeoutError, UpstreamError):
            # The answer is complete, only its end is missing: whoever reads it will wait no longer.
            kept = self._made(chunks.finish)
            if kept:
                return kept
            raise
        if not data:
            return self._made(chunks.close)
        return self._made(lambda: chunks.feed(data)) or KEPT

    def _made(self, make: Callable[[], bytes]) -> bytes:
        try:
            out = make()
        except TransformerError as error:
            self._failures.failed(error, self._context)
            raise
        except ProtocolError as error:
            raise UpstreamError(502, f"{self._context.provider}, {self._context.model}: {error}") from error
        rule = ResponseRule.HALF_SURROGATE_REPLACED.value
        if self._chunks.has_replaced_half_surrogates and rule not in self._record.rules:
            self._record.rules += (rule,)
        return out


class HoppedAnswer(ChangedAnswer):
    """An answer that flows through another process. Status and headers are what the steps there made."""

    def __init__(self, inner: Incoming, source: _Source, response: HookedResponse, name: str) -> None:
        super().__init__(inner)
        self.status = response.status
        self.headers = response.headers
        self._name = name
        self._source = source
        self._response = response
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def through(
        cls,
        inner: Incoming,
        host: RemoteHost,
        steps: Sequence[RemoteStep],
        context: Context,
        asked: Asked,
    ) -> HoppedAnswer:
        """Begin the hop. Raises ApiError; the answer stays open then."""
        source = _Source(inner)
        chunks = source.chunks()
        response = await host.response(steps, inner.status, inner.headers, chunks, context, asked)
        return cls(inner, source, response, steps[0].name)

    async def next(self, timeout_s: float) -> bytes:
        """Return what has come out of the hop."""
        return await self._response.next(timeout_s)

    async def read(self, *, timeout_s: float) -> bytes:
        """Return all that comes out of the hop."""
        pieces: list[bytes] = []
        size = 0
        try:
            while data := await self.next(timeout_s):
                pieces.append(data)
                size += len(data)
                if size > MAX_BODY_BYTES:
                    raise UpstreamError(
                        502, f"{self._name} made more than {MAX_BODY_BYTES} bytes of an answer"
                    )
        except TimeoutError as error:
            raise UpstreamError(504, f"nothing came for {timeout_s:.0f} s through {self._name}") from error
        return b"".join(pieces)

    def close(self) -> None:
        """End the hop, and close the answer below. May be called again."""
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._response.close())
        super().close()

    def release(self, upstream: Upstream) -> None:
        """Give the connection back when the hop has taken all of the answer, else close it."""
        if self._source.is_at_end:
            super().release(upstream)
        self.close()


class _Source:
    """The bytes of an answer as a hop reads them."""

    def __init__(self, answer: Incoming) -> None:
        self._answer = answer
        self.is_at_end = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        while True:
            try:
                data = await self._answer.next(PAUSE_S)
            except TimeoutError:
                continue  # how long is too long is decided by whoever waits for the client
            if not data:
                self.is_at_end = True
                return
            yield data


def _object_in(data: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a body, None when there is none."""
    for text in (data, without_half_surrogates(data)):
        try:
            value = _DECODE(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None
