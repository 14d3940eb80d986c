"""Every built-in transformer and every option of it is described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ccr.config.model import Step
from ccr.transformers.registry import BUILT_IN, NOT_YET, build

PAGE = (Path(__file__).parents[2] / "docs" / "transformers-builtin.md").read_text("utf-8")
ROWS = {
    row[1]: row[2] for row in re.finditer(r"^\| \[`([^`]+)`\]\(#[a-z-]+\) \| ([^|]*) \|", PAGE, re.MULTILINE)
}
NEEDED = {"maxtoken": {"max_tokens": 5}}


def test_the_table_has_a_row_for_each() -> None:
    assert set(ROWS) == set(BUILT_IN)
    assert all(f"`{name}`" in PAGE for name in NOT_YET)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_options_of_the_table_are_the_real_ones(name: str) -> None:
    if ROWS[name].strip() == "any":
        return
    with pytest.raises(ValueError, match="unknown option") as caught:
        build(Step(name=name, options={"zzz": 1}))
    allowed = set(str(caught.value).partition("; allowed: ")[2].split(", ")) - {"debug"}
    assert set(re.findall(r"`([^`]+)`", ROWS[name])) == allowed


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([a-z-]+)\)", PAGE)) <= headings
