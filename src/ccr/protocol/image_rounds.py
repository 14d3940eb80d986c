"""The rounds of an answer whose model may have images looked at: what one round said, and what is asked next.

    round := blocks, stop reason, counts
    next  := done        it called the tool for nothing: this is the end
           | again       it called the tool, and nothing of the client's: the results go into the next request
           | as_text     it called tools of the client's beside: only the client can go on; the results become
                         a text of this message, so that the model has them when it is asked again
           | cut         the answer ended before the call was whole; the call is left out

The client never sees a call of the tool. In the next request the blocks of a round stand as they came:
thinking with its signature first, then texts and calls; so it is the same history that the model wrote.

Counts: those of the rounds are added up, and told one by one in ``usage.iterations`` as the Messages API
tells the turns that a server makes itself. An analysis is an ``advisor_message`` there, with the model that
was asked: the client adds it to what was spent, and takes the last ``message`` alone for the length of the
conversation (observed with 2.1.330). Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from ccr.errors import UpstreamError
from ccr.protocol.native_json import OBJECT, OBJECTS, JsonObject, encode, raw
from ccr.protocol.native_message import UNREADABLE, MessageUsage, usage_after
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

Next = Literal["done", "again", "as_text", "cut"]
MAX_ROUNDS: Final = 8
"""How often the images of one answer are looked at. Then the model is told that it was enough."""
MAX_CALLS: Final = 10
"""How many calls of one round are answered."""
TOOL_USE: Final = b'"tool_use"'
_THINKING: Final = b'"thinking"'
_TEXT: Final = b'"text"'
_STOPPED: Final = "tool_use"
_STRING: Final = msgspec.json.Decoder(str)


class ToolCall(NamedTuple):
    """A call of the tool. input: its arguments as JSON, an object unless the model wrote none."""

    id: str
    input: Raw


class Result(NamedTuple):
    """What comes of a call. title: of which images it speaks."""

    call: ToolCall
    text: str
    is_error: bool = False
    title: str = ""


class Round(NamedTuple):
    """One answer of the model. blocks: as it wrote them, calls of the tool among them."""

    blocks: Sequence[JsonObject]
    stop_reason: str | None
    usage: Usage
    tool: str

    @property
    def calls(self) -> list[ToolCall]:
        """The calls of the tool."""
        return [
            ToolCall(string_of(block.get("id")), block.get("input", raw({})))
            for block in self.blocks
            if is_call_of(block, self.tool)
        ]

    @property
    def next(self) -> Next:
        """What is to be done after it."""
        calls = sum(is_call_of(block, self.tool) for block in self.blocks)
        if not calls:
            return "done"
        if self.stop_reason != _STOPPED:
            return "cut"
        uses = sum(bytes(block.get("type", b"")) == TOOL_USE for block in self.blocks)
        return "again" if uses == calls else "as_text"


class Iteration(NamedTuple):
    """One request that an answer took. model: "" for the conversation's own, else the one that saw images."""

    usage: Usage
    model: str = ""


def string_of(value: Raw | None) -> str:
    """Return a JSON string, "" for whatever else."""
    try:
        return _STRING.decode(value or b"")
    except msgspec.DecodeError:
        return ""


def is_call_of(block: JsonObject, tool: str) -> bool:
    """Tell whether a content block is a call of the tool."""
    return bytes(block.get("type", b"")) == TOOL_USE and bytes(block.get("name", b"")) == encode(tool)


def continued(body: bytes, blocks: Sequence[JsonObject], results: Sequence[Result]) -> bytes:
    """Return the request that goes on with an answer after the results of its calls.

    body: a request that was sent before, so it is one.
    """
    values = OBJECT.decode(body)
    said = [block for block in blocks if not _is_empty(block)]
    answered = [
        {
            "type": "tool_result",
            "tool_use_id": result.call.id,
            "content": result.text,
            **({"is_error": True} if result.is_error else {}),
        }
        for result in results
    ]
    more: list[object] = [{"role": "assistant", "content": said}, {"role": "user", "content": answered}]
    return encode({**values, "messages": [*OBJECTS.decode(values["messages"]), *more]})


def results_as_text(results: Sequence[Result]) -> str:
    """Return what becomes of results that the model cannot be given as such."""
    return "\n\n".join(f"[{result.title or 'Image analysis'}]\n{result.text}" for result in results)


def sum_of(iterations: Sequence[Iteration]) -> Usage:
    """Return the counts of the conversation's own model, of all its rounds."""
    own = [each.usage for each in iterations if not each.model]
    return Usage(
        sum(usage.input_tokens for usage in own),
        sum(usage.output_tokens for usage in own),
        sum(usage.cache_read_input_tokens for usage in own),
        sum(usage.cache_creation_input_tokens for usage in own),
    )


def usage_with(usage: Raw | None, iterations: Sequence[Iteration]) -> Raw:
    """Return the ``usage`` of an answer that took several requests. usage: that of its last one, if any."""
    last = OBJECT.decode(usage) if usage is not None else {}
    told = [
        {
            "type": "advisor_message" if each.model else "message",
            **({"model": each.model} if each.model else {}),
            **msgspec.to_builtins(each.usage),
        }
        for each in iterations
    ]
    return raw({**last, **msgspec.to_builtins(sum_of(iterations)), "iterations": told})


# -- whole messages ---------------------------------------------------------------------------------------


class _Message(msgspec.Struct, gc=False):
    content: list[JsonObject]
    stop_reason: str | None = None
    usage: MessageUsage | None = None


_MESSAGE: Final = msgspec.json.Decoder(_Message)


def round_of(message: bytes, tool: str) -> Round:
    """Return the round that a whole message is. Raises UpstreamError where it is none."""
    try:
        read = _MESSAGE.decode(message)
    except UNREADABLE as error:
        raise UpstreamError(502, f"the answer is no message: {error}") from error
    return Round(read.content, read.stop_reason, usage_after(Usage(), read.usage or MessageUsage()), tool)


class JoinedMessage:
    """The whole messages of several rounds as one, without calls of the tool."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._blocks: list[JsonObject] = []
        self._first: JsonObject | None = None
        self._last: JsonObject = {}

    def add(self, message: bytes, said: Round) -> None:
        """Add the next round."""
        self._last = OBJECT.decode(message)
        self._first = self._first or self._last
        self._blocks += [block for block in said.blocks if not is_call_of(block, self._tool)]

    def add_text(self, text: str) -> None:
        """Add a text: before the first call of a tool of the client's, which the client waits for."""
        kinds = [bytes(block.get("type", b"")) for block in self._blocks]
        place = kinds.index(TOOL_USE) if TOOL_USE in kinds else len(kinds)
        self._blocks.insert(place, {"type": raw("text"), "text": raw(text)})

    def encode(self, iterations: Sequence[Iteration]) -> bytes:
        """Return the message. iterations: all requests that it took."""
        first = self._first or {}
        changed: dict[str, object] = {key: first[key] for key in ("id", "model") if key in first}
        changed["content"] = self._blocks
        if len(iterations) > 1:
            changed["usage"] = usage_with(self._last.get("usage"), iterations)
        return encode({**self._last, **changed})


def _is_empty(block: JsonObject) -> bool:
    """Tell whether a block says nothing: signs of life make such ones, and endpoints refuse them."""
    kind = bytes(block.get("type", b""))
    if kind == _TEXT:
        return not string_of(block.get("text")).strip()
    return kind == _THINKING and not (string_of(block.get("thinking")) or string_of(block.get("signature")))
