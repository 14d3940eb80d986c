"""Sessions of clients: their ids, and how large the last request of each was, as its upstream counted."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from msgspec import Raw

    from ccr.protocol.usage import Usage

MAX_SESSIONS: Final = 1000
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_OLD_FORM: Final = re.compile(r"user_.*_session_(?P<id>[A-Za-z0-9-]{1,128})")


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _UserId(msgspec.Struct):
    session_id: str | None = None


_METADATA: Final = msgspec.json.Decoder(_Metadata)
_USER_ID: Final = msgspec.json.Decoder(_UserId)


def session_id_from_metadata(metadata: Raw) -> str | None:
    """Return the session's id in a request's ``metadata``, None where there is none.

    ``user_id`` is a JSON text with ``session_id``, or ``user_…_account_…_session_<id>`` as older clients
    have it.
    """
    if not metadata:
        return None
    try:
        user_id = _METADATA.decode(metadata).user_id or ""
        found = _OLD_FORM.fullmatch(user_id)
        session_id = found["id"] if found is not None else _USER_ID.decode(user_id).session_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # somebody else's metadata
    return checked_session_id(session_id)


def checked_session_id(session_id: str | None) -> str | None:
    """Return an id that may be part of a file name, None for any other."""
    return session_id if session_id is not None and _ID.fullmatch(session_id) else None


class Sessions:
    """Prompt tokens of the last answer in each session; the newest ``max_sessions`` are remembered."""

    def __init__(self, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._max_sessions = max_sessions
        self._tokens: OrderedDict[str, int] = OrderedDict()

    def note(self, session_id: str | None, usage: Usage | None) -> None:
        """Remember what an answer has used; nothing where session or usage are unknown."""
        if session_id is None or usage is None or usage.prompt_tokens <= 0:
            return
        self._tokens[session_id] = usage.prompt_tokens
        self._tokens.move_to_end(session_id)
        if len(self._tokens) > self._max_sessions:
            self._tokens.popitem(last=False)

    def last_tokens(self, session_id: str | None) -> int:
        """Return the prompt tokens of the session's last answer, 0 when nothing is known."""
        return self._tokens.get(session_id or "", 0)
