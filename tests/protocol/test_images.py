"""Images and documents in requests of both dialects: found, and replaced."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.images import (
    Attachment,
    InlineImage,
    attachments_in_chat,
    attachments_in_messages,
    attachments_in_request,
    chat_with,
    may_have_remote_sources,
    messages_with,
    note_for,
    path_of,
    remote_images_in_chat,
)
from ccr.protocol.openai import ChatRequest, decode_chat_request, encode_chat_request

MARK = {"cache_control": {"type": "ephemeral"}}
SMALL = InlineImage("image/jpeg", "c21hbGw=")
AT = "https://example.test/a.png"


def source(data: str = "QUJD", media_type: str = "image/png") -> dict[str, str]:
    return {"type": "base64", "media_type": media_type, "data": data}


def url_source(url: str = AT) -> dict[str, str]:
    return {"type": "url", "url": url}


def image(**more: Any) -> dict[str, Any]:
    return {"type": "image", "source": source(), **more}


PDF = {"type": "document", "source": source("UERG", "application/pdf"), "title": "t"}
RESULT = {
    "type": "tool_result",
    "tool_use_id": "t1",
    "content": [{"type": "text", "text": "r"}, image(), {"type": "image", "source": url_source()}],
}
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "text only"},
    {"role": "user", "content": [{"type": "text", "text": "t"}, image(**MARK), PDF]},
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {"n": 1.50}}],
    },
    {"role": "user", "content": [RESULT, {"type": "tool_result", "tool_use_id": "t2", "content": "s"}]},
    {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "x"}}]},
]
FOUND = [
    Attachment("image", (1, 1), "image/png", "QUJD"),
    Attachment("document", (1, 2), "application/pdf", "UERG"),
    Attachment("image", (3, 0, 1), "image/png", "QUJD"),
    Attachment("image", (3, 0, 2), url=AT),
]


def body_of(messages: list[dict[str, Any]] = MESSAGES) -> bytes:
    return json.dumps({"model": "m", "messages": messages}).encode()


def chat_of(*contents: Any) -> ChatRequest:
    messages = [{"role": "user", "content": content} for content in contents]
    return decode_chat_request(json.dumps({"model": "m", "messages": messages}).encode())


def part(url: Any, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}, **more}


def file(data: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"filename": "f", "file_data": data}}


def test_messages_requests_as_bytes_and_decoded_hold_the_same() -> None:
    assert attachments_in_messages(body_of()) == FOUND
    assert attachments_in_request(decode_messages_request(body_of())) == FOUND


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image"},
        {"type": "image", "source": "somewhere"},
        {"type": "image", "source": {"type": "base64", "data": 7}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}},
        {"type": "image", "source": {"type": "url"}},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "tool_result", "content": {"type": "image", "source": source()}},
        {"no": "type"},
    ],
)
def test_what_is_no_attachment_is_left_to_the_endpoint(block: dict[str, Any]) -> None:
    assert attachments_in_messages(body_of([{"role": "user", "content": [block]}])) == []


def test_a_message_without_content_holds_nothing() -> None:
    assert attachments_in_messages(b'{"messages":[{"role":"user"}]}') == []


def test_a_media_type_may_be_missing() -> None:
    bare = {"type": "image", "source": {"type": "base64", "data": "QUJD"}}
    body = body_of([{"role": "user", "content": [bare]}])
    assert attachments_in_messages(body) == [Attachment("image", (0, 0), "", "QUJD")]


def test_replacements_in_messages_touch_nothing_else() -> None:
    body = messages_with(body_of(), {(1, 1): "a note", (3, 0, 1): SMALL, (3, 0, 2): "another"})
    sent = json.loads(body)["messages"]
    assert sent[1]["content"] == [
        {"type": "text", "text": "t"},
        {"type": "text", "text": "a note", **MARK},
        PDF,
    ]
    small = {"type": "base64", "media_type": "image/jpeg", "data": "c21hbGw="}
    text, first, second = sent[3]["content"][0]["content"]
    assert (text, first) == ({"type": "text", "text": "r"}, {"type": "image", "source": small})
    assert second == {"type": "text", "text": "another"}
    assert [sent[0], sent[2], sent[4]] == [MESSAGES[0], MESSAGES[2], MESSAGES[4]]
    assert sent[3]["content"][1] == MESSAGES[3]["content"][1]


def test_replacements_keep_numbers_as_they_were_written() -> None:
    body = (
        b'{"model":"m","x":1.50,"messages":[{"role":"user","content":[{"type":"image","source":1,"n":1e3}]}]}'
    )
    sent = messages_with(body, {(0, 0): SMALL})
    assert b'"x":1.50' in sent
    assert b'"n":1e3' in sent


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"source":{"type":"url","url":"https://x"}}', True),
        (b'{"source":{"url":"https://x","type" : \n "url"}}', True),
        (b'{"properties":{"url":{"type":"string"}},"required":["url"]}', False),
        (b'{"text":"\\"type\\":\\"url\\""}', False),
        (b'"url"', False),
        (b"{}", False),
    ],
)
def test_the_glance_at_a_body(body: bytes, expected: bool) -> None:
    assert may_have_remote_sources(body) is expected


def test_attachments_of_a_chat_request() -> None:
    chat = chat_of(
        "text only",
        [
            {"type": "text", "text": "t"},
            part("data:image/png;base64,QUJD"),
            part("DATA:image/webp;charset=x;BASE64,QUJD"),
            file("data:application/pdf;base64,UERG"),
            part(AT),
            part("HTTP://example.test/b"),
            file(AT),
        ],
    )
    assert attachments_in_chat(chat) == [
        Attachment("image", (1, 1), "image/png", "QUJD"),
        Attachment("image", (1, 2), "image/webp", "QUJD"),
        Attachment("document", (1, 3), "application/pdf", "UERG"),
        Attachment("image", (1, 4), url=AT),
        Attachment("image", (1, 5), url="HTTP://example.test/b"),
        Attachment("document", (1, 6), url=AT),
    ]
    assert [each.url for each in remote_images_in_chat(chat)] == [AT, "HTTP://example.test/b"]


@pytest.mark.parametrize(
    "odd",
    [
        part(None),
        part(7),
        part(""),
        part("data:image/png,%89PNG"),
        part("ftp://example.test/a"),
        part("somewhere"),
        {"type": "image_url"},
        {"type": "image_url", "image_url": "https://example.test"},
        {"type": "file", "file": {"file_id": "f"}},
        {"no": "type"},
    ],
)
def test_odd_parts_of_a_chat_request_are_no_attachments(odd: dict[str, Any]) -> None:
    assert attachments_in_chat(chat_of([odd])) == []
    assert remote_images_in_chat(chat_of([odd])) == []


def test_replacements_in_a_chat_request() -> None:
    detail = {"type": "image_url", "image_url": {"url": AT, "detail": "high"}, **MARK}
    chat = chat_of("a", [part(AT, **MARK), {"type": "text", "text": "t"}, detail, part(AT)])
    before = encode_chat_request(chat)
    replaced = chat_with(chat, {(1, 0): "a note", (1, 2): SMALL, (1, 3): "b"})
    url = "data:image/jpeg;base64,c21hbGw="
    assert json.loads(encode_chat_request(replaced))["messages"][1]["content"] == [
        {"type": "text", "text": "a note", **MARK},
        {"type": "text", "text": "t"},
        {"type": "image_url", "image_url": {"url": url, "detail": "high"}, **MARK},
        {"type": "text", "text": "b"},
    ]
    assert encode_chat_request(chat) == before
    assert chat_with(chat, {}) == chat


def test_places_and_notes_in_words() -> None:
    assert path_of((2, 1)) == "messages.2.content.1"
    assert path_of((2, 1, 0)) == "messages.2.content.1.content.0"
    assert note_for(Attachment("image", (0, 0), url=AT), "why") == f"[image left out, why: {AT}]"
