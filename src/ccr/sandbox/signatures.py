"""Thinking signatures: issued with each thinking text, verified when the text comes back.

A signature names the model and covers the text as it was shown, so that any change of either is noticed:
the real service refuses such a replay, and only a verbatim one passes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_KEY = b"sandbox workspace: not a secret, only a seal"
_MARK = b"sandbox-thinking-1"


def signature_of(model: str, shown_text: str) -> str:
    """Return the signature for a thinking text as shown; long, as real ones are (about 200 characters)."""
    seal = hmac.new(
        _KEY, b"\0".join((_MARK, model.encode(), shown_text.encode("utf-8", "surrogatepass"))), hashlib.sha512
    )
    return _encode(
        b"\0".join((_MARK, model.encode())) + b"\0" + seal.digest() + hashlib.sha256(seal.digest()).digest()
    )


def is_signature(signature: str, shown_text: str, model: str | None = None) -> bool:
    """Tell whether the signature was issued for this text (and for this model, when one is given)."""
    issued_for = _model_in(signature)
    if issued_for is None or (model is not None and issued_for != model):
        return False
    return hmac.compare_digest(signature, signature_of(issued_for, shown_text))


def redacted_data_of(model: str, hidden_text: str) -> str:
    """Return the opaque data of a redacted thinking block."""
    return (
        signature_of(model, "redacted:" + hidden_text)
        + "."
        + _encode(hidden_text.encode("utf-8", "surrogatepass"))
    )


def is_redacted_data(data: str, model: str | None = None) -> bool:
    """Tell whether the data was issued here (and for this model, when one is given)."""
    signature, dot, hidden = data.partition(".")
    try:
        hidden_text = base64.b64decode(hidden, validate=True).decode("utf-8", "surrogatepass")
    except (binascii.Error, ValueError):
        return False
    return bool(dot) and is_signature(signature, "redacted:" + hidden_text, model)


def _model_in(signature: str) -> str | None:
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    mark, _, rest = raw.partition(b"\0")
    model, nul, _ = rest.partition(b"\0")
    return model.decode("utf-8", "replace") if mark == _MARK and nul else None


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
