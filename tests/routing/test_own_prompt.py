"""The client's system prompt exchanged for the person's own: which text, and what stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import RequestError
from ccr.routing.own_prompt import text_with_own_prompt, with_own_prompt
from tests.routing.requests import body_of

OWN = "Be brief.\n"
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.abc;"}
WHO = {"type": "text", "text": "You are Claude Code."}
TODAY = "\nYou help.\n\n# Tone\nKind.\n\n# Environment\n - Models: some\n\n# Context management\nMore."
KEPT_TODAY = "# Environment\n - Models: some\n\n# Context management\nMore."
EARLIER = "You help. See <env> below.\n<env>\nWorking directory: /w\n</env>\nLast."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TODAY, OWN + KEPT_TODAY),
        (EARLIER, OWN + "<env>\nWorking directory: /w\n</env>\nLast."),
        ("# Environment\nall", OWN + "# Environment\nall"),
        ("a\n# Environment \t\nb\n# Environment\nc", OWN + "# Environment \t\nb\n# Environment\nc"),
        (
            "x\n<CCR-SUBAGENT-MODEL>haiku</CCR-SUBAGENT-MODEL>\ny\n# Environment\n",
            "<CCR-SUBAGENT-MODEL>haiku</CCR-SUBAGENT-MODEL>\n" + OWN + "# Environment\n",
        ),
        (
            f"{BILLING['text']}\nYou help.\n<env>\n",
            f"{BILLING['text']}\n{OWN}<env>\n",
        ),
        ("You review code. It says # Environment and <env>.", None),
        ("## Environment\n# Environment variables\n", None),
        ("", None),
    ],
)
def test_one_text(text: str, expected: str | None) -> None:
    assert text_with_own_prompt(text, OWN) == expected


def test_the_kept_part_begins_a_line_of_its_own() -> None:
    assert text_with_own_prompt(TODAY, "Be brief.") == OWN + KEPT_TODAY


def test_the_block_is_found_wherever_it_is_and_all_else_stays() -> None:
    cache = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    system = [BILLING, WHO, {"type": "text", "text": TODAY, **cache}, {"type": "text", "text": EARLIER}]
    body = body_of(system=system, x_new={"b": 1.0, "a": 12345678901234567890123})
    changed = with_own_prompt(body, OWN)
    expected = [*system[:2], {"type": "text", "text": OWN + KEPT_TODAY, **cache}, system[3]]
    assert json.loads(changed) == {**json.loads(body), "system": expected}
    assert b"12345678901234567890123" in changed
    assert b"1.0" in changed


def test_a_system_prompt_that_is_one_text() -> None:
    assert json.loads(with_own_prompt(body_of(system=EARLIER), OWN))["system"].startswith(f"{OWN}<env>")


@pytest.mark.parametrize(
    "body",
    [
        body_of(),
        body_of(system="You write titles."),
        body_of(system=None),
        body_of(system=3),
        body_of(system=[{"type": "text"}, {"type": "text", "text": 3}, {"text": None}]),
        body_of(messages=[{"role": "user", "content": TODAY}]),
        b'{"model": "m", "messages": []}',
    ],
)
def test_the_same_object_where_there_is_nothing_to_exchange(body: bytes) -> None:
    assert with_own_prompt(body, OWN) is body


@pytest.mark.parametrize(
    "body",
    [
        body_of(system=[3]),
        body_of(system=TODAY).replace(b'"hello"', b'"a \\ud83d"'),
        b'{"system": "\\ud800"}',
        b"[]",
        b"\xff",
        b"",
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        with_own_prompt(body, OWN)


@given(
    st.text(max_size=40),
    st.text(max_size=40),
    st.dictionaries(st.text(min_size=1, max_size=5), st.integers(), max_size=3),
)
def test_no_value_is_lost(before: str, after: str, more: dict[str, Any]) -> None:
    more = {key: value for key, value in more.items() if key not in json.loads(body_of())}
    body = body_of(system=f"{before}\n# Environment\n{after}", **more)
    values, expected = json.loads(with_own_prompt(body, OWN)), json.loads(body)
    system = values.pop("system")
    assert system.endswith(f"# Environment\n{after}")
    assert OWN in system
    expected.pop("system")
    assert values == expected
