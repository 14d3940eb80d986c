"""``GET /health``: that the service is there and, on a nonce, that it holds the key of this installation.

``daemon/health.py`` asks and checks; a stranger listening on the port cannot make the proof.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

import msgspec

from ccr.errors import RequestError

if TYPE_CHECKING:
    from ccr.config.model import Secret

NONCE: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def health_body(target: str, key: Secret, instance: str) -> bytes:
    """Return the answer to a raw request target. Raises RequestError (400) on a nonce of another form.

    proof: hex HMAC-SHA256 of nonce and instance, one behind the other, under the key.
    """
    values = {"status": "ok", "instance": instance}
    nonces = [
        value
        for name, _, value in (part.partition("=") for part in target.partition("?")[2].split("&"))
        if name == "nonce"
    ]
    if nonces:
        if len(nonces) > 1 or not NONCE.fullmatch(nonces[0]):
            raise RequestError("nonce: once, 1 to 128 letters, digits, `-` or `_`")
        values["proof"] = proof_of(key, nonces[0], instance)
    return msgspec.json.encode(values)


def proof_of(key: Secret, nonce: str, instance: str) -> str:
    """Return what only a holder of the key can say to this nonce."""
    return hmac.new(key.reveal().encode(), (nonce + instance).encode(), hashlib.sha256).hexdigest()
