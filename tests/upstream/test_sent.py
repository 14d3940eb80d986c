from __future__ import annotations

from ccr.config.model import Secret
from ccr.upstream.sent import MAX_SECRETS, SentSecrets


def test_what_was_sent_is_taken_out() -> None:
    sent = SentSecrets()
    assert sent.masked("token-of-ann") == "token-of-ann"
    sent.note(Secret("token-of-ann"))
    sent.note(Secret("token-of-ann"))
    sent.note(Secret("token-of-bob"))
    assert sent.masked("not token-of-ann, not token-of-bob") == "not ***, not ***"


def test_the_last_ones_are_remembered() -> None:
    sent = SentSecrets()
    for number in range(MAX_SECRETS + 1):
        sent.note(Secret(f"token-{number:04d}"))
    assert sent.masked("token-0000 token-0001") == "token-0000 ***"
