"""What a preset asks: which questions stand, in which order, and whether an answer will do. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ccr.presets.manifest import Preset, Question

BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
COMPARED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": lambda one, other: one > other,
    "lt": lambda one, other: one < other,
    "gte": lambda one, other: one >= other,
    "lte": lambda one, other: one <= other,
}


class AnswerError(ValueError):
    """An answer that will not do; the message is a sentence."""


def holds(condition: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Tell whether a condition ``{field, operator, value}`` holds for the answers so far."""
    value, wanted = values.get(str(condition.get("field"))), condition.get("value")
    operator = condition.get("operator", "eq")
    if operator == "exists":
        return value is not None
    if operator in ("in", "nin"):
        return isinstance(wanted, list) and (value in wanted) == (operator == "in")
    if operator == "ne":
        return bool(value != wanted)
    if operator in COMPARED:
        try:
            return COMPARED[operator](value, wanted)
        except TypeError:
            return False
    return bool(value == wanted)


def standing(preset: Preset, values: Mapping[str, Any]) -> Iterator[Question]:
    """Yield the questions whose conditions hold, each after those it depends on.

    values: the answers so far; the caller adds to it while this runs.
    """
    for question in _ordered(preset.questions):
        if all(holds(condition, values) for condition in question.when):
            yield question


def answer_from(question: Question, given: Any) -> Any:
    """Return an answer in its question's type. Raises AnswerError."""
    if given is None or given == "":
        if question.is_required and question.kind not in ("confirm", "multiselect"):
            raise AnswerError(f"{question.label} is required.")
        return given
    if question.kind == "number":
        return _number(question, given)
    if question.kind == "confirm":
        value = BOOLEANS.get(str(given).strip().lower(), given)
        if not isinstance(value, bool):
            raise AnswerError(f"{question.label} is yes or no.")
        return value
    if question.kind == "multiselect":
        return given if isinstance(given, list) else [part.strip() for part in str(given).split(",")]
    if question.pattern and not re.search(question.pattern, str(given)):
        raise AnswerError(f"{question.label} has not the form it needs ({question.pattern}).")
    return given


def choices_of(question: Question, base: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Return what may be chosen: fixed options, or providers or models of the configuration ``base``."""
    options = question.options
    if isinstance(options, dict) and options.get("type", "static") == "static":
        options = options.get("options")
    if isinstance(options, list):
        return [str(each.get("value") if isinstance(each, dict) else each) for each in options]
    if not isinstance(options, dict):
        return []
    providers = [
        each for each in base.get("Providers") or base.get("providers") or [] if isinstance(each, dict)
    ]
    if options.get("type") == "providers":
        return [str(each.get("name")) for each in providers]
    chosen = values.get(str(options.get("providerField", "")).strip("#{}"))
    models = next((each.get("models") for each in providers if each.get("name") == chosen), None)
    return [str(model) for model in models] if isinstance(models, list) else []


def _number(question: Question, given: Any) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise AnswerError(f"{question.label} is a number.") from None
    if question.lowest is not None and number < question.lowest:
        raise AnswerError(f"{question.label} is at least {question.lowest:g}.")
    if question.highest is not None and number > question.highest:
        raise AnswerError(f"{question.label} is at most {question.highest:g}.")
    return int(number) if number.is_integer() else number


def _ordered(questions: Sequence[Question]) -> list[Question]:
    by_id = {question.id: question for question in questions}
    ordered: dict[str, Question] = {}

    def add(question: Question, above: frozenset[str]) -> None:
        for condition in question.when:
            needed = by_id.get(str(condition.get("field")))
            if needed is not None and needed.id not in above | ordered.keys():
                add(needed, above | {question.id})
        ordered.setdefault(question.id, question)

    for question in questions:
        add(question, frozenset({question.id}))
    return list(ordered.values())
