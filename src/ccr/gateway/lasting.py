"""What outlives a configuration: counters, and what was learnt about models while the process lives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ccr.gateway.learning import Learning
from ccr.gateway.metrics import Metrics
from ccr.gateway.repairing import Repairing

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Lasting:
    """Handed from the gateway of one configuration to that of the next."""

    metrics: Metrics
    repairing: Repairing
    learning: Learning

    @classmethod
    def new(cls, clock: Callable[[], float] = time.monotonic) -> Lasting:
        """Return what a process begins with: nothing counted, nothing learnt. clock: monotonic seconds."""
        return cls(Metrics(), Repairing(clock), Learning(clock))
