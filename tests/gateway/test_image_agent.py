"""The image agent in a whole service, on both formats, against the strict workspace."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest
from msgspec import structs

from ccr.config.load import config_from_bytes
from ccr.config.model import Config, Router
from ccr.gateway.patience import Patience
from ccr.sandbox import AnthropicFake, Fault, Script, ToolCall, Turn, Usage, Wire, Workspace
from ccr.transformers.registry import build
from tests.e2e.material import png
from tests.gateway.native_service import events, native_config
from tests.server.raw_client import Answered, ask, raw_client, request
from tests.server.service import Service, config_for, message_body, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.sandbox.view import RequestView

SONNET, EYES, FABLE = (
    "databricks-claude-sonnet-4-5",
    "databricks-claude-sonnet-4-6",
    "databricks-claude-fable-5",
)
MODELS = (SONNET, EYES, FABLE)
PICTURE = b64encode(png(3, 2)).decode()
SOURCE = {"type": "base64", "media_type": "image/png", "data": PICTURE}
IMAGE = {"type": "image", "source": SOURCE}
READ = {"name": "Read", "description": "reads", "input_schema": {"type": "object", "properties": {}}}
BOTH = pytest.mark.parametrize("make", [config_for, native_config])
STREAMS = pytest.mark.parametrize("stream", [True, False])
ASKED = {"imageId": ["1"], "task": "Which colour is it?"}


def configured(
    make: Callable[..., Config],
    workspace: Workspace,
    default: str = SONNET,
    *,
    is_forced: bool = True,
    **changes: Any,
) -> Config:
    router = Router(default=f"databricks,{default}", scenarios={"image": f"databricks,{EYES}"})
    defaults = {"models": MODELS, "router": router, "force_image_agent": is_forced}
    return make(workspace.url, token=workspace.token, **{**defaults, **changes})


def looks(view: RequestView) -> bool:
    return not view.tools


def seen(text: str = "It is red.", **changes: Any) -> Turn:
    """What the image model answers."""
    return Turn(text=text, when=looks, **changes)


def said(*tools: ToolCall, **changes: Any) -> Turn:
    return Turn(tools=tools, when=lambda view: not looks(view), **changes)


def wants(**changes: Any) -> ToolCall:
    return ToolCall("analyzeImage", {**ASKED, **changes})


def conversation(*blocks: Any, text: str = "[Image #1] Which colour?") -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": text}, *(blocks or (IMAGE,))]}]


async def post(service: Service, **changes: Any) -> Answered:
    body = {"messages": conversation(), "tools": [READ], "model": "claude-sonnet-4-5", **changes}
    return await ask(service.port, request(service.port, "/v1/messages", message_body(**body)))


def message_of(answered: Answered) -> dict[str, Any]:
    """Return the message of an answer, whole or streamed; the grammar of a stream is checked."""
    assert answered.status == 200, answered.body
    if answered.headers["content-type"].startswith("application/json"):
        return dict(answered.json)
    found = [event for event in events(answered) if event["type"] != "ping"]
    assert [each["type"] for each in found].count("message_start") == 1
    assert [each["type"] for each in found[-2:]] == ["message_delta", "message_stop"]
    message: dict[str, Any] = found[0]["message"]
    blocks: list[dict[str, Any]] = []
    is_open = False
    for event in found[1:-2]:
        kind = event["type"].removeprefix("content_block_")
        assert is_open is (kind != "start")
        if kind == "start":
            assert event["index"] == len(blocks)
            blocks.append({**event["content_block"], "pieces": []})
        else:
            assert event["index"] == len(blocks) - 1
        is_open = kind != "stop"
        if kind == "delta":
            delta = event["delta"]
            [piece] = [value for key, value in delta.items() if key != "type"]
            if delta["type"] == "signature_delta":
                blocks[-1]["signature"] = piece
            else:
                blocks[-1]["pieces"].append(piece)
    assert not is_open
    for block in blocks:
        whole = "".join(block.pop("pieces"))
        if block["type"] == "tool_use":
            block["input"] = json.loads(whole)
        else:
            block[block["type"]] = whole
    return {**message, **found[-2]["delta"], "usage": found[-2]["usage"], "content": blocks}


def bodies(workspace: Workspace) -> list[dict[str, Any]]:
    return [each.body for each in workspace.requests if each.method == "POST"]


@BOTH
@STREAMS
async def test_the_model_has_the_image_looked_at(make: Callable[..., Config], stream: bool) -> None:
    script = Script(
        turns=[
            said(wants(), text="Let me see. ", usage=Usage(input=100, output=10, cache_read=7)),
            seen(usage=Usage(input=50, output=5)),
            said(text="Red.", usage=Usage(input=130, output=20, cache_creation=3)),
        ]
    )
    async with Workspace(script) as workspace, running(configured(make, workspace)) as service:
        message = message_of(await post(service, stream=stream))
        assert [block["type"] for block in message["content"]] == ["text", "text"]
        assert [block["text"] for block in message["content"]] == ["Let me see. ", "Red."]
        assert message["stop_reason"] == "end_turn"
        usage = message["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (230, 30)
        assert (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (7, 3)
        assert [(each["type"], each["input_tokens"]) for each in usage["iterations"]] == [
            ("message", 100),
            ("advisor_message", 50),
            ("message", 130),
        ]
        assert usage["iterations"][1]["model"] == EYES
        assert workspace.refusals == []
        first, eyes, second = bodies(workspace)
        assert PICTURE not in json.dumps([first, second])
        assert PICTURE in json.dumps(eyes)
        await service.idle()
        eye, record = service.records
        assert (record["route"], record["rule"], record["outcome"]) == ("messages", "same_model", "ok")
        assert (record["input_tokens"], record["output_tokens"]) == (230, 30)
        assert {"image_agent", "image_analyzed"} <= set(record["rules"])
        assert record["image_agent"] == f"databricks,{EYES}"
        assert (eye["route"], eye["rule"], eye["upstream_model"]) == ("image_agent", "image_agent", EYES)
        assert (eye["input_tokens"], eye["request_id"]) == (50, record["request_id"])
        assert service.app.gateway.metrics.snapshot()["requests"] == {"ok": 2}


@BOTH
@STREAMS
async def test_a_model_that_does_not_ask_answers_as_ever(make: Callable[..., Config], stream: bool) -> None:
    script = Script(turns=[said(text="No need.", usage=Usage(input=10, output=2))])
    async with Workspace(script) as workspace, running(configured(make, workspace)) as service:
        message = message_of(await post(service, stream=stream))
        assert message["content"] == [{"type": "text", "text": "No need."}]
        assert "iterations" not in message["usage"]
        [sent] = bodies(workspace)
        assert "[Image #1] An image is here" in json.dumps(sent)
        assert "analyzeImage" in json.dumps(sent["tools"][-1])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("is_forced", [True, False])
@pytest.mark.parametrize("default", [SONNET, FABLE])
async def test_an_image_further_back(stream: bool, is_forced: bool, default: str) -> None:
    script = Script(turns=[said(text="yes")])
    history = [
        *conversation(),
        {"role": "assistant", "content": "Red."},
        {"role": "user", "content": "Sure?"},
    ]
    async with (
        Workspace(script, models=MODELS) as workspace,
        running(configured(config_for, workspace, default, is_forced=is_forced)) as service,
    ):
        message_of(await post(service, messages=history, stream=stream, model=default))
        [sent] = bodies(workspace)
        is_left = is_forced or default == FABLE
        assert (PICTURE not in json.dumps(sent)) is is_left
        assert ("analyzeImage" in json.dumps(sent)) is is_left
        await service.idle()
        rules = service.records[0].get("rules", [])
        assert ("image_agent" in rules) is is_left
        assert "image_as_note" not in rules
        assert service.records[0].get("image_agent") == (f"databricks,{EYES}" if is_left else None)


@BOTH
async def test_an_image_in_the_last_message_goes_to_the_image_model_as_a_whole(
    make: Callable[..., Config],
) -> None:
    script = Script(turns=[Turn(text="red")])
    async with (
        Workspace(script, models=MODELS) as workspace,
        running(configured(make, workspace, FABLE, is_forced=False)) as service,
    ):
        message_of(await post(service))
        assert PICTURE in json.dumps(bodies(workspace))
        await service.idle()
        assert (service.records[0]["rule"], service.records[0]["upstream_model"]) == ("image", EYES)


async def test_the_image_model_itself_gets_its_images() -> None:
    script = Script(turns=[Turn(text="red")])
    async with Workspace(script) as workspace, running(configured(config_for, workspace)) as service:
        message_of(await post(service, model=EYES))
        assert PICTURE in json.dumps(bodies(workspace))


@BOTH
@STREAMS
@pytest.mark.parametrize(
    ("model", "wish"),
    [
        (SONNET, {"type": "enabled", "budget_tokens": 2048}),
        (FABLE, {"type": "adaptive", "display": "summarized"}),
    ],
)
async def test_thinking_is_sent_back_as_it_came(
    make: Callable[..., Config], stream: bool, model: str, wish: dict[str, Any]
) -> None:
    thinking = {"thinking": wish, "max_tokens": 4096, "model": model}
    script = Script(
        turns=[
            said(wants(), thinking="An image. I must ask.", text="Looking."),
            seen(),
            said(ToolCall("Read", {}), thinking="So it is red."),
            said(text="Red indeed."),
        ]
    )
    async with (
        Workspace(script, models=MODELS) as workspace,
        running(configured(make, workspace, is_forced=model != FABLE)) as service,
    ):
        message = message_of(await post(service, stream=stream, **thinking))
        kinds = [block["type"] for block in message["content"]]
        assert kinds == ["thinking", "text", "thinking", "tool_use"]
        assert all(block["signature"] for block in message["content"] if block["type"] == "thinking")
        answer = [{"type": "tool_result", "tool_use_id": message["content"][-1]["id"], "content": "ok"}]
        # The client knows nothing of the call, and what it sends back is taken all the same.
        history = [
            *conversation(),
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": answer},
        ]
        again = message_of(await post(service, stream=stream, messages=history, **thinking))
        assert again["content"] == [{"type": "text", "text": "Red indeed."}]
        assert workspace.refusals == []


@BOTH
@STREAMS
async def test_tools_of_the_client_beside_the_call(make: Callable[..., Config], stream: bool) -> None:
    script = Script(
        turns=[said(ToolCall("Read", {}), wants(), ToolCall("Read", {}), text="Both."), seen("It is red.")]
    )
    async with Workspace(script) as workspace, running(configured(make, workspace)) as service:
        message = message_of(await post(service, stream=stream))
        kinds = [block["type"] for block in message["content"]]
        assert sorted(kinds) == ["text", "text", "tool_use", "tool_use"]
        [told] = [
            block["text"] for block in message["content"] if block.get("text", "").startswith("[Analysis")
        ]
        assert told == "[Analysis of Image #1]\nIt is red."
        assert message["stop_reason"] == "tool_use"
        uses = [block for block in message["content"] if block["type"] == "tool_use"]
        assert [block["name"] for block in uses] == ["Read", "Read"]
        assert [each["type"] for each in message["usage"]["iterations"]] == ["message", "advisor_message"]
        await service.idle()
        assert "image_analysis_as_text" in service.records[-1]["rules"]
        # What the client makes of it is taken.
        results = [{"type": "tool_result", "tool_use_id": block["id"], "content": "ok"} for block in uses]
        workspace.play(Script(turns=[said(text="Done.")]))
        history = [
            *conversation(),
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": results},
        ]
        assert (
            message_of(await post(service, stream=stream, messages=history))["content"][0]["text"] == "Done."
        )
        assert "It is red." in json.dumps(bodies(workspace)[-1])
        assert workspace.refusals == []


@BOTH
@STREAMS
async def test_several_calls_in_one_answer(make: Callable[..., Config], stream: bool) -> None:
    other = {"type": "image", "source": {**SOURCE, "data": b64encode(png(1, 1)).decode()}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "see"}, other]}
    history = [
        *conversation(),
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    async with Workspace() as workspace, running(configured(make, workspace)) as service:
        workspace.play(Script(turns=[said(text="first")]))
        message_of(await post(service, messages=history))
        shown = json.dumps(bodies(workspace)[0]["messages"])
        name = shown.rpartition("[Image #")[2].partition("]")[0]
        assert not name.isdecimal()
        calls = [wants(), wants(imageId=[name]), wants(imageId=["1", name])]
        workspace.play(
            Script(turns=[said(*calls), seen("one"), seen("two"), seen("three"), said(text="All seen.")])
        )
        message = message_of(await post(service, messages=history, stream=stream))
        assert message["content"] == [{"type": "text", "text": "All seen."}]
        assert [each["type"] for each in message["usage"]["iterations"]] == [
            "message",
            *["advisor_message"] * 3,
            "message",
        ]
        last = json.dumps(bodies(workspace)[-1])
        assert all(word in last for word in ("one", "two", "three"))
        assert workspace.refusals == []


@BOTH
@STREAMS
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (wants(imageId=["7"]), "There is no image 7. The IDs of this conversation are: 1."),
        (wants(task=""), "imageId (a list of IDs) and task are required."),
        (ToolCall("analyzeImage", {}), "imageId (a list of IDs) and task are required."),
        (wants(task=7), "The arguments are wrong: "),
    ],
)
async def test_a_wrong_call_is_told_so(
    make: Callable[..., Config], stream: bool, call: ToolCall, sentence: str
) -> None:
    script = Script(turns=[said(call), said(text="Then not.")])
    async with Workspace(script) as workspace, running(configured(make, workspace)) as service:
        assert message_of(await post(service, stream=stream))["content"][0]["text"] == "Then not."
        assert sentence in json.dumps(bodies(workspace)[1]["messages"][-1])
        await service.idle()
        [record] = service.records
        assert "image_analysis_failed" in record["rules"]
        assert record["outcome"] == "ok"


@BOTH
@STREAMS
async def test_an_image_model_that_fails(make: Callable[..., Config], stream: bool) -> None:
    broken = seen(
        fault=Fault(kind="status", status=400, body={"message": "no, Bearer sandbox-token-not-a-secret"})
    )
    script = Script(turns=[said(wants()), broken, said(text="I do not know.")])
    async with Workspace(script) as workspace, running(configured(make, workspace)) as service:
        message = message_of(await post(service, stream=stream))
        assert message["content"] == [{"type": "text", "text": "I do not know."}]
        result = json.dumps(bodies(workspace)[-1]["messages"][-1])
        assert "The images could not be looked at." in result
        assert workspace.token not in result
        await service.idle()
        eye, record = service.records
        assert (eye["outcome"], eye["route"], record["outcome"]) == ("error", "image_agent", "ok")
        assert len(bodies(workspace)) == 3


async def test_an_image_model_that_says_nothing() -> None:
    script = Script(
        turns=[said(wants()), seen("", stop="refusal", usage=Usage(input=9, output=1)), said(text="ok")]
    )
    async with Workspace(script) as workspace, running(configured(native_config, workspace)) as service:
        message = message_of(await post(service))
        assert "gave no answer (stop reason: refusal)" in json.dumps(bodies(workspace)[-1])
        assert [each["input_tokens"] for each in message["usage"]["iterations"]][1] == 9


@STREAMS
async def test_what_was_seen_is_remembered(stream: bool) -> None:
    turns = [said(wants()), seen("red"), said(text="Red."), said(wants()), said(text="Red again.")]
    async with (
        Workspace(Script(turns=turns)) as workspace,
        running(configured(config_for, workspace)) as service,
    ):
        message_of(await post(service, stream=stream))
        again = message_of(await post(service, stream=stream))
        assert again["content"][-1]["text"] == "Red again."
        assert [each["type"] for each in again["usage"]["iterations"]] == ["message", "message"]
        await service.idle()
        assert "image_analysis_remembered" in service.records[-1]["rules"]
        assert "red" in json.dumps(bodies(workspace)[-1]["messages"][-1])


@STREAMS
async def test_an_answer_looks_only_so_often(stream: bool) -> None:
    turns = [said(wants(task=f"{number}")) for number in range(9)]
    eyes = [seen() for _ in range(8)]
    async with Workspace() as workspace, running(configured(config_for, workspace)) as service:
        workspace.play(Script(turns=[*turns, *eyes, said(text="Enough.")]))
        message = message_of(await post(service, stream=stream))
        assert message["content"] == [{"type": "text", "text": "Enough."}]
        assert "Images were looked at 8 times" in json.dumps(bodies(workspace)[-1]["messages"][-1])
        await service.idle()
        assert "image_rounds_limited" in service.records[-1]["rules"]
        workspace.play(Script(turns=[seen()], respond=lambda view: said(wants(task="same"))))
        answered = await post(service, stream=stream)
        if stream:
            assert events(answered)[-1]["type"] == "error"
        else:
            assert answered.status == 502
        assert "although it was told that it is enough" in answered.body.decode()
        await service.idle()
        assert service.records[-1]["outcome"] == "error"


@BOTH
@STREAMS
async def test_a_call_that_was_cut(make: Callable[..., Config], stream: bool) -> None:
    cut = ToolCall("analyzeImage", '{"imageId": ["1"], "ta')
    script = Script(turns=[said(cut, text="Let me", stop="max_tokens", usage=Usage(input=5, output=4))])
    async with Workspace(script) as workspace, running(configured(make, workspace)) as service:
        message = message_of(await post(service, stream=stream))
        assert message["content"] == [{"type": "text", "text": "Let me"}]
        assert message["stop_reason"] == "max_tokens"
        assert message["usage"]["output_tokens"] == 4
        await service.idle()
        assert "image_call_cut" in service.records[-1]["rules"]


QUICK = Patience(ping_s=0.02, keep_alive_after_s=0.06, keep_alive_every_s=0.06)


@BOTH
@pytest.mark.parametrize("after", ["text", "thinking", "tool"])
async def test_signs_of_life_while_the_image_is_looked_at(make: Callable[..., Config], after: str) -> None:
    slow = seen(fault=Fault(kind="stall", where="headers", seconds=0.3))
    last = {
        "text": said(text="Red."),
        "thinking": said(thinking="So.", text="Red."),
        "tool": said(ToolCall("Read", {})),
    }[after]
    changes = {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 4096}
    script = Script(turns=[said(wants(), thinking="hm"), slow, last])
    async with (
        Workspace(script) as workspace,
        running(configured(make, workspace), patience=QUICK) as service,
    ):
        answered = await post(service, stream=True, **changes)
        found = events(answered)
        assert sum(event["type"] == "ping" for event in found) >= 2
        deltas = [event["delta"] for event in found if event["type"] == "content_block_delta"]
        assert {"type": "text_delta", "text": ""} in deltas
        message = message_of(answered)
        kinds = [block["type"] for block in message["content"]]
        # The text of the next round goes on in the block that was opened to stay alive.
        assert (
            kinds
            == {
                "text": ["thinking", "text"],
                "thinking": ["thinking", "text", "thinking", "text"],
                "tool": ["thinking", "text", "tool_use"],
            }[after]
        )
        # The empty block that this may leave behind is no fault of the next request.
        uses = [block for block in message["content"] if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": use["id"], "content": "ok"} for use in uses]
        history = [
            *conversation(),
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": results or "go on"},
        ]
        workspace.play(Script(turns=[said(text="Fine.")]))
        assert message_of(await post(service, messages=history, **changes))["content"][0]["text"] == "Fine."
        assert workspace.refusals == []


async def test_signs_of_life_before_results_become_a_text() -> None:
    slow = seen(fault=Fault(kind="stall", where="headers", seconds=0.3))
    script = Script(turns=[said(wants(), ToolCall("Read", {})), slow])
    async with (
        Workspace(script) as workspace,
        running(configured(config_for, workspace), patience=QUICK) as service,
    ):
        message = message_of(await post(service, stream=True))
        assert [block["type"] for block in message["content"]] == ["tool_use", "text"]
        assert message["content"][1]["text"].endswith("It is red.")


@BOTH
@pytest.mark.parametrize("moment", ["images", "next round", "in the next round"])
async def test_a_client_that_leaves(make: Callable[..., Config], moment: str) -> None:
    where: Literal["middle", "headers"] = "middle" if moment == "in the next round" else "headers"
    stall = Fault(kind="stall", where=where, seconds=30, at=4)
    turns = {
        "images": [said(wants()), seen(fault=stall)],
        "next round": [said(wants()), seen(), said(text="Red.", fault=stall)],
        "in the next round": [said(wants()), seen(), said(text="Red. " * 20, fault=stall)],
    }[moment]
    async with (
        Workspace(Script(turns=turns)) as workspace,
        running(configured(make, workspace)) as service,
        asyncio.timeout(10),
    ):
        body = message_body(messages=conversation(), tools=[READ], stream=True)
        async with raw_client(service.port) as client:
            await client.send(request(service.port, "/v1/messages", body))
            await client.reader.readuntil(b"message_start")
            count = len(turns)
            while len(bodies(workspace)) < count:  # noqa: ASYNC110 - the workspace has no event for it
                await asyncio.sleep(0.01)
            if moment == "in the next round":
                await client.reader.readuntil(b"Red.")
            client.writer.close()
            await workspace.until(lambda: workspace.requests[-1].closed_early)
        await service.idle()
        outcomes = [(record["route"], record["outcome"]) for record in service.records]
        seen_by = "cancelled" if moment == "images" else "ok"
        assert sorted(outcomes) == [("image_agent", seen_by), ("messages", "cancelled")]
        assert service.app.gateway.status()["upstream"]["databricks"]["active"] == 0


async def test_a_client_that_leaves_before_a_whole_answer() -> None:
    stall = Fault(kind="stall", where="headers", seconds=30)
    async with (
        Workspace(Script(turns=[said(wants()), seen(fault=stall)])) as workspace,
        running(configured(config_for, workspace)) as service,
        asyncio.timeout(10),
    ):
        async with raw_client(service.port) as client:
            await client.send(
                request(service.port, "/v1/messages", message_body(messages=conversation(), tools=[READ]))
            )
            while len(bodies(workspace)) < 2:  # noqa: ASYNC110 - the workspace has no event for it
                await asyncio.sleep(0.01)
            client.writer.close()
            await workspace.until(lambda: workspace.requests[-1].closed_early)
        await service.idle()
        assert [record["outcome"] for record in service.records] == ["cancelled", "cancelled"]


@BOTH
@STREAMS
async def test_a_next_round_that_is_refused(make: Callable[..., Config], stream: bool) -> None:
    refused = said(text="Red.", fault=Fault(kind="status", status=400, body={"message": "not today"}))
    script = Script(turns=[said(wants(), text="Look."), seen(), refused])
    async with Workspace(script) as workspace, running(configured(make, workspace)) as service:
        answered = await post(service, stream=stream)
        if stream:
            assert answered.status == 200
            last = events(answered)[-1]
            assert (last["type"], last["error"]["type"]) == ("error", "invalid_request_error")
        else:
            assert answered.status == 400
        assert "not today" in answered.body.decode()
        await service.idle()
        record = service.records[-1]
        assert (record["route"], record["outcome"], record["status"]) == ("messages", "error", 400)


@BOTH
@pytest.mark.parametrize("number", [1, 2])
async def test_a_stream_that_breaks_off(make: Callable[..., Config], number: int) -> None:
    cut = said(text="Red. " * 30, fault=Fault(kind="cut", at=5, how="end", consumes_turn=True))
    turns = [cut] if number == 1 else [said(wants(), text="Look."), seen(), cut]
    async with (
        Workspace(Script(turns=turns)) as workspace,
        running(configured(make, workspace)) as service,
    ):
        answered = await post(service, stream=True)
        assert events(answered)[-1]["type"] == "error"
        await service.idle()
        assert (service.records[-1]["outcome"], service.records[-1]["status"]) == ("error", 502)


@BOTH
async def test_the_explanation(make: Callable[..., Config]) -> None:
    async with Workspace() as workspace, running(configured(make, workspace)) as service:
        body = message_body(messages=conversation(), tools=[READ], stream=True)
        head, _, rest = request(service.port, "/v1/messages", body).partition(b"\r\n\r\n")
        answered = await ask(service.port, head + b"\r\nx-ccr-explain: 1\r\n\r\n" + rest)
        values = answered.json
        assert values["image_agent"] == f"databricks,{EYES}"
        assert "image_agent" in values["changed"]
        shown = json.dumps(values["request"]["body"])
        assert PICTURE not in shown
        assert "[Image #1]" in shown
        assert "analyzeImage" in shown
        [why] = [tried["why"] for tried in values["tried"] if tried["rule"] == "image"]
        assert why == "an image, which forceUseImageAgent leaves to the image agent"
        assert bodies(workspace) == []
        assert service.records == []


async def test_chat_clients_are_routed_as_without_it() -> None:
    url = {"url": f"data:image/png;base64,{PICTURE}"}
    content = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": url}]
    body = message_body(messages=[{"role": "user", "content": content}])
    async with (
        Workspace(Script(turns=[Turn(text="red")])) as workspace,
        running(configured(config_for, workspace)) as service,
    ):
        answered = await ask(service.port, request(service.port, "/v1/chat/completions", body))
        assert answered.status == 200
        await service.idle()
        assert (service.records[0]["rule"], service.records[0]["upstream_model"]) == ("image", EYES)


@BOTH
@pytest.mark.parametrize("choice", [{"type": "none"}, {"type": "tool", "name": "Read"}])
async def test_a_request_that_may_not_call_it(make: Callable[..., Config], choice: dict[str, str]) -> None:
    async with (
        Workspace(Script(turns=[said(text="ok"), Turn(tools=[ToolCall("Read", {})])])) as workspace,
        running(configured(make, workspace)) as service,
    ):
        message_of(await post(service, tool_choice=choice))
        shown = json.dumps(bodies(workspace)[0])
        assert "analyzeImage" not in shown
        assert "They cannot be looked at in this answer" in shown
        assert PICTURE not in shown


@STREAMS
async def test_a_workspace_without_the_native_route(stream: bool) -> None:
    script = Script(turns=[said(wants()), seen(), said(text="Red.")])
    async with (
        Workspace(script, native="none") as workspace,
        running(configured(native_config, workspace, api="auto")) as service,
    ):
        assert message_of(await post(service, stream=stream))["content"][-1]["text"] == "Red."
        await service.idle()
        assert "api" not in service.records[-1]


@pytest.mark.parametrize("number", [1, 2])
async def test_whole_answers_where_a_stream_was_asked_for(number: int) -> None:
    wire = Wire(body="json")
    turns = [said(wants(), text="Look."), seen(), said(text="Red.")]
    turns[2 * (number - 1)] = structs.replace(turns[2 * (number - 1)], wire=wire)
    async with (
        Workspace(Script(turns=turns)) as workspace,
        running(configured(config_for, workspace)) as service,
    ):
        message = message_of(await post(service, stream=True))
        assert [block["text"] for block in message["content"]] == ["Look.", "Red."]


async def test_the_tag_of_a_subagent_is_not_sent() -> None:
    tag = f"<CCR-SUBAGENT-MODEL>databricks,{SONNET}</CCR-SUBAGENT-MODEL>\nyou look at things"
    for make in (config_for, native_config):
        script = Script(turns=[said(wants()), seen(), said(text="Red.")])
        async with Workspace(script) as workspace, running(configured(make, workspace)) as service:
            message_of(await post(service, system=tag))
            assert "CCR-SUBAGENT" not in json.dumps(bodies(workspace))
            await service.idle()
            assert service.records[-1]["rule"] == "subagent"
            assert "subagent_tag_removed" in service.records[-1]["rules"]


async def test_the_image_models_alternatives() -> None:
    down = seen(fault=Fault(kind="status", status=503, times=9))
    script = Script(turns=[said(wants()), down, said(text="Red.")])
    async with Workspace(script) as workspace:
        config = configured(config_for, workspace)
        router = replace(config.router, alternatives={"image": (f"databricks,{FABLE}",)})
        async with running(replace(config, router=router)) as service:
            message_of(await post(service))
            await service.idle()
            eye = next(record for record in service.records if record["route"] == "image_agent")
            assert (eye["upstream_model"], eye["fallback"]) == (FABLE, True)


async def test_the_session_is_as_large_as_its_last_request() -> None:
    big = Usage(input=40_000, output=5)
    script = Script(
        turns=[said(wants(), usage=big), seen(usage=Usage(input=90_000)), said(text="x", usage=big)]
    )
    async with Workspace(script) as workspace, running(configured(config_for, workspace)) as service:
        message_of(await post(service, metadata={"user_id": json.dumps({"session_id": "abc"})}))
        await service.idle()
        sessions = service.app.gateway._lines._parts.lasting.sessions
        assert sessions.last_tokens("abc") == 40_000
        assert service.records[-1]["input_tokens"] == 80_000


@BOTH
async def test_a_request_without_images_is_sent_as_ever(make: Callable[..., Config]) -> None:
    async with (
        Workspace(Script(turns=[said(text="Hello.")])) as workspace,
        running(configured(make, workspace)) as service,
    ):
        message_of(await post(service, messages=[{"role": "user", "content": "the word image"}]))
        assert "analyzeImage" not in json.dumps(bodies(workspace))
        await service.idle()
        assert "image_agent" not in service.records[0]


async def test_the_image_model_gets_the_images_and_the_task_alone() -> None:
    script = Script(turns=[said(wants()), seen(), said(text="Red.")])
    async with Workspace(script) as workspace, running(configured(native_config, workspace)) as service:
        message_of(await post(service, system="a secret plan"))
        eyes = bodies(workspace)[1]
        assert sorted(eyes) == ["max_tokens", "messages", "model", "system"]
        assert "secret" not in json.dumps(eyes)
        assert eyes["messages"] == [
            {"role": "user", "content": [IMAGE, {"type": "text", "text": ASKED["task"]}]}
        ]


@STREAMS
async def test_too_many_calls_in_one_message(stream: bool) -> None:
    calls = [wants(task=f"{number}") for number in range(12)]
    turns = [said(*calls), *(seen() for _ in range(10)), said(text="Red.")]
    async with (
        Workspace(Script(turns=turns)) as workspace,
        running(configured(native_config, workspace)) as service,
    ):
        message_of(await post(service, stream=stream))
        results = bodies(workspace)[-1]["messages"][-1]["content"]
        assert [bool(each.get("is_error")) for each in results] == [False] * 10 + [True] * 2
        assert results[-1]["content"] == "Only 10 calls in one message are answered. Call again for the rest."
        await service.idle()
        assert "image_rounds_limited" in service.records[-1]["rules"]


@STREAMS
async def test_a_provider_that_is_passed_on_to(stream: bool) -> None:
    script = Script(turns=[said(wants(), text="Look. "), seen(), said(text="Red.")])
    async with AnthropicFake(script) as fake:
        values = {
            "Providers": [
                {
                    "name": "anthropic",
                    "api_base_url": f"{fake.url}/v1/messages",
                    "api_key": "sk-ant-api03-canary",
                    "models": ["claude-sonnet-4-5", "claude-sonnet-4-6"],
                    "transformer": {"use": ["Anthropic"]},
                }
            ],
            "Router": {"default": "anthropic,claude-sonnet-4-5", "image": "anthropic,claude-sonnet-4-6"},
            "forceUseImageAgent": True,
        }
        config = config_from_bytes(json.dumps(values).encode(), {}, check_step=build)
        async with running(config) as service:
            message = message_of(await post(service, stream=stream))
            assert [block["text"] for block in message["content"]] == ["Look. ", "Red."]
            assert fake.refusals == []
            assert [PICTURE in json.dumps(each.body) for each in fake.requests if each.method == "POST"] == [
                False,
                True,
                False,
            ]


@BOTH
async def test_a_next_round_that_breaks_off_is_gone_on_with(make: Callable[..., Config]) -> None:
    """``"recover": true`` works inside each round."""
    cut = said(text="It is red, " * 9, fault=Fault(kind="cut", at=4, how="end", consumes_turn=True))
    script = Script(turns=[said(wants(), text="Look. "), seen(), cut, said(text="really.")])
    async with Workspace(script) as workspace:
        config = configured(make, workspace)
        [provider] = config.providers
        network = replace(provider.network, recover=True)
        config = replace(config, providers=(replace(provider, network=network),))
        async with running(config) as service:
            message = message_of(await post(service, stream=True))
            assert [block["type"] for block in message["content"]] == ["text", "text"]
            assert message["content"][1]["text"].endswith("really.")
            await service.idle()
            assert "answer_continued" in service.records[-1]["rules"]


def test_nothing_of_it_is_loaded_where_nobody_needs_it() -> None:
    found = "[name for name in sys.modules if name.startswith(('ccr.protocol.image_', 'ccr.gateway.image_'))]"
    code = f"import sys, ccr.daemon.main, ccr.server.app; print({found})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
