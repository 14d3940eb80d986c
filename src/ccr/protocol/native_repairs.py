"""Repairs of requests in the Messages API's own format, which the native route sends as bytes.

What a refusal says is read by repairs.py, by the same rules as on the chat route; here is where things lie in
this format, and the one thing that is no part of the body: the ``anthropic-beta`` header. A request is taken
apart only when a repair has to look into it. docs/native-route.md, "Repairs".
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccr.protocol.error_bodies import error_body
from ccr.protocol.native_blocks import THINKING_TYPES, block_type
from ccr.protocol.native_json import OBJECT, OBJECTS, STRING, JsonObject, encode, first_byte
from ccr.protocol.native_messages import Turn, tool_loop_start
from ccr.protocol.repair_fields import Place, Shape
from ccr.protocol.repair_options import History
from ccr.protocol.repairs import (
    MAX_TEXT_CHARS,
    Format,
    Memory,
    Repair,
    RepairRule,
    is_change,
    max_tokens_repair,
    repairs_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from msgspec import Raw

_Json = dict[str, Any]
_LIST: Final = ord("[")


class NativeSent:
    """A request as it is sent, a value: the bytes of its body and its ``anthropic-beta`` header (None: none).

    The body is parsed when ``keys`` is first asked for (one level deep), and written when it was changed.
    """

    __slots__ = ("_data", "_keys", "betas")

    def __init__(self, data: bytes | None, betas: str | None, keys: _Json | None = None) -> None:
        self.betas = betas
        self._data = data
        self._keys = keys

    @property
    def data(self) -> bytes:
        """The body."""
        if self._data is None:
            self._data = encode(self._keys)
        return self._data

    @property
    def keys(self) -> _Json:
        """The body as an object; what nobody looked into is ``msgspec.Raw``."""
        if self._keys is None:
            self._keys = dict[str, Any](OBJECT.decode(self.data))
        return self._keys


def native_repair_of(
    status: int, body: bytes, sent: NativeSent, tried: Collection[str] = ()
) -> Repair[NativeSent] | None:
    """Return the repair that a refusal calls for; None when there is none that would change the request.

    status, body: the refusal as received. tried: keys of repairs that this request already had.
    """
    if status not in (400, 422, 429):
        return None
    candidates = _candidates(status, body, sent)
    return next((each for each in candidates if each.key not in tried and is_change(each, sent)), None)


def native_max_tokens_repair(rule: RepairRule, limit: int, memory: Memory) -> Repair[NativeSent]:
    """Return the repair that asks for at most ``limit`` tokens."""
    return _of_body(max_tokens_repair(rule, limit, memory, NATIVE_HISTORY))


def _candidates(status: int, body: bytes, sent: NativeSent) -> Iterator[Repair[NativeSent]]:
    if status != 429:
        yield from _betas(error_body(body).message[:MAX_TEXT_CHARS])
    for repair in repairs_in(status, body, sent.keys, NATIVE):
        yield _of_body(repair)


def _of_body(repair: Repair[_Json]) -> Repair[NativeSent]:
    """Return the repair of a body as one of the request it is in."""
    apply = partial(_with_body, change=repair.apply, key_sought=repair.key_sought)
    return Repair(repair.rule, repair.what, apply, repair.memory, repair.limit, repair.key_sought)


def _with_body(sent: NativeSent, change: Callable[[_Json], _Json], key_sought: str) -> NativeSent:
    if key_sought and f'"{key_sought}"'.encode() not in sent.data:
        return sent
    changed = change(sent.keys)
    return sent if changed is sent.keys else NativeSent(None, sent.betas, changed)


# -- the header -----------------------------------------------------------------------------------------

_BETA_REFUSED: Final = re.compile(
    r"unexpected value\(?s?\)?\W+(?P<values>[^\n]{1,400}?)\W+for the\W+anthropic-beta", re.IGNORECASE
)
_BETA: Final = re.compile(r"[A-Za-z0-9][\w.-]*")


def _betas(text: str) -> Iterator[Repair[NativeSent]]:
    match = _BETA_REFUSED.search(text)
    if match is not None:
        for beta in _BETA.findall(match["values"]):
            yield Repair(RepairRule.UNKNOWN_BETA_REMOVED, beta, partial(without_beta, beta=beta))


def without_beta(sent: NativeSent, beta: str) -> NativeSent:
    """Return the request without one value of its ``anthropic-beta`` header."""
    given = (sent.betas or "").split(",")
    if beta not in given:
        return sent
    kept = ",".join(value for value in given if value != beta)
    return NativeSent(sent._data, kept or None, sent._keys)  # noqa: SLF001 - of its own class


# -- where fields lie -----------------------------------------------------------------------------------

_BLOCKS: Final[Place] = ("messages", "content")
_RESULT_BLOCKS: Final[Place] = ("messages", "content", "content")
_BLOCK_PLACES: Final = (_BLOCKS, _RESULT_BLOCKS)
_OPTIONS: Final = ("thinking", "output_config", "tool_choice", "metadata")
_PLACES: Final[tuple[Place, ...]] = (
    (),
    ("system",),
    ("messages",),
    *_BLOCK_PLACES,
    ("messages", "content", "source"),
    ("tools",),
    *((option,) for option in _OPTIONS),
)
_MARKED: Final[tuple[Place, ...]] = (("system",), *_BLOCK_PLACES, ("tools",))
_NEEDED_AT_TOP: Final = frozenset({"model", "messages", "system", "tools", "max_tokens", "stream"})
_NEEDED_BELOW: Final = frozenset(
    {"type", "role", "content", "text", "name", "description", "input_schema", "id", "input", "tool_use_id"}
    | {"is_error", "source", "data", "media_type", "url", "thinking", "signature", "budget_tokens"}
)


def _place_of(names: Place) -> Place:
    """Return where a path leads; names of variants (``custom``, ``text``, ``tool_result``) are no place."""
    if not names or names[0] not in ("messages", "system", "tools", *_OPTIONS):
        return ()
    return (names[0], *(name for name in names[1:] if name in ("content", "source")))


def _is_needed(place: Place, key: str) -> bool:
    return key in (_NEEDED_BELOW if place else _NEEDED_AT_TOP)


# -- the history ----------------------------------------------------------------------------------------


def _turns(body: _Json) -> list[Turn]:
    given = OBJECTS.decode(encode(body["messages"]))
    return [Turn(STRING.decode(message["role"]), _blocks(message["content"]), message) for message in given]


def _blocks(content: Raw) -> list[JsonObject]:
    return OBJECTS.decode(content) if first_byte(content) == _LIST else []


def _without_reasoning(body: _Json) -> _Json:
    """Return the body without thinking blocks, and without messages that held nothing else."""
    turns = _turns(body)
    if not any(block_type(block) in THINKING_TYPES for turn in turns for block in turn.blocks):
        return body
    messages: list[object] = []
    for turn in turns:
        kept = [block for block in turn.blocks if block_type(block) not in THINKING_TYPES]
        if len(kept) == len(turn.blocks):
            messages.append(turn.as_json())
        elif kept:
            messages.append({"role": turn.role, "content": kept})
    return {**body, "messages": messages}


def _has_loop(body: _Json) -> bool:
    return tool_loop_start(_turns(body)) is not None


def _allows_budget(body: _Json) -> bool:
    turns = _turns(body)
    start = tool_loop_start(turns)
    return start is None or turns[start].has_thinking_first


def _with_auto_tool_choice(body: _Json, *, beside: str | None = None) -> _Json:
    """Return the body with no tool forced; with ``beside``, only when it has that key."""
    choice = msgspec.json.decode(encode(body.get("tool_choice")))
    is_forced = isinstance(choice, dict) and choice.get("type") in ("any", "tool")
    if not is_forced or (beside is not None and beside not in body):
        return body
    auto = {key: value for key, value in choice.items() if key not in ("type", "name")}
    return {**body, "tool_choice": {"type": "auto", **auto}}


NATIVE_SHAPE: Final = Shape(_PLACES, _MARKED, _place_of, _is_needed)
NATIVE_HISTORY: Final = History(_without_reasoning, _has_loop, _allows_budget)
NATIVE: Final = Format(NATIVE_SHAPE, NATIVE_HISTORY, _with_auto_tool_choice)
