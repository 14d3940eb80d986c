"""A configuration of ccr for a sandbox, in the documented form. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

PROVIDER = "databricks"
FAVOURITE = "databricks-claude-sonnet-4-5"


def example_config(url: str, token: str, models: Sequence[str], **settings: Any) -> dict[str, Any]:
    """Return a configuration with the sandbox as its only provider.

    token: the bearer token, or a reference such as ``$CCR_SANDBOX_TOKEN``. settings: further top-level keys.
    """
    default = FAVOURITE if FAVOURITE in models else models[0]
    provider = {
        "name": PROVIDER,
        "api_base_url": f"{url}/serving-endpoints/{default}/invocations",
        "api_key": token,
        "models": list(models),
        "transformer": {"use": ["OpenAI", "databricks-custom"]},
    }
    return settings | {"Providers": [provider], "Router": {"default": f"{PROVIDER},{default}"}}
