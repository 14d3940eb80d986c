"""What ``import ccr`` offers, and that it costs a quick command nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ccr


def test_every_name_is_there_and_in_order() -> None:
    assert ccr.__all__ == sorted(ccr.__all__)
    for name in ccr.__all__:
        assert getattr(ccr, name) is not None
    assert set(ccr.__all__) <= set(dir(ccr))


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        ccr.Nothing  # noqa: B018 - the access is the test


def test_importing_it_imports_nothing_else() -> None:
    program = "import sys, ccr; print(sorted(name for name in sys.modules if name.startswith('ccr.')))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
