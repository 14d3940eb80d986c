"""What responses are held against: a grammar of the events of our own, and the published client's code."""

from __future__ import annotations

import json
from typing import Any

from openai._models import construct_type
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from ccr.protocol.response_stream import ResponseStream
from tests.protocol.message_oracle import events_of
from tests.protocol.responses_requests import conversion_of, request_of

Json = dict[str, Any]

ENDS = {"response.completed", "response.incomplete", "response.failed"}
DELTA_OF = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}


def new_stream(**body: Any) -> ResponseStream:
    return ResponseStream(
        request_of(**body), conversion_of(**body), response_id="resp_1", created_at=7, provider="databricks"
    )


def fed(stream: ResponseStream, data: bytes, cuts: list[int] | None = None) -> bytes:
    """Return all events of a stream. cuts: where the bytes are cut into reads."""
    places = sorted(cut % (len(data) + 1) for cut in cuts or ())
    reads = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return stream.start() + b"".join(map(stream.feed, reads)) + stream.close()


class _Reader:
    """Reads events in order; each method takes what the grammar wants next."""

    def __init__(self, events: list[Json]) -> None:
        self.events = events
        self.at = 0

    @property
    def kind(self) -> str:
        return str(self.events[self.at]["type"]) if self.at < len(self.events) else ""

    def take(self, kind: str) -> Json:
        assert self.kind == kind, f"{kind} expected at {self.at}, not {self.kind}"
        self.at += 1
        return self.events[self.at - 1]


def check_grammar(data: bytes) -> Json:
    """Return the response of the last event. Refuses whatever the module's grammar does not allow."""
    events = events_of(data)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    reader = _Reader(events)
    begun = reader.take("response.created")["response"]
    assert reader.take("response.in_progress")["response"] == begun
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    items: list[Json] = []
    while reader.kind == "response.output_item.added":
        item = _check_item(reader, len(items))
        if item is not None:
            items.append(item)
    assert reader.kind in ENDS
    last: Json = reader.take(reader.kind)["response"]
    assert last["output"] == items
    assert last["status"] == events[reader.at - 1]["type"].removeprefix("response.")
    assert (last["error"] is not None) == (last["status"] == "failed")
    assert (last["incomplete_details"] is not None) == (last["status"] == "incomplete")
    unchanged = {"status", "output", "usage", "error", "incomplete_details"}
    assert {k: v for k, v in last.items() if k not in unchanged} == {
        k: v for k, v in begun.items() if k not in unchanged
    }
    if last["status"] == "failed":
        told = reader.take("error")
        assert told["message"] == told["error"]["message"] == last["error"]["message"]
    assert reader.at == len(events), "nothing may follow the end"
    return last


def _check_item(reader: _Reader, index: int) -> Json | None:
    """Return a finished item; None for one that the stream's failure left open."""
    added = reader.take("response.output_item.added")
    item = added["item"]
    assert added["output_index"] == index
    place = {"item_id": item["id"], "output_index": index}
    if item["type"] == "message":
        assert item["content"] == []
        written = _check_content(reader, place)
    elif item["type"] == "reasoning":
        assert item["summary"] == []
        written = _check_summary(reader, place)
    else:
        stem, field = DELTA_OF[item["type"]]
        assert item[field] == ""
        text = _check_deltas(reader, stem, field, place)
        written = None if text is None else {field: text}
    if written is None or reader.kind != "response.output_item.done":
        assert reader.kind == "response.failed"
        return None
    done = reader.take("response.output_item.done")
    assert done["output_index"] == index
    finished: Json = done["item"]
    assert {**finished, **written} == finished
    assert finished.get("status", "completed") in ("completed", "incomplete")
    fixed = set(item) - {"status", "content", "summary", "arguments", "input"}
    assert {k: finished[k] for k in fixed} == {k: item[k] for k in fixed}
    return finished


def _check_content(reader: _Reader, place: Json) -> Json | None:
    place = {**place, "content_index": 0}
    added = reader.take("response.content_part.added")
    stem, field = DELTA_OF[added["part"]["type"]]
    assert added["part"][field] == ""
    text = _check_deltas(reader, stem, field, place)
    if text is None:
        return None
    done = reader.take("response.content_part.done")
    assert {**done, **place} == done
    assert done["part"] == {**added["part"], field: text}
    return {"content": [done["part"]]}


def _check_summary(reader: _Reader, place: Json) -> Json | None:
    if reader.kind != "response.reasoning_summary_part.added":
        return {"summary": []}
    place = {**place, "summary_index": 0}
    assert {**reader.take("response.reasoning_summary_part.added"), **place}
    text = _check_deltas(reader, "response.reasoning_summary_text", "text", place)
    if text is None:
        return None
    part = reader.take("response.reasoning_summary_part.done")["part"]
    assert part == {"type": "summary_text", "text": text}
    return {"summary": [part]}


def _check_deltas(reader: _Reader, stem: str, field: str, place: Json) -> str | None:
    """Return the whole text of deltas; None where it was cut."""
    text = ""
    while reader.kind == f"{stem}.delta":
        event = reader.take(f"{stem}.delta")
        assert {**event, **place} == event
        text += event["delta"]
    if reader.kind != f"{stem}.done":
        return None
    done = reader.take(f"{stem}.done")
    assert {**done, **place} == done
    assert done[field] == text
    return text


def read_by_client(data: bytes) -> Any:
    """Return what the published client makes of a stream: its response, None where there is none."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events_of(data):
        if "error" in event:
            return None  # raised by the client
        made: Any = construct_type(type_=ResponseStreamEvent, value=event)
        assert type(made).__name__.startswith("Response"), event["type"]
        state.handle_event(made)
    return state._completed_response


def whole_by_client(body: bytes) -> Response:
    """Return what the published client makes of a whole answer."""
    return Response.model_validate(json.loads(body))
