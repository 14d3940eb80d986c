"""Single blocks: images, documents, and what a chat endpoint has no part for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ccr.errors import RequestError
from tests.protocol.chat_requests import (
    ADAPTIVE,
    EPHEMERAL,
    GPT,
    TEXT_ONLY,
    Json,
    assistant,
    converted,
    converted_bytes,
    custom_tool,
    image,
    text,
    user,
    with_messages,
)

if TYPE_CHECKING:
    from ccr.protocol.traits import ModelTraits

PDF_DATA = {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
PDF_SOURCE = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}


def image_from(**source: object) -> Json:
    return {"type": "image", "source": source}


def document_from(source: object, **keys: object) -> Json:
    return {"type": "document", "source": source, **keys}


def image_part(url: str, **keys: object) -> Json:
    return {"type": "image_url", "image_url": {"url": url}, **keys}


BLOCKS: list[tuple[str, Json, list[Json | str], list[str]]] = [
    (
        "image, base64",
        image(cache_control=EPHEMERAL),
        [image_part("data:image/png;base64,iVBORw0KGgo=", cache_control=EPHEMERAL)],
        [],
    ),
    (
        "image without a media type",
        image_from(type="base64", data="AA=="),
        [image_part("data:image/png;base64,AA==")],
        [],
    ),
    (
        "image, URL",
        image_from(type="url", url="https://h/a.png?x=1,2"),
        [image_part("https://h/a.png?x=1,2")],
        [],
    ),
    (
        "image, file id",
        image_from(type="file", file_id="file_1"),
        ["[image left out, its source cannot be sent on: file_1]"],
        ["image_as_note"],
    ),
    (
        "image, no data",
        image_from(type="base64", media_type="image/png"),
        ["[image left out, its source cannot be sent on: None]"],
        ["image_as_note"],
    ),
    (
        "image, no source",
        {"type": "image"},
        ["[image left out, its source cannot be sent on]"],
        ["image_as_note"],
    ),
    (
        "image, unknown source with data",
        image_from(type="new", data="AA=="),
        ["[image left out, its source cannot be sent on]"],
        ["image_as_note"],
    ),
    ("document, base64", document_from(PDF_SOURCE), [{"type": "file", "file": PDF_DATA}], []),
    (
        "document with title, context and breakpoint",
        document_from(PDF_SOURCE, title="a.pdf", context="why", cache_control=EPHEMERAL),
        [
            "[document: a.pdf]\nwhy",
            {"type": "file", "file": PDF_DATA | {"filename": "a.pdf"}, "cache_control": EPHEMERAL},
        ],
        [],
    ),
    (
        "document without a media type",
        document_from({"type": "base64", "data": "JVBERi0="}),
        [{"type": "file", "file": PDF_DATA}],
        [],
    ),
    (
        "document, text",
        document_from({"type": "text", "media_type": "text/plain", "data": "body"}, title="T", context="C"),
        ["[document: T]\nC\nbody"],
        ["document_as_text"],
    ),
    ("document, no text", document_from({"type": "text"}), ["[document: untitled]\n"], ["document_as_text"]),
    (
        "document, content string",
        document_from({"type": "content", "content": "body"}),
        ["[document: untitled]\nbody"],
        ["document_as_text"],
    ),
    (
        "document, content blocks",
        document_from({"type": "content", "content": [text("x"), text(""), image()]}),
        ["[document: untitled]", "x", image_part("data:image/png;base64,iVBORw0KGgo=")],
        ["document_as_text", "empty_text_dropped"],
    ),
    (
        "document, URL",
        document_from({"type": "url", "url": "https://h/a.pdf"}),
        ["[document: untitled]\n[left out, its source cannot be sent on: https://h/a.pdf]"],
        ["document_as_note"],
    ),
    (
        "document, file id",
        document_from({"type": "file", "file_id": "file_2"}, title="T"),
        ["[document: T]\n[left out, its source cannot be sent on: file_2]"],
        ["document_as_note"],
    ),
    (
        "document, no source",
        {"type": "document"},
        ["[document: untitled]\n[left out, its source cannot be sent on]"],
        ["document_as_note"],
    ),
    (
        "document with citations",
        document_from(PDF_SOURCE, citations={"enabled": True}),
        [{"type": "file", "file": PDF_DATA}],
        ["citations_dropped"],
    ),
    (
        "document without citations",
        document_from(PDF_SOURCE, citations={"enabled": False}),
        [{"type": "file", "file": PDF_DATA}],
        [],
    ),
    ("text with citations", text("x", citations=[{"cited_text": "y"}]), ["x"], ["citations_dropped"]),
    ("text with no citations", text("x", citations=None), ["x"], []),
    (
        "search result",
        {"type": "search_result", "source": "https://h", "title": "T", "content": [text("x")]},
        ["[search result: T https://h]\nx"],
        ["search_result_as_text"],
    ),
    (
        "search result without anything",
        {"type": "search_result"},
        ["[search result:  ]\n"],
        ["search_result_as_text"],
    ),
    (
        "server tool call",
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        ['[web_search was called with {"query": "q"}]'],
        ["server_tool_block_as_text"],
    ),
    (
        "server tool call without input",
        {"type": "mcp_tool_use", "name": "f"},
        ["[f was called with {}]"],
        ["server_tool_block_as_text"],
    ),
    (
        "server tool result",
        {
            "type": "web_search_tool_result",
            "tool_use_id": "s",
            "content": [{"type": "web_search_result", "title": "T", "url": "https://h"}, {"type": "odd"}],
        },
        ["[web_search_tool_result]\nT https://h\n[odd]"],
        ["server_tool_block_as_text"],
    ),
    (
        "server tool error",
        {
            "type": "web_search_tool_result",
            "content": {"type": "web_search_tool_result_error", "error_code": "x"},
        },
        ["[web_search_tool_result]\n[web_search_tool_result_error]"],
        ["server_tool_block_as_text"],
    ),
    (
        "unknown block",
        {"type": "novel", "novel": 1},
        ["[content of type 'novel']"],
        ["unknown_block_as_note"],
    ),
    (
        "unknown block with text",
        {"type": "novel", "text": "x"},
        ["[content of type 'novel']\nx"],
        ["unknown_block_as_note"],
    ),
]


@pytest.mark.parametrize(
    ("block", "expected", "rules"), [pytest.param(*row[1:], id=row[0]) for row in BLOCKS]
)
def test_blocks(block: Json, expected: list[Json | str], rules: list[str]) -> None:
    result = converted(with_messages(user("before", block)), ADAPTIVE)
    assert result.messages == [user("before", *expected)]
    assert list(result.rules) == rules


@pytest.mark.parametrize(
    ("traits", "block", "note", "rule"),
    [
        (TEXT_ONLY, image(), "[image left out, the model takes no images]", "image_as_note"),
        (
            TEXT_ONLY,
            image_from(type="url", url="u"),
            "[image left out, the model takes no images: u]",
            "image_as_note",
        ),
        (
            GPT,
            document_from(PDF_SOURCE, title="T"),
            "[document: T]\n[left out, the model takes no documents]",
            "document_as_note",
        ),
    ],
)
def test_notes_where_the_model_takes_neither(traits: ModelTraits, block: Json, note: str, rule: str) -> None:
    result = converted(with_messages(user(block)), traits)
    assert result.messages == [user(note)]
    assert result.rules == (rule,)


@pytest.mark.parametrize(
    ("mark", "traits", "expected", "rules"),
    [
        (EPHEMERAL, ADAPTIVE, [text("x", cache_control=EPHEMERAL)], ()),
        (
            EPHEMERAL | {"ttl": "1h"},
            ADAPTIVE,
            [text("x", cache_control=EPHEMERAL)],
            ("cache_control_reduced",),
        ),
        (
            EPHEMERAL | {"scope": "global"},
            ADAPTIVE,
            [text("x", cache_control=EPHEMERAL)],
            ("cache_control_reduced",),
        ),
        (None, ADAPTIVE, "x", ()),
        (EPHEMERAL, GPT, "x", ("cache_control_dropped",)),
    ],
)
def test_cache_breakpoints_are_reduced_to_what_is_taken(
    mark: Json | None, traits: ModelTraits, expected: object, rules: tuple[str, ...]
) -> None:
    result = converted(with_messages(user(text("x", cache_control=mark))), traits)
    assert result.messages == [{"role": "user", "content": expected}]
    assert result.rules == rules


def test_the_last_four_cache_breakpoints_stay() -> None:
    marked = [text(str(number), cache_control=EPHEMERAL) for number in range(4)]
    body = with_messages(
        user(*marked), assistant("b"), system=[marked[0]], tools=[custom_tool(cache_control=EPHEMERAL)]
    )
    result = converted(body)
    assert result.messages[1] == user(*marked)
    assert result.messages[0] == {"role": "system", "content": [text("0")]}
    assert "cache_control" not in result.chat["tools"][0]
    assert result.rules == ("cache_control_over_limit",)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ('{"type":"document","source":{"type":"content","content":[', "]}}"),
        ('{"type":"tool_result","content":[', "]}"),
        ('{"type":"novel","content":[', "]}"),
    ],
)
def test_blocks_nested_to_any_depth_are_sent_or_refused(opening: str, closing: str) -> None:
    for depth in (1, 50, 200, 240, 300, 450, 10_000):
        nested = opening * depth + '{"type":"text","text":"x"}' + closing * depth
        data = f'{{"model":"m","messages":[{{"role":"user","content":[{nested}]}}]}}'
        assert outcome(data.encode()) == "sent" or depth > 50


def outcome(data: bytes) -> str:
    try:
        converted_bytes(data, ADAPTIVE)
    except RequestError as error:
        return error.message
    return "sent"
