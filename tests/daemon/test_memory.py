from __future__ import annotations

import ctypes
import sys

import pytest

from ccr.daemon.memory import keep_freed_memory


def test_the_limits_are_taken_on_linux_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep_freed_memory() is sys.platform.startswith("linux")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    assert keep_freed_memory() is False
