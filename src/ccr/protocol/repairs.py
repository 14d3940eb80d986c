"""What would make an upstream take a request that it has just refused. Values in, values out.

A new release of a client, a model that the catalog does not know, an endpoint that has changed: each ends in
a 400 that repeating does not mend. ``repair_of`` reads the refusal, in any of the wordings seen so far, and
names one repair of the request. It is a guess that the next answer proves; what is remembered of it, and how
often it is tried, is decided in gateway/repairing.py. docs/translation.md, "Repairs", describes every rule.

A request may be in the chat format or, on the native route, in the Messages API's own: what differs is in a
`Format` (native_repairs.py has the other one).

Left alone is what the client heals itself (a prompt that is too long), and what only a person can.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeVar, cast

from ccr.protocol.error_bodies import error_body
from ccr.protocol.overflow import overflow_message
from ccr.protocol.repair_fields import CHAT_SHAPE, MARK, Field, Shape, fields_in, without_field
from ccr.protocol.repair_options import (
    CHAT_HISTORY,
    History,
    ThinkingKind,
    max_tokens_of,
    thinking_kind_of,
    with_auto_tool_choice,
    with_max_tokens_at_most,
    with_thinking_kind,
    without_effort,
    without_options,
    without_thinking,
    without_thinking_history,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ccr.protocol.openai import ChatRequest

MIN_HALVED_TOKENS: Final = 1024
MAX_TEXT_CHARS: Final = 16_384
"""How much of a refusal is read."""

Memory = Literal["model", "minute", "request"]


class RepairRule(StrEnum):
    """Names of the repairs, as they appear in metrics, logs, ``ccr status`` and docs/translation.md."""

    UNKNOWN_FIELD_REMOVED = "unknown_field_removed"
    UNKNOWN_BETA_REMOVED = "unknown_beta_removed"
    MAX_TOKENS_LOWERED = "max_tokens_lowered"
    MAX_TOKENS_HALVED = "max_tokens_halved"
    THINKING_HISTORY_REMOVED = "thinking_history_removed"
    THINKING_KIND_SWITCHED = "thinking_kind_switched"
    THINKING_REMOVED = "thinking_removed"
    SAMPLING_REMOVED = "sampling_removed"
    EFFORT_REMOVED = "effort_removed"
    TOOL_CHOICE_AS_AUTO = "tool_choice_as_auto"


_Request = TypeVar("_Request")
_Json = dict[str, Any]


class Format(NamedTuple):
    """What repairs must know of the format of requests."""

    shape: Shape
    history: History
    with_auto_tool_choice: Callable[..., Any]


@dataclass(frozen=True)
class Repair(Generic[_Request]):
    """One repair; two of one rule and subject are equal.

    what: its subject, for a person (``tools.strict``, ``8192``). apply: returns the repaired request, the
    same object when there is nothing to change. memory: for how long it holds: for the ``model`` while the
    process lives, for it for a ``minute``, or for this ``request`` only. limit: of repairs of ``max_tokens``.
    key_sought: a key that the request must have for the repair to change anything, "" where that is not
    known; it spares a look into requests that have it nowhere.
    """

    rule: RepairRule
    what: str
    apply: Callable[[_Request], _Request] = field(compare=False, repr=False)
    memory: Memory = "model"
    limit: int | None = None
    key_sought: str = ""

    @property
    def key(self) -> str:
        """What a later repair takes the place of, and what is tried once in a request.

        That is the rule; but fields are refused one after the other, so there it is the field.
        """
        return f"{self.rule}:{self.what}" if self.rule in _ONE_BY_ONE else self.rule


_ONE_BY_ONE: Final = frozenset(
    {RepairRule.UNKNOWN_FIELD_REMOVED, RepairRule.UNKNOWN_BETA_REMOVED, RepairRule.SAMPLING_REMOVED}
)


def repair_of(
    status: int, body: bytes, chat: ChatRequest, tried: Collection[str] = ()
) -> Repair[ChatRequest] | None:
    """Return the repair that a refusal calls for; None when there is none that would change ``chat``.

    status, body: the refusal as received. chat: the request as it was sent. tried: keys of repairs that this
    request already had.
    """
    candidates = repairs_in(status, body, cast("_Json", chat), CHAT)
    repair = next((each for each in candidates if each.key not in tried and is_change(each, chat)), None)
    return cast("Repair[ChatRequest] | None", repair)


def is_change(repair: Repair[Any], request: object) -> bool:
    """Tell whether a repair changes anything in a request."""
    return repair.apply(request) is not request


def repairs_in(status: int, body: bytes, request: _Json, form: Format) -> Iterator[Repair[_Json]]:
    """Yield the repairs that a refusal may call for, the likeliest first, of a request as it was sent."""
    if status == 429:
        text = body[:MAX_TEXT_CHARS].decode("utf-8", "replace")
        if _OUTPUT_RATE.search(text):
            yield from _halved(request, form)
        return
    if status not in (400, 422):
        return
    said = error_body(body)
    if overflow_message(said.message, said.codes, context_tokens=None, estimated_tokens=None) is not None:
        return
    text = said.message[:MAX_TEXT_CHARS]
    yield from _fields(text, body, form)
    for about in (_lowered, _history, _tool_choice, _sampling, _thinking, _effort):
        yield from about(text, request, form)


# -- fields ---------------------------------------------------------------------------------------------

_REFUSED: Final = (
    r"(?:not (?:currently )?(?:be )?(?:supported|available|allowed|accepted|valid|compatible)"
    r"|only (?:supported|available|allowed|accepted)"
    r"|does(?: not|n't) (?:support|accept|allow)|do(?: not|n't) support|unsupported|deprecated|no longer)"
)
_MARK_REFUSED: Final = re.compile(
    rf"\b{MARK}\b.{{0,80}}?{_REFUSED}|{_REFUSED}.{{0,80}}?\b{MARK}\b", re.IGNORECASE | re.DOTALL
)
_MARK_NAMED: Final = re.compile(rf"\b{MARK}\b")


def _fields(message: str, body: bytes, form: Format) -> Iterator[Repair[_Json]]:
    whole = body[:MAX_TEXT_CHARS].decode("utf-8", "replace")
    for text in (message, whole):
        for refused in fields_in(text, form.shape):
            if refused.name == "thinking":  # then it takes no reasoning in the history either
                without = partial(without_thinking, history=form.history)
                yield Repair(RepairRule.THINKING_REMOVED, "thinking", without)
            else:
                yield _unknown_field(refused)
    marks = Field(MARK, MARK, form.shape.marked)
    if _MARK_REFUSED.search(message):
        yield _unknown_field(marks)
    elif _MARK_NAMED.search(message):
        # Of something inside a breakpoint that the request does not have: then of the breakpoints themselves.
        # Of a wrong place or number of them: that says nothing about the next request.
        is_inside = "extra inputs" in message.lower()
        yield _unknown_field(marks, memory="model" if is_inside else "request")


def _unknown_field(refused: Field, memory: Memory = "model") -> Repair[_Json]:
    return Repair(
        RepairRule.UNKNOWN_FIELD_REMOVED,
        refused.name,
        partial(without_field, field=refused),
        memory,
        key_sought=refused.key,
    )


# -- max_tokens -----------------------------------------------------------------------------------------

_OUTPUT_RATE: Final = re.compile(r"output[ _-]tokens?[ _-]per[ _-]min|\bOTPM\b", re.IGNORECASE)
_NUMBER: Final = r"\W{0,3}(?P<limit>\d[\d,]*)"
_NAME: Final = r"\bmax(?:imum)?[_ ]?(?:completion|output)?[_ ]?tokens\b"
_LIMITS: Final = tuple(
    re.compile(sentence, re.IGNORECASE | re.DOTALL)
    for sentence in (
        rf"{_NAME}\W{{0,3}}\d[\d,]*\W{{0,2}} (?:cannot|can not|must not|may not) exceed{_NUMBER}",
        rf"{_NAME}.{{0,20}}?\d[\d,]* > (?P<limit>\d[\d,]*)",
        rf"{_NAME}.{{0,60}}?(?:less than or equal to|cannot exceed|must not exceed|at most|<=){_NUMBER}",
        rf"{_NAME}.{{0,60}}?is too large.{{0,80}}?at most{_NUMBER}",
        rf"{_NAME}.{{0,60}}?exceeds? (?:the )?(?:model'?s? )?(?:limit|maximum) of{_NUMBER}",
        rf"{_NAME}.{{0,60}}?range (?:of {_NAME} )?is \[\d+, ?(?P<limit>\d+)\]",
    )
)
_EXCLUSIVE: Final = re.compile(
    rf"{_NAME}.{{0,80}}?range is from \d+ \(inclusive\) to (?P<limit>\d+) \(exclusive\)",
    re.IGNORECASE | re.DOTALL,
)


def _lowered(text: str, request: _Json, form: Format) -> Iterator[Repair[_Json]]:  # noqa: ARG001 - one signature for all
    limit = next((_int(match["limit"]) for one in _LIMITS if (match := one.search(text))), None)
    if limit is None and (match := _EXCLUSIVE.search(text)):
        limit = _int(match["limit"]) - 1
    if limit:
        yield max_tokens_repair(RepairRule.MAX_TOKENS_LOWERED, limit, "model", form.history)


def _halved(request: _Json, form: Format) -> Iterator[Repair[_Json]]:
    asked = max_tokens_of(request) or 0
    # A budget needs more than the smallest limit: then thinking would go as well, for a shortage of a minute.
    room = MIN_HALVED_TOKENS + (thinking_kind_of(request) == "enabled")
    if asked // 2 >= room:
        yield max_tokens_repair(RepairRule.MAX_TOKENS_HALVED, asked // 2, "minute", form.history)


def max_tokens_repair(
    rule: RepairRule, limit: int, memory: Memory, history: History | None = None
) -> Repair[Any]:
    """Return the repair that asks for at most ``limit`` tokens."""
    apply = partial(with_max_tokens_at_most, limit=limit, history=history)
    return Repair(rule, str(limit), apply, memory, limit)


def _int(number: str) -> int:
    return int(number.replace(",", ""))


# -- thinking -------------------------------------------------------------------------------------------

_THINKING_BLOCK: Final = r"(?:redacted_)?(?:thinking|reasoning)"
_HISTORY: Final = re.compile(
    rf"invalid\W+(?:signature|data)\W+in\W+{_THINKING_BLOCK}"
    rf"|{_THINKING_BLOCK}\W+blocks?\b.{{0,60}}?cannot be modified"
    r"|messages\.\d+\.content\.\d+\.(?:\w+\.){0,3}signature\b"
    r"|\bsignature\b.{0,40}?\b(?:invalid|not valid|mismatch|could not be verified|verification failed)"
    rf"|final block in an assistant message cannot be\W+{_THINKING_BLOCK}"
    rf"|when\W+thinking\W+is\W+disabled.{{0,80}}?cannot contain\W+{_THINKING_BLOCK}"
    rf"|input tag\W+{_THINKING_BLOCK}\W+found",
    re.IGNORECASE | re.DOTALL,
)
_MISSING: Final = re.compile(rf"expected\W+{_THINKING_BLOCK}\W+or\W+{_THINKING_BLOCK}\W", re.IGNORECASE)
_KIND_REFUSED: Final = re.compile(
    rf"thinking[^\n]{{0,80}}?{_REFUSED}|{_REFUSED}[^\n]{{0,40}}?thinking"
    r"|thinking(?:\.type)?: input (?:should be|tag)",
    re.IGNORECASE,
)
_KIND_NAMED: Final = re.compile(r"\b(?:enabled|adaptive|manual|budget_tokens|budget)\b", re.IGNORECASE)


def _history(text: str, request: _Json, form: Format) -> Iterator[Repair[_Json]]:  # noqa: ARG001 - one signature for all
    rule, what = RepairRule.THINKING_HISTORY_REMOVED, "reasoning in messages"
    if _HISTORY.search(text):
        yield Repair(rule, what, partial(without_thinking_history, history=form.history), "request")
    elif _MISSING.search(text):
        yield Repair(rule, what, partial(without_thinking, history=form.history), "request")


def _thinking(text: str, request: _Json, form: Format) -> Iterator[Repair[_Json]]:
    if not _KIND_REFUSED.search(text):
        return
    kind = thinking_kind_of(request)
    if _KIND_NAMED.search(text):
        other: ThinkingKind = "enabled" if kind == "adaptive" else "adaptive"
        what = "adaptive to enabled" if kind == "adaptive" else "enabled to adaptive"
        switched = partial(with_thinking_kind, kind=other, history=form.history)
        yield Repair(RepairRule.THINKING_KIND_SWITCHED, what, switched)
    if kind is not None:
        without = partial(without_thinking, history=form.history)
        yield Repair(RepairRule.THINKING_REMOVED, "thinking", without)


# -- other options --------------------------------------------------------------------------------------

_SAMPLING: Final = ("temperature", "top_p", "top_k")
_BOTH_REFUSED: Final = re.compile(r"\btemperature\b.{0,20}\btop_p\b.{0,20}both be", re.IGNORECASE)
_SAMPLING_REFUSED: Final = re.compile(
    rf"\b(?:{'|'.join(_SAMPLING)})\b[^\n]{{0,120}}?(?:{_REFUSED}|does not support|only the default)"
    rf"|{_REFUSED}[^\n]{{0,40}}?\b(?:{'|'.join(_SAMPLING)})\b",
    re.IGNORECASE,
)
_BESIDE_THINKING: Final = re.compile(
    rf"\b(?:{'|'.join(_SAMPLING)})\b[^\n]{{0,120}}?\bwhen\W+thinking\b", re.IGNORECASE
)
_FORCED_BESIDE_THINKING: Final = re.compile(
    r"thinking may not be enabled when\W+tool_choice\W+forces|tool_choice[^\n]{0,120}?thinking", re.IGNORECASE
)
_FORCED_REFUSED: Final = re.compile(rf"\btool_choice\b[^\n]{{0,80}}?{_REFUSED}", re.IGNORECASE)
_EFFORT_REFUSED: Final = re.compile(
    rf"{_REFUSED}[^\n]{{0,40}}?\beffort\b|\beffort\b[^\n]{{0,60}}?{_REFUSED}", re.IGNORECASE
)


def _sampling(text: str, request: _Json, form: Format) -> Iterator[Repair[_Json]]:  # noqa: ARG001 - one signature for all
    rule = RepairRule.SAMPLING_REMOVED
    named = tuple(key for key in _SAMPLING if re.search(rf"\b{key}\b", text) and key in request)
    what = ", ".join(named)
    if _BOTH_REFUSED.search(text):
        without = partial(without_options, keys=("top_p",), beside="temperature")
        yield Repair(rule, "top_p beside temperature", without)
    elif _BESIDE_THINKING.search(text):
        yield Repair(rule, f"{what} beside thinking", partial(without_options, keys=named, beside="thinking"))
    elif _SAMPLING_REFUSED.search(text):
        yield Repair(rule, what, partial(without_options, keys=named))


def _tool_choice(text: str, request: _Json, form: Format) -> Iterator[Repair[_Json]]:
    rule = RepairRule.TOOL_CHOICE_AS_AUTO
    if _FORCED_BESIDE_THINKING.search(text):
        if "thinking" in request:
            auto = partial(form.with_auto_tool_choice, beside="thinking")
            yield Repair(rule, "forced tool beside thinking", auto)
        else:  # a model that always thinks
            yield Repair(rule, "forced tool", form.with_auto_tool_choice)
    elif _FORCED_REFUSED.search(text):
        yield Repair(rule, "forced tool", form.with_auto_tool_choice)


def _effort(text: str, request: _Json, form: Format) -> Iterator[Repair[_Json]]:  # noqa: ARG001 - one signature for all
    if _EFFORT_REFUSED.search(text):
        yield Repair(RepairRule.EFFORT_REMOVED, "effort", without_effort)


CHAT: Final = Format(CHAT_SHAPE, CHAT_HISTORY, with_auto_tool_choice)
