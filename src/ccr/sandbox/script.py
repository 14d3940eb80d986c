"""What the model of the sandbox says, turn by turn, and how it is put on the wire.

A ``Script`` is a value: the same one can be played in the chat dialect and in the Anthropic dialect, and read
from a JSON file (``load_script``). Nothing here knows a wire format; see chat_wire.py and messages_wire.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ccr.errors import Problem, StartError
from ccr.sandbox.view import RequestView  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from pathlib import Path


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tool call; a string as ``input`` is sent verbatim as the arguments' JSON. ``id`` None: made."""

    name: str
    input: dict[str, Any] | str = ""
    id: str | None = None


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Token counts in the Anthropic sense: ``input`` excludes both cache figures."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_creation: int = 0


class Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an answer is written: each variation seen on real endpoints is a field, see docs/sandbox.md.

    Fields marked (both) also apply to the Anthropic dialect; the others are of the chat dialect.
    """

    usage: Literal["every", "end", "after_finish", "after_done", "none", "null"] = "every"
    arguments: Literal["fragments", "whole", "chars", "braces_first", "empty"] = "fragments"
    interleave: bool = False
    calls_in_one_chunk: bool = False
    first_index: int = 0
    index: Literal["given", "missing"] = "given"
    id: Literal["first", "every", "missing"] = "first"
    name: Literal["first", "late"] = "first"
    role: Literal["every", "first", "never"] = "every"
    content: Literal["string", "list"] = "string"
    content_beside_tools: Literal["null", "empty", "absent"] = "null"
    citations: bool = False
    signature: Literal["last", "with_text", "none"] = "last"
    text_after_tools: bool = False
    empty_choices: bool = False
    missing_choices: bool = False
    empty_delta: bool = False
    finish: Literal["own", "with_content", "missing"] = "own"
    finish_reason: str | None = None
    done: Literal["once", "twice", "missing"] = "once"
    model: Literal["upstream", "endpoint"] = "upstream"
    body: Literal["as_asked", "json", "stream"] = "as_asked"
    newline: Literal["\n", "\r\n", "\r"] = "\n"  # (both)
    comments: bool = False  # (both)
    space_after_colon: bool = True  # (both)
    extra_fields: bool = False  # (both)
    multi_line_data: bool = False  # (both)
    piece_chars: int = 24  # (both)
    split_bytes: int | None = None  # (both)


FaultKind = Literal[
    "status", "html", "redirect", "reset", "empty", "cut", "stall", "error_event", "garbage", "slow"
]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What goes wrong, on the first ``times`` requests that meet the turn; afterwards the turn is served.

    kind: ``status`` an error answer (500), ``html`` a page (502), ``redirect`` to /login (303), ``empty`` an
    answer without body (200), all with another ``status`` if given; ``reset`` the connection is reset before
    any header; ``cut`` the stream ends after ``at`` events and, if ``partial``, half of the next (``how``:
    ``rst``, ``fin`` without or ``end`` with a proper end of the body); ``stall`` nothing for ``seconds`` at
    ``where``, then on; ``error_event`` an error object as event ``at``; ``garbage`` broken JSON as event
    ``at``; ``slow`` ``seconds`` before each event. ``retry_after`` is sent as header, ``body_retry_after`` in
    the documented rate-limit body. A turn cut short is served again to the next request unless
    ``consumes_turn``.
    """

    kind: FaultKind
    status: int | None = None
    body: dict[str, Any] | str | None = None
    headers: dict[str, str] = {}
    retry_after: str | None = None
    body_retry_after: int | None = None
    at: int = 2
    partial: bool = False
    where: Literal["headers", "first_byte", "middle"] = "middle"
    how: Literal["rst", "fin", "end"] = "rst"
    seconds: float = 1.0
    times: int = 1
    consumes_turn: bool = False


class Turn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer of the model.

    thinking, redacted: shown only when the request turns thinking on. display: overrides what the request
    asks. stop: a stop reason in the Anthropic words; each dialect writes its own. usage: None means an honest
    estimate. match: only for a conversation in which a user's text contains this. when: only when this says
    so.
    """

    thinking: str | None = None
    redacted: str | None = None
    text: str | None = None
    tools: Sequence[ToolCall] = ()
    stop: str | None = None
    usage: Usage | None = None
    wire: Wire = Wire()
    fault: Fault | None = None
    match: str | None = None
    when: Callable[[RequestView], bool] | None = None
    display: Literal["summarized", "omitted"] | None = None

    def fits(self, view: RequestView) -> bool:
        """Tell whether this turn may answer the request."""
        if self.match is not None and not any(self.match in text for text in view.user_texts):
            return False
        return self.when is None or self.when(view)


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The turns of one or more conversations, each served once, in order, to the first request it fits.

    When none is left: ``respond`` decides, else the last turn again (``repeat_last``), else a 400 that says
    so. Small side requests (a session's title, a one-token probe) take no turn and are answered with
    ``side_answer``.
    """

    turns: Sequence[Turn] = ()
    repeat_last: bool = False
    side_answer: str = "A session in the sandbox"
    respond: Callable[[RequestView], Turn] | None = None


def load_script(path: Path) -> Script:
    """Return the script in a JSON file; raises ``StartError`` that names the file and the key."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise StartError(str(Problem(str(path), "", str(error), "a script, see docs/sandbox.md"))) from error
