"""The rules are documented, and each is noted once."""

from __future__ import annotations

from pathlib import Path

from ccr.protocol.request_rules import RequestRule, Rules

PAGE = Path(__file__).parents[2] / "docs" / "translation.md"


def test_the_page_describes_every_rule_and_no_other() -> None:
    requests = PAGE.read_text("utf-8").partition("## Requests")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in requests.splitlines() if line.startswith("| `")]
    tables = requests.partition("### Rules: system")[2].partition("### Transformers")[0]
    described = {
        name
        for line in tables.splitlines()
        if line.startswith("| `")
        for name in line.split("|")[1].split("`")[1::2]
    }
    assert rows
    assert described == {rule.value for rule in RequestRule}


def test_rules_are_noted_once_in_order() -> None:
    rules = Rules()
    for rule in (RequestRule.SAMPLING_DROPPED, RequestRule.EFFORT_DROPPED, RequestRule.SAMPLING_DROPPED):
        rules.add(rule)
    assert rules.names() == ("sampling_dropped", "effort_dropped")
