"""How memory is kept and looked through, set once at start-up.

A Claude Code request is some 100 KB, and is held several times on its way. By default glibc gives the top of
the heap back to the system after each such request and asks for it again with the next: 86 page faults a
request of 120 KB, none with the limits below (docs/performance.md). What is larger than a request usually is
still goes back at once. Linux with glibc only; elsewhere nothing is done.

Python's collector looks through all objects now and then, in the middle of a request; most of them belong to
modules, which never go away.
"""

from __future__ import annotations

import ctypes
import gc
import sys

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEPT_BYTES = 8 * 1024 * 1024
MAPPED_FROM_BYTES = 4 * 1024 * 1024


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
