"""An answer in the chat completions dialect, whole or as a stream, with the variations of real endpoints.

Source of the shapes: reference notes databricks.md §3. Pure: values in, bytes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccr.sandbox.answer import Answer, Call, pieces_of_text
from ccr.sandbox.sse_wire import sse_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ccr.sandbox.script import Usage, Wire

Delta = dict[str, Any]

CONTENT_BESIDE_TOOLS: dict[str, Delta] = {"null": {"content": None}, "empty": {"content": ""}, "absent": {}}


def chat_completion(answer: Answer, wire: Wire) -> dict[str, Any]:
    """Return the answer as one chat completion object."""
    message: dict[str, Any] = {"role": "assistant", "content": _whole_content(answer, wire)}
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments or "{}"},
            }
            for call in answer.calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": wire.finish_reason or answer.finish_reason}
    whole = _envelope(answer, wire, "chat.completion") | {"choices": [choice]}
    if wire.usage == "null":
        return whole | {"usage": None}
    return whole if wire.usage == "none" else whole | {"usage": chat_usage(answer.usage, answer.usage.output)}


def chat_stream(answer: Answer, wire: Wire) -> list[bytes]:
    """Return the answer as the events of a stream, one item an event."""
    deltas = list(_deltas(answer, wire))
    chunks = [_chunk(answer, wire, delta, None) for delta in deltas]
    reason = wire.finish_reason or answer.finish_reason
    if wire.finish == "own" or (wire.finish == "with_content" and not chunks):
        chunks.append(_chunk(answer, wire, {"content": ""}, reason))
    elif wire.finish == "with_content":
        chunks[-1]["choices"][0]["finish_reason"] = reason
    _give_roles(chunks, wire)
    _add_odd_chunks(chunks, answer, wire)
    _give_usage(chunks, answer, wire)
    datas: list[dict[str, Any] | str] = [
        *chunks,
        *(["[DONE]"] * {"once": 1, "twice": 2, "missing": 0}[wire.done]),
    ]
    if wire.usage == "after_done":
        datas.append(_usage_chunk(answer, wire))
    return [sse_event(data, wire, number=number) for number, data in enumerate(datas)]


def chat_usage(usage: Usage, output: int) -> dict[str, int]:
    """Return usage in the chat dialect: ``prompt_tokens`` holds the cached tokens too."""
    prompt = usage.input + usage.cache_read + usage.cache_creation
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_creation,
    }


def _deltas(answer: Answer, wire: Wire) -> Iterator[Delta]:
    """Yield what is said, piece by piece: reasoning, then text, then tool calls (or calls, then text)."""
    yield from _reasoning_deltas(answer, wire)
    texts = [{"content": _text(piece, wire)} for piece in pieces_of_text(answer.text or "", wire.piece_chars)]
    calls = _call_deltas(answer, wire)
    if wire.text_after_tools:
        yield from calls
        yield from texts
    else:
        yield from texts
        yield from calls


def _reasoning_deltas(answer: Answer, wire: Wire) -> Iterator[Delta]:
    if answer.redacted is not None:
        yield {"content": [_reasoning({"type": "summary_encrypted_text", "data": answer.redacted})]}
    if answer.thinking is None:
        return
    pieces = pieces_of_text(answer.thinking, wire.piece_chars) or [""]
    for number, piece in enumerate(pieces, 1):
        with_text = wire.signature == "with_text" and number == len(pieces)
        yield {"content": [_summary(piece, answer.signature if with_text else "")]}
    if wire.signature == "last":
        yield {"content": [_summary("", answer.signature)]}


def _call_deltas(answer: Answer, wire: Wire) -> list[Delta]:
    streams = [_entries(call, number, wire) for number, call in enumerate(answer.calls)]
    if wire.interleave:
        longest = max(map(len, streams), default=0)
        ordered = [[entries[step]] for step in range(longest) for entries in streams if step < len(entries)]
    elif wire.calls_in_one_chunk and streams:
        longest = max(map(len, streams))
        ordered = [[entries[step] for entries in streams if step < len(entries)] for step in range(longest)]
    else:
        ordered = [[entry] for entries in streams for entry in entries]
    beside = CONTENT_BESIDE_TOOLS[wire.content_beside_tools]
    return [beside | {"tool_calls": entries} for entries in ordered]


def _entries(call: Call, number: int, wire: Wire) -> list[dict[str, Any]]:
    """Return the ``tool_calls`` entries of one call: the opening one, then the fragments of its arguments."""
    fragments = _fragments(call.arguments, wire)
    late = wire.name == "late"
    if late:
        fragments.insert(1, "")
    entries = []
    for step, fragment in enumerate(fragments):
        entry: dict[str, Any] = {} if wire.index == "missing" else {"index": number + wire.first_index}
        if wire.id == "every" or (wire.id == "first" and step == 0):
            entry |= {"id": call.id, "type": "function"}
        named = step == 1 if late else step == 0
        function = {"name": call.name} if named or (wire.id == "every" and not late) else {}
        entries.append(entry | {"function": function | {"arguments": fragment}})
    return entries


def _fragments(arguments: str, wire: Wire) -> list[str]:
    if wire.arguments == "empty":
        return [""]
    if wire.arguments == "whole":
        return [arguments or "{}"]
    if wire.arguments == "braces_first":
        return ["{}", *pieces_of_text("" if arguments == "{}" else arguments, wire.piece_chars)]
    return ["", *pieces_of_text(arguments or "{}", 1 if wire.arguments == "chars" else wire.piece_chars)]


def _chunk(answer: Answer, wire: Wire, delta: Delta, finish_reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _envelope(answer, wire, "chat.completion.chunk") | {"choices": [choice]}


def _give_roles(chunks: list[dict[str, Any]], wire: Wire) -> None:
    last = {"every": len(chunks), "first": 1, "never": 0}[wire.role]
    for chunk in chunks[:last]:
        choice = chunk["choices"][0]
        choice["delta"] = {"role": "assistant"} | choice["delta"]


def _add_odd_chunks(chunks: list[dict[str, Any]], answer: Answer, wire: Wire) -> None:
    """Put chunks that say nothing between the others."""
    bare = _envelope(answer, wire, "chat.completion.chunk")
    middle = len(chunks) // 2
    if wire.empty_delta:
        chunks.insert(middle, _chunk(answer, wire, {}, None))
    if wire.missing_choices:
        chunks.insert(middle, dict(bare))
    if wire.empty_choices:
        chunks.insert(middle, bare | {"choices": []})
        chunks.insert(0, bare | {"choices": []})


def _give_usage(chunks: list[dict[str, Any]], answer: Answer, wire: Wire) -> None:
    if wire.usage in {"every", "null"}:
        for number, chunk in enumerate(chunks, 1):
            output = answer.usage.output * number // len(chunks)
            chunk["usage"] = None if wire.usage == "null" else chat_usage(answer.usage, output)
    elif wire.usage == "end" and chunks:
        chunks[-1]["usage"] = chat_usage(answer.usage, answer.usage.output)
    elif wire.usage == "after_finish":
        chunks.append(_usage_chunk(answer, wire))


def _usage_chunk(answer: Answer, wire: Wire) -> dict[str, Any]:
    bare = _envelope(answer, wire, "chat.completion.chunk")
    return bare | {"choices": [], "usage": chat_usage(answer.usage, answer.usage.output)}


def _whole_content(answer: Answer, wire: Wire) -> object:
    """Return the message's content: a list beside reasoning, else a string, or what is beside tools."""
    parts = []
    if answer.redacted is not None:
        parts.append(_reasoning({"type": "summary_encrypted_text", "data": answer.redacted}))
    if answer.thinking is not None:
        parts.append(_summary(answer.thinking, "" if wire.signature == "none" else answer.signature))
    if answer.text is not None and (parts or wire.content == "list"):
        parts.append(_text_part(answer.text, wire))
    if parts:
        return parts
    return answer.text if answer.text is not None or wire.content_beside_tools != "empty" else ""


def _text(piece: str, wire: Wire) -> object:
    return [_text_part(piece, wire)] if wire.content == "list" else piece


def _text_part(text: str, wire: Wire) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "text", "text": text}
    return (
        part | {"citations": [{"type": "url_citation", "url": "https://example.invalid/"}]}
        if wire.citations
        else part
    )


def _summary(text: str, signature: str) -> dict[str, Any]:
    return _reasoning({"type": "summary_text", "text": text, "signature": signature})


def _reasoning(entry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [entry]}


def _envelope(answer: Answer, wire: Wire, kind: str) -> dict[str, Any]:
    model = answer.model if wire.model == "upstream" else answer.endpoint
    return {"id": answer.id, "object": kind, "created": answer.created, "model": model}
