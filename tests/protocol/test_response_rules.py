"""The rules are documented, and each is noted once."""

from __future__ import annotations

from pathlib import Path

from ccr.protocol.response_rules import ResponseRule, ResponseRules

PAGE = Path(__file__).parents[2] / "docs" / "translation.md"


def test_the_page_describes_every_rule_and_no_other() -> None:
    responses = PAGE.read_text("utf-8").partition("## Responses")[2].partition("\n## ")[0]
    table = responses.partition("### Rules: answers")[2].partition("\n### ")[0]
    described = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert described == {rule.value for rule in ResponseRule}


def test_rules_are_noted_once_in_order() -> None:
    rules = ResponseRules()
    for rule in (ResponseRule.REFUSAL_AS_TEXT, ResponseRule.ARGUMENTS_INVALID, ResponseRule.REFUSAL_AS_TEXT):
        rules.add(rule)
    assert rules.names() == ("refusal_as_text", "arguments_invalid")
