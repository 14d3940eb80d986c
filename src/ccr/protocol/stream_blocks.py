"""Content blocks out of deltas, strictly one after the other: the heart of both response paths.

    blocks   := block*
    block    := start delta* stop            one open at a time, numbered without gaps by the writer
    thinking := start delta* signature? stop

An open text or thinking block ends when content of another kind arrives. An open tool call is different:
fragments of several calls may be interleaved, and a block once closed can take no more. So while a call is
open whatever belongs elsewhere waits in a queue, in the order of its first appearance, until the arguments
of the open call are one whole JSON object (or the answer ends). Nothing is lost and nothing overtakes
within a block; in the usual case, one whole call after the other, nothing waits at all. A call that names its
tool in its arguments (tool_calls.py) waits until it is whole.

The signature of a thinking block is written when the block ends, so that an empty delta may still keep it
alive. This module does not know who writes: events (message_events.py) or values (message_from_chat.py).
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from ccr.errors import ProtocolError
from ccr.protocol.completion import ToolCall
from ccr.protocol.response_rules import ResponseRule, ResponseRules
from ccr.protocol.tool_calls import Call, Calls, ToolIds, unparsed_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.protocol.call_extras import Extras
    from ccr.protocol.completion import Delta, Part

_encode: Final = msgspec.json.Encoder().encode
IMAGE_NOTE = "\n[The model answered with an image here, which cannot be shown.]\n"


class BlockWriter(Protocol):
    """What receives the blocks, in order; deltas belong to the block opened last."""

    def start_text(self) -> None:
        """Open a text block."""

    def start_thinking(self) -> None:
        """Open a thinking block."""

    def start_tool_use(self, tool_id: str, name: str) -> None:
        """Open a tool_use block."""

    def redacted_thinking(self, data: str) -> None:
        """Write a whole redacted_thinking block."""

    def delta(self, value: str) -> None:
        """Add to the open block: text, thinking, or input as JSON text."""

    def signature(self, signature: str) -> None:
        """Sign the open thinking block."""

    def stop(self) -> None:
        """Close the open block."""


class Open(Enum):
    """What is open."""

    NOTHING = 0
    TEXT = 1
    THINKING = 2
    CALL = 3


class Blocks:
    """The blocks of one answer.

    tool_ids: ids of tool_use blocks in the history. json_tool: the tool whose arguments are the answer's
    text. thinking: a block that must be opened before there is content (``keep_alive``) is a thinking
    block, else text. keeps_arguments: arguments that are no JSON object are written as they are.
    """

    def __init__(
        self,
        writer: BlockWriter,
        *,
        message_id: str,
        tool_ids: frozenset[str],
        json_tool: str | None,
        thinking: bool,
        keeps_arguments: bool = False,
    ) -> None:
        self.rules = ResponseRules()
        self.has_tool_use = False
        self._writer = writer
        self._ids = ToolIds(message_id, tool_ids)
        self._json_tool = json_tool
        self._keeps_arguments = keeps_arguments
        self._first_kind = Open.THINKING if thinking else Open.TEXT
        self._calls = Calls()
        self._open = Open.NOTHING
        self._open_is_empty = True
        self._call: Call | None = None
        self._is_answer = False
        self._signature = ""
        self._started: dict[str, Call] = {}
        self._waiting: deque[Call | tuple[Callable[[str], None], str]] = deque()

    @property
    def call_extras(self) -> dict[str, Extras]:
        """What stood beside the calls, by the ids of their blocks."""
        return {tool_id: call.extras for tool_id, call in self._started.items() if call.extras}

    def take(self, delta: Delta) -> None:
        """Take one delta (or a whole message). Raises ProtocolError when its arguments cannot be read."""
        thinking = delta.reasoning_content or delta.reasoning
        if delta.thinking is not None:
            self._take_thinking(delta.thinking, thinking)
        elif thinking and isinstance(thinking, str):
            self._place(self._write_thinking, thinking)
        content = delta.content
        if content:
            if isinstance(content, str):
                self._place(self._write_text, content)
            else:
                for part in content:
                    self._take_part(part)
        if delta.refusal:
            self.rules.add(ResponseRule.REFUSAL_AS_TEXT)
            self._place(self._write_text, delta.refusal)
        if delta.function_call is not None:
            self._take_tool_call(ToolCall(function=delta.function_call))
        if delta.tool_calls:
            for tool_call in delta.tool_calls:
                self._take_tool_call(tool_call)

    def keep_alive(self) -> None:
        """Write an empty delta to the open block; open a block when none is."""
        if self._open is Open.NOTHING:
            self._start(self._first_kind)
        self._writer.delta("")

    def finish(self, *, is_cut: bool) -> None:
        """Write all that waits and close everything; content may still follow (in further blocks).

        is_cut: the answer ended at a token limit, so that incomplete arguments are no surprise.
        Raises ProtocolError for a tool call that never got a name.
        """
        self._advance(is_end=True, is_cut=is_cut)
        self._close(is_cut=is_cut)

    # -- what arrives

    def _take_part(self, part: Part | str) -> None:
        if isinstance(part, str):
            self._place(self._write_text, part)
        elif part.type == "reasoning" or part.summary is not None:
            self._take_reasoning(part)
        elif part.type == "text":
            if part.citations:
                self.rules.add(ResponseRule.CITATIONS_IGNORED)
            self._place(self._write_text, part.text or "")
        elif part.type.startswith(("image", "output_image")):
            self.rules.add(ResponseRule.IMAGE_ANSWER_AS_NOTE)
            self._place(self._write_text, IMAGE_NOTE)
        elif part.text:
            self.rules.add(ResponseRule.UNKNOWN_PART_AS_TEXT)
            self._place(self._write_text, part.text)
        else:
            self.rules.add(ResponseRule.UNKNOWN_PART_DROPPED)

    def _take_thinking(self, thinking: object, beside: object) -> None:
        """Take the form of the npm router's plugins: ``{"content", "signature"}``, or a text.

        They send a stream's signature together with the whole thinking once more: what stands beside a
        signature is a repetition when thinking is open. beside: thinking in another field of the delta,
        for a ``thinking`` that has none.
        """
        parts = thinking if isinstance(thinking, dict) else {"content": thinking}
        content, signature = parts.get("content"), parts.get("signature")
        is_repeated = bool(signature) and self._open is Open.THINKING and not self._open_is_empty
        text = beside if not content else "" if is_repeated else content
        if text and isinstance(text, str):
            self._place(self._write_thinking, text)
        if not isinstance(signature, str):
            return
        if signature.isdecimal():
            self.rules.add(ResponseRule.SIGNATURE_MADE_UP_DROPPED)
        else:
            self._place(self._write_signature, signature)

    def _take_reasoning(self, part: Part) -> None:
        self._place(self._write_thinking, part.text or "")
        for item in part.summary or ():
            self._place(self._write_thinking, item.text or "")
            self._place(self._write_signature, item.signature or "")
            self._place(self._write_redacted, item.data or "")

    def _take_tool_call(self, tool_call: ToolCall) -> None:
        fragment = tool_call.function.arguments_text() if tool_call.function is not None else ""
        found = self._calls.call_of(tool_call, fragment)
        if found is None:
            return
        call, is_new = found
        if call.is_closed:
            if fragment.strip():
                self.rules.add(ResponseRule.ARGUMENTS_AFTER_END_DROPPED)
            return
        had_placeholder = call.has_placeholder and not call.has_arguments
        piece = call.add(fragment)
        if piece and had_placeholder:
            self.rules.add(ResponseRule.ARGUMENTS_PLACEHOLDER_DROPPED)
        if call is self._call:
            if piece:
                self._write_arguments(call, piece)
                self._advance()
            return
        call.waiting.append(piece)
        if is_new:
            self._waiting.append(call)
        self._advance()

    def _place(self, write: Callable[[str], None], value: str) -> None:
        if not value:
            return
        if self._call is None and not self._waiting:
            write(value)
        else:
            self._waiting.append((write, value))
            self._advance()

    # -- what may be written now

    def _advance(self, *, is_end: bool = False, is_cut: bool = False) -> None:
        while self._waiting:
            if self._call is not None:
                if not is_end and not self._call.is_complete:
                    return
                self._close(is_cut=is_cut)
            item = self._waiting[0]
            if not isinstance(item, Call):
                self._waiting.popleft()
                write, value = item
                write(value)
            elif item.is_ready or (is_end and item.name):
                self._waiting.popleft()
                self._start_call(item, item.name or "")
            elif not is_end:
                return
            else:
                self._waiting.popleft()
                self._drop_without_name(item)

    def _drop_without_name(self, call: Call) -> None:
        if call.has_arguments:
            raise ProtocolError("the upstream sent a tool call without the name of the tool")
        call.is_closed = True
        self.rules.add(ResponseRule.TOOL_CALL_WITHOUT_NAME_DROPPED)

    def _start_call(self, call: Call, name: str) -> None:
        waiting = "".join(call.waiting)
        unwrapped = call.unwrapped()
        if unwrapped is not None:
            self.rules.add(ResponseRule.TOOL_CALL_UNWRAPPED)
            name, waiting = unwrapped
        if name == self._json_tool:
            self._start(Open.TEXT)
        else:
            tool_id = self._ids.unique(call.id)
            if tool_id != call.id:
                made = not call.id
                self.rules.add(ResponseRule.TOOL_CALL_ID_MADE if made else ResponseRule.TOOL_CALL_ID_REPLACED)
            self._close()
            self._writer.start_tool_use(tool_id, name)
            self._started[tool_id] = call
            self.has_tool_use = True
        self._open = Open.CALL
        self._call = call
        self._is_answer = self._keeps_arguments or name == self._json_tool
        if waiting:
            self._write_arguments(call, waiting)

    # -- the open block

    def _write_arguments(self, call: Call, arguments: str) -> None:
        if self._is_answer or not call.is_no_object:
            self._writer.delta(arguments)

    def _write_text(self, text: str) -> None:
        if self._open is not Open.TEXT:
            self._start(Open.TEXT)
        self._open_is_empty = False
        self._writer.delta(text)

    def _write_thinking(self, thinking: str) -> None:
        if self._open is not Open.THINKING or self._signature:
            self._start(Open.THINKING)
        self._open_is_empty = False
        self._writer.delta(thinking)

    def _write_signature(self, signature: str) -> None:
        if self._open is Open.THINKING and signature == self._signature:
            self.rules.add(ResponseRule.SIGNATURE_REPEATED)
            return
        if self._open is not Open.THINKING or self._signature:
            self._start(Open.THINKING)
        self._signature = signature

    def _write_redacted(self, data: str) -> None:
        self._close()
        self._first_kind = Open.TEXT
        self._writer.redacted_thinking(data)

    def _start(self, kind: Open) -> None:
        """Open a block of that kind; an open one that is still empty (``keep_alive`` made it) is taken."""
        if self._open is kind and self._open_is_empty and not self._signature:
            return
        self._close()
        self._open = kind
        self._open_is_empty = True
        self._first_kind = Open.TEXT
        if kind is Open.TEXT:
            self._writer.start_text()
        else:
            self._writer.start_thinking()

    def _close(self, *, is_cut: bool = False) -> None:
        if self._open is Open.NOTHING:
            return
        call = self._call
        if call is not None:
            self._call = None
            call.is_closed = True
            if not call.has_arguments:
                self._writer.delta(call.arguments)
            elif not is_cut and not call.is_complete:
                self.rules.add(ResponseRule.ARGUMENTS_INVALID)
            if call.is_no_object and not self._is_answer:
                self._writer.delta(_encode(unparsed_input(call.arguments)).decode())
        if self._signature:
            self._writer.signature(self._signature)
            self._signature = ""
        self._writer.stop()
        self._open = Open.NOTHING
