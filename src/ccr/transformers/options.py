"""The options a step was configured with: read by name, numbers also as texts, nothing unknown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ANYWHERE = ("debug",)
"""Options that every step takes: what they ask for is done by whoever runs the steps."""
_WORDS = {"true": True, "false": False}


def is_debugged(options: Mapping[str, Any]) -> bool:
    """Tell whether a step's options ask for all its lines in ``plugin.log``."""
    value = options.get("debug")
    return _WORDS.get(value.strip().lower(), True) if isinstance(value, str) else bool(value)


class Options:
    """The options of one step. allowed: their names. Raises ValueError on any other name."""

    def __init__(self, step: str, given: Mapping[str, Any], allowed: Iterable[str] = ()) -> None:
        self._step = step
        self._given = given
        names = sorted({*allowed, *ANYWHERE})
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(f"{step}: unknown option {unknown[0]!r}; allowed: {', '.join(names)}")
        for name in ANYWHERE:
            self.boolean(name)

    def whole(self, name: str) -> int | None:
        """Return a positive whole number, None where it is not given."""
        number = self.number(name)
        if number is None or (isinstance(number, int) and number > 0):
            return number
        if isinstance(number, float) and number.is_integer() and number > 0:
            return int(number)
        raise self._wrong(name, "a whole number above 0")

    def number(self, name: str) -> int | float | None:
        """Return a number, None where it is not given."""
        value = self._given.get(name)
        if isinstance(value, str):
            value = _number_in(value)
            if value is None:
                raise self._wrong(name, "a number")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._wrong(name, "a number")
        return value

    def boolean(self, name: str) -> bool | None:
        """Return true or false, None where it is not given."""
        value = self._given.get(name)
        if isinstance(value, str):
            value = _WORDS.get(value.strip().lower(), value)
        if value is None or isinstance(value, bool):
            return value
        raise self._wrong(name, "true or false")

    def _wrong(self, name: str, allowed: str) -> ValueError:
        return ValueError(f"{self._step}: option {name} is {self._given[name]!r}; allowed: {allowed}")


def _number_in(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None
