"""The items of a response, one open at a time: what `stream_blocks.Blocks` writes to.

    text        message: content_part.added (output_text.delta)* output_text.done content_part.done
    refusal     message: content_part.added (refusal.delta)* refusal.done content_part.done
    thinking    reasoning: (reasoning_summary_part.added (reasoning_summary_text.delta)* ….done ….done)?
    call        function_call: (function_call_arguments.delta)* function_call_arguments.done
                custom_tool_call: custom_tool_call_input.delta custom_tool_call_input.done

each between output_item.added and output_item.done. Ids are made of the response's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccr.protocol.completion import is_json_object
from ccr.protocol.response_events import Events, encode
from ccr.protocol.responses_reasoning import encrypted_content
from ccr.protocol.responses_tools import INPUT

if TYPE_CHECKING:
    from ccr.protocol.responses_tools import ToolNames

_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, Any])
COMPLETED: Final = "completed"
INCOMPLETE: Final = "incomplete"


class ItemWriter:
    """Writes items as events, and keeps the finished ones as JSON (``output``).

    names: of the client's tools. with_reasoning: reasoning gets the opaque form that can be sent back.
    """

    def __init__(self, events: Events, response_id: str, names: ToolNames, *, with_reasoning: bool) -> None:
        self.output: list[bytes] = []
        self.is_cut = False
        """What is open now does not end as the model wanted it to; calls that are whole do."""
        self._events = events
        self._stem = response_id.removeprefix("resp_")
        self._names = names
        self._with_reasoning = with_reasoning
        self._item: dict[str, Any] = {}
        self._texts: list[str] = []
        self._signature = ""
        self._delta_name = b""
        self._delta_start = b""
        self._delta_end = b"}"
        self._is_buffered = False

    # -- what opens

    def start_text(self) -> None:
        """Open a message."""
        self._start_message("output_text", b"response.output_text.delta", b',"logprobs":[]')

    def refusal(self, text: str) -> None:
        """Write a piece of a refusal, which is a message of its own kind."""
        if self._delta_name != b"response.refusal.delta":
            self._start_message("refusal", b"response.refusal.delta", b"")
        self.delta(text)

    def start_thinking(self) -> None:
        """Open a piece of reasoning; its summary begins with the first text."""
        self._start({"type": "reasoning", "id": self._id("rs"), "summary": []})
        self._delta_name = b"response.reasoning_summary_text.delta"
        self._delta_start = self._place(b'"summary_index":0')

    def start_tool_use(self, tool_id: str, name: str) -> None:
        """Open a call of the tool that a function stands for."""
        tool = self._names.of(name)
        call: dict[str, Any] = {"call_id": tool_id, "name": tool.name}
        if tool.namespace is not None:
            call["namespace"] = tool.namespace
        self._is_buffered = tool.kind == "custom"
        if self._is_buffered:
            self._start({"type": "custom_tool_call", "id": self._id("ctc"), **call, INPUT: ""})
        else:
            item = {"type": "function_call", "id": self._id("fc"), **call, "arguments": ""}
            self._start({**item, "status": "in_progress"})
        self._delta_name = b"response.function_call_arguments.delta"
        self._delta_start = self._place()

    def redacted_thinking(self, data: str) -> None:
        """Write a whole piece of reasoning that only its provider can read."""
        self._start({"type": "reasoning", "id": self._id("rs"), "summary": []})
        self._end_item(encrypted_content("", "", data))

    # -- what is written

    def delta(self, value: str) -> None:
        """Add to the open item."""
        if self._delta_name == b"response.reasoning_summary_text.delta" and not self._texts:
            self._event(b"response.reasoning_summary_part.added", {"part": _summary("")})
        self._texts.append(value)
        if not self._is_buffered:
            rest = self._delta_start + b',"delta":' + encode(value) + self._delta_end
            self._events.write(self._delta_name, rest)

    def signature(self, signature: str) -> None:
        """Sign the open piece of reasoning."""
        self._signature = signature

    # -- what closes

    def stop(self) -> None:
        """Close the open item."""
        text = "".join(self._texts)
        match self._item["type"]:
            case "message":
                self._end_message(text)
            case "reasoning":
                self._end_reasoning(text)
            case "function_call":
                self._item["arguments"] = text
                self._event(b"response.function_call_arguments.done", {"arguments": text})
                self._end_item(is_whole=is_json_object(text))
            case _:
                self._end_custom_call(text)

    def end_refusal(self) -> None:
        """Close a refusal, if one is open: nobody else knows of it."""
        if self._delta_name == b"response.refusal.delta":
            self.stop()

    # -- how

    def _start_message(self, kind: str, delta_name: bytes, delta_end: bytes) -> None:
        self._start(
            {
                "type": "message",
                "id": self._id("msg"),
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
        )
        self._delta_name = delta_name
        self._delta_start = self._place(b'"content_index":0')
        self._delta_end = delta_end
        self._event(b"response.content_part.added", {"part": _content(kind, "")})

    def _start(self, item: dict[str, Any]) -> None:
        self.end_refusal()
        self._item = item
        self._texts = []
        self._signature = ""
        self._delta_end = b""
        self._delta_start = self._place()
        self._events.write(b"response.output_item.added", self._indexed(item))

    def _end_message(self, text: str) -> None:
        is_refusal = self._delta_name == b"response.refusal.delta"
        kind = "refusal" if is_refusal else "output_text"
        part = _content(kind, text)
        if is_refusal:
            self._event(b"response.refusal.done", {"refusal": text})
        else:
            self._event(b"response.output_text.done", {"text": text, "logprobs": []})
        self._event(b"response.content_part.done", {"part": part})
        self._item["content"] = [part]
        self._end_item()

    def _end_reasoning(self, text: str) -> None:
        if self._texts:
            self._event(b"response.reasoning_summary_text.done", {"text": text})
            self._event(b"response.reasoning_summary_part.done", {"part": _summary(text)})
            self._item["summary"] = [_summary(text)]
        self._end_item(encrypted_content(text, self._signature) if text or self._signature else "")

    def _end_custom_call(self, arguments: str) -> None:
        text = _input_of(arguments)
        self._item[INPUT] = text
        self._event(b"response.custom_tool_call_input.delta", {"delta": text})
        self._event(b"response.custom_tool_call_input.done", {INPUT: text})
        self._end_item()

    def _end_item(self, sealed: str = "", *, is_whole: bool = False) -> None:
        item = self._item
        if sealed and self._with_reasoning:
            item["encrypted_content"] = sealed
        if "status" in item:
            item["status"] = INCOMPLETE if self.is_cut and not is_whole else COMPLETED
        self._events.write(b"response.output_item.done", self._indexed(item))
        self.output.append(encode(item))
        self._delta_name = b""
        self._is_buffered = False

    def _event(self, name: bytes, fields: dict[str, Any]) -> None:
        self._events.write(name, self._delta_start + b"," + encode(fields)[1:-1])

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._stem}_{len(self.output)}"

    def _indexed(self, item: dict[str, Any]) -> bytes:
        return b'"output_index":%d,"item":%b' % (len(self.output), encode(item))

    def _place(self, index: bytes = b"") -> bytes:
        place = b'"item_id":%b,"output_index":%d' % (encode(self._item["id"]), len(self.output))
        return place + b"," + index if index else place


def _content(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": kind, "refusal": text}
    return {"type": kind, "text": text, "annotations": [], "logprobs": []}


def _summary(text: str) -> dict[str, str]:
    return {"type": "summary_text", "text": text}


def _input_of(arguments: str) -> str:
    """Return the text for a custom tool; arguments of another form are the text itself."""
    try:
        text = _ARGUMENTS.decode(arguments).get(INPUT)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    return text if isinstance(text, str) else arguments
