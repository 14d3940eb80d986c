"""``$VAR`` and ``${VAR}`` in any text of the configuration, replaced from the environment.

``$VAR`` is capitals, digits and underscores; ``${…}`` takes any name; ``$$`` is a dollar sign.
Which keys got something from the environment is noted, so that no message quotes them: it may be a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

# a run of letters and digits that alternate, as in a token, or a very long one; no key or model is named so
LIKE_A_TOKEN = re.compile(
    r"(?=[A-Za-z0-9]{8})(?:[0-9]*[A-Za-z]+[0-9]+[A-Za-z]|[A-Za-z]*[0-9]+[A-Za-z]+[0-9])|[A-Za-z0-9+_]{40}"
)
VARIABLE = re.compile(r"\$(?:(\$)|\{([^{}]*)\}|([A-Z_][A-Z0-9_]*))")


class Interpolation:
    """One walk through the values.

    unset: key path -> names of variables that are not set.
    replaced: key paths with something from the environment in their value.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.unset: dict[str, list[str]] = {}
        self.replaced: set[str] = set()

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
        def value_of(match: re.Match[str]) -> str:
            if match[1]:
                return "$"
            name = match[2] if match[2] is not None else match[3]
            if name not in self._environ:
                self.unset.setdefault(path, []).append(name)
                return match[0]
            self.replaced.add(path)
            return self._environ[name]

        return VARIABLE.sub(value_of, text)


def joined(path: str, key: str) -> str:
    """Return the path of ``key`` below ``path`` (empty: the document itself), fit to be shown.

    A secret that was pasted where a key belongs is not repeated: paths stand in messages and logs.
    """
    shown = f"({len(key)} characters)" if LIKE_A_TOKEN.search(key) or redacted(key) != key else key
    return f"{path}.{shown}" if path else shown
