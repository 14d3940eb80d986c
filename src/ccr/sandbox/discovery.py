"""What the workspace says it serves, in each of its four lists. Pure.

Source: reference notes databricks.md §1, and what public clients of these lists read: the foundation models
say which APIs an endpoint takes, the model services are Unity Catalog's names, the gateway's own list has the
Anthropic API's shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ccr.sandbox.refusals import Refused, coded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Native = Literal["both", "serving", "gateway", "none"]
"""Which native Anthropic routes a workspace has: under /serving-endpoints, under /ai-gateway."""
CHAT_API = "mlflow/v1/chat/completions"
MESSAGES_API = "anthropic/v1/messages"
ENDPOINT_PREFIX = "databricks-"
CATALOG_PREFIX = "system.ai."
PARENT = "schemas/system.ai"
MAX_PAGE = 1_000


def has_serving(native: Native) -> bool:
    """Tell whether the workspace has the native route under /serving-endpoints."""
    return native in {"both", "serving"}


def has_gateway(native: Native) -> bool:
    """Tell whether the workspace has an AI gateway."""
    return native in {"both", "gateway"}


def is_claude(endpoint: str) -> bool:
    """Tell whether an endpoint takes the Messages API: no other vendor's model does."""
    return "claude" in endpoint


def catalog_name(endpoint: str) -> str:
    """Return an endpoint's name in Unity Catalog."""
    return CATALOG_PREFIX + endpoint.removeprefix(ENDPOINT_PREFIX)


def endpoint_of(model: object, models: Sequence[str]) -> str | None:
    """Return the endpoint behind a name that the gateway is asked for: an endpoint's or a catalog name."""
    by_name = {catalog_name(endpoint): endpoint for endpoint in models} | {name: name for name in models}
    return by_name.get(model) if isinstance(model, str) else None


def serving_endpoints(models: Sequence[str]) -> dict[str, Any]:
    """Return the list of serving endpoints."""
    return {"endpoints": [_endpoint(name) for name in models]}


def foundation_models(models: Sequence[str], native: Native) -> dict[str, Any]:
    """Return the list of foundation models, with the APIs that each takes."""
    endpoints = []
    for name in models:
        apis = [CHAT_API] if native == "none" or not is_claude(name) else [MESSAGES_API, CHAT_API]
        model = {
            "name": catalog_name(name),
            "display_name": display_name(name),
            "api_types": apis,
            "ai_gateway_v2_supported": has_gateway(native),
        }
        endpoints.append(_endpoint(name) | {"config": {"served_entities": [{"foundation_model": model}]}})
    return {"endpoints": endpoints}


def model_services(models: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of the gateway's models. Raises Refused.

    query: ``parent`` is required here (without it the real one walks its whole metastore), ``page_size``,
    ``page_token``.
    """
    if query.get("parent") != PARENT:
        raise Refused(coded(400, "INVALID_PARAMETER_VALUE", f"parent must be {PARENT!r}"))
    start, size = _number(query, "page_token", 0), _number(query, "page_size", MAX_PAGE)
    services = [
        {
            "name": f"model-services/{catalog_name(name)}",
            "supported_api_types": [MESSAGES_API, CHAT_API] if is_claude(name) else [CHAT_API],
        }
        for name in models
    ]
    page: dict[str, Any] = {"model_services": services[start : start + size]}
    return page | ({"next_page_token": str(start + size)} if start + size < len(services) else {})


def gateway_models(models: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """Return one page of the gateway's list in the Anthropic API's shape. Raises Refused.

    query: ``limit`` (20), ``after_id``.
    """
    after = query.get("after_id")
    if after is not None and after not in models:
        raise Refused(coded(400, "INVALID_PARAMETER_VALUE", f"after_id: {after!r} is not in the list"))
    start, size = 0 if after is None else [*models].index(after) + 1, _number(query, "limit", 20)
    shown = models[start : start + size]
    return {
        "data": [
            {
                "type": "model",
                "id": name,
                "display_name": display_name(name),
                "created_at": "2026-01-01T00:00:00Z",
            }
            for name in shown
        ],
        "has_more": start + size < len(models),
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
    }


def display_name(endpoint: str) -> str:
    """Return the name for people: ``Claude Sonnet 4.5``."""
    words = endpoint.removeprefix(ENDPOINT_PREFIX).split("-")
    names = [word.capitalize() for word in words if not word.isdigit()]
    version = ".".join(word for word in words if word.isdigit())
    return " ".join([*names, version]).strip()


def _endpoint(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "state": {"ready": "READY", "config_update": "NOT_UPDATING"},
        "task": "llm/v1/chat",
        "endpoint_type": "FOUNDATION_MODEL_API",
    }


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or (name != "page_token" and not 1 <= int(text) <= MAX_PAGE):
        raise Refused(coded(400, "INVALID_PARAMETER_VALUE", f"{name}: {text!r} is no number that is taken"))
    return int(text)
