"""The matrix of docs/reliability.md: row, outcome, and the tests that prove it, read from the tests' source.

``python -m tests.faults.matrix`` writes it anew.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.faults.rows import TABLES, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- matrix: written by tests/faults/matrix.py -->\n", "<!-- end of the matrix -->\n"


HEAD: Final = "| | what is done | what comes of it | test |\n|---|---|---|---|\n"


class Proof(NamedTuple):
    """A test and what it says of a row."""

    row: str
    outcome: str
    test: str


def proofs() -> Iterator[Proof]:
    """Return what the markers of all tests say. Raises ValueError on one that cannot be read."""
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.fault" not in source:
            continue
        name = path.relative_to(TESTS).as_posix()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                is_test = node.name.startswith(("test_", "Test"))
                for decorator in node.decorator_list:
                    if ast.unparse(decorator).startswith("pytest.mark.fault("):
                        if not is_test:
                            raise ValueError(f"{name}::{node.name}: a marker on what is never run")
                        yield _proof(decorator, f"{name}::{node.name}")


def _proof(decorator: ast.expr, test: str) -> Proof:
    assert isinstance(decorator, ast.Call)
    try:
        row = ast.literal_eval(decorator.args[0])
        outcome = ast.literal_eval(next(word.value for word in decorator.keywords if word.arg == "outcome"))
    except (IndexError, StopIteration, ValueError) as error:
        raise ValueError(f"{test}: the marker wants a row and an outcome, both written out") from error
    return Proof(row, outcome, test)


def matrix() -> str:
    """Return the tables, one row for every row of rows.py."""
    found: dict[str, list[Proof]] = {}
    for proof in proofs():
        found.setdefault(proof.row, []).append(proof)
    unknown = found.keys() - rows().keys()
    assert not unknown, f"markers name rows that do not exist: {sorted(unknown)}"
    out = []
    for letter, title in TABLES.items():
        out.append(f"### {letter}: {title}\n\n{HEAD}")
        for row, text in rows().items():
            if row.startswith(letter):
                out.append(_line(row, text, found.get(row, [])))
        out.append("\n")
    return "".join(out)


def _line(row: str, text: str, found: list[Proof]) -> str:
    outcomes = "; ".join(dict.fromkeys(proof.outcome for proof in found)) or "**not proven yet**"
    tests = "<br>".join(dict.fromkeys(f"`{proof.test}`" for proof in found))
    return f"| {row} | {text} | {outcomes} | {tests} |\n".replace("|  |", "| |")


def with_matrix(page: str) -> str:
    """Return the page with the matrix as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + matrix() + END + after


if __name__ == "__main__":
    PAGE.write_text(with_matrix(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
