"""A whole chat completion as the stream it stands for, for a client that asked for one.

Such a client reads nothing but events: a completion in their place would be an answer without a word.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from ccr.protocol.completion import without_half_surrogates

_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_MESSAGE: Final = msgspec.json.Decoder(dict[str, Raw] | None)
_OBJECTS: Final = msgspec.json.Decoder(list[dict[str, Raw]] | None)
_NULL: Final = Raw(b"null")
_encode: Final = msgspec.json.Encoder().encode


def chunks_from_completion(data: bytes) -> bytes:
    """Return one chunk that holds all of a completion, and ``[DONE]``. data: what `decode_completion` takes.

    What the completion says beside its messages, the counts too, is in the chunk as it was.
    """
    whole = _OBJECT.decode(without_half_surrogates(data))
    choices = [_with_delta(choice) for choice in _OBJECTS.decode(whole.get("choices", _NULL)) or ()]
    chunk = {**whole, "object": "chat.completion.chunk", "choices": choices}
    return b"data: %b\n\ndata: [DONE]\n\n" % _encode(chunk)


def _with_delta(choice: dict[str, Raw]) -> dict[str, object]:
    message = _MESSAGE.decode(choice.get("message", _NULL)) or {}
    delta: dict[str, object] = {**message}
    calls = _OBJECTS.decode(message.get("tool_calls", _NULL))
    if calls:
        delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
    rest: dict[str, object] = {key: value for key, value in choice.items() if key != "message"}
    return {"delta": delta, **rest}
