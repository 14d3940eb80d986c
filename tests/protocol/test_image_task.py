"""From a call of the tool to the question to the image model, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from ccr.errors import RequestError
from ccr.protocol.image_task import (
    MAX_IMAGES,
    MAX_TOKENS,
    Analysis,
    analysis_of,
    analysis_request,
    analysis_text,
    check_sources,
)

SOURCE = {"type": "base64", "media_type": "image/png", "data": "QUJD"}
OTHER = {"type": "url", "url": "https://example.org/a.png"}
IMAGES = {"1": Raw(json.dumps(SOURCE).encode()), "ab12": Raw(json.dumps(OTHER).encode())}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["1"], ("1",)),
        ("1", ("1",)),
        (1, ("1",)),
        ([1, "ab12", "1"], ("1", "ab12")),
        (["#1", "[Image #ab12]"], ("1", "ab12")),
        ("Image #1", ("1",)),
    ],
)
def test_which_images(given: Any, names: tuple[str, ...]) -> None:
    analysis = analysis_of(raw({"imageId": given, "task": "colour?"}), IMAGES)
    assert analysis.names == names
    assert analysis.sources == tuple(IMAGES[name] for name in names)
    assert analysis.task == "colour?"
    assert analysis.title == "Analysis of " + ", ".join(f"Image #{name}" for name in names)


def test_regions_are_part_of_the_task() -> None:
    region = {"name": "sky", "x": 1, "y": 2, "w": 3, "h": 4, "units": "px"}
    analysis = analysis_of(raw({"imageId": ["1"], "task": "t", "regions": [region]}), IMAGES)
    before, _, after = analysis.task.partition("\n\nRegions that matter: ")
    assert (before, json.loads(after)) == ("t", [region])
    assert analysis_of(raw({"imageId": ["1"], "task": "t", "regions": []}), IMAGES).task == "t"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"task": "t"},
            "imageId (a list of IDs) and task are required. The IDs of this conversation are: 1, ab12.",
        ),
        ({"imageId": [], "task": "t"}, "imageId (a list"),
        ({"imageId": ["1"]}, "imageId (a list"),
        ({"imageId": ["1"], "task": " "}, "imageId (a list"),
        (
            {"imageId": ["1", "2", "3"], "task": "t"},
            "There is no image 2, 3. The IDs of this conversation are: 1",
        ),
        ({"imageId": {"a": 1}, "task": "t"}, "The arguments are wrong: "),
        ([1], "The arguments are wrong: "),
    ],
)
def test_wrong_calls(given: Any, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        analysis_of(raw(given), IMAGES)
    assert caught.value.message.startswith(sentence)


def test_too_many_images() -> None:
    images = {f"a{number}": raw(SOURCE) for number in range(MAX_IMAGES + 1)}
    analysis_of(raw({"imageId": list(images)[1:], "task": "t"}), images)
    with pytest.raises(RequestError, match="At most 20 images"):
        analysis_of(raw({"imageId": list(images), "task": "t"}), images)


def test_the_request() -> None:
    one = json.loads(analysis_request(Analysis(("1",), (IMAGES["1"],), "colour?"), "seer"))
    assert one.pop("system").startswith("You look at images for another model")
    question = {"type": "text", "text": "colour?"}
    assert one == {
        "model": "seer",
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": [{"type": "image", "source": SOURCE}, question]}],
    }
    both = json.loads(analysis_request(Analysis(tuple(IMAGES), tuple(IMAGES.values()), "colour?"), "seer"))
    assert both["messages"][0]["content"] == [
        {"type": "text", "text": "Image #1:"},
        {"type": "image", "source": SOURCE},
        {"type": "text", "text": "Image #ab12:"},
        {"type": "image", "source": OTHER},
        question,
    ]


def test_the_same_question_has_the_same_key() -> None:
    def key(*names: str, task: str = "t") -> bytes:
        return Analysis(("x",) * len(names), tuple(IMAGES[name] for name in names), task).key

    assert key("1") == key("1")
    assert len({key("1"), key("ab12"), key("1", "ab12"), key("ab12", "1"), key("1", task="u")}) == 5


@pytest.mark.parametrize("source", [None, {"type": "file", "file_id": "f"}, {}, "x"])
def test_sources_that_cannot_be_sent_on(source: Any) -> None:
    check_sources(Analysis(tuple(IMAGES), tuple(IMAGES.values()), "t"))
    with pytest.raises(RequestError, match="Image #7 cannot be looked at: its bytes are not in the request"):
        check_sources(Analysis(("7",), (raw(source),), "t"))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": [{"type": "text", "text": " red "}]}, "red"),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": "hm"},
                    *({"type": "text", "text": t} for t in "ab"),
                ]
            },
            "a\n\nb",
        ),
        (
            {"content": [{"type": "text", "text": "red"}], "stop_reason": "max_tokens"},
            "red\n[The analysis ends here: it reached its limit.]",
        ),
    ],
)
def test_what_was_found(message: Any, expected: str) -> None:
    assert analysis_text(json.dumps(message).encode()) == expected


@pytest.mark.parametrize("content", [[], [{"type": "text", "text": " "}], [{"type": "tool_use"}]])
def test_nothing_was_found(content: Any) -> None:
    message = json.dumps({"content": content, "stop_reason": "refusal"}).encode()
    with pytest.raises(RequestError, match=r"gave no answer \(stop reason: refusal\)"):
        analysis_text(message)
