"""What code of the person's own sees of a client."""

from __future__ import annotations

from multidict import CIMultiDict

from ccr.gateway.replies import Client


def test_headers_without_secrets() -> None:
    headers = CIMultiDict(
        [
            ("Authorization", "Bearer k"),
            ("X-API-Key", "k"),
            ("X-Team", "red"),
            ("x-team", "blue"),
            ("X-Odd", "a\udcfcb"),
            ("User-Agent", "long" * 100),
        ]
    )
    client = Client("r", agent="long", session_id="s", headers=headers)
    assert client.shown_headers() == {
        "x-team": "red, blue",
        "x-odd": "a?b",
        "user-agent": "long",
        "x-claude-code-session-id": "s",
    }
    assert "Bearer" not in repr(client)
    assert Client("r").shown_headers() == {}
