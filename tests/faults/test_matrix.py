"""docs/reliability.md shows the rows of the fault tables and the tests that prove them; it cannot drift."""

from __future__ import annotations

from tests.faults.matrix import PAGE, proofs, with_matrix
from tests.faults.rows import rows


def test_the_page_shows_the_matrix() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_matrix(page) == page, "run: python -m tests.faults.matrix"


def test_there_are_130_rows() -> None:
    assert sorted(int(row[1:]) for row in rows()) == list(range(1, 131))


def test_every_row_is_proven() -> None:
    assert rows().keys() - {proof.row for proof in proofs()} == set()
