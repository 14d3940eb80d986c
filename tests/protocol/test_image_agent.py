"""Requests whose images are taken out: tables, and what holds wherever the images stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import RequestError
from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.chat_from_messages import chat_request_from_messages
from ccr.protocol.image_agent import TOOL, ImageRule, agent_request
from ccr.protocol.native_request import sanitized_request
from ccr.protocol.traits import ModelTraits

ROUTING = Path(__file__).parents[2] / "docs" / "routing.md"
NAME = re.compile(r"\[Image #(\w+)\] An image is here that you cannot see\.")


def source(data: str = "QUJD") -> dict[str, str]:
    return {"type": "base64", "media_type": "image/png", "data": data}


def image(data: str = "QUJD", **more: Any) -> dict[str, Any]:
    return {"type": "image", "source": source(data), **more}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def result(*blocks: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t", "content": list(blocks)}


def body_of(*contents: Any, **more: Any) -> bytes:
    messages = [{"role": "user", "content": content} for content in contents]
    return json.dumps({"model": "m", "max_tokens": 9, "messages": messages, **more}).encode()


def taken(*contents: Any, **more: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return the request sent in place of one, its images and the tool."""
    found = agent_request(body_of(*contents, **more))
    assert found is not None
    images = {name: json.loads(bytes(value)) for name, value in found.images.items()}
    return json.loads(found.body), images, found.tool


def names_in(request: dict[str, Any]) -> list[str]:
    return NAME.findall(json.dumps(request["messages"]))


def test_the_page_describes_every_rule_and_no_other() -> None:
    section = ROUTING.read_text("utf-8").partition("## The image agent")[2].partition("\n## ")[0]
    table = section.partition("| rule in the record | |")[2]
    described = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert described == [rule.value for rule in ImageRule]


@pytest.mark.parametrize(
    "contents",
    [
        ("hello",),
        ([text("hello")],),
        ([text('the word "image"')], '"image"'),
        ([{"type": "document", "source": source()}],),
        ([{"type": "document", "source": "image"}],),
        ([result(text("image"))],),
        ([{"type": "tool_result", "tool_use_id": "t", "content": "image"}],),
        ([{"type": "image_of_tomorrow", "x": "image"}],),
        ([{"type": "tool_result", "tool_use_id": "t"}, {"type": "text"}, {"y": "image"}],),
    ],
)
def test_requests_without_images(contents: Any) -> None:
    assert agent_request(body_of(*contents)) is None


def test_one_image() -> None:
    request, images, tool = taken([text("look"), image(cache_control={"type": "ephemeral"}), text("well?")])
    [before, placeholder, after] = request["messages"][0]["content"]
    assert (before, after) == (text("look"), text("well?"))
    [name] = images
    assert placeholder == {
        "type": "text",
        "text": f"[Image #{name}] An image is here that you cannot see. "
        "analyzeImage answers questions about it.",
        "cache_control": {"type": "ephemeral"},
    }
    assert images == {name: source()}
    assert tool == TOOL
    assert [block["text"][:22] for block in request["system"]] == ["You cannot see images."]
    assert [each["name"] for each in request["tools"]] == [TOOL]
    assert request["tools"][0]["input_schema"]["required"] == ["imageId", "task"]
    assert (request["model"], request["max_tokens"]) == ("m", 9)


@pytest.mark.parametrize(
    ("system", "kept"),
    [
        ("You are.", [text("You are.")]),
        ([text("a"), {**text("b"), "cache_control": {}}], [text("a"), {**text("b"), "cache_control": {}}]),
        (None, []),
    ],
)
def test_the_note_is_the_last_of_the_system_prompt(system: Any, kept: Any) -> None:
    request, _, _ = taken([image()], system=system)
    assert request["system"][:-1] == kept
    assert "call the tool analyzeImage" in request["system"][-1]["text"]


@pytest.mark.parametrize(
    ("tools", "name"),
    [
        (None, "analyzeImage"),
        ([], "analyzeImage"),
        ([{"name": "Read"}], "analyzeImage"),
        ([{"name": "analyzeImage"}, {"name": "analyzeImage_"}, {"type": "x"}], "analyzeImage__"),
    ],
)
def test_the_tool_is_the_last_one_and_nobody_elses(tools: Any, name: str) -> None:
    request, _, tool = taken([image()], tools=tools)
    assert tool == name == request["tools"][-1]["name"]
    assert request["tools"][:-1] == (tools or [])
    assert f"{name} answers questions" in json.dumps(request["messages"])
    assert f"call the tool {name} " in request["system"][-1]["text"]


@pytest.mark.parametrize(
    ("choice", "is_offered"),
    [
        (None, True),
        ({"type": "auto"}, True),
        ({"type": "any"}, True),
        ({"type": "none"}, False),
        ({"type": "tool", "name": "Read"}, False),
    ],
)
def test_it_is_offered_only_where_it_may_be_called(choice: Any, is_offered: bool) -> None:
    request, images, tool = taken([image()], tools=[{"name": "Read"}], tool_choice=choice)
    assert bool(tool) is is_offered
    assert (TOOL in json.dumps(request)) is is_offered
    assert ("cannot be looked at in this answer" in request["system"][-1]["text"]) is not is_offered
    assert len(images) == 1


def test_images_wherever_they_stand() -> None:
    document = {"type": "document", "source": {"type": "content", "content": [text("x"), image("RE9D")]}}
    request, images, _ = taken([image("QQ==")], [result(text("a"), image("Qg==")), image("Qw==")], [document])
    assert [each["data"] for each in images.values()] == ["QQ==", "Qg==", "Qw==", "RE9D"]
    assert names_in(request) == list(images)


def test_an_image_without_a_source_is_taken_out_too() -> None:
    request, images, _ = taken(
        [{"type": "image"}, {"type": "image", "source": {"type": "file", "file_id": "f"}}]
    )
    assert list(images.values()) == [None, {"type": "file", "file_id": "f"}]
    assert len(names_in(request)) == 2


def test_names_last() -> None:
    later = taken([image("QQ==")], "and", [image("Qg=="), image("QQ==")])[1]
    earlier = taken([image("QQ==")])[1]
    without = taken([image("Qg==")])[1]
    assert [*earlier, *without] == list(later)
    assert not any(name[0].isdigit() for name in later)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ([text("[Image #2] and [Image #1] differ"), image("QQ=="), image("Qg==")], ["1", "2"]),
        ([text("[Image #7]"), text("[Image #7] again"), image("QQ==")], ["7"]),
        ([text("[Image #1] [Image #2]"), image("QQ==")], [None]),  # not one for each
        ([text("[Image #1]"), result(image("QQ=="))], [None]),
        ([text("look"), image("QQ==")], [None]),
    ],
)
def test_the_persons_numbers_are_kept(content: Any, names: list[str | None]) -> None:
    request, images, _ = taken(content)
    assert [name if name.isdigit() else None for name in images] == names
    assert names_in(request) == list(images)
    assert request["messages"][0]["content"][0] == content[0]


def test_a_number_that_is_given_twice_names_the_first() -> None:
    _, images, _ = taken([text("[Image #1]"), image("QQ==")], [text("[Image #1]"), image("Qg==")])
    first, second = images
    assert (first, images["1"]["data"]) == ("1", "QQ==")
    assert not second.isdigit()


def test_names_are_longer_where_they_would_be_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.protocol.image_agent._NAME_DIGITS", 1)
    images = taken([image(f"QQ{number:02}") for number in range(20)])[1]
    assert len(images) == 20


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": 1, "x": "image"}',
        b'["image"]',
        b'{"messages": [{"content": [1, "image"]}]}',
        b'"image"}',
    ],
)
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(RequestError):
        agent_request(body)


DATA = st.integers(0, 40).map(lambda number: f"IMAGEBYTES{number:06}")
IMAGES = DATA.map(image)
TEXTS = st.sampled_from(["", "look", "[Image #1]", "[Image #2] [Image #3]", 'say "image"']).map(text)
DOCUMENTS = st.lists(st.one_of(IMAGES, TEXTS), max_size=3).map(
    lambda blocks: {"type": "document", "source": {"type": "content", "content": blocks}}
)
RESULTS = st.lists(st.one_of(IMAGES, TEXTS, DOCUMENTS), max_size=3).map(lambda blocks: result(*blocks))
CONTENTS = st.one_of(st.just("word"), st.lists(st.one_of(IMAGES, TEXTS, RESULTS, DOCUMENTS), max_size=4))


@given(st.lists(CONTENTS, min_size=1, max_size=5))
def test_no_bytes_of_an_image_are_left(contents: list[Any]) -> None:
    body = body_of(*contents)
    found = agent_request(body)
    bytes_of = re.findall(rb"IMAGEBYTES\d+", body)
    if found is None:
        assert bytes_of == []
        return
    assert b"IMAGEBYTES" not in found.body
    assert {json.loads(bytes(value))["data"].encode() for value in found.images.values()} == set(bytes_of)
    assert len(names_in(json.loads(found.body))) == len(bytes_of)
    assert set(names_in(json.loads(found.body))) == set(found.images)
    assert agent_request(found.body) is None
    assert agent_request(body) == found


@given(st.lists(CONTENTS, min_size=1, max_size=4))
def test_both_formats_take_what_is_left(contents: list[Any]) -> None:
    found = agent_request(body_of(*contents))
    if found is None:
        return
    native = sanitized_request(found.body, model="m", traits=ModelTraits(takes_images=False))
    request = decode_messages_request(found.body)
    chat = chat_request_from_messages(request, model="m", traits=ModelTraits(takes_images=False))
    assert "image_as_note" not in native.rules + chat.rules
    assert json.loads(native.body)["tools"][-1]["name"] == TOOL
    assert chat.chat["tools"][-1]["function"]["name"] == TOOL
