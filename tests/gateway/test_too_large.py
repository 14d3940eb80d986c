"""What is said of a request that is too large, and which limits a provider's model has."""

from __future__ import annotations

from typing import Any

import pytest

from ccr.catalog.lookup import traits_of
from ccr.config.model import Provider
from ccr.gateway.limits import Limits, limits_of
from ccr.gateway.too_large import Part, too_large
from ccr.protocol.images import Attachment

WORKSPACE = "https://dbc-1.cloud.databricks.com/serving-endpoints/anthropic/v1/messages"
OTHER = "https://api.example.test/v1/chat/completions"
CLAUDE = "databricks-claude-sonnet-4-5"

IMAGE = Part(Attachment("image", (6, 0, 1)), 1_100_000)
PDF = Part(Attachment("document", (2, 1)), 4_200_000)
SMALL = [Part(Attachment("image", (index, 0)), 1000) for index in range(5)]
ADVICE = "Take one of them out of the conversation (in Claude Code: /rewind to before it, or /compact)."
INSTALL = 'After `pip install "ccr-proxy[images]"` ccr makes images smaller by itself.'
PDF_SAID = "a document of 4.2 MB in message 3 (messages.2.content.1)"
IMAGE_SAID = "an image of 1.1 MB in a tool's result in message 7 (messages.6.content.0.content.1)"


def said(parts: list[Part], *, size_bytes: int = 5_600_000, **changes: Any) -> str:
    flags = {"is_smaller": False, "has_pillow": True, "is_compaction": False, **changes}
    error = too_large(provider="dbx", max_bytes=4_000_000, size_bytes=size_bytes, parts=parts, **flags)
    assert (error.status, error.error_type) == (400, "invalid_request_error")
    assert error.should_retry is False
    return error.message


def test_the_largest_parts_are_named() -> None:
    limit = "dbx takes requests of at most 4.0 MB; this one has 5.6 MB"
    assert said([*SMALL, IMAGE, PDF]) == (
        f"{limit}. Its largest parts: {PDF_SAID}; {IMAGE_SAID}; "
        f"an image of 0.0 MB in message 1 (messages.0.content.0). {ADVICE}"
    )
    assert said([PDF], is_smaller=True).startswith(f"{limit}, although its images were made smaller. ")


def test_pillow_is_named_where_it_would_help() -> None:
    assert said([IMAGE, PDF], has_pillow=False).endswith(f"{ADVICE} {INSTALL}")
    assert INSTALL not in said([PDF], has_pillow=False)


@pytest.mark.parametrize(("parts", "is_compaction"), [([IMAGE], False), ([IMAGE, PDF], True)])
def test_texts_that_are_too_large_alone_make_the_client_compact(
    parts: list[Part], is_compaction: bool
) -> None:
    error = too_large(
        provider="dbx",
        max_bytes=4_000_000,
        size_bytes=5_600_000,
        parts=parts,
        is_smaller=False,
        has_pillow=False,
        is_compaction=is_compaction,
    )
    assert error.message == "prompt is too long: 5.6 MB in one request, and dbx takes 4.0 MB"
    assert (error.status, error.should_retry) == (400, None)


@pytest.mark.parametrize(
    ("url", "model", "changes", "expected"),
    [
        (OTHER, CLAUDE, {}, Limits()),
        (WORKSPACE, CLAUDE, {}, Limits(takes_urls=False)),
        (WORKSPACE, "databricks-gpt-5", {}, Limits()),
        (
            WORKSPACE,
            CLAUDE,
            {"fetch_images": True, "max_payload_bytes": 9, "max_tokens": {CLAUDE: 7}},
            Limits(max_bytes=9, max_tokens=7, takes_urls=False, fetches_images=True),
        ),
        (OTHER, CLAUDE, {"fetch_images": True, "max_tokens": {"other": 7}}, Limits(fetches_images=True)),
    ],
)
def test_limits(url: str, model: str, changes: dict[str, Any], expected: Limits) -> None:
    provider = Provider(name="p", url=url, api_key=None, models=(model,), **changes)
    assert limits_of(provider, model, traits_of(model)) == expected
