"""docs/javascript-plugins.md names everything a plugin's author can meet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ccr.plugins.log import LEVELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "javascript-plugins.md").read_text()
NODE = ROOT / "src" / "ccr" / "plugins" / "node"


def names() -> list[str]:
    hooks = re.search(r"const HOOKS = \[(.*?)\]", (NODE / "plugins.js").read_text(), re.DOTALL)
    assert hooks is not None
    rules = re.findall(r"rules\.push\('(\w+)'\)", (NODE / "request.js").read_text())
    assert rules
    return [*re.findall(r"\w+", hooks[1]), *rules, *LEVELS, "endPoint", "NODE_COMMAND", "CUSTOM_ROUTER_PATH"]


@pytest.mark.parametrize("name", names())
def test_the_page_names_it(name: str) -> None:
    assert f"`{name}`" in PAGE
