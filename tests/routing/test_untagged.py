from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.catalog import traits_of
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.native_request import request_from_json, sanitized
from ccr.protocol.openai import decode_chat_request, encode_chat_request
from ccr.routing.subagent import Tag, text_without_tag
from ccr.routing.untagged import chat_without_tag, messages_without_tag, native_without_tag
from tests.routing.requests import body_of

if TYPE_CHECKING:
    from ccr.protocol.anthropic import MessagesRequest

TAG = Tag("p,m")
WRITTEN = "<CCR-SUBAGENT-MODEL>p,m</CCR-SUBAGENT-MODEL>"
OTHER = "<CCR-SUBAGENT-MODEL>other</CCR-SUBAGENT-MODEL>"
REMINDER = f"<system-reminder>{WRITTEN}</system-reminder>"
MODEL = "databricks-claude-sonnet-4-6"


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def shown(content: Any) -> Any:
    return content if isinstance(content, str) or content is None else [block.text for block in content]


def messages_parts(request: MessagesRequest) -> list[Any]:
    return [shown(request.system), *(shown(message.content) for message in request.messages)]


CASES = [
    (
        {"system": [text("a"), text(f"{WRITTEN}\nb")], "messages": [{"role": "user", "content": "c"}]},
        [["a", "b"], "c"],
    ),
    (
        {
            "system": f"s {WRITTEN}",
            "messages": [{"role": "user", "content": f"{WRITTEN}Do\n{OTHER}"}],
        },
        ["s ", f"Do\n{OTHER}"],
    ),
    (
        {
            "system": None,
            "messages": [
                {"role": "user", "content": [text(REMINDER), text(f"{WRITTEN}  \nDo"), text("more")]},
                {"role": "assistant", "content": "ok"},
                {"role": "user", "content": f"about {WRITTEN}"},
            ],
        },
        [None, [REMINDER, "Do", "more"], "ok", f"about {WRITTEN}"],
    ),
    ({"system": WRITTEN, "messages": [{"role": "assistant", "content": WRITTEN}]}, ["", WRITTEN]),
]


@pytest.mark.parametrize(("changes", "parts"), CASES)
def test_a_decoded_request(changes: Any, parts: Any) -> None:
    given = decode_messages_request(body_of(**changes))
    before = messages_parts(given)
    assert messages_parts(messages_without_tag(given, TAG)) == parts
    assert messages_parts(given) == before


@pytest.mark.parametrize(("changes", "parts"), CASES)
def test_a_native_request_is_the_same(changes: Any, parts: Any) -> None:
    given = request_from_json(body_of(**changes))
    changed = native_without_tag(given, TAG)
    body = json.dumps(
        {
            "model": "m",
            "system": changed.body.system
            if not isinstance(changed.body.system, list)
            else [
                {key: json.loads(bytes(value)) for key, value in block.items()}
                for block in changed.body.system
            ],
            "messages": [
                {key: json.loads(bytes(value)) for key, value in message.items()}
                for message in changed.body.messages
            ],
        }
    ).encode()
    assert messages_parts(decode_messages_request(body)) == parts


def test_blocks_without_a_tag_stay_the_client_s_bytes() -> None:
    body = body_of(messages=[{"role": "user", "content": [text("é"), text(f"{WRITTEN}x")]}])
    sent = sanitized(
        native_without_tag(request_from_json(body), TAG), model=MODEL, traits=traits_of(MODEL)
    ).body
    assert b'"text":"\\u00e9"' in sent
    assert b"CCR-SUBAGENT" not in sent


@pytest.mark.parametrize("content", [7, None, {}])
def test_a_native_message_that_is_none_is_left_to_the_sanitizer(content: Any) -> None:
    messages = [{"role": "user", "content": content, "note": WRITTEN}]
    given = request_from_json(body_of(system=[{"type": "text"}, text(WRITTEN)], messages=messages))
    assert native_without_tag(given, TAG).body.messages == given.body.messages


def test_odd_native_content_that_holds_the_mark() -> None:
    given = request_from_json(body_of(messages=[{"role": "user", "content": {"a": WRITTEN}}]))
    assert native_without_tag(given, TAG).body.messages == given.body.messages


def test_a_chat_request() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    chat = decode_chat_request(
        json.dumps(
            {
                "model": "m",
                "messages": [
                    {"role": "system", "content": f"{WRITTEN}a"},
                    {"role": "user", "content": [text(f"{WRITTEN}b"), image]},
                    {"role": "assistant", "content": None},
                    {"role": "developer", "content": None},
                    {"role": "user", "content": WRITTEN},
                ],
            }
        ).encode()
    )
    sent = json.loads(encode_chat_request(chat_without_tag(chat, TAG)))
    assert [message["content"] for message in sent["messages"]] == [
        "a",
        [text("b"), image],
        None,
        None,
        WRITTEN,
    ]
    assert "CCR-SUBAGENT" in str(chat["messages"][0])


def test_a_text_without_a_tag_is_the_same_object() -> None:
    plain = "hello there"
    assert text_without_tag(plain, TAG, is_system=True) is plain
