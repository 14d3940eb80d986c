"""The real client's `/context` on counts of a real tokenizer: tiktoken with its own vocabulary."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import anthropic
import pytest

from ccr.sandbox import Script, Turn
from tests.e2e.claude import ROOT
from tests.e2e.conftest import KEY, MODELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e


@pytest.fixture
def vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail, never skip, where it can neither be found nor installed."""
    subprocess.run([ROOT / "scripts/install-vocabulary"], check=True)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(ROOT / ".cache/tiktoken"))


@pytest.mark.usefixtures("vocabulary")
def test_counts_of_tiktoken(serve: Callable[..., Service]) -> None:
    service = serve(Script(turns=[Turn(text="hello")]), provider={"tokenizer": {"type": "tiktoken"}})
    with anthropic.Anthropic(base_url=service.address, auth_token=KEY, api_key=None) as client:
        for text, tokens in (
            ("tiktoken is great!", 6),
            ("antidisestablishmentarianism", 6),
            ("2 + 2 = 4", 7),
        ):
            counted = client.messages.count_tokens(
                model=MODELS[0], messages=[{"role": "user", "content": text}]
            )
            assert counted.input_tokens == tokens, text
    session = service.claude("/context")
    assert session.exit_code == 0, session.stderr
    assert re.search(r"[Ss]ystem prompt", json.dumps(session.events))
    log = (service.home / "logs/ccr.log").read_text()
    assert "a tokenizer does not count" not in log
