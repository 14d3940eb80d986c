"""One object of the file, read key by key: a typed value, or the default after a problem."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from ccr.config.findings import nearest, shape
from ccr.config.interpolate import joined
from ccr.config.model import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ccr.config.findings import Findings

Word = TypeVar("Word", bound=str)

DIGITS = re.compile(r"\s*[0-9]{1,15}\s*")
NOT_IN_A_HEADER = re.compile(r"[^\x21-\x7e]")
BOOLEANS = {"true": True, "false": False}


class Section:
    """The object ``values`` at ``path``; null and a missing key are the same."""

    def __init__(self, values: Mapping[str, Any], path: str, findings: Findings) -> None:
        self.values = values
        self.path = path
        self.findings = findings

    def at(self, key: str) -> str:
        """Return the path of a key of this object."""
        return joined(self.path, key)

    def quoted(self, key: str) -> str:
        """Quote the value of a key, as far as it may be shown."""
        return self.findings.quoted(self.at(key), self.values.get(key))

    def problem(self, key: str, found: str, allowed: str) -> None:
        """Note a fault at a key of this object."""
        self.findings.problem(self.at(key), found, allowed)

    def text(self, key: str, *, allowed: str = "a text") -> str | None:
        """Return a trimmed text, None when missing or empty."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(key, shape(value), allowed)
            return None
        return value.strip() or None

    def secret(self, key: str) -> Secret | None:
        """Return a secret that can stand in a header, None when missing or empty; never quoted."""
        text = self.text(key, allowed="a text (the key itself, or $VARIABLE)")
        if text is None:
            return None
        if NOT_IN_A_HEADER.search(text):
            self.problem(key, "a text with spaces, line ends or non-ASCII characters", "a key of one word")
            return None
        return Secret(text)

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole number between two bounds, also when written as a text."""
        value = self.values.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            return default
        number: int | None = None
        if isinstance(value, str) and DIGITS.fullmatch(value):
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif isinstance(value, float) and value.is_integer():
            number = int(value)
        if number is None or not low <= number <= high:
            self.problem(key, self.quoted(key), f"a whole number from {low} to {high}")
            return default
        return number

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return true or false, also when written as a text."""
        value = self.values.get(key)
        if isinstance(value, str):
            value = BOOLEANS.get(value.strip().lower(), value)
        if value is None or value == "":
            return default
        if not isinstance(value, bool):
            self.problem(key, self.quoted(key), "true or false")
            return default
        return value

    def choice(self, key: str, default: Word, allowed: Iterable[Word]) -> Word:
        """Return one of some words, in any capitals."""
        words = {word.lower(): word for word in allowed}
        value = self.values.get(key)
        if value is None or value == "":
            return default
        if isinstance(value, str) and value.strip().lower() in words:
            return words[value.strip().lower()]
        self.problem(key, self.quoted(key), "one of " + ", ".join(words))
        return default

    def table(self, key: str) -> Mapping[str, Any]:
        """Return an object, empty when missing."""
        value = self.values.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(key, shape(value), "an object")
            return {}
        return value

    def entries(self, key: str, *, of: str) -> list[tuple[str, Any]]:
        """Return the entries of a list with their paths, none when missing. ``of`` says what is listed."""
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(key, shape(value), f"a list of {of}")
            return []
        return [(f"{self.at(key)}[{index}]", entry) for index, entry in enumerate(value)]

    def warn_of_unknown(self, known: Iterable[str], *, unsupported: Mapping[str, str] | None = None) -> None:
        """Warn of every key that has no effect: unknown ones, and known ones that are in use elsewhere.

        unsupported: the latter, each with the sentence that says why.
        """
        known, unsupported = dict.fromkeys(known), unsupported or {}
        for key, value in self.values.items():
            if key in unsupported:
                if value:
                    self.findings.warn(self.at(key), unsupported[key])
            elif key not in known:
                hint = nearest(key, known)
                ending = f"; did you mean {hint}?" if hint else ""
                self.findings.warn(self.at(key), f"is not known and has no effect{ending}")
