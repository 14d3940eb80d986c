"""A whole chat completion in, a message out: the same content, ids and stop reason as the stream would give.

The blocks are made by the same code as a stream's (stream_blocks.py); here they are written as values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccr.errors import ProtocolError, UpstreamError
from ccr.protocol.call_extras import Extras  # noqa: TC001 - msgspec reads annotations at run time
from ccr.protocol.completion import Completion, Delta, decode_completion, is_json_object
from ccr.protocol.errors_from_upstream import error_in_answer, upstream_error
from ccr.protocol.response_rules import ResponseRule
from ccr.protocol.stop_reasons import is_known_finish_reason, stop_reason_from_finish_reason
from ccr.protocol.stream_blocks import Blocks
from ccr.protocol.tool_calls import unparsed_input
from ccr.protocol.usage import Usage, merged, usage_from_chat

if TYPE_CHECKING:
    from collections.abc import Callable

_encode: Final = msgspec.json.Encoder().encode


class Message(msgspec.Struct, frozen=True):
    """A message of the Messages API; ``content`` holds plain dicts, tool inputs as ``msgspec.Raw``.

    usage: None when the upstream reported none (the body then says 0, as the format demands numbers).
    call_extras: what stood beside the tool calls, by the ids of their blocks; no part of the body.
    """

    id: str
    model: str
    content: list[dict[str, Any]]
    stop_reason: str
    usage: Usage | None
    rules: tuple[str, ...] = ()
    call_extras: dict[str, Extras] = {}

    def encode(self) -> bytes:
        """Return the body of the answer."""
        return _encode(
            {
                "id": self.id,
                "type": "message",
                "role": "assistant",
                "model": self.model,
                "content": self.content,
                "stop_reason": self.stop_reason,
                "stop_sequence": None,
                "usage": self.usage or Usage(),
            }
        )


def message_from_chat(
    data: bytes,
    *,
    message_id: str,
    model: str,
    tool_ids: frozenset[str] = frozenset(),
    json_tool: str | None = None,
    provider: str = "upstream",
    masked: Callable[[str], str] = str,
) -> Message:
    """Return the message that a chat completion (``data``: the body of a 200) stands for.

    Arguments as for MessageStream. Raises UpstreamError when the body is an error, a web page, no
    completion, or a completion without a finish_reason (a stop reason is never invented).
    """
    completion = _completion_of(data, provider=provider, model=model, masked=masked)
    writer = ContentWriter()
    blocks = Blocks(writer, message_id=message_id, tool_ids=tool_ids, json_tool=json_tool, thinking=False)
    if completion.is_repaired:
        blocks.rules.add(ResponseRule.HALF_SURROGATE_REPLACED)
    finish_reason = ""
    calls = 0
    try:
        for choice in completion.choices or ():
            message = choice.message or choice.delta
            if message is not None:
                blocks.take(_with_indices(message, calls))
                calls += len(message.tool_calls or ())
            finish_reason = choice.finish_reason or finish_reason
        if not finish_reason:
            raise ProtocolError("the answer was cut: it has no finish_reason")
        if not is_known_finish_reason(finish_reason):
            blocks.rules.add(ResponseRule.FINISH_REASON_UNKNOWN)
        blocks.finish(is_cut=finish_reason in {"length", "max_tokens"})
    except ProtocolError as error:
        raise UpstreamError(502, f"{provider}, {model}: {error}") from error
    usage = merged(None, completion.usage) if completion.usage is not None else None
    return Message(
        id=message_id,
        model=model,
        content=writer.content,
        stop_reason=stop_reason_from_finish_reason(finish_reason, has_tool_use=blocks.has_tool_use),
        usage=usage_from_chat(usage) if usage is not None else None,
        rules=blocks.rules.names(),
        call_extras=blocks.call_extras,
    )


class ContentWriter:
    """Writes content blocks as values; the writer of ``stream_blocks.Blocks`` for whole answers."""

    def __init__(self) -> None:
        self.content: list[dict[str, Any]] = []
        self._field = ""
        self._written: list[str] = []

    def start_text(self) -> None:
        """Open a text block."""
        self._start("text", {"type": "text"})

    def start_thinking(self) -> None:
        """Open a thinking block."""
        self._start("thinking", {"type": "thinking", "thinking": "", "signature": ""})

    def start_tool_use(self, tool_id: str, name: str) -> None:
        """Open a tool_use block."""
        self._start("input", {"type": "tool_use", "id": tool_id, "name": name})

    def redacted_thinking(self, data: str) -> None:
        """Write a whole redacted_thinking block."""
        self.content.append({"type": "redacted_thinking", "data": data})

    def delta(self, value: str) -> None:
        """Add to the open block."""
        self._written.append(value)

    def signature(self, signature: str) -> None:
        """Sign the open thinking block."""
        self.content[-1]["signature"] = signature

    def stop(self) -> None:
        """Close the open block."""
        written = "".join(self._written)
        self.content[-1][self._field] = _input_of(written) if self._field == "input" else written

    def _start(self, field: str, block: dict[str, Any]) -> None:
        self._field = field
        self._written = []
        self.content.append(block)


def _input_of(arguments: str) -> Any:
    """Return a tool's input for its arguments: verbatim, so that numbers and the order of keys stay exact."""
    if is_json_object(arguments):
        return msgspec.Raw(arguments.strip().encode())
    return unparsed_input(arguments)


def _with_indices(message: Delta, first: int) -> Delta:
    """Return the message with its tool calls numbered: in a whole message every entry is its own call."""
    if not message.tool_calls:
        return message
    numbered = [
        msgspec.structs.replace(call, index=index) for index, call in enumerate(message.tool_calls, first)
    ]
    return msgspec.structs.replace(message, tool_calls=numbered)


def _completion_of(data: bytes, *, provider: str, model: str, masked: Callable[[str], str]) -> Completion:
    try:
        completion = decode_completion(data)
    except ProtocolError as error:
        if data.lstrip()[:1] in (b"{", b"["):
            raise UpstreamError(502, f"{provider}, {model}: {error}") from error
        raise upstream_error(200, data, {}, provider=provider, model=model, masked=masked) from error
    if completion.is_error:
        raise error_in_answer(data, provider=provider, model=model, masked=masked)
    return completion
