"""``GET /v1/models``: one answer that both kinds of clients read, as each ignores the keys of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from ccr.config.model import Config

UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"
"""Both clients require a date of creation; the upstreams report none."""


def models_page(config: Config) -> bytes:
    """Return the page of all configured models, in the configured order.

    The id is what a request may name: the model, or ``provider,model`` where an earlier provider has the
    same one.
    """
    data: list[dict[str, Any]] = []
    seen: set[str] = set()
    for provider in config.providers:
        for model in provider.models:
            name = f"{provider.name},{model}" if model.lower() in seen else model
            seen.add(model.lower())
            data.append(
                {
                    "type": "model",
                    "id": name,
                    "display_name": f"{model} ({provider.name})",
                    "created_at": UNKNOWN_DATE,
                    "object": "model",
                    "created": 0,
                    "owned_by": provider.name,
                }
            )
    page = {
        "object": "list",
        "data": data,
        "has_more": False,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
    return msgspec.json.encode(page)
