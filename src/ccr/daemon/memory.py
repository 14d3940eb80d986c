"""How memory is kept and looked through, set once at start-up.

A Claude Code request is some 100 KB, and is held several times on its way. By default glibc gives the top of
the heap back to the system after each such request and asks for it again with the next: 86 page faults a
request of 120 KB, none with the limits below (docs/performance.md). What is larger than a request usually is
still goes back at once. Linux with glibc only; elsewhere nothing is done.

What many large requests leave behind is given back when they are over: freed blocks lie between used ones,
where the limits never reach them.

Python's collector looks through all objects now and then, in the middle of a request; most of them belong to
modules, which never go away.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEPT_BYTES = 8 * 1024 * 1024
MAPPED_FROM_BYTES = 4 * 1024 * 1024
LOOK_EVERY_S: Final = 15.0
GROWN_BYTES: Final = 6 * 1024 * 1024
"""So much more than after the last time is worth some milliseconds of looking through the heap."""


def keep_freed_memory() -> bool:
    """Keep up to 8 MiB of freed memory, and map blocks of 4 MiB and more; return whether it took effect."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES))


def spare_the_collector() -> None:
    """Leave what exists now out of all later garbage collections; call it when everything is loaded."""
    gc.collect()
    gc.freeze()


async def give_back_freed_memory() -> None:
    """Give freed memory back to the system whenever much came together; never returns."""
    trim = _trim()
    if trim is None:
        return
    kept = GivingBack(resident_bytes, trim)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        kept.look()


class GivingBack:
    """Decides when to trim. resident: bytes of memory in use now. trim: gives back what is free.

    It trims as long as there is much more than there once was: what a first try finds in use may be free
    later, and a try costs a few milliseconds.
    """

    def __init__(self, resident: Callable[[], int], trim: Callable[[], None]) -> None:
        self._resident = resident
        self._trim = trim
        self._least = resident()

    def look(self) -> None:
        """Trim if the process is much larger than it was when it was smallest."""
        now = self._resident()
        self._least = min(self._least, now)
        if now - self._least > GROWN_BYTES:
            self._trim()


def resident_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * resource.getpagesize()


def _trim() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return None
    return lambda: trim(0)
