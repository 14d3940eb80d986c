"""What holds for all tests."""

from __future__ import annotations

import os

import hypothesis

# How long an example takes says something about the machine, not about the code: bench/ measures.
# The suite is the same each time: a red run means the change, not the dice. New inputs are what `make fuzz`
# is for, and HYPOTHESIS_RANDOM=1.
hypothesis.settings.register_profile(
    "untimed", deadline=None, derandomize=not os.environ.get("HYPOTHESIS_RANDOM")
)
hypothesis.settings.load_profile("untimed")
