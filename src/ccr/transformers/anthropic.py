"""``Anthropic``: the Messages API's own format. Alone on a provider its requests are passed on as they are.

What that means is decided where the configuration is read (config/api.py) and done by the native route
(docs/native-route.md). Beside other steps it has nothing to do, as in the npm router.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccr.transformers.base import Transformer
from ccr.transformers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping


class Anthropic(Transformer):
    """Option ``UseBearer``: the key goes as a bearer token, not as ``x-api-key``."""

    name = "Anthropic"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options, ("UseBearer",)).boolean("UseBearer")
