"""Asking the questions of a preset's schema: on the terminal, or from options alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccr.config.paths import Paths
    from ccr.presets.manifest import Preset, Question


def asked(preset: Preset, given: Mapping[str, str], paths: Paths, *, asks: bool) -> dict[str, Any]:
    """Return all answers: the given ones, earlier ones, defaults, and what the person types.

    asks: ask for what is not given. Raises StartError when something needed is missing.
    """
    from ccr.errors import StartError
    from ccr.presets.answers import AnswerError, answer_from, choices_of, standing
    from ccr.setup.config_change import read_written

    base = read_written(paths.config_file, may_be_missing=True).document
    values: dict[str, Any] = {}
    for question in standing(preset, values):
        choices = choices_of(question, base, values)
        earlier = preset.values.get(question.id, question.default)
        try:
            if question.id in given:
                answer = answer_from(question, given[question.id])
            elif asks:
                answer = _typed(question, choices, earlier)
            else:
                answer = answer_from(question, earlier)
            _check_choice(question, answer, choices)
        except AnswerError as error:
            raise StartError(f"{error} Give it with --set {question.id}=…") from error
        values[question.id] = answer
    return {key: value for key, value in values.items() if value not in (None, "")}


def _check_choice(question: Question, answer: Any, choices: Sequence[str]) -> None:
    from ccr.presets.answers import AnswerError

    chosen = answer if isinstance(answer, list) else [answer]
    wrong = [each for each in chosen if each not in (None, "") and str(each) not in choices]
    if question.kind in ("select", "multiselect") and choices and wrong:
        raise AnswerError(f"{question.label}: {wrong[0]} is none of {', '.join(choices)}.")


def _typed(question: Question, choices: Sequence[str], earlier: Any) -> Any:
    """Ask until the answer will do."""
    from ccr.presets.answers import AnswerError, answer_from

    text = question.prompt or question.label
    if question.kind == "confirm":
        return click.confirm(text, default=bool(earlier))
    if choices:
        text += f" ({', '.join(choices)})"
    default = ",".join(map(str, earlier)) if isinstance(earlier, list) else earlier
    while True:
        typed = click.prompt(
            text,
            default="" if default is None else default,
            show_default=question.kind != "password" and default not in (None, ""),
            hide_input=question.kind == "password",
            type=str,
        )
        try:
            answer = answer_from(question, typed)
            _check_choice(question, answer, choices)
        except AnswerError as error:
            click.echo(str(error))
        else:
            return answer
