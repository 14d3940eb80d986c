"""One answer, ready to be written in either dialect: what is shown, under which ids, with which figures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ccr.sandbox.signatures import redacted_data_of, signature_of
from ccr.sandbox.tokens import output_tokens_of

if TYPE_CHECKING:
    from ccr.sandbox.models import ModelRules
    from ccr.sandbox.script import ToolCall, Turn, Usage
    from ccr.sandbox.view import RequestView

FINISH_REASON_OF_STOP = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""The chat dialect's word for each stop reason; a word that is not listed is written as it stands."""


@dataclass(frozen=True)
class Call:
    """A tool call as written: ``arguments`` is JSON text, ``""`` for none."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """What goes on the wire, dialect aside.

    thinking is the text as shown ("" when it is omitted, None when there is none); signature belongs to it.
    """

    id: str
    model: str
    endpoint: str
    created: int
    thinking: str | None
    signature: str
    redacted: str | None
    text: str | None
    calls: tuple[Call, ...]
    stop: str
    usage: Usage

    @property
    def finish_reason(self) -> str:
        """The chat dialect's word for the stop reason."""
        return FINISH_REASON_OF_STOP.get(self.stop, self.stop)


def answer_of(
    turn: Turn,
    view: RequestView,
    rules: ModelRules,
    *,
    serial: int,
    answer_id: str,
    created: int,
    usage: Usage,
) -> Answer:
    """Return the answer a turn gives to a request; ``serial`` makes its tool ids unique."""
    shown = _shown_thinking(turn, view, rules)
    thinks = view.thinks
    return Answer(
        id=answer_id,
        model=rules.upstream_name,
        endpoint=view.model,
        created=created,
        thinking=shown,
        signature="" if shown is None else signature_of(view.model, shown),
        redacted=redacted_data_of(view.model, turn.redacted)
        if thinks and turn.redacted is not None
        else None,
        text=turn.text,
        calls=tuple(_call(call, serial, index) for index, call in enumerate(turn.tools)),
        stop=turn.stop or ("tool_use" if turn.tools else "end_turn"),
        usage=usage,
    )


def output_tokens_of_turn(turn: Turn, view: RequestView) -> int:
    """Return the estimated size of a turn's answer; thinking counts also when it is not shown."""
    thinking = (turn.thinking, turn.redacted) if view.thinks else ()
    calls = (call.name + arguments_of(call) for call in turn.tools)
    return output_tokens_of(*thinking, turn.text, *calls) or 1


def arguments_of(call: ToolCall) -> str:
    """Return a call's arguments as JSON text."""
    return call.input if isinstance(call.input, str) else json.dumps(call.input, ensure_ascii=False)


def pieces_of_text(text: str, size: int) -> list[str]:
    """Return a text cut into pieces of ``size`` characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def _shown_thinking(turn: Turn, view: RequestView, rules: ModelRules) -> str | None:
    if turn.thinking is None or not view.thinks:
        return None
    default = "summarized" if rules.shows_thinking else "omitted"
    display = turn.display or view.display or default
    return "" if display == "omitted" else turn.thinking


def _call(call: ToolCall, serial: int, index: int) -> Call:
    return Call(call.id or f"toolu_sandbox_{serial:04}_{index}", call.name, arguments_of(call))
