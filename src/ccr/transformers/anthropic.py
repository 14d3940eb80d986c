"""``Anthropic``: the Messages API's own format. Alone on a provider its requests are passed on as they are.

What that means is decided where the configuration is read (config/api.py) and done by the native route
(docs/native-route.md). Beside other steps it has nothing to do, as in the npm router.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccr.transformers.base import Transformer

if TYPE_CHECKING:
    from collections.abc import Mapping


class Anthropic(Transformer):
    """Option ``UseBearer``: the key goes as a bearer token, not as ``x-api-key``."""

    name = "Anthropic"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        unknown = sorted(set(options) - {"UseBearer"})
        if unknown:
            raise ValueError(f"Anthropic: unknown option {unknown[0]!r}; allowed: UseBearer")
        if not isinstance(options.get("UseBearer", False), bool):
            raise ValueError("Anthropic: option UseBearer must be true or false")
