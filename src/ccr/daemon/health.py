"""Asking ``/health`` who answers, without telling it anything worth stealing.

The question carries a fresh random nonce and no key. The answer carries HMAC-SHA256(key, nonce + instance):
only a process that has this installation's key can make it, so a stranger on the port is found out before any
key or prompt is sent to it. A bare socket is used: HTTP clients take longer to import than to answer.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ccr.daemon.state import ADDRESS

if TYPE_CHECKING:
    from ccr.config.model import Secret

Verdict = Literal["ours", "foreign", "silent"]
ANSWER_BYTES = 65536


@dataclass(frozen=True)
class Health:
    """Who answered: ``ours`` with its instance, ``foreign`` (something else), ``silent`` (nothing).

    listens: something may be there all the same, and keep silent on purpose.
    """

    verdict: Verdict
    instance: str | None = None
    listens: bool = True


def ask_health(address: str, key: Secret, *, timeout_s: float = 2.0) -> Health:
    """Ask the service at ``address`` (``http://host:port``) to prove that it has ``key``."""
    nonce = os.urandom(16).hex()
    try:
        answer = _get(address, f"/health?nonce={nonce}", timeout_s)
    except ConnectionRefusedError:
        return Health("silent", listens=False)
    except OSError:
        return Health("silent")
    values = _values_from_answer(answer)
    instance, proof = values.get("instance"), values.get("proof")
    if not isinstance(instance, str) or not isinstance(proof, str) or not proof.isascii():
        return Health("foreign")
    expected = proof_of(key, nonce, instance)
    return Health("ours", instance) if hmac.compare_digest(proof, expected) else Health("foreign")


def ask_status(address: str, key: Secret, *, timeout_s: float = 2.0) -> dict[str, Any]:
    """Return the counters of a service that has proved to be ours; empty when it does not tell them."""
    try:
        return _values_from_answer(_get(address, "/status", timeout_s, key))
    except OSError:
        return {}


def proof_of(key: Secret, nonce: str, instance: str) -> str:
    """Return the proof a holder of ``key`` gives for ``nonce``."""
    return hmac.new(key.reveal().encode(), (nonce + instance).encode(), hashlib.sha256).hexdigest()


def _get(address: str, target: str, timeout_s: float, key: Secret | None = None) -> bytes:
    """Return the raw answer, at most ANSWER_BYTES of it. Raises OSError, also when time is up."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise OSError("not an address")
    host, port = match["host"], int(match["port"])
    deadline = time.monotonic() + timeout_s
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}:{port}", "Connection: close"]
    if key is not None:
        lines.append(f"x-api-key: {key.reveal()}")
    request = "\r\n".join([*lines, "", ""])
    with socket.create_connection((host.strip("[]"), port), timeout=timeout_s) as connection:
        connection.sendall(request.encode("ascii"))
        received = b""
        while len(received) < ANSWER_BYTES:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            data = connection.recv(ANSWER_BYTES)
            if not data:
                break
            received += data
        return received


def _values_from_answer(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return {}
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
