"""The fuzz targets: the inputs that were interesting once, then a few new ones (scripts/fuzz: many)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.corpus import FOLDER, kept
from tests.fuzz.strategies import INPUTS
from tests.fuzz.targets import TARGETS

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def test_every_target_has_inputs_and_a_corpus() -> None:
    assert INPUTS.keys() == TARGETS.keys()
    assert {folder.name for folder in FOLDER.iterdir()} == set(TARGETS)
    for name in TARGETS:
        assert kept(name), name


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_interesting_once(name: str) -> None:
    for data in kept(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_something_new(name: str) -> None:
    @QUICK
    @given(INPUTS[name])
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    @QUICK
    @given(st.binary(max_size=64))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()
