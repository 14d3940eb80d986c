"""Objects that models write almost right."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.transformers import json_repair
from ccr.transformers.json_repair import repaired_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # JSON, JSON5
        ('{"a":1}', {"a": 1}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ("{a: 'b', c: 0x1F, d: .5, e: +1,}", {"a": "b", "c": 31, "d": 0.5, "e": 1}),
        ("// why\n{a: [1, /* two */ 2,],}", {"a": [1, 2]}),
        # not closed
        ('{"a": 1', {"a": 1}),
        ('{"a": "b', {"a": "b"}),
        ('{"a": [1, {"b": 2', {"a": [1, {"b": 2}]}),
        ('{"a": 1, "b', {"a": 1}),
        ('{"a": 1, "b":', {"a": 1}),
        ('{"a": 1, "b": , "c": 2}', {"a": 1, "c": 2}),
        ("{", {}),
        # fences, superfluous ends
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('{"a": 1}}', {"a": 1}),
        ('{"a": 1};', {"a": 1}),
        # quotes, line ends, escapes
        ('{"a": "he said "hi" there"}', {"a": 'he said "hi" there'}),
        ("{'a': 'it's'}", {"a": "it's"}),
        ("{“a”: “b”}", {"a": "b"}),
        ('{"a": "x\ny"}', {"a": "x\ny"}),
        ('{"path": "C:\\Users\\new"}', {"path": "C:\\Users\new"}),
        ('{"pattern": "\\d+\\."}', {"pattern": "\\d+\\."}),
        ('{a: "\\u00fc\\ud83d\\ude00\\"\\/\\n"', {"a": 'ü😀"/\n'}),
        ('{a: "\\ud83d\\u12"', {"a": "\ufffd\\u12"}),
        ('{a: "x\\\ny"', {"a": "xy"}),
        ('{a: "b\\', {"a": "b\\"}),
        # names, words, commas
        ("{command: ls -la, path: /srv}", {"command": "ls -la", "path": "/srv"}),
        ("{a: True, b: False, c: None, d: undefined}", {"a": True, "b": False, "c": None, "d": None}),
        ("{a: -0x10, b: 1e3, c: 12345678901234567890,", {"a": -16, "b": 1000.0, "c": 12345678901234567890}),
        ('{"a": "b" "c": "d"}', {"a": "b", "c": "d"}),
        ('{"a": [1,, 2 ,],, "b": 1}', {"a": [1, 2], "b": 1}),
        ('{"a": 1 // one\n, "b": 2 /* two */', {"a": "1 // one", "b": "2 /* two */"}),
    ],
)
def test_repaired(text: str, expected: object) -> None:
    repaired = repaired_object(text)
    assert repaired is not None
    assert json.loads(repaired) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no object",
        "[1, 2",
        "1",
        "null",
        '{"a": 1} {"b": 2}',
        '{"a": 1} and so on',
        '{"a" 1}',
        '{"a": 1, "b: 2}',
        '{"a": Infinity}',
        "{a: NaN}",
        '{"a": [1}]',
        "{{}: 1}",
        '{"a": {]}',
        '{"a": ]}',
        '{"a": 1e999',
        '{"a": "x", y"}',
        "[" * 100_000,
        "{a:" * 100,
        "{a:" + "[" * 100_000,
    ],
)
def test_nothing_is_guessed(text: str) -> None:
    assert repaired_object(text) is None


def test_half_a_surrogate_pair_stays_an_escape() -> None:
    assert repaired_object('{"a": "\\ud83d",}') == '{"a": "\\ud83d"}'


def test_length_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "{a: '" + "x" * 50_000 + "'}"
    assert json.loads(repaired_object(long) or "") == {"a": "x" * 50_000}
    monkeypatch.setattr(json_repair, "MAX_CHARS", 10)
    assert repaired_object(long) is None


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.integers(0, 200))
def test_a_cut_object_is_a_part_of_the_whole(value: dict[str, object], at: int) -> None:
    text = json.dumps(value)
    assert json.loads(repaired_object(text) or "") == value
    repaired = repaired_object(text[:at])
    assert repaired is None or set(json.loads(repaired)) <= set(value)


@given(st.text(alphabet="{}[]\"':,\\ \nabu0+-./*“”`tx", max_size=60))
def test_anything_is_read_or_refused(text: str) -> None:
    repaired = repaired_object("{" + text)
    assert repaired is None or isinstance(json.loads(repaired), dict)


WASTEFUL = [
    '" /* ',
    '" // ',
    "*/",
    "\n",
    '\\"',
    "\\",
    "{",
    "[",
    "}",
    "]",
    ",",
    ":",
    "a:",
    "x",
    " ",
    "1,",
    "/*",
]
HOSTILE = st.sampled_from([*WASTEFUL, '"', "'", "`"])


@given(
    st.text(max_size=40),
    st.lists(HOSTILE, min_size=1, max_size=6),
    st.integers(1, 60_000),
    st.lists(HOSTILE, max_size=3),
)
def test_the_work_is_bounded_whatever_is_written(
    start: str, piece: list[str], times: int, end: list[str]
) -> None:
    text = (f'{{"a": "{start}' + "".join(piece) * times + "".join(end))[:200_000]
    reader = json_repair._Reader(text)
    with contextlib.suppress(ValueError):
        reader.whole()
    assert reader.steps <= json_repair.MAX_STEPS + len(text) // json_repair.CHARS_A_STEP + 1


@pytest.mark.parametrize("piece", ['" /* ', '" // ', '\\"', '"x'])
def test_too_much_work_is_not_done(piece: str) -> None:
    text = '{"a": "' + piece * 100_000 + "\n*/ x"
    assert repaired_object(text) is None


def test_much_work_is() -> None:
    items = [*range(20_000)]
    assert json.loads(repaired_object(f"{{a: {items}, b: 'it's done'}}") or "") == {
        "a": items,
        "b": "it's done",
    }
