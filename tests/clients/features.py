"""Which features of which published client are proven: the tests say it, docs/clients.md shows it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

MODULES: Final = (
    "test_anthropic",
    "test_anthropic_errors",
    "test_openai",
    "test_openai_errors",
    "test_responses",
    "test_responses_errors",
)
CLIENTS: Final = ("anthropic", "openai", "responses")
TITLES: Final = {
    "anthropic": "`anthropic`",
    "openai": "`openai`: chat completions",
    "responses": "`openai`: responses",
}
_MARK: Final = "proven_feature"

Test = TypeVar("Test", bound=Callable[..., Any])


class Feature(NamedTuple):
    """A feature, the client it is of, what to know about it, and the test that proves it."""

    client: str
    name: str
    note: str
    test: str


def feature(client: str, name: str, note: str = "") -> Callable[[Test], Test]:
    """Say of a test what it proves."""
    assert client in CLIENTS

    def mark(test: Test) -> Test:
        setattr(test, _MARK, Feature(client, name, note, test.__name__))
        return test

    return mark


def features() -> Iterator[Feature]:
    """Return what all tests prove, in their order."""
    for module in MODULES:
        for _, member in inspect.getmembers(importlib.import_module(f"tests.clients.{module}")):
            found = getattr(member, _MARK, None)
            if found is not None:
                yield found


def table() -> str:
    """Return the table of docs/clients.md: a row a feature, a column a client and API."""
    rows: dict[str, dict[str, Feature]] = {}
    for found in features():
        row = rows.setdefault(found.name, {})
        assert found.client not in row, f"two tests for {found.name}"
        row[found.client] = found
    lines = [f"| feature | {' | '.join(TITLES[each] for each in CLIENTS)} | |", "|---" * 5 + "|"]
    for name in sorted(rows, key=str.lower):
        cells = [_cell(rows[name].get(client)) for client in CLIENTS]
        notes = "; ".join(dict.fromkeys(each.note for each in rows[name].values() if each.note))
        lines.append(f"| {name} | {' | '.join(cells)} | {notes} |")
    return "\n".join(lines) + "\n"


def _cell(found: Feature | None) -> str:
    return f"`{found.test}`" if found is not None else ""
