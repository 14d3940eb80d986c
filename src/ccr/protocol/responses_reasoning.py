"""Reasoning that a client hands back: ``encrypted_content``, which holds what its provider signed.

A model that thinks wants its own thinking back in a tool loop, word for word and with its signature
(databricks.md §2). The Responses API has one opaque field for that. What ccr writes into it is not secret,
the client has seen it all: ``ccr1.`` and, in base64, the JSON of the entry as the endpoint gave it,

    {"type": "summary_text", "text": "…", "signature": "…"}
    {"type": "summary_encrypted_text", "data": "…"}

Text is in it once more because the signature is of exactly that text.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from ccr.protocol.openai import Summary

PREFIX: Final = "ccr1."


class _Entry(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    type: str
    text: str | None = None
    signature: str | None = None
    data: str | None = None


_ENTRY: Final = msgspec.json.Decoder(_Entry)
_encode: Final = msgspec.json.Encoder().encode


def encrypted_content(text: str, signature: str, data: str = "") -> str:
    """Return the opaque form of one piece of thinking: signed, or readable by its provider alone (data)."""
    entry = _Entry("summary_text", text, signature)
    if data:
        entry = _Entry("summary_encrypted_text", data=data)
    return PREFIX + base64.b64encode(_encode(entry)).decode()


def summary_from_encrypted(content: str) -> Summary | None:
    """Return the entry in an opaque form; None where somebody else has written it."""
    if not content.startswith(PREFIX):
        return None
    try:
        entry = _ENTRY.decode(base64.b64decode(content[len(PREFIX) :], validate=True))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
    if entry.type == "summary_text" and entry.text is not None and entry.signature is not None:
        return {"type": "summary_text", "text": entry.text, "signature": entry.signature}
    if entry.type == "summary_encrypted_text" and entry.data:
        return {"type": "summary_encrypted_text", "data": entry.data}
    return None
