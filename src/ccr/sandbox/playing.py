"""Putting an answer on a connection, with the faults of the script; only this module touches transports."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from ccr.sandbox.script import Fault, Wire

HTML = "<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
ERROR_IN_STREAM = {
    "error_code": "TEMPORARILY_UNAVAILABLE",
    "message": "The model stopped in the middle of its answer.",
}
ERROR_IN_ANTHROPIC_STREAM = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
STATUS_OF_KIND = {"status": 500, "html": 502, "redirect": 303}
GARBAGE = '{"choices": [{"delta": {"content": "brok'
COMPLETING = frozenset({"slow", "stall"})
READING_TIME_S = 0.02
"""How long the client gets to read what was sent before a cut: a reset throws unread bytes away."""
CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    413: "REQUEST_TOO_LARGE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True)
class Part:
    """What is to be sent: events of a stream or one JSON body, and in which dialect errors are written."""

    events: list[bytes]
    is_stream: bool
    wire: Wire
    is_anthropic: bool


def encoded(body: dict[str, Any]) -> bytes:
    """Return a JSON body as it is sent."""
    return json.dumps(body, ensure_ascii=False).encode()


def fault_response(fault: Fault, model: str, *, is_anthropic: bool) -> web.Response | None:
    """Return the whole answer of a fault that replaces the answer, or None when it only disturbs one."""
    status = fault.status or STATUS_OF_KIND.get(fault.kind, 200)
    if fault.kind == "status":
        return _error_response(fault, status, model, is_anthropic=is_anthropic)
    if fault.kind == "html":
        text = fault.body if isinstance(fault.body, str) else HTML.format(title=f"{status} Gateway")
        return web.Response(status=status, text=text, content_type="text/html", headers=fault.headers)
    if fault.kind == "redirect":
        return web.Response(status=status, headers={"location": "/login"} | fault.headers)
    if fault.kind == "empty":
        return web.Response(status=status, content_type="application/json", headers=fault.headers)
    return None


async def play(
    request: web.Request, part: Part, fault: Fault | None, headers: dict[str, str]
) -> tuple[web.StreamResponse, bool]:
    """Send the part, disturbed by the fault; returns the response and whether it was sent to its end."""
    if fault is not None and fault.kind == "reset":
        _break(request, "rst")
        return web.Response(), False
    if fault is not None and fault.kind == "stall" and fault.where == "headers":
        await asyncio.sleep(fault.seconds)
    kind = "text/event-stream" if part.is_stream else "application/json"
    response = web.StreamResponse(headers={"content-type": kind} | headers)
    await response.prepare(request)
    if fault is not None and fault.kind == "stall" and fault.where == "first_byte":
        await asyncio.sleep(fault.seconds)
    for number, event in enumerate(part.events):
        if fault is not None and not await _disturb(request, response, part, fault, number):
            return response, False
        await _write(response, event, part.wire.split_bytes)
    await response.write_eof()
    return response, fault is None or fault.kind in COMPLETING


async def _disturb(
    request: web.Request, response: web.StreamResponse, part: Part, fault: Fault, number: int
) -> bool:
    """Do what the fault does before event ``number``; False when the answer ends here."""
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    if number != min(fault.at, len(part.events) - 1):
        return True
    if fault.kind == "stall" and fault.where == "middle":
        await asyncio.sleep(fault.seconds)
    elif fault.kind == "garbage":
        await _write(response, _raw_event(GARBAGE, part), part.wire.split_bytes)
    elif fault.kind == "error_event":
        await _write(response, _error_event(fault, part), part.wire.split_bytes)
        await response.write_eof()
        return False
    elif fault.kind == "cut":
        await _cut(request, response, part, fault, part.events[number])
        return False
    return True


async def _cut(
    request: web.Request, response: web.StreamResponse, part: Part, fault: Fault, event: bytes
) -> None:
    if fault.partial or not part.is_stream:
        await _write(response, event[: len(event) // 2], None)
    if fault.how == "end":
        await response.write_eof()
        return
    await asyncio.sleep(READING_TIME_S)
    _break(request, fault.how)


def _break(request: web.Request, how: str) -> None:
    """Close the connection under the answer: ``rst`` resets it, ``fin`` ends it before the body's end."""
    transport = request.transport
    if transport is None:
        return
    if how == "rst":
        linger_never = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_never)
        transport.abort()
    else:
        transport.close()


async def _write(response: web.StreamResponse, data: bytes, size: int | None) -> None:
    if size is None:
        await response.write(data)
        return
    for start in range(0, len(data), size):
        await response.write(data[start : start + size])
        await asyncio.sleep(0)


def _error_event(fault: Fault, part: Part) -> bytes:
    default = ERROR_IN_ANTHROPIC_STREAM if part.is_anthropic else ERROR_IN_STREAM
    body = default if fault.body is None else fault.body
    return _raw_event(body if isinstance(body, str) else json.dumps(body), part, "error")


def _raw_event(text: str, part: Part, name: str = "content_block_delta") -> bytes:
    if not part.is_stream:
        return text.encode()
    event = f"event: {name}\n" if part.is_anthropic else ""
    return f"{event}data: {text}\n\n".encode()


def _error_response(fault: Fault, status: int, model: str, *, is_anthropic: bool) -> web.Response:
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        headers["retry-after"] = fault.retry_after
    if isinstance(fault.body, str):
        return web.Response(status=status, text=fault.body, headers=headers)
    body = (
        fault.body if fault.body is not None else _error_body(fault, status, model, is_anthropic=is_anthropic)
    )
    return web.json_response(body, status=status, headers=headers)


def _error_body(fault: Fault, status: int, model: str, *, is_anthropic: bool) -> dict[str, object]:
    if is_anthropic:
        kind = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}.get(
            status, "api_error"
        )
        return {"type": "error", "error": {"type": kind, "message": f"Scripted {status}"}}
    limit = f"Exceeded workspace input tokens per minute rate limit for {model}."
    if fault.body_retry_after is not None:
        details = {"limit_type": "input_tokens_per_minute", "limit": 50_000, "current": 50_001}
        error = {"message": limit, "type": "rate_limit_exceeded", "code": 429} | details
        return {"error": error | {"retry_after": fault.body_retry_after}}
    code = CODES.get(status, "INTERNAL_ERROR")
    text = (
        f"REQUEST_LIMIT_EXCEEDED: {limit}" if status == 429 else f"The sandbox was asked to answer {status}."
    )
    return {"error_code": code, "message": text}
