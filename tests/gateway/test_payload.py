"""What a provider's limits make of a request, without a network and without Pillow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.errors import ApiError
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.chat_from_messages import chat_request_from_messages
from ccr.protocol.compaction import INSTRUCTION
from ccr.protocol.native_request import NativeConversion
from ccr.protocol.openai import ChatRequest, decode_chat_request, encode_chat_request
from ccr.protocol.traits import ModelTraits
from tests.gateway.payloads import Around, new_record, route_with

CHAT_RULE = ("image_reencoded",)


def chat_of(*data: str, text: str = "t") -> ChatRequest:
    """Return a request with one image a message."""
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": text},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{each}"}},
            ],
        }
        for each in data
    ]
    return decode_chat_request(json.dumps({"model": "m", "messages": messages}).encode())


def images_in(chat: ChatRequest) -> list[str]:
    """Return the first characters of each image: its letter, and the quality of the step that made it."""
    contents: list[Any] = [message["content"] for message in chat["messages"]]
    return [content[1]["image_url"]["url"].partition("base64,")[2][:3] for content in contents]


def sanitised(body: bytes, *, has_attachments: bool = True) -> NativeConversion:
    return NativeConversion(body, (), False, has_attachments)


def url_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def chat_with_parts(*parts: dict[str, Any]) -> ChatRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": list(parts)}]}
    return decode_chat_request(json.dumps(body).encode())


# -- size -------------------------------------------------------------------------------------------------


async def test_within_the_limit_nothing_happens() -> None:
    around = Around()
    chat = chat_of("A" * 500)
    for route in (route_with(), route_with(max_payload_bytes=1000)):
        record = new_record()
        sent, _ = await around.payloads().fitted_chat(chat, route, record, None)
        assert sent is chat
        assert record.rules == ()
    assert not around.reencode.asked


@pytest.mark.parametrize(
    ("excess", "sent"),
    [
        (0, ["AAA", "BBB", "CCC", "DDD"]),
        (1, ["AAA", "B85", "CCC", "DDD"]),  # the largest of earlier messages
        (1400, ["A85", "B85", "CCC", "DDD"]),  # among equals the earlier one
        (3000, ["A85", "B85", "C85", "DDD"]),
        (3100, ["A85", "B85", "C85", "D85"]),  # the newest message last
        (4080, ["A85", "B65", "C85", "D85"]),  # the second step brings nothing here
        (4200, ["A65", "B65", "C65", "D85"]),
        (4450, ["A50", "B50", "C50", "D60"]),
    ],
)
async def test_the_gentlest_steps_that_are_enough(excess: int, sent: list[str]) -> None:
    around = Around()
    record = new_record()
    chat = chat_of("A" * 1000, "B" * 1500, "C" * 1000, "D" * 1200)
    limit = len(encode_chat_request(chat)) - excess
    route = route_with(max_payload_bytes=limit)
    fitted, body = await around.payloads().fitted_chat(chat, route, record, None)
    assert images_in(fitted) == sent
    assert len(body) <= limit
    assert record.rules == (CHAT_RULE if excess else ())
    assert images_in(chat) == ["AAA", "BBB", "CCC", "DDD"]


async def test_what_was_made_smaller_stays_so_and_is_not_made_again() -> None:
    around = Around()
    payloads = around.payloads()
    route = route_with(max_payload_bytes=3000)

    async def turn(*data: str, text: str = "t") -> list[str]:
        sent, _ = await payloads.fitted_chat(chat_of(*data, text=text), route, new_record(), None)
        return images_in(sent)

    images = "A" * 1000, "B" * 900, "C" * 800
    assert await turn(*images) == ["A85", "BBB", "CCC"]
    assert await turn(*images, text="more") == ["A85", "BBB", "CCC"]
    assert around.reencode.asked == [(1568, "A")]
    # by its size the new image alone would be made smaller: what was decided before stands all the same
    assert await turn(*images, "D" * 1200, "E" * 10) == ["A85", "BBB", "CCC", "D85", "EEE"]
    assert around.reencode.asked == [(1568, "A"), (1568, "D")]


async def test_an_image_that_cannot_be_made_smaller_is_tried_once() -> None:
    around = Around()
    payloads = around.payloads()
    route = route_with(max_payload_bytes=1500)
    for _ in range(2):
        sent, _ = await payloads.fitted_chat(chat_of("!" * 1000, "B" * 900), route, new_record(), None)
        assert images_in(sent) == ["!!!", "B85"]
    assert around.reencode.asked.count((1568, "!")) == 1


async def test_a_step_that_makes_an_image_larger_is_not_taken() -> None:
    around = Around()
    route = route_with(max_payload_bytes=700)
    sent, _ = await around.payloads().fitted_chat(chat_of("A" * 120, "B" * 1000), route, new_record(), None)
    assert images_in(sent) == ["AAA", "B85"]


async def test_the_log_tells_sizes() -> None:
    around = Around()
    chat = chat_of("A" * 1000)
    route = route_with(max_payload_bytes=600)
    _, body = await around.payloads().fitted_chat(chat, route, new_record(), None)
    [entry] = around.entries
    fields = entry.__dict__["fields"]
    assert entry.getMessage() == "images made smaller"
    assert (fields["images"], fields["fitted_bytes"], fields["max_bytes"]) == (1, len(body), 600)
    assert fields["bytes"] > 1000
    assert (fields["request_id"], fields["provider"]) == ("req_1", "dbx")


PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "P" * 3000}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 2000}}
MESSAGES = [
    {"role": "user", "content": "u"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}, PDF]},
]
CLIENT = json.dumps({"model": "m", "max_tokens": 9, "messages": MESSAGES}).encode()
PDF_SAID = "a document of 0.0 MB in message 3 (messages.2.content.1)"
IMAGE_SAID = "an image of 0.0 MB in a tool's result in message 3 (messages.2.content.0.content.0)"


@pytest.mark.parametrize("has_pillow", [True, False])
async def test_both_routes_refuse_in_the_clients_own_terms(has_pillow: bool) -> None:
    around = Around(has_pillow=has_pillow)
    request = decode_messages_request(CLIENT)
    chat = chat_request_from_messages(request, model="m", traits=ModelTraits()).chat
    route = route_with(max_payload_bytes=1500)
    with pytest.raises(ApiError) as on_chat:
        await around.payloads().fitted_chat(chat, route, new_record(), request)
    with pytest.raises(ApiError) as on_native:
        await around.payloads().native(sanitised(CLIENT), route, new_record(), CLIENT)
    for caught in (on_chat, on_native):
        message = caught.value.message
        assert (caught.value.status, caught.value.should_retry) == (400, False)
        assert f"{PDF_SAID}; {IMAGE_SAID}" in message
        assert ("although" in message, "pip install" in message) == (has_pillow, not has_pillow)
    assert bool(around.reencode.asked) is has_pillow


async def test_a_summary_of_too_much_is_asked_for_again_without_images() -> None:
    body = json.loads(CLIENT)
    body["messages"][-1]["content"].append({"type": "text", "text": f"{INSTRUCTION} Sum up."})
    client = json.dumps(body).encode()
    with pytest.raises(ApiError, match="prompt is too long"):
        await (
            Around()
            .payloads()
            .native(sanitised(client), route_with(max_payload_bytes=1500), new_record(), client)
        )


async def test_a_request_that_only_the_native_route_understands_is_refused_in_its_own_places() -> None:
    with pytest.raises(ApiError, match=r"message 3 \(messages\.2\.content\.1\)"):
        await (
            Around()
            .payloads()
            .native(sanitised(CLIENT), route_with(max_payload_bytes=1500), new_record(), b"{}")
        )


async def test_an_openai_client_is_told_its_own_places() -> None:
    with pytest.raises(ApiError) as caught:
        await (
            Around(has_pillow=False)
            .payloads()
            .fitted_chat(chat_of("A" * 5000), route_with(max_payload_bytes=1500), new_record(), None)
        )
    assert "in message 1 (messages.0.content.1)" in caught.value.message


async def test_texts_that_are_too_large_alone_cost_no_image() -> None:
    around = Around()
    chat = chat_of("A" * 1000, text="t" * 5000)
    with pytest.raises(ApiError, match="prompt is too long") as caught:
        await around.payloads().fitted_chat(chat, route_with(max_payload_bytes=4000), new_record(), None)
    assert caught.value.should_retry is None
    assert not around.reencode.asked


async def test_the_native_route() -> None:
    around = Around()
    payloads = around.payloads()
    route = route_with(max_payload_bytes=3800)
    record = new_record()
    sent = await payloads.native(sanitised(CLIENT), route, record, CLIENT)
    source = json.loads(sent)["messages"][2]["content"][0]["content"][0]["source"]
    assert (source["media_type"], source["data"][:3]) == ("image/jpeg", "A85")
    assert record.rules == CHAT_RULE
    assert await payloads.native(sanitised(CLIENT), route, new_record(), CLIENT) == sent
    assert len(around.reencode.asked) == 1
    assert await payloads.native(sanitised(CLIENT), route_with(), new_record(), CLIENT) is CLIENT
    assert (
        await payloads.native(sanitised(CLIENT), route_with(max_payload_bytes=10**6), new_record(), CLIENT)
        is CLIENT
    )


# -- addresses --------------------------------------------------------------------------------------------

PICTURE, GONE = "https://example.test/a.png", "https://example.test/b"
NOTE = "[image left out, the endpoint takes no addresses: {}]"


async def test_addresses_become_notes_for_claude_on_databricks() -> None:
    around = Around()
    record = new_record()
    chat = chat_with_parts(url_part(PICTURE), url_part("data:image/png;base64,QUJD"))
    sent = await around.payloads().chat(chat, route_with(), record)
    assert sent["messages"][0]["content"] == [
        {"type": "text", "text": NOTE.format(PICTURE)},
        url_part("data:image/png;base64,QUJD"),
    ]
    assert record.rules == ("image_url_as_note",)
    assert not around.fetch.asked


async def test_addresses_are_fetched_where_that_is_allowed() -> None:
    around = Around()
    record = new_record()
    chat = chat_with_parts(url_part(PICTURE), url_part(GONE), url_part(PICTURE))
    sent = await around.payloads().chat(chat, route_with(fetch_images=True), record)
    fetched = url_part("data:image/png;base64,QUJD")
    note = {"type": "text", "text": f"[image left out, it is gone: {GONE}]"}
    assert sent["messages"][0]["content"] == [fetched, note, fetched]
    assert record.rules == ("image_url_fetched", "image_url_as_note")


async def test_without_addresses_nothing_happens() -> None:
    chat = chat_with_parts({"type": "text", "text": PICTURE})
    for route in (route_with(), route_with(fetch_images=True)):
        assert await Around().payloads().chat(chat, route, new_record()) is chat


def native_body(*kinds: str, url: str = PICTURE) -> bytes:
    blocks = [{"type": kind, "source": {"type": "url", "url": url}} for kind in kinds]
    return json.dumps({"messages": [{"role": "user", "content": blocks}]}).encode()


OTHER = "/v1/messages"


@pytest.mark.parametrize(
    ("route", "rules", "types", "asked"),
    [
        (route_with(), ("image_url_as_note", "document_as_note"), ["text", "text"], []),
        (
            route_with(fetch_images=True),
            ("image_url_fetched", "document_as_note"),
            ["image", "text"],
            [PICTURE],
        ),
        (  # elsewhere documents may be named by their addresses
            route_with(path=OTHER, api="anthropic", fetch_images=True),
            ("image_url_fetched",),
            ["image", "document"],
            [PICTURE],
        ),
        (route_with(path=OTHER, api="anthropic"), (), ["image", "document"], []),
    ],
)
async def test_addresses_on_the_native_route(
    route: Any, rules: tuple[str, ...], types: list[str], asked: list[str]
) -> None:
    around = Around()
    record = new_record()
    body = native_body("image", "document")
    sent = await around.payloads().native(sanitised(body), route, record, body)
    blocks = json.loads(sent)["messages"][0]["content"]
    assert [block["type"] for block in blocks] == types
    assert (record.rules, around.fetch.asked) == (rules, asked)
    assert (sent is body) is (not rules)


async def test_a_request_without_images_is_not_looked_through() -> None:
    body = native_body("image")
    sent = sanitised(body, has_attachments=False)
    assert await Around().payloads().native(sent, route_with(), new_record(), body) is body


async def test_what_only_looks_like_an_address_is_left_alone() -> None:
    body = b'{"messages":[{"role":"user","content":[{"type":"tool_use","input":{"type":"url"}}]}]}'
    assert await Around().payloads().native(sanitised(body), route_with(), new_record(), body) is body


# -- max_tokens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sent", "rules"),
    [
        ({}, {}, ()),
        ({"max_tokens": 8192}, {"max_tokens": 8192}, ()),
        ({"max_tokens": 8193}, {"max_tokens": 8192}, ("max_tokens_capped",)),
        ({"max_completion_tokens": 9000}, {"max_completion_tokens": 8192}, ("max_tokens_capped",)),
        (
            {"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 9000}},
            {"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 8191}},
            ("max_tokens_capped",),
        ),
    ],
)
async def test_max_tokens(given: dict[str, Any], sent: dict[str, Any], rules: tuple[str, ...]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "u"}], **given}
    chat = decode_chat_request(json.dumps(body).encode())
    record = new_record()
    route = route_with(max_tokens={"databricks-claude-sonnet-4-5": 8192})
    capped = await Around().payloads().chat(chat, route, record)
    found = json.loads(encode_chat_request(capped))
    assert found == {"model": "m", "messages": body["messages"], **sent}
    assert record.rules == rules
