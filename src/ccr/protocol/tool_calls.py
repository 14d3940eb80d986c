"""Tool calls as they arrive in fragments: which call a fragment belongs to, and what its arguments are.

What upstreams do, and what is made of it:

- ``index`` tells the call; without it the ``id``, without both the last call. A fragment under a known
  index that carries another id and a name begins another call (upstreams that number every call 0).
- a fragment with a name that follows complete arguments begins another call.
- id and name may be repeated in every fragment, or come after the first arguments; the first name counts.
- ``"{}"`` (also ``"null"``, ``""``) first and the real fragments after it: the placeholder is dropped. When
  nothing follows it is the arguments: ``{}``.
- arguments that do not even begin as an object are held back until they are whole: the client would keep
  them as the call's input, and every later request of the session would be refused for them. They become
  what the client makes of arguments that it cannot read, `unparsed_input`.
- the name ``databricks-tool-call`` stands for another tool, whose name is in the arguments beside its own:
  ``{"name": "Read", "file_path": "/a"}`` (models of other vendors, databricks.md §3). So these arguments are
  held back until they are whole.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from ccr.protocol.call_extras import Extras, extras_of
from ccr.protocol.completion import ToolCall, is_json_object

WRAPPER: Final = "databricks-tool-call"
"""Name of a call in whose arguments the real tool is named."""
UNPARSED: Final = "__unparsedToolInput"
"""Key of the input that stands for arguments which are no JSON object: the client's own word for them."""
_PLACEHOLDERS: Final = frozenset({"", "{}", "null"})
_KEYS: Final = msgspec.json.Decoder(dict[str, Raw])


def unparsed_input(arguments: str) -> dict[str, dict[str, str | int]]:
    """Return the input for arguments that are no JSON object, which the client itself makes of them.

    So the model is told of its mistake by a failing tool, and can repeat the call; nothing is guessed.
    """
    length = len(arguments.encode("utf-16-le", "surrogatepass")) // 2  # as JavaScript counts
    return {UNPARSED: {"raw": arguments, "len": length}}


class Call:
    """One tool call of the answer: what is known of it so far."""

    def __init__(self) -> None:
        self.index: int | None = None
        self.id: str | None = None
        self.name: str | None = None
        self.has_placeholder = False
        self.is_closed = False
        self.extras: Extras = {}
        self.waiting: list[str] = []
        """Fragments that could not be written yet, because the call's block is not open."""
        self._fragments: list[str] = []
        self._checked: tuple[int, bool] = (0, False)

    @property
    def has_arguments(self) -> bool:
        """A fragment that is not just a placeholder was received."""
        return bool(self._fragments)

    @property
    def is_no_object(self) -> bool:
        """The arguments received do not begin as a JSON object does."""
        return bool(self._fragments) and self._fragments[0].lstrip()[:1] != "{"

    @property
    def is_complete(self) -> bool:
        """The arguments received are one whole JSON object; a placeholder is not (more may follow)."""
        count = len(self._fragments)
        if self._checked[0] != count:
            # The arguments can only be whole when they end with a brace: most fragments need no parsing.
            is_whole = self._fragments[-1].rstrip()[-1:] in ("}", "") and is_json_object(self.arguments)
            self._checked = (count, is_whole)
        return self._checked[1]

    @property
    def arguments(self) -> str:
        """The arguments received, as JSON text."""
        return "".join(self._fragments) or "{}"

    @property
    def is_ready(self) -> bool:
        """The call's block may be opened: the name of the tool is known."""
        return bool(self.name) and (self.name != WRAPPER or self.is_complete)

    def unwrapped(self) -> tuple[str, str] | None:
        """Return name and arguments of the tool that a wrapper names; None for other calls, and without one.

        The arguments are the received ones without ``name``: values and order are what they were.
        """
        if self.name != WRAPPER or not self.is_complete:
            return None
        try:
            keys = _KEYS.decode(self.arguments)
            name = msgspec.json.decode(keys.pop("name", b"null"))
        except msgspec.DecodeError:  # half a surrogate pair, which only browsers take
            return None
        if not name or not isinstance(name, str):
            return None
        return name, msgspec.json.encode(keys).decode()

    def add(self, fragment: str) -> str:
        """Take a fragment of the arguments and return what of it is to be written ("" for a placeholder)."""
        if not self._fragments and fragment.strip() in _PLACEHOLDERS:
            self.has_placeholder = self.has_placeholder or bool(fragment.strip())
            return ""
        self._fragments.append(fragment)
        return fragment


class Calls:
    """The calls of one answer, found by what a fragment says of itself."""

    def __init__(self) -> None:
        self._by_index: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._last: Call | None = None

    def call_of(self, delta: ToolCall, fragment: str) -> tuple[Call, bool] | None:
        """Return the call that a fragment belongs to and whether it is new; None for an empty fragment."""
        name = delta.function.name if delta.function is not None else None
        call = self._known(delta)
        is_new = call is None or _begins_another(call, delta, name, fragment)
        if call is None or is_new:
            if not (delta.id or name or fragment):
                return None
            call = Call()
        if delta.index is not None:
            call.index = delta.index
            self._by_index[delta.index] = call
        if delta.id:
            call.id = call.id or delta.id
            self._by_id[delta.id] = call
        call.name = call.name or name
        call.extras.update(extras_of(delta))
        self._last = call
        return call, is_new

    def _known(self, delta: ToolCall) -> Call | None:
        if delta.index is None:
            return self._by_id.get(delta.id) if delta.id else self._last
        call = self._by_index.get(delta.index)
        if call is None and delta.id:
            by_id = self._by_id.get(delta.id)
            return by_id if by_id is not None and by_id.index is None else None
        return call


def _begins_another(call: Call, delta: ToolCall, name: str | None, fragment: str) -> bool:
    if not name:
        return False
    if delta.id and call.id:
        return delta.id != call.id
    if call.name is None:
        return False
    if delta.index is None and name != call.name:
        return True
    return call.is_complete and bool(fragment.strip())


class ToolIds:
    """Gives every tool_use block an id that is unique in the conversation.

    Two blocks with one id make the client keep only one of the results (observed), so an id that is
    missing, that the history already uses or that the answer repeats is replaced by one derived from the
    message's id.
    """

    def __init__(self, message_id: str, used: frozenset[str]) -> None:
        self._stem = f"toolu_{message_id.removeprefix('msg_')}"
        self._history = used
        self._given: set[str] = set()

    def unique(self, upstream_id: str | None) -> str:
        """Return ``upstream_id`` when it is unique, else a new id."""
        tool_id = upstream_id or ""
        number = len(self._given)
        while not tool_id or tool_id in self._history or tool_id in self._given:
            tool_id = f"{self._stem}_{number}"
            number += 1
        self._given.add(tool_id)
        return tool_id
