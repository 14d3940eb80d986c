"""Reading the body of a request, also where a client has cut a character in two.

A client that cuts a text in the middle of a character beyond the first 65,536 (an emoji at the end of a long
output) writes half a surrogate pair. That is JSON and no text: providers refuse it, with every turn that
follows in the conversation. So each half becomes U+FFFD, by a named rule. Looked for only in what cannot be
read otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ccr.errors import RequestError
from ccr.protocol.completion import without_half_surrogates
from ccr.protocol.request_rules import RequestRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.record import Record

T = TypeVar("T")


def read(decode: Callable[[bytes], T], body: bytes, record: Record | None = None) -> tuple[T, bytes]:
    """Return what ``decode`` makes of a body, and the body it was made of. Raises RequestError (400).

    record: where the rule is noted.
    """
    try:
        return decode(body), body
    except RequestError:
        mended = without_half_surrogates(body) if b"\\ud" in body or b"\\uD" in body else body
        if mended == body:
            raise
    found = decode(mended)
    if record is not None:
        record.routing_rules += (RequestRule.HALF_CHARACTER_REPLACED.value,)
    return found, mended
