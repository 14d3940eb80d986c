from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from typing import TYPE_CHECKING

from ccr.daemon import memory
from ccr.daemon.memory import (
    GROWN_BYTES,
    GivingBack,
    give_back_freed_memory,
    keep_freed_memory,
    resident_bytes,
    spare_the_collector,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_limits_are_taken_on_linux_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep_freed_memory() is sys.platform.startswith("linux")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert keep_freed_memory() is False


def test_what_is_loaded_is_left_out_of_collections() -> None:
    try:
        spare_the_collector()
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


def test_memory_is_given_back_as_long_as_there_is_much_more_than_there_was() -> None:
    sizes = [100, 90, 90 + GROWN_BYTES, 91 + GROWN_BYTES, 500 + GROWN_BYTES, 100]
    given = iter(sizes)
    trimmed: list[int] = []
    kept = GivingBack(lambda: next(given), lambda: trimmed.append(0))
    after = []
    for _ in sizes[1:]:
        kept.look()
        after.append(len(trimmed))
    assert after == [0, 0, 1, 2, 2]


async def test_it_looks_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = asyncio.Queue[None]()
    monkeypatch.setattr(memory, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(GivingBack, "look", lambda _self: looks.put_nowait(None))
    task = asyncio.create_task(give_back_freed_memory())
    for _ in range(3):
        await looks.get()
    task.cancel()


async def test_another_system_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    await give_back_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    await give_back_freed_memory()


def test_the_size_of_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if sys.platform.startswith("linux"):
        assert resident_bytes() > 10 * 2**20
    monkeypatch.setattr(memory, "Path", lambda _name: tmp_path / "nothing")
    assert resident_bytes() == 0
