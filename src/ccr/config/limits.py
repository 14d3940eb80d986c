"""What a provider is asked for at most, and takes at most: ``max_tokens``, ``max_payload_bytes``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.config.api import is_workspace_url
from ccr.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEYS: Final = ("max_tokens", "fetch_images", "max_payload_bytes")
WORKSPACE_BYTES: Final = 4_000_000
"""The documented limit of Databricks, "4 MB" (databricks.md §2), in its stricter reading."""
LARGEST_TOKENS: Final = 10_000_000
LARGEST_BYTES: Final = 1_000_000_000


def max_tokens_from(section: Section, models: Sequence[str]) -> Mapping[str, int]:
    """Return the limit of each model that has one: ``max_tokens`` is a number for all, or one a model."""
    given = section.values.get("max_tokens")
    if not isinstance(given, dict):
        limit = section.integer("max_tokens", 0, 1, LARGEST_TOKENS)
        return dict.fromkeys(models, limit) if limit else {}
    limits = Section(given, section.at("max_tokens"), section.findings)
    for key in given:
        if key not in models:
            limits.problem(key, "a model that the provider does not list", f"one of {', '.join(models)}")
    found = {model: limits.integer(model, 0, 1, LARGEST_TOKENS) for model in models}
    return {model: limit for model, limit in found.items() if limit}


def max_payload_bytes_from(section: Section, url: str) -> int | None:
    """Return the size of the largest body, None where there is no limit: 0, or no limit is known.

    url: the provider's, empty after a problem.
    """
    known = WORKSPACE_BYTES if is_workspace_url(url) else 0
    return section.integer("max_payload_bytes", known, 0, LARGEST_BYTES) or None
