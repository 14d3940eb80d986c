"""Ids of tool calls that clients can work with, and a ``finish_reason`` that tells of the calls.

Some providers number the calls of every answer anew (``0``, ``1``), or give no id: two calls of a
conversation then have the same one, and clients mix up their results. New ids are made of the request's id.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ccr.transformers.choices import Choice, ChoiceStep
from ccr.transformers.rules import StepRule

if TYPE_CHECKING:
    from ccr.transformers.base import Completion, Context

_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9]")


class IdStep(ChoiceStep):
    """One choice of a stream. repairs_finish: a ``stop`` after tool calls becomes ``tool_calls``."""

    def __init__(self, index: int, context: Context, *, repairs_finish: bool) -> None:
        super().__init__(index)
        self._ids = _Ids(context, index)
        self._context = context
        self._repairs_finish = repairs_finish
        self._has_calls = False

    def choice(self, choice: Choice) -> list[Choice]:
        """Return the choice with usable ids."""
        calls = choice["delta"].get("tool_calls")
        if calls:
            self._has_calls = True
            made = [self._ids.fragment(call) for call in calls]
            if made != calls:
                choice = {**choice, "delta": {**choice["delta"], "tool_calls": made}}
        if self._repairs_finish and self._has_calls and choice.get("finish_reason") == "stop":
            self._context.note(StepRule.FINISH_REASON_REPAIRED)
            choice = {**choice, "finish_reason": "tool_calls"}
        return [choice]


def with_ids(completion: Completion, context: Context, *, repairs_finish: bool) -> Completion:
    """Return a whole answer with usable ids; repairs_finish: as for a stream."""
    choices = completion.get("choices")
    if not isinstance(choices, list):
        return completion
    made = [_whole(choice, _Ids(context, at), repairs_finish) for at, choice in enumerate(choices)]
    return {**completion, "choices": made}


def _whole(choice: Any, ids: _Ids, repairs_finish: bool) -> Any:
    message = choice.get("message") if isinstance(choice, dict) else None
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(calls, list) or not calls:
        return choice
    made = [ids.whole(call, at) for at, call in enumerate(calls)]
    choice = {**choice, "message": {**message, "tool_calls": made}}
    if repairs_finish and choice.get("finish_reason") == "stop":
        ids.context.note(StepRule.FINISH_REASON_REPAIRED)
        choice["finish_reason"] = "tool_calls"
    return choice


class _Ids:
    """Gives the calls of one choice their ids."""

    def __init__(self, context: Context, index: int) -> None:
        self.context = context
        stem = _NOT_IN_AN_ID.sub("", context.request_id) or "0"
        self._stem = f"call_{stem}_{index}" if index else f"call_{stem}"
        self._made: dict[tuple[object, object], str] = {}

    def fragment(self, call: Any) -> Any:
        """Return a fragment of a stream; one that only goes on with a call needs no id."""
        if not isinstance(call, dict):
            return call
        given, function = call.get("id"), call.get("function")
        begins = isinstance(function, dict) and function.get("name")
        if _is_usable(given) or (not given and not begins):
            return call
        return {**call, "id": self._id(call.get("index"), given)}

    def whole(self, call: Any, at: int) -> Any:
        """Return a whole call."""
        if not isinstance(call, dict) or _is_usable(call.get("id")):
            return call
        return {**call, "id": self._id(at, call.get("id"))}

    def _id(self, index: object, given: object) -> str:
        self.context.note(StepRule.CALL_ID_MADE)
        key = (index, given or (None if index is not None else len(self._made)))
        return self._made.setdefault(key, f"{self._stem}_{len(self._made)}")


def _is_usable(given: object) -> bool:
    return isinstance(given, str) and bool(given) and not given.isdecimal()
