"""Table T: what an upstream's stream can do at the level of bytes, and what the client then sees."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.gateway.patience import Patience
from tests.faults.network import forget_peak, peak_mb
from tests.gateway.test_messages import events, post, text_of
from tests.server.raw_client import raw_client, request
from tests.server.service import config_for, message_body, running
from tests.upstream.raw import DONE, FINISH, Exchange, Play, chunk_of, completion, raw_upstream, text_chunk

if TYPE_CHECKING:
    from tests.server.raw_client import Answered

USAGE = json.dumps({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17})
GOOD = text_chunk("Grüße ") + text_chunk("🙂 \\ud83d\\ude42") + FINISH + DONE
KINDS = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
]


def saying(*pieces: bytes | str) -> Play:
    """Answer with a stream in these pieces, each a write of its own."""

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for piece in pieces:
            await exchange.chunk(piece)
        await exchange.end()

    return play


def raw_bytes(data: bytes) -> Play:
    """Answer with exactly these bytes, then close."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(data)
        exchange.writer.close()

    return play


async def streamed(play: Play, *, patience: Patience | None = None) -> tuple[Answered, dict[str, Any]]:
    """Return what a client got of a streamed answer, and the record it left."""
    async with raw_upstream(play) as raw, running(config_for(raw.url), patience=patience) as service:
        answered = await post(service, stream=True)
        await service.idle()
        return answered, service.records[0]


def is_broken_off(answered: Answered) -> bool:
    """Tell whether a stream ends with an error and nothing says that it was complete."""
    kinds = [event["type"] for event in events(answered)]
    return kinds[-1] == "error" and "message_stop" not in kinds and "message_delta" not in kinds


@pytest.mark.fault("T82", outcome="the same events as in one piece")
async def test_bytes_one_by_one() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for byte in GOOD.encode():
            await exchange.chunk(bytes([byte]))
        await exchange.end()

    answered, record = await streamed(play)
    whole, _ = await streamed(saying(GOOD))
    assert text_of(events(answered)) == text_of(events(whole))
    assert [event["type"] for event in events(answered)] == KINDS
    assert record["outcome"] == "ok"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.fault("T83", outcome="all are understood")
async def test_forms_of_events(newline: str) -> None:
    parts = [
        ": a comment\n\n",
        "retry: 10\nid: 7\n" + text_chunk("a").replace("data: ", "data:"),
        "event: message\n" + text_chunk("b"),
        "data: {\ndata: " + text_chunk("c").removeprefix("data: {"),
        FINISH,
        DONE,
    ]
    answered, _ = await streamed(saying("".join(parts).replace("\n", newline)))
    assert text_of(events(answered)) == "abc"
    assert events(answered)[-1]["type"] == "message_stop"


@pytest.mark.fault("T84", outcome="an event without its end is none: the stream was cut")
async def test_no_blank_line_before_the_end() -> None:
    answered, _ = await streamed(saying(text_chunk("a"), FINISH.rstrip("\n")))
    assert text_of(events(answered)) == "a"
    assert is_broken_off(answered)


@pytest.mark.fault("T85", outcome="with a finish reason a clean end, without one an `error` event")
async def test_no_done() -> None:
    finished, _ = await streamed(saying(text_chunk("a"), FINISH))
    assert events(finished)[-1]["type"] == "message_stop"
    cut, _ = await streamed(saying(text_chunk("a")))
    assert is_broken_off(cut)
    cut_with_done, _ = await streamed(saying(text_chunk("a"), DONE))
    assert is_broken_off(cut_with_done)


@pytest.mark.fault("T86", outcome="what follows the first is ignored")
async def test_done_twice() -> None:
    answered, record = await streamed(saying(text_chunk("a"), FINISH, DONE, text_chunk("b"), DONE))
    assert text_of(events(answered)) == "a"
    assert [event["type"] for event in events(answered)].count("message_stop") == 1
    assert record["outcome"] == "ok"


@pytest.mark.fault("T87", outcome="what came before, then an `error` event; the upstream is closed")
async def test_broken_json() -> None:
    closed = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for letter in "abcd":
            await exchange.chunk(text_chunk(letter))
        await exchange.chunk('data: {"choices": [{"delta"\n\n')
        await exchange.until_closed()
        closed.set()

    answered, record = await streamed(play)
    assert text_of(events(answered)) == "abcd"
    assert is_broken_off(answered)
    assert record["outcome"] == "error"
    async with asyncio.timeout(5):
        await closed.wait()


@pytest.mark.fault("T88", outcome="an `error` event that names the limit; memory stays bounded")
async def test_a_huge_event() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("a"))
        await exchange.chunk('data: {"choices": [{"index": 0, "delta": {"content": "')
        for _ in range(20):
            await exchange.chunk("x" * 2**20)
        await exchange.chunk('"}}]}\n\n')
        await exchange.end()

    forget_peak()
    before = peak_mb()
    answered, _ = await streamed(play)
    assert text_of(events(answered)) == "a"
    assert is_broken_off(answered)
    assert "is larger than" in events(answered)[-1]["error"]["message"]
    assert peak_mb() - before < 60


def call(index: int | None, **function: str) -> dict[str, Any]:
    made: dict[str, Any] = {"function": function}
    if "id" in function:
        made["id"] = function.pop("id")
    return made if index is None else {**made, "index": index}


def calls(*made: dict[str, Any]) -> str:
    return chunk_of(delta={"tool_calls": list(made)}, finish_reason=None)


@pytest.mark.parametrize(
    "pieces",
    [
        [
            calls(call(0, id="t1", name="read", arguments="")),
            calls(call(0, arguments='{"a":"\\u00')),
            calls(call(0, arguments='e4"}')),
        ],
        [calls(call(0, id="t1", name="read", arguments='{"a":"ä"}'))],
        [
            calls(call(0, id="t1", name="read")),
            calls(call(0, arguments='{"a":')),
            calls(call(0, arguments='"ä"}')),
        ],
        [calls(call(0, name="read", arguments='{"a":"ä"}'))],
        [calls(call(None, id="t1", name="read", arguments='{"a":"ä"}'))],
        [calls(call(3, id="t1", name="read", arguments='{"a":"ä"}'))],
        [calls(call(0, id="t1", arguments='{"a":')), calls(call(0, name="read", arguments='"ä"}'))],
    ],
    ids=["split-escape", "whole", "no-arguments-first", "no-id", "no-index", "high-index", "name-late"],
)
@pytest.mark.fault("T89", outcome="one well-formed `tool_use` block each")
async def test_odd_pieces_of_tool_arguments(pieces: list[str]) -> None:
    end = chunk_of(delta={}, finish_reason="tool_calls")
    answered, _ = await streamed(saying(*pieces, end, DONE))
    found = events(answered)
    starts = [event["content_block"] for event in found if event["type"] == "content_block_start"]
    assert [(start["type"], start["name"]) for start in starts] == [("tool_use", "read")]
    assert starts[0]["id"]
    arguments = "".join(
        event["delta"]["partial_json"] for event in found if event["type"] == "content_block_delta"
    )
    assert json.loads(arguments) == {"a": "ä"}
    assert [event["type"] for event in found][-2:] == ["message_delta", "message_stop"]


def counted(where: str) -> list[str]:
    with_usage = 'data: {"choices": [], "usage": ' + USAGE + "}\n\n"
    null = 'data: {"choices": [], "usage": null}\n\n'
    return {
        "missing": [text_chunk("a"), FINISH, DONE],
        "null": [text_chunk("a"), null, FINISH, DONE],
        "early": [with_usage, text_chunk("a"), FINISH, DONE],
        "twice": [text_chunk("a"), with_usage, FINISH, with_usage, DONE],
        "after": [text_chunk("a"), FINISH, with_usage, DONE],
    }[where]


@pytest.mark.parametrize("where", ["missing", "null", "early", "twice", "after"])
@pytest.mark.fault("T90", outcome="one `message_delta` with what is known")
async def test_token_counts(where: str) -> None:
    answered, _ = await streamed(saying(*counted(where)))
    deltas = [event for event in events(answered) if event["type"] == "message_delta"]
    assert len(deltas) == 1
    usage = deltas[0]["usage"]
    if where in {"early", "twice", "after"}:
        assert (usage["input_tokens"], usage["output_tokens"]) == (12, 5)
    else:
        assert usage["output_tokens"] >= 0


HEAD_OF_GZIP = b"\r\n".join(
    [
        b"HTTP/1.1 200 OK",
        b"content-type: text/event-stream",
        b"content-encoding: gzip",
        b"connection: close",
        b"",
        b"",
    ]
)
SHORT = Patience(ping_s=0.02, keep_alive_after_s=0.05, keep_alive_every_s=0.05, idle_s=0.4, last_bytes_s=0.05)


@pytest.mark.fault("T91", outcome="pings, then empty deltas that the client counts as events")
async def test_a_late_first_event() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await asyncio.sleep(0.2)
        await exchange.chunk(GOOD)
        await exchange.end()

    answered, record = await streamed(play, patience=SHORT)
    kinds = [event["type"] for event in events(answered)]
    assert kinds.count("ping") >= 1
    assert kinds[:2] == ["message_start", "ping"]
    assert kinds[-1] == "message_stop"
    assert record["outcome"] == "ok"


@pytest.mark.fault("T92", outcome="an `error` event that tells how long nothing came")
async def test_silence_in_the_middle() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(text_chunk("a"))
        await exchange.until_closed()

    answered, record = await streamed(play, patience=SHORT)
    assert is_broken_off(answered)
    assert "databricks sent nothing for" in events(answered)[-1]["error"]["message"]
    assert record["outcome"] == "error"


@pytest.mark.parametrize("how", ["reset", "inside_a_chunk", "short", "between_chunks"])
@pytest.mark.fault("T93", outcome="an `error` event, never a `message_stop`")
async def test_a_stream_that_breaks(how: str) -> None:
    async def play(exchange: Exchange) -> None:
        if how == "short":
            await exchange.head(content_type="text/event-stream", content_length="9999")
            await exchange.send(text_chunk("a"))
        else:
            await exchange.stream_head()
            await exchange.chunk(text_chunk("a"))
        if how == "inside_a_chunk":
            await exchange.send("ff\r\ndata: {")
        if how == "reset":
            exchange.reset()
        exchange.writer.close()

    answered, record = await streamed(play)
    assert is_broken_off(answered)
    assert record["outcome"] == "error"


@pytest.mark.fault("T94", outcome="served as any other")
async def test_a_body_that_ends_with_its_connection() -> None:
    answered, record = await streamed(
        raw_bytes(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + GOOD.encode())
    )
    assert [event["type"] for event in events(answered)] == KINDS
    assert record["outcome"] == "ok"


@pytest.mark.fault("T95", outcome="read as it is flushed; a bomb ends with an error")
async def test_compressed_although_nobody_asked() -> None:
    answered, _ = await streamed(raw_bytes(HEAD_OF_GZIP + gzip.compress(GOOD.encode())))
    assert [event["type"] for event in events(answered)] == KINDS
    bomb = gzip.compress(text_chunk("a").encode() + b" " * 200 * 2**20, compresslevel=9)
    forget_peak()
    before = peak_mb()
    answered, _ = await streamed(raw_bytes(HEAD_OF_GZIP + bomb))
    assert peak_mb() - before < 60
    assert (answered.status, answered.json["type"]) == (502, "error"), "it is one in its first read"


@pytest.mark.fault("T96", outcome="the upstream is paused; memory does not grow; nothing is lost")
async def test_a_flood_to_a_client_that_does_not_read() -> None:
    sent = 0
    piece = text_chunk("x" * 60_000)
    total = 1500  # 90 MB

    async def play(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.stream_head()
        for _ in range(total):
            await exchange.chunk(piece)
            sent += 1
        await exchange.chunk(FINISH + DONE)
        await exchange.end()

    async with (
        raw_upstream(play) as raw,
        running(config_for(raw.url)) as service,
        raw_client(service.port) as client,
    ):
        await client.send(request(service.port, body=message_body(stream=True)))
        await client.head()
        forget_peak()
        memory = peak_mb()
        before = -1
        while sent != before:  # until the pipe is full
            before = sent
            await asyncio.sleep(0.3)
        assert sent * len(piece) < 30 * 2**20, "most of it in the buffers of the kernel"
        received, data = 0, b""
        while b"message_stop" not in data:
            data = await client.reader.read(2**20)
            received += len(data)
        assert received > total * 60_000
        assert peak_mb() - memory < 20


@pytest.mark.fault("T97", outcome="it goes on as long as it lasts")
async def test_a_slow_drip() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.stream_head()
        for byte in (text_chunk("a") + FINISH + DONE).encode():
            await exchange.chunk(bytes([byte]))
            await asyncio.sleep(0.003)
        await exchange.end()

    answered, record = await streamed(play, patience=SHORT)  # much longer than idle_s in all
    assert text_of(events(answered)) == "a"
    assert record["outcome"] == "ok"


@pytest.mark.parametrize(
    "header",
    [b"x-a: " + b"y" * 2**20, b"x-a: b\rc: d", b"x-a\x00: b", b"no colon at all"],
    ids=["huge", "bare-cr", "nul", "no-colon"],
)
@pytest.mark.fault("T98", outcome="502; headers of the upstream are never relayed")
async def test_odd_headers(header: bytes) -> None:
    play = raw_bytes(b"HTTP/1.1 200 OK\r\n" + header + b"\r\ncontent-length: 2\r\n\r\n{}")
    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service)
        assert answered.status == 502
        assert answered.json["type"] == "error"


@pytest.mark.fault("T98", outcome="502; headers of the upstream are never relayed")
async def test_headers_of_the_upstream_stay_there() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(
            completion("a"), set_cookie="a=b", server="theirs", x_internal="1", keep_alive="9"
        )

    async with raw_upstream(play) as raw, running(config_for(raw.url)) as service:
        answered = await post(service)
        assert answered.status == 200
        assert not {"set-cookie", "x-internal", "keep-alive"} & answered.headers.keys()
        assert answered.headers["server"] == "ccr"


@pytest.mark.fault("T99", outcome="a completion becomes a stream; a stream nobody asked for is a 502")
async def test_the_other_form() -> None:
    async def whole(exchange: Exchange) -> None:
        await exchange.answer(completion("a"))

    answered, _ = await streamed(whole)
    assert text_of(events(answered)) == "a"
    for target in ("/v1/messages", "/v1/chat/completions"):
        async with raw_upstream(saying(GOOD)) as raw, running(config_for(raw.url)) as service:
            refused = await post(service, target=target)
            assert refused.status == 502
            assert refused.headers["x-should-retry"] == "false"
            assert "a stream although none was asked for" in refused.json["error"]["message"]
