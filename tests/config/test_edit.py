"""One value changed, every other character as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.config.edit import bytes_with, is_same, masked_text, text_with
from ccr.config.parse import MalformedError, values_from_bytes

COMMENTED = """\
// my configuration
{
  "PORT": 3456, // the port
  /* where it goes */
  "Providers": [
    {
      "name": "a", 'models': ["m", "n"], // two
      // the key
      api_key: "$KEY",
    },
  ],
  "Router": { "default": "a,m" }
}
"""

LARGER: dict[str, Any] = {"use": ["databricks-custom", ["maxtoken", {"max_tokens": 16384}]], "x": {"y": []}}

LARGER_WRITTEN = """\
{
    "a": 1,
    "t": {
        "use": [
            "databricks-custom",
            ["maxtoken", {"max_tokens": 16384}]
        ],
        "x": { "y": [] }
    }
}"""

CASES: list[tuple[str, str, Any, str]] = [
    ("replaces a scalar", '{"a": 1, "b": 2}', {"a": 5, "b": 2}, '{"a": 5, "b": 2}'),
    ("tells true from 1", '{"a": 1}', {"a": True}, '{"a": true}'),
    ("adds to one line", '{"a": 1}', {"a": 1, "b": [1]}, '{"a": 1, "b": [1]}'),
    ("adds behind a trailing comma", '{"a": 1,}', {"a": 1, "b": 2}, '{"a": 1, "b": 2,}'),
    ("fills an empty line", "{}", {"a": 1}, '{ "a": 1 }'),
    ("fills an empty file", "", {"a": 1}, '{ "a": 1 }\n'),
    ("fills an empty list", '{\n  "a": []\n}', {"a": ["x"]}, '{\n  "a": ["x"]\n}'),
    ("fills around a comment", "{\n  // later\n}\n", {"a": 1}, '{\n  // later\n  "a": 1\n}\n'),
    (
        "adds behind the comment of the last line",
        '{\n\t"a": 1 // one\n}\n',
        {"a": 1, "b": 2},
        '{\n\t"a": 1, // one\n\t"b": 2\n}\n',
    ),
    ("adds before a bracket on the line", '{\n  "a": 1}', {"a": 1, "b": 2}, '{\n  "a": 1,\n  "b": 2}'),
    ("keeps CRLF", '{\r\n  "a": 1\r\n}', {"a": 1, "b": 2}, '{\r\n  "a": 1,\r\n  "b": 2\r\n}'),
    (
        "removes a line",
        '{\n  "a": 1,\n  "b": 2, // two\n  "c": 3\n}',
        {"a": 1, "c": 3},
        '{\n  "a": 1,\n  "c": 3\n}',
    ),
    ("removes the last line", '{\n  "a": 1, // one\n  "b": 2\n}', {"a": 1}, '{\n  "a": 1 // one\n}'),
    ("removes the last CRLF line", '{\r\n  "a": 1,\r\n  "b": 2\r\n}', {"a": 1}, '{\r\n  "a": 1\r\n}'),
    ("removes the last of a line", '["a", "b"]', ["a"], '["a"]'),
    ("removes the first of a line", '["a", "b"]', ["b"], '["b"]'),
    ("removes all", '["a", "b"]', [], "[]"),
    ("removes a key written twice", '{"a": 1, "b": 2, "a": 3}', {"b": 2}, '{"b": 2}'),
    ("changes the last of a key written twice", '{"a": 1, "a": 3}', {"a": 4}, '{"a": 1, "a": 4}'),
    ("inserts in a line", '["a", "c"]', ["a", "b", "c"], '["a", "b", "c"]'),
    ("inserts a line", '[\n  "a",\n  "c"\n]', ["a", "b", "c"], '[\n  "a",\n  "b",\n  "c"\n]'),
    ("changes and removes", '["a", "b", "c"]', ["x"], '["x"]'),
    ("replaces an object by a text", '{"a": {"b": 1}}', {"a": "t"}, '{"a": "t"}'),
    ("replaces the document", "[1]", {"a": 1}, '{"a": 1}'),
    (
        "writes large values in the file's indentation",
        '{\n    "a": 1\n}',
        {"a": 1, "t": LARGER},
        LARGER_WRITTEN,
    ),
    (
        "writes a short value into its one line",
        '{\n  "a": {"b": 1} // x\n}',
        {"a": {"b": 1, "t": {"m": {"use": [["x", {"y": [1]}]]}}}, "u": {"use": ["z"]}},
        '{\n  "a": {"b": 1, "t": {"m": {"use": [["x", {"y": [1]}]]}}}, // x\n  "u": { "use": ["z"] }\n}',
    ),
    ("writes letters as they are", '{"a": 1}', {"a": "ü"}, '{"a": "ü"}'),
]


@pytest.mark.parametrize(
    ("text", "value", "edited"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_edits(text: str, value: Any, edited: str) -> None:
    assert text_with(text, value) == edited


def test_comments_order_and_quotes_stay() -> None:
    value = values_from_bytes(COMMENTED.encode())
    value["Providers"][0]["models"].append("o")
    value["Router"]["background"] = "a,n"
    value["PORT"] = 4000
    assert text_with(COMMENTED, value) == COMMENTED.replace("3456", "4000").replace(
        '["m", "n"]', '["m", "n", "o"]'
    ).replace('"a,m" }', '"a,m", "background": "a,n" }')


def test_objects_of_a_list_are_known_by_their_names() -> None:
    text = (
        '[\n  {"name": "a", /* A */ "x": 1}, // first\n  {"name": "b"},\n  {"path": "c", /* C */ "x": 1}\n]'
    )
    value = [{"name": "a", "x": 2}, {"path": "c", "x": 2}]
    shorter = '[\n  {"name": "a", /* A */ "x": 2}, // first\n  {"path": "c", /* C */ "x": 2}\n]'
    assert text_with(text, value) == shorter
    value.insert(1, {"name": "n"})
    value[2]["x"] = 3
    assert text_with(shorter, value) == (
        '[\n  {"name": "a", /* A */ "x": 2}, // first\n  { "name": "n" },\n  {"path": "c", /* C */ "x": 3}\n]'
    )


def test_what_is_the_same_is_not_touched() -> None:
    assert text_with(COMMENTED, values_from_bytes(COMMENTED.encode())) == COMMENTED


def test_the_mark_of_utf_8_stays() -> None:
    assert bytes_with(b'\xef\xbb\xbf{"a": 1}', {"a": 2}) == b'\xef\xbb\xbf{"a": 2}'


@pytest.mark.parametrize(
    "text", ["{", "{]", "[1 2]", '{"a" 1}', "[] []", '{"a": }', "{1}", "/", "[" * 100_000, "{'\\u12': 1}"]
)
def test_what_cannot_be_read_is_not_edited(text: str) -> None:
    with pytest.raises(MalformedError):
        text_with(text, {"a": 1})


def test_secrets_of_a_text_are_masked() -> None:
    text = '{ api_key: \'one\', "keys": ["two", 3], /* c */ "name": "four" }'
    shown = masked_text(text, lambda key, _: "key" in key)
    assert shown == '{ api_key: "***", "keys": ["***", 3], /* c */ "name": "four" }'


def test_what_stands_in_headers_is_a_header() -> None:
    text = '{ "headers": { "X-A": "one", "more": ["two"] }, "a": [{ "headers": { "name": "three" } }] }'
    shown = masked_text(text, lambda key, _: key == "headers")
    assert (
        shown == '{ "headers": { "X-A": "***", "more": ["***"] }, "a": [{ "headers": { "name": "***" } }] }'
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, True, False),
        (1, 1.0, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
        ({}, [], False),
        ("a", None, False),
    ],
)
def test_sameness(one: Any, other: Any, same: bool) -> None:
    assert is_same(one, other) is same


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=12,
)


@given(old=VALUES, new=VALUES, indent=st.sampled_from([None, 2, "\t"]))
def test_any_document_becomes_any_other(old: Any, new: Any, indent: Any) -> None:
    text = json.dumps(old, indent=indent)
    assert is_same(json.loads(text_with(text, new)), new)
