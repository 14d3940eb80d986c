"""Which of a provider's keys a request goes out with. Pure; ``now`` in monotonic seconds.

Keys are taken in turn, so that each has its share of their limits. One that was refused or has reached a
limit cools down; when all do, the one that is ready soonest is taken, because refusing a request here would
help nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccr.config.model import Secret

REFUSED_S: Final = 300.0
LIMIT_S: Final = 60.0
"""The window of quotas per minute."""
TROUBLE_S: Final = 5.0
MAX_COOLING_S: Final = 3600.0


class Keys:
    """The keys of one provider: at least one."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._keys = list(dict.fromkeys(keys))
        self._ready_at = [0.0] * len(self._keys)
        self._next = 0

    def take(self, now: float) -> Secret:
        """Return the next key that is not cooling down, or the one that is ready soonest."""
        count = len(self._keys)
        turn = [(self._next + step) % count for step in range(count)]
        index = next(
            (each for each in turn if self._ready_at[each] <= now), min(turn, key=self._ready_at.__getitem__)
        )
        self._next = (index + 1) % count
        return self._keys[index]

    def has_ready(self, now: float) -> bool:
        """Tell whether any key is not cooling down."""
        return any(ready_at <= now for ready_at in self._ready_at)

    def failed(self, key: Secret, status: int, wait_s: float | None, now: float) -> None:
        """Note an answer to a request with this key; statuses that say nothing of the key are ignored.

        wait_s: what the upstream asks to wait.
        """
        if len(self._keys) == 1:
            return
        cooling_s = _cooling_s(status, wait_s)
        if cooling_s is not None:
            index = self._keys.index(key)
            self._ready_at[index] = max(self._ready_at[index], now + cooling_s)

    def succeeded(self, key: Secret) -> None:
        """Note that a key is good again."""
        self._ready_at[self._keys.index(key)] = 0.0

    def snapshot(self, now: float) -> dict[str, int]:
        """Return how many keys there are, and how many cool down."""
        return {"count": len(self._keys), "cooling": sum(ready_at > now for ready_at in self._ready_at)}


def _cooling_s(status: int, wait_s: float | None) -> float | None:
    if status in {401, 403}:
        return REFUSED_S
    if status == 429:
        return min(LIMIT_S if wait_s is None else wait_s, MAX_COOLING_S)
    return TROUBLE_S if status >= 500 else None
