"""The OpenAI front: the upstream's bytes as they are, its errors in OpenAI's shape."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ccr.gateway.patience import Patience
from tests.server.raw_client import Answered, ask, raw_client, request
from tests.server.service import MODEL, Service, config_for, running
from tests.upstream.raw import (
    DONE,
    FINISH,
    Exchange,
    Play,
    chunk_of,
    completion,
    good_completion,
    good_stream,
    raw_upstream,
    text_chunk,
)


def chat_body(**changes: Any) -> bytes:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    return json.dumps({**body, **changes}).encode()


async def post(service: Service, **changes: Any) -> Answered:
    return await ask(service.port, request(service.port, "/v1/chat/completions", chat_body(**changes)))


async def test_a_completion_is_relayed() -> None:
    async with raw_upstream(good_completion) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, model=f"databricks,{MODEL}", parallel_tool_calls=True, mine=2**70)
        assert (answered.status, answered.body.decode()) == (200, completion())
        assert answered.headers["x-request-id"] == answered.headers["request-id"]
        sent = json.loads(raw.got[0].body)
        assert sent["model"] == MODEL
        assert sent["mine"] == 2**70
        assert "parallel_tool_calls" not in sent
        record = service.records[0]
        assert (record["route"], record["outcome"], record["input_tokens"]) == ("chat_completions", "ok", 12)


async def test_a_completion_without_counts_is_relayed() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(completion(usage=None))

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        assert (await post(service)).status == 200
        assert "input_tokens" not in service.records[0]


async def test_a_stream_is_relayed() -> None:
    counted = chunk_of(delta={}).replace(
        '"choices"', '"usage":{"prompt_tokens":7,"completion_tokens":2},"choices"'
    )
    sent = (
        text_chunk("hel")
        + text_chunk("lo")
        + FINISH
        + counted
        + chunk_of().replace("}\n", ',"usage":null}\n')
        + DONE
    )

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for at in range(0, len(sent), 50):
            await exchange.chunk(sent[at : at + 50])
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=True)
        assert answered.body.decode() == sent
        assert answered.headers["content-type"] == "text/event-stream; charset=utf-8"
        record = service.records[0]
        assert (record["outcome"], record["input_tokens"], record["output_tokens"]) == ("ok", 7, 2)
        await post(service, stream=True)
        assert raw.connections == 1


async def test_a_shape_that_is_no_chunks_is_relayed_all_the_same() -> None:
    sent = 'data: {"usage":"none","id":[]}\n\n' + text_chunk("x") + DONE

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(sent[:40])
        await asyncio.sleep(0.01)
        await exchange.chunk(sent[40:])
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        assert (await post(service, stream=True)).body.decode() == sent


@pytest.mark.parametrize("before", ["", text_chunk("hel") + ": on it\n\n" + text_chunk("lo")])
@pytest.mark.parametrize("said", ['{"usage":', '{"error":{"message":"no "key\\" here"}}', "<html>no</html>"])
async def test_an_event_that_is_no_json_ends_the_answer_with_an_error(before: str, said: str) -> None:
    """It may be an error that quotes badly, with the key in it."""
    key = "secret-of-the-provider"

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(before + f"data: {said} {key}\n\n" + text_chunk("x") + DONE)
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url, token=key)) as service:
        answered = await post(service, stream=True)
        start, _, end = answered.body.decode().rpartition("data: ")
        assert answered.status == (200 if before else 502)
        assert start == before
        assert "JSON that cannot be read" in json.loads(end)["error"]["message"]
        assert key not in answered.body.decode()
        assert service.records[0]["outcome"] == "error"


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected", "code", "said"),
    [
        (
            429,
            '{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow"}',
            {"retry_after": "7"},
            429,
            "rate_limit_exceeded",
            "slow",
        ),
        (200, '{"error_code":"BAD_REQUEST","message":"bad"}', {}, 400, "invalid_request", "bad"),
        (200, "<html>", {"content_type": "text/html"}, 502, None, "web page"),
        (200, "nonsense", {}, 502, None, "databricks"),
        (200, "", {}, 502, None, "with nothing"),
        (303, "", {"location": "https://login.test/x"}, 502, None, "redirect"),
    ],
)
async def test_errors_have_openais_shape(
    status: int, body: str, headers: dict[str, str], expected: int, code: str | None, said: str
) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(body, status, **headers)

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service)
        assert answered.status == expected
        assert set(answered.json) == {"error"}
        assert answered.json["error"]["code"] == code
        assert said in answered.json["error"]["message"]
        assert answered.headers.get("retry-after") == headers.get("retry_after")


async def test_a_refused_request_has_openais_shape() -> None:
    async with running(config_for("http://127.0.0.1:1")) as service:
        for changes, status in (({"model": "gpt-4o"}, 400), ({"messages": []}, 400)):
            answered = await post(service, **changes)
            assert (answered.status, set(answered.json)) == (status, {"error"})
        data = request(service.port, "/v1/chat/completions", chat_body(), key="wrong")
        answered = await ask(service.port, data)
        assert (answered.status, answered.json["error"]["code"]) == (403, "permission_denied")


async def cut(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(text_chunk("hel"))
    exchange.writer.close()


async def stall(exchange: Exchange) -> None:
    await exchange.stream_head()
    await exchange.chunk(text_chunk("hel"))
    await exchange.until_closed()


@pytest.mark.parametrize(("play", "said"), [(cut, "before its answer was complete"), (stall, "sent nothing")])
async def test_a_stream_that_breaks_ends_with_an_error(play: Play, said: str) -> None:
    patience = Patience(idle_s=0.05)
    async with raw_upstream(play) as raw, running(config_for(raw.url), patience=patience) as service:
        answered = await post(service, stream=True)
        start, _, end = answered.body.decode().rpartition("data: ")
        assert start == text_chunk("hel")
        assert said in json.loads(end)["error"]["message"]
        assert service.records[0]["outcome"] == "error"


QUOTED = text_chunk(json.dumps({"finish_reason": "stop"}))


@pytest.mark.parametrize(
    ("sent", "unfinished", "is_whole"),
    [
        (text_chunk("hel"), "", False),
        (QUOTED, "", False),
        (
            text_chunk("hel"),
            FINISH.strip(),
            False,
        ),  # half an event is none, and would spoil the error behind it
        (text_chunk("hello") + FINISH, "", True),
        (text_chunk("hello") + FINISH, "data: ", True),
        (text_chunk("hello") + DONE.strip(), "", True),
    ],
)
async def test_a_stream_that_ends_is_whole_with_a_finish_reason_or_done(
    sent: str, unfinished: str, is_whole: bool
) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(sent + unfinished)
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = (await post(service, stream=True)).body.decode()
        assert answered.startswith(sent)
        said = answered.removeprefix(sent)
        if is_whole:
            assert said == unfinished
        else:
            assert (
                "the answer was cut: no finish_reason"
                in json.loads(said.removeprefix("data: "))["error"]["message"]
            )
        assert service.records[0]["outcome"] == ("ok" if is_whole else "error")


@pytest.mark.parametrize("at", [None, 3, 20])
@pytest.mark.parametrize(
    "said",
    ['{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "gone"}', '{"error": {"message": "gone"}}'],
)
async def test_an_error_in_a_stream_has_openais_shape(said: str, at: int | None) -> None:
    before, error = text_chunk("hel") + text_chunk("lo"), f"data: {said}\n\n"

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        if at is None:
            await exchange.chunk(before + error)
        else:
            await exchange.chunk(before)
            await exchange.chunk(error[:at])
            await asyncio.sleep(0.02)
            await exchange.chunk(error[at:])
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=True)
        start, _, end = answered.body.decode().rpartition("data: ")
        assert start == before, "nothing of the upstream's error went out before it was known for one"
        assert "gone" in json.loads(end)["error"]["message"]
        assert service.records[0]["outcome"] == "error"


async def test_comments_and_events_before_an_error_are_relayed() -> None:
    before = ": on it\r\n\r\n" + text_chunk("hel") + ": still\n\n" + text_chunk("lo")

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(before + 'event: error\ndata: {"error":\ndata: {"message": "gone"}}\n\n' + DONE)
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=True)
        start, _, end = answered.body.decode().rpartition("data: ")
        assert start == before
        assert "gone" in json.loads(end)["error"]["message"]


async def test_an_event_that_comes_byte_by_byte_is_relayed_whole() -> None:
    long = text_chunk("x" * 3000)

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for byte in long.encode():
            await exchange.chunk(bytes([byte]))
        await exchange.chunk(FINISH + DONE)
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        assert (await post(service, stream=True)).body.decode() == long + FINISH + DONE
        record = service.records[0]
        assert record["sent_bytes"] == record["upstream_bytes"] == len(long + FINISH + DONE)


async def test_an_event_after_the_end_is_relayed() -> None:
    sent = text_chunk("hel") + FINISH + DONE + 'data: {"error": {"message": "late"}}\n\n'

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(sent)
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        assert (await post(service, stream=True)).body.decode() == sent
        assert service.records[0]["outcome"] == "ok"


async def test_what_is_left_at_the_end_is_relayed() -> None:
    sent = text_chunk("hel") + FINISH + "data: [DONE]"

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(sent[:-3])
        await exchange.chunk(sent[-3:])
        await exchange.end()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        assert (await post(service, stream=True)).body.decode() == sent
        assert service.records[0]["outcome"] == "ok"


async def test_a_completion_in_place_of_a_stream_becomes_one() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(completion("hello"))

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service, stream=True)
        assert answered.headers["content-type"] == "text/event-stream; charset=utf-8"
        first, done, rest = answered.body.decode().split("\n\n")
        chunk, whole = json.loads(first.removeprefix("data: ")), json.loads(completion("hello"))
        assert chunk["object"] == "chat.completion.chunk"
        assert chunk["usage"] == whole["usage"]
        [choice] = chunk["choices"]
        assert choice["delta"] == whole["choices"][0]["message"]
        assert choice["finish_reason"] == "stop"
        assert (done, rest) == ("data: [DONE]", "")
        record = service.records[0]
        assert (record["outcome"], record["input_tokens"]) == ("ok", 12)


async def test_a_cut_after_the_end_is_no_loss() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("hello") + FINISH + DONE)
        await asyncio.sleep(0.01)
        exchange.reset()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        assert (await post(service, stream=True)).body.decode().endswith(DONE)
        assert service.records[0]["outcome"] == "ok"


async def test_a_client_that_leaves_takes_the_upstream_with_it() -> None:
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await stall(exchange)
        closed.set()

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        async with raw_client(service.port) as client:
            await client.send(request(service.port, "/v1/chat/completions", chat_body(stream=True)))
            await client.reader.readuntil(b"hel")
        async with asyncio.timeout(5):
            await closed.wait()
        await service.idle()
        assert service.records[0]["outcome"] == "cancelled"


async def test_streams_are_relayed_from_good_upstreams() -> None:
    async with raw_upstream(good_stream) as raw, running(config_for(raw.url)) as service:
        assert (await post(service, stream=True)).body.decode().endswith(DONE)
