"""``$VAR`` and ``${VAR}`` in any text of the configuration, replaced from the environment.

``$VAR`` is capitals, digits and underscores; ``${…}`` takes any name; ``$$`` is a dollar sign.
What came from the environment is marked, so that no message ever quotes it: it may be a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = re.compile(r"\$(?:(\$)|\{([^{}]*)\}|([A-Z_][A-Z0-9_]*))")


class FromEnvironment(str):
    """A text of which at least a part came from the environment."""

    __slots__ = ()


class Interpolation:
    """One walk through the values: ``unset`` maps key path -> names of variables that are not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.unset: dict[str, list[str]] = {}

    def walk(self, value: Any, path: str = "") -> Any:
        """Return ``value`` with every text interpolated; an unset variable stays as written and is noted."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return {key: self.walk(entry, joined(path, key)) for key, entry in value.items()}
        if isinstance(value, list):
            return [self.walk(entry, f"{path}[{index}]") for index, entry in enumerate(value)]
        return value

    def _text(self, text: str, path: str) -> str:
        replaced = False

        def value_of(match: re.Match[str]) -> str:
            nonlocal replaced
            if match[1]:
                return "$"
            name = match[2] if match[2] is not None else match[3]
            if name not in self._environ:
                self.unset.setdefault(path, []).append(name)
                return match[0]
            replaced = True
            return self._environ[name]

        result = VARIABLE.sub(value_of, text)
        return FromEnvironment(result) if replaced else result


def joined(path: str, key: str) -> str:
    """Return the path of ``key`` below ``path`` (empty: the document itself)."""
    return f"{path}.{key}" if path else key
