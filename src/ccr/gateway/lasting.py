"""What outlives a configuration: counters, and what was learnt about models while the process lives."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ccr.gateway.learning import Learning
from ccr.gateway.metrics import Metrics
from ccr.gateway.repairing import Repairing
from ccr.gateway.sessions import Sessions
from ccr.protocol.call_extras import CallExtras

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.gateway.projects import Folders
    from ccr.store.records import RequestRow


@dataclass(frozen=True, slots=True)
class Lasting:
    """Handed from the gateway of one configuration to that of the next."""

    metrics: Metrics
    repairing: Repairing
    learning: Learning
    sessions: Sessions = field(default_factory=Sessions)
    call_extras: CallExtras = field(default_factory=CallExtras)
    folders: Folders | None = None
    keep: Callable[[RequestRow], None] | None = None

    @classmethod
    def new(
        cls,
        clock: Callable[[], float] = time.monotonic,
        *,
        folders: Folders | None = None,
        keep: Callable[[RequestRow], None] | None = None,
    ) -> Lasting:
        """Return what a process begins with: nothing counted, nothing learnt. clock: monotonic seconds.

        folders: where the Routers of projects are, None where nobody is to look for them. keep: gets a row of
        each request that ends, None where there is no database.
        """
        return cls(Metrics(), Repairing(clock), Learning(clock), folders=folders, keep=keep)
