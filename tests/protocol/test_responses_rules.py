"""The rules of the Responses API are documented."""

from __future__ import annotations

from pathlib import Path

from ccr.protocol.responses_rules import ResponsesRule

PAGE = Path(__file__).parents[2] / "docs" / "http.md"


def test_the_page_describes_every_rule_and_no_other() -> None:
    section = PAGE.read_text("utf-8").partition("### Rules of its own")[2].partition("\n#")[0]
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(rule.value for rule in ResponsesRule)
