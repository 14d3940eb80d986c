"""``vercel``: Vercel's AI Gateway, which is spoken to as OpenRouter is."""

from __future__ import annotations

from ccr.transformers.openrouter import OpenRouter


class Vercel(OpenRouter):
    """Any options: they are parameters of the request and count before its own (``providerOptions`` …)."""

    name = "vercel"
