"""docs/threat-model.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`((?:tests|scripts)/[\w/]+\.py)(?:::(\w+))?`")


def names_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_threat_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| who")]
    assert len(rows) > 30
    missing = []
    for row in rows:
        named = NAMED.findall(row)
        assert named, f"no test in: {row}"
        assert len(named) == len(re.findall(r"\b(?:tests|scripts)/", row)), f"a test is misspelt in: {row}"
        assert all(test.startswith("test_") for _, test in named if test), row
        for file, test in named:
            path = ROOT / file
            if not path.is_file() or (test and test not in names_of(path)):
                missing.append(f"{file}::{test}")
    assert missing == []
