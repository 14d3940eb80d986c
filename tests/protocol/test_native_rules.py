"""The rules of the native route are documented, each is noted once, and the list is complete."""

from __future__ import annotations

import re
from pathlib import Path

from ccr.protocol.native_message import METRICS_DROPPED
from ccr.protocol.native_request import PASSED_BETAS
from ccr.protocol.native_rules import SHARED_RULES, NativeRule, NativeRules
from ccr.protocol.request_rules import RequestRule

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "native-route.md").read_text("utf-8")


def names_in(section: str) -> set[str]:
    """Return the names in the first column of a section's table."""
    table = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert rows
    return {name for row in rows for name in row.split("`")[1::2]}


def test_the_page_describes_every_rule_and_no_other() -> None:
    expected = {rule.value for rule in SHARED_RULES} | {rule.value for rule in NativeRule}
    assert names_in("Rules") == expected | {"<field>_dropped", METRICS_DROPPED}


def test_the_page_lists_the_betas() -> None:
    assert names_in("Headers") == PASSED_BETAS


def test_the_list_of_shared_rules_holds_every_rule_the_code_names() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "src/ccr/protocol").glob("native_*.py")]
    named = {name for source in sources for name in re.findall(r"RequestRule\.([A-Z_]+)", source)}
    assert {RequestRule[name] for name in named} == SHARED_RULES


def test_rules_are_noted_once_in_order() -> None:
    rules = NativeRules()
    rules.add(RequestRule.SAMPLING_DROPPED)
    rules.add(NativeRule.BLOCK_FIELDS_DROPPED)
    rules.add_dropped_field("betas")
    rules.add(RequestRule.SAMPLING_DROPPED)
    assert rules.names() == ("sampling_dropped", "block_fields_dropped", "betas_dropped")
