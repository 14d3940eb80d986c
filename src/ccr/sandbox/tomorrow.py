"""What an endpoint may refuse tomorrow that it takes today: keys, betas, long answers. Pure.

A new release of a client or of an endpoint shows in exactly these refusals; a test names them, and the
workspace answers with the real one's sentences until the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ccr.sandbox.refusals import coded, refuse

if TYPE_CHECKING:
    from ccr.sandbox.models import ModelRules
    from ccr.sandbox.refusals import Refusal

_OPAQUE = frozenset({"input", "input_schema", "parameters", "arguments"})
_WITH_VARIANTS = frozenset({"content", "system"})


@dataclass
class Tomorrow:
    """keys: refused wherever a request has them, schemas and tool inputs aside. betas: refused in the header.

    max_output: the longest answer of every model, None for each model's own.
    """

    keys: frozenset[str] = frozenset()
    betas: frozenset[str] = frozenset()
    max_output: int | None = None

    def rules(self, rules: ModelRules) -> ModelRules:
        """Return a model's rules as they will be."""
        return rules if self.max_output is None else replace(rules, max_output=self.max_output)

    def check_keys(self, body: dict[str, Any]) -> None:
        """Refuse the first of the keys in a body, by its path."""
        if self.keys:
            _check(body, "", self.keys)

    def problem_of_betas(self, headers: dict[str, str]) -> Refusal | None:
        """Return why a request with these headers (names in lower case) is refused, None if it is not."""
        for beta in headers.get("anthropic-beta", "").split(","):
            if beta.strip() in self.betas:
                return unknown_beta(beta.strip())
        return None


def unknown_beta(beta: str) -> Refusal:
    """Return the refusal of a value of ``anthropic-beta``."""
    return coded(400, "BAD_REQUEST", f"Unexpected value(s) `{beta}` for the `anthropic-beta` header.")


def _check(value: object, where: str, keys: frozenset[str]) -> None:
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{where}.{index}{_variant(item, where)}", keys)
    elif isinstance(value, dict):
        for key, inner in value.items():
            path = f"{where}.{key}" if where else key
            if key in keys:
                refuse(f"{path}: Extra inputs are not permitted")
            if key not in _OPAQUE:
                _check(inner, path, keys)


def _variant(item: object, where: str) -> str:
    """Return the name of the variant that a path names behind an index: ``messages.0.content.1.text``."""
    name = where.rpartition(".")[2]
    if name == "tools":
        return ".custom"
    return f".{item['type']}" if name in _WITH_VARIANTS and isinstance(item, dict) and "type" in item else ""
