"""What holds for all tests."""

from __future__ import annotations

import hypothesis

# How long an example takes says something about the machine, not about the code: bench/ measures.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
