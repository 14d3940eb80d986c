"""JSON Schema in, Gemini's part of it out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from ccr.protocol.chat_schemas import plain_schema
from ccr.protocol.request_rules import Rules
from tests.protocol.endpoint_rules import gemini_violations

Json = dict[str, Any]

DROPPED = "schema_keywords_dropped"
CHOICE = "schema_choice_reduced"
INLINED = "schema_reference_inlined"


def reduced(value: Json, **root: object) -> tuple[Json, tuple[str, ...]]:
    """Return what becomes of the schema of one property."""
    rules = Rules()
    schema = {"type": "object", "properties": {"p": value}, **root}
    plain = plain_schema(Raw(json.dumps(schema).encode()), rules)
    assert plain is not None
    return json.loads(bytes(plain))["properties"]["p"], rules.names()


STRING: Json = {"type": "string"}
OBJECT: Json = {"type": "object"}
CASES: dict[str, tuple[Json, Json, tuple[str, ...]]] = {
    "what is taken stays": (
        {"type": "integer", "minimum": 1, "maximum": 2, "default": 1, "description": "d", "title": "t"},
        {"type": "integer", "minimum": 1, "maximum": 2, "default": 1, "description": "d", "title": "t"},
        (),
    ),
    "constraints go": (
        {"type": "string", "minLength": 1, "pattern": "a", "propertyNames": {}},
        {"type": "string", "minLength": 1},
        (DROPPED,),
    ),
    "a known format": (
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date-time"},
        (),
    ),
    "other formats": ({"type": "string", "format": "uri"}, STRING, (DROPPED,)),
    "a format that is no word": ({"type": "string", "format": 1}, STRING, (DROPPED,)),
    "an object in an object": (
        {"type": "object", "properties": {"$ref": STRING}, "required": ["$ref", "x", 1], "$comment": "c"},
        {"type": "object", "properties": {"$ref": STRING}, "required": ["$ref"]},
        (DROPPED,),
    ),
    "required without properties": ({"type": "object", "required": ["x"]}, OBJECT, ()),
    "properties that are none": ({"type": "object", "properties": []}, OBJECT, (DROPPED,)),
    "items": (
        {"type": "array", "items": {"const": "a"}},
        {"type": "array", "items": {"enum": ["a"], "type": "string"}},
        (),
    ),
    "items that are needed": ({"type": "array"}, {"type": "array", "items": STRING}, ()),
    "a tuple": (
        {"type": "array", "items": [STRING], "prefixItems": [STRING]},
        {"type": "array", "items": STRING},
        (DROPPED,),
    ),
    "no type, but items": ({"items": STRING}, {"items": STRING, "type": "array"}, ()),
    "a property that may be anything": ({"x": True}, STRING, (DROPPED, CHOICE)),
    "a type and null": ({"type": ["null", "string"]}, {"type": "string", "nullable": True}, ()),
    "nothing but null": ({"type": "null"}, {"nullable": True, "type": "string"}, (CHOICE,)),
    "several types": ({"type": ["number", "string"]}, {"type": "number"}, (CHOICE,)),
    "a const": ({"const": "a", "type": "string"}, {"enum": ["a"], "type": "string"}, ()),
    "a const that is no text": ({"const": 1, "type": "integer"}, {"type": "integer"}, (DROPPED,)),
    "a const null": ({"const": None}, {"nullable": True, "type": "string"}, (DROPPED, CHOICE)),
    "an enum with null": ({"enum": ["a", None]}, {"enum": ["a"], "nullable": True, "type": "string"}, ()),
    "an enum of numbers": ({"type": "integer", "enum": [1, 2]}, {"type": "integer"}, (DROPPED,)),
    "one branch or null": (
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "description": "d"},
        {"type": "integer", "minimum": 1, "description": "d", "nullable": True},
        (),
    ),
    "several branches": (
        {"oneOf": [{"type": "array", "items": OBJECT}, STRING]},
        {"type": "array", "items": OBJECT},
        (CHOICE,),
    ),
    "branches in a branch": (
        {"anyOf": [{"anyOf": [{"type": "null"}, STRING]}]},
        {"type": "string", "nullable": True},
        (),
    ),
    "branches that name values": (
        {"anyOf": [{"const": "a"}, {"enum": ["b", "c"]}, {"type": "null"}]},
        {"enum": ["a", "b", "c"], "nullable": True, "type": "string"},
        (),
    ),
    "branches beside a type are conditions": (
        {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        OBJECT,
        (DROPPED,),
    ),
    "branches that say nothing": ({"anyOf": [True, 1], "allOf": {}}, STRING, (DROPPED, CHOICE)),
    "a reference": (
        {"$ref": "#/$defs/A", "description": "d"},
        {"type": "string", "description": "d"},
        (INLINED,),
    ),
    "a reference to a reference": ({"$ref": "#/$defs/B"}, STRING, (INLINED,)),
    "a reference in a branch": ({"allOf": [{"$ref": "#/$defs/A"}]}, STRING, (INLINED,)),
    "a pointer with escapes": ({"$ref": "#/$defs/a~1b~0"}, STRING, (INLINED,)),
    "a schema that holds itself": (
        {"$ref": "#/$defs/Tree"},
        {"type": "object", "properties": {"left": OBJECT, "value": STRING}},
        (INLINED, DROPPED),
    ),
    "a reference that holds itself": ({"$ref": "#/$defs/Loop"}, OBJECT, (INLINED, DROPPED)),
    "a reference to nowhere": ({"$ref": "#/$defs/None"}, OBJECT, (DROPPED,)),
    "a reference into a value": ({"$ref": "#/type/x"}, OBJECT, (DROPPED,)),
    "a reference to elsewhere": ({"$ref": "https://h/s"}, OBJECT, (DROPPED,)),
    "a reference that is no text": ({"$ref": 1}, OBJECT, (DROPPED,)),
}
DEFINITIONS: Json = {
    "A": STRING,
    "B": {"$ref": "#/$defs/A"},
    "a/b~": STRING,
    "Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "value": STRING}},
    "Loop": {"$ref": "#/$defs/Loop"},
}


@pytest.mark.parametrize(("schema", "plain", "rules"), CASES.values(), ids=CASES.keys())
def test_schemas(schema: Json, plain: Json, rules: tuple[str, ...]) -> None:
    found, applied = reduced(schema, **({"$defs": DEFINITIONS} if "$ref" in json.dumps(schema) else {}))
    assert found == plain
    assert gemini_violations(found) == []
    if "$ref" in json.dumps(schema):  # the definitions themselves go too
        assert set(applied) == {*rules, DROPPED}
    else:
        assert applied == rules


def test_numbers_texts_and_order_stay_what_they_are() -> None:
    schema = (
        b'{"properties":{"b":{"default":1.10,"type":"number"},'
        b'"a":{"type":"string","description":"\\u00e9"}},"type":"object"}'
    )
    assert bytes(plain_schema(Raw(schema), Rules()) or b"") == schema


def test_references_that_multiply_come_to_an_end() -> None:
    definitions = {
        f"D{level}": {
            "type": "object",
            "properties": {side: {"$ref": f"#/$defs/D{level + 1}"} for side in ("left", "right")},
        }
        for level in range(40)
    }
    plain, rules = reduced({"$ref": "#/$defs/D0"}, **{"$defs": definitions})
    assert len(json.dumps(plain)) < 20_000
    assert DROPPED in rules


def test_a_tool_that_takes_nothing_has_no_schema() -> None:
    for schema in (b'{"type":"object"}', b'{"type":"object","properties":{}}', b'{"type":"string"}'):
        assert plain_schema(Raw(schema), Rules()) is None


WORDS = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "oneOf",
        "allOf",
        "enum",
        "const",
        "required",
        "$ref",
        "$defs",
        "x",
    ]
)
VALUES = st.recursive(
    st.sampled_from([None, True, 1, 1.5, "string", "array", "null", "#/$defs/x", "#/properties/x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=5))
def test_whatever_a_schema_says_gemini_takes_the_rest(schema: Json) -> None:
    plain, _ = reduced(schema, **{"$defs": {"x": schema}})
    assert gemini_violations(plain) == []
