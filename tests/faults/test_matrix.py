"""docs/reliability.md shows the rows of the fault tables and the tests that prove them; it cannot drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.matrix import BEGIN, END, PAGE, proofs, with_matrix
from tests.faults.rows import rows

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_page_shows_the_matrix() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_matrix(page) == page, "run: python -m tests.faults.matrix"


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page.replace("| A1 | no key | 403", "| A1 | no key | 401"),
        lambda page: page.replace("test_who_gets_in", "test_who_got_in", 1),
        lambda page: page.replace(BEGIN, ""),
        lambda page: page.replace(END, ""),
        lambda page: "".join(line for line in page.splitlines(keepends=True) if not line.startswith("| R30")),
    ],
)
def test_a_page_that_says_something_else_is_noticed(change: Callable[[str], str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    edited = change(page)
    assert edited != page
    assert with_matrix(edited) != edited


def test_there_are_130_rows() -> None:
    assert sorted(int(row[1:]) for row in rows()) == list(range(1, 131))


def test_every_row_is_proven() -> None:
    assert rows().keys() - {proof.row for proof in proofs()} == set()
