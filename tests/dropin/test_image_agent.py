"""``forceUseImageAgent`` in the npm router's form: a model that cannot see has pictures looked at."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.chat_rules import what_is_wrong
from tests.dropin.person import ask, message
from tests.dropin.providers import Answer, Got, Providers, Said

if TYPE_CHECKING:
    from tests.dropin.conftest import Live, Serve

DEEPSEEK, EYES = "api.deepseek.com", "api-inference.modelscope.cn"
SOURCE = {"type": "base64", "media_type": "image/png", "data": "QUJDREVG"}
NAME = re.compile(r"\[Image #(\w+)\] An image is here")
FOUND = "A login form; the button says Sign in."


def text_model(got: Got) -> Said:
    """Answer as a model that has each image looked at and repeats what it is told."""
    wrong = what_is_wrong(got.headers, got.raw, {"reasoning_content"})
    assert not wrong, wrong
    last = got.body["messages"][-1]
    if last["role"] == "tool":
        return Answer(({"content": f"I am told: {last['content']}"},)).to(got.body)
    [*_, name] = NAME.findall(json.dumps(got.body["messages"]))
    arguments = json.dumps({"imageId": [name], "task": "What does the button say?"})
    function = {"name": "analyzeImage", "arguments": arguments}
    call = {"index": 0, "id": "call_1", "type": "function", "function": function}
    return Answer(({"content": "One moment. "}, {"tool_calls": [call]}), "tool_calls").to(got.body)


@pytest.fixture(scope="module")
def live(serve: Serve) -> Live:
    providers = Providers(
        answers={EYES: Answer(({"content": FOUND},))},
        talks={f"{DEEPSEEK}/chat/completions": text_model},
    )
    return serve("image-agent", providers=providers)


def asked(text: str = "[Image #1] What does the button say?") -> dict[str, Any]:
    content = [{"type": "text", "text": text}, {"type": "image", "source": SOURCE}]
    return message(messages=[{"role": "user", "content": content}])


def test_a_picture_is_looked_at_once(live: Live) -> None:
    live.providers.got.clear()
    for stream, hosts in ((True, [DEEPSEEK, EYES, DEEPSEEK]), (False, [DEEPSEEK, DEEPSEEK])):
        answer = ask(live.client, stream=stream, **asked())
        texts = [block.text for block in answer.content if block.type == "text"]
        assert "".join(texts) == f"One moment. I am told: {FOUND}"
        assert [block.type for block in answer.content] == ["text"] * len(texts)
        got = list(live.providers.got)
        live.providers.got.clear()
        assert [each.host for each in got] == hosts
        assert all(("QUJDREVG" in each.raw.decode()) is (each.host == EYES) for each in got)


def test_nothing_is_warned_of(live: Live) -> None:
    assert "forceUseImageAgent" not in live.said


def test_what_would_be_sent_can_be_asked(live: Live) -> None:
    done = live.person.run("route", "explain", "-", stdin=json.dumps(asked()))
    assert done.returncode == 0, done.stderr
    assert "images: taken out; modelscope,Qwen/Qwen2.5-VL-72B-Instruct looks at them" in done.stdout
    assert "an image, which forceUseImageAgent leaves to the image agent" in done.stdout
