"""Installations that are stopped at the end, and a process that must not be touched."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from ccr.config.paths import Paths
from tests.daemon.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A configured installation; whatever it started is stopped."""
    made = Installation(Paths(tmp_path / "home"))
    made.configure()
    yield made
    made.configure()
    made.run("stop", "--now")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else."""
    process = subprocess.Popen(["sleep", "300"])
    yield process
    assert process.poll() is None, "a foreign process was signalled"
    process.kill()
    process.wait()
