"""What a provider takes of a request: its size, its ``max_tokens``, its images' addresses. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ccr.config.api import is_workspace_url

if TYPE_CHECKING:
    from ccr.config.model import Provider
    from ccr.protocol.traits import ModelTraits


class Limits(NamedTuple):
    """The limits of a provider's model. None: no limit.

    takes_urls: images and documents may be named by http addresses. fetches_images: ccr fetches such images.
    """

    max_bytes: int | None = None
    max_tokens: int | None = None
    takes_urls: bool = True
    fetches_images: bool = False


def limits_of(provider: Provider, model: str, traits: ModelTraits) -> Limits:
    """Return the limits of a provider's model.

    Claude on Databricks takes no addresses (databricks.md §2).
    """
    is_claude_there = traits.family == "claude" and is_workspace_url(provider.url)
    return Limits(
        max_bytes=provider.max_payload_bytes,
        max_tokens=provider.max_tokens.get(model),
        takes_urls=not is_claude_there,
        fetches_images=provider.fetch_images,
    )
