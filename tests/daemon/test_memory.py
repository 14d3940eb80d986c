from __future__ import annotations

import ctypes
import gc
import sys
from typing import TYPE_CHECKING

from ccr.daemon.memory import keep_freed_memory, spare_the_collector

if TYPE_CHECKING:
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
