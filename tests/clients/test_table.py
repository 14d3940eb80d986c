"""docs/clients.md shows what the tests of this folder prove, and nothing else.

``python -m tests.clients.test_table`` writes the table anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.clients.features import CLIENTS, features, table

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
BEGIN, END = "<!-- table: written by tests/clients/test_table.py -->\n", "<!-- end of the table -->\n"


def with_table(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def test_the_page_shows_the_proven_features() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "run: python -m tests.clients.test_table"


def test_both_clients_are_proven() -> None:
    proven = [found.client for found in features()]
    assert {client for client in CLIENTS if proven.count(client) > 15} == set(CLIENTS)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
