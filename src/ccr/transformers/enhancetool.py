"""``enhancetool``: tool arguments that are no JSON object are repaired; json_repair.py says what is mended.

The arguments of a call are held until they are whole: a client never sees the beginning of something that
turns out broken; the call itself is announced at once. Arguments that a token limit cut off stay as they
are: what is missing is not known, and a shortened file must not be written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccr.protocol.completion import is_json_object
from ccr.transformers.base import Transformer
from ccr.transformers.choices import ByChoice, Choice, ChoiceStep
from ccr.transformers.json_repair import repaired_object
from ccr.transformers.options import Options
from ccr.transformers.rules import StepRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.transformers.base import ChunkStep, Completion, Context

_CUT: Final = ("length", "max_tokens", "content_filter")
_PLACEHOLDERS: Final = ("", "{}", "null")
_MAX_PLACEHOLDER_CHARS: Final = 16
_OFTEN_CHARS: Final = 4096
"""Longer arguments are not looked at whenever a fragment ends in a bracket: that would cost the square."""


class EnhanceTool(Transformer):
    """No options."""

    name = "enhancetool"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the answer with all its tool calls' arguments repaired."""
        choices = completion.get("choices")
        if not isinstance(choices, list):
            return completion
        return {**completion, "choices": [_repaired_choice(choice, context) for choice in choices]}

    def stream(self, context: Context) -> ChunkStep:
        """Return what holds and repairs arguments."""
        return ByChoice(lambda index: ArgumentsStep(index, context))


def _repaired_choice(choice: Any, context: Context) -> Any:
    message = choice.get("message") if isinstance(choice, dict) else None
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(calls, list) or choice.get("finish_reason") in _CUT:
        return choice
    return {**choice, "message": {**message, "tool_calls": [_repaired_call(call, context) for call in calls]}}


def _repaired_call(call: Any, context: Context) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return call
    return {**call, "function": {**function, "arguments": _repaired(arguments_text(function), context)}}


def _repaired(arguments: str, context: Context) -> str:
    if is_json_object(arguments) or arguments.strip() in _PLACEHOLDERS:
        return arguments
    repaired = repaired_object(arguments)
    if repaired is None:
        return arguments
    context.note(StepRule.ARGUMENTS_REPAIRED)
    return repaired


def arguments_text(function: Mapping[str, Any]) -> str:
    """Return the arguments of a call as text; some upstreams send an object."""
    arguments = function.get("arguments")
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return msgspec.json.encode(arguments).decode()


class _Call:
    """A call that is announced, and the arguments of it that were not passed on yet."""

    def __init__(self, fragment: Mapping[str, Any], context: Context) -> None:
        self._context = context
        self.key = {"index": fragment["index"]} if "index" in fragment else {}
        self.id = fragment.get("id")
        self.held = ""
        self.is_passed = False
        self._check_from = 0

    def passed(self, fragment: str) -> str:
        """Take a fragment and return what of the arguments may go on."""
        if self.is_passed:
            return fragment
        if fragment and self._is_placeholder():
            self.held = ""
        self.held += fragment
        if not fragment.rstrip().endswith("}") or len(self.held) < self._check_from or self._is_placeholder():
            return ""
        if is_json_object(self.held):
            return self.rest()
        if len(self.held) > _OFTEN_CHARS:
            self._check_from = len(self.held) + len(self.held) // 8
        return ""

    def _is_placeholder(self) -> bool:
        """Whether nothing but what may stand before the arguments came; long texts are not looked at."""
        return len(self.held) <= _MAX_PLACEHOLDER_CHARS and self.held.strip() in _PLACEHOLDERS

    def rest(self, *, is_cut: bool = False) -> str:
        """Return what is held, repaired unless it is cut."""
        self.is_passed = True
        held, self.held = self.held, ""
        return held if is_cut else _repaired(held, self._context)


class ArgumentsStep(ChoiceStep):
    """One choice of a stream: any number of calls, whose fragments may be interleaved."""

    def __init__(self, index: int, context: Context) -> None:
        super().__init__(index)
        self._context = context
        self._calls: dict[object, _Call] = {}
        self._last: object = None

    def choice(self, choice: Choice) -> list[Choice]:
        """Return the choice with the arguments that are whole."""
        finish_reason = choice.get("finish_reason")
        given = choice["delta"].get("tool_calls")
        fragments = [made for each in given or () for made in self._taken(each)]
        if finish_reason:
            fragments += self._rests(is_cut=finish_reason in _CUT)
        if fragments == (given or []):
            return [choice]
        delta = {key: value for key, value in choice["delta"].items() if key != "tool_calls"}
        if fragments:
            delta["tool_calls"] = fragments
        return [{**choice, "delta": delta}] if delta or finish_reason else []

    def end(self) -> list[Choice]:
        """Return the arguments of calls whose choice never came to its finish_reason."""
        rests = self._rests(is_cut=True)
        if not rests:
            return []
        return [{"index": self.index, "delta": {"tool_calls": rests}, "finish_reason": None}]

    def _taken(self, fragment: Any) -> list[Any]:
        function = fragment.get("function") if isinstance(fragment, dict) else None
        if not isinstance(function, dict):
            return [fragment]
        key = fragment.get("index")
        key = (fragment.get("id") or self._last) if key is None else key
        before: list[Any] = []
        known = self._calls.get(key)
        if known is None or _is_another(known, fragment, function):
            if known is not None:  # an upstream that gives every call the same index
                before = _fragment_of(known, known.rest())
            known = self._calls[key] = _Call(fragment, self._context)
        self._last = key
        passed = known.passed(arguments_text(function))
        says_more = fragment.get("id") or function.get("name")
        if not passed and not says_more:
            return before
        return [*before, {**fragment, "function": {**function, "arguments": passed}}]

    def _rests(self, *, is_cut: bool) -> list[Any]:
        calls = (call for call in self._calls.values() if not call.is_passed)
        return [made for call in calls for made in _fragment_of(call, call.rest(is_cut=is_cut))]


def _is_another(known: _Call, fragment: Mapping[str, Any], function: Mapping[str, Any]) -> bool:
    return bool(function.get("name") and fragment.get("id") and known.id and fragment["id"] != known.id)


def _fragment_of(call: _Call, arguments: str) -> list[Any]:
    if not arguments:
        return []
    key = call.key or ({"id": call.id} if call.id else {})
    return [{**key, "function": {"arguments": arguments}}]
