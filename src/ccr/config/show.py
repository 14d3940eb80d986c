"""A configuration in its documented spelling, with every default filled in and every secret masked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ccr.config.model import MASK
from ccr.config.network import described
from ccr.config.prices import prices_shown
from ccr.config.router import values_from_router
from ccr.config.sign_in import AUTO
from ccr.config.usage_kept import usage_kept_shown
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from ccr.config.model import Config, Provider, Secret, Step

SECRET_NAME = re.compile(r"key|token|secret|passw|auth|cookie", re.IGNORECASE)


def values_from_config(config: Config) -> dict[str, Any]:
    """Return what config.json would have to hold to mean ``config``; plain values, ready for JSON."""
    return {
        "LOG": config.log,
        "LOG_LEVEL": config.log_level,
        "CLAUDE_PATH": config.claude_path or "",
        "NODE_COMMAND": config.node_command or "",
        "HOST": config.host,
        "PORT": config.port,
        "APIKEY": _masked(config.api_key),
        "AUTH": config.auth,
        "API_TIMEOUT_MS": round(config.api_timeout_s * 1000),
        "STOP_TIMEOUT_MS": round(config.stop_timeout_s * 1000),
        "PROXY_URL": _masked(config.proxy_url),
        "NO_PROXY": ",".join(config.no_proxy),
        "transformers": [
            {"path": file.path, "options": without_secrets(file.options)} for file in config.transformers
        ],
        "Providers": [_provider(provider) for provider in config.providers],
        "Router": {**without_secrets(config.router.others), **values_from_router(config.router)},
        "CUSTOM_ROUTER_PATH": str(config.custom_router or ""),
        "REWRITE_SYSTEM_PROMPT": str(config.system_prompt.path) if config.system_prompt is not None else "",
        "plugins": _plugins(config),
        **usage_kept_shown(config.usage),
        "StatusLine": without_secrets(config.status_line),
        "NON_INTERACTIVE_MODE": config.non_interactive,
        "ANTHROPIC_SMALL_FAST_MODEL": config.small_fast_model or "",
    }


def _plugins(config: Config) -> list[dict[str, Any]]:
    if config.speed is None:
        return []
    from ccr.config.speed import options_shown  # imported late: few have it

    return [{"name": "token-speed", "enabled": True, "options": options_shown(config.speed)}]


def without_secrets(value: Any, name: str = "") -> Any:
    """Return a copy in which texts under a name like ``apiKey``, or looking like a secret, are masked."""
    if isinstance(value, dict):
        return {key: without_secrets(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_secrets(entry, name) for entry in value]
    if isinstance(value, str):
        return MASK if value and SECRET_NAME.search(name) else redacted(value)
    return value


def _provider(provider: Provider) -> dict[str, Any]:
    chains = {"use": provider.steps, **provider.model_steps}
    transformer = {
        "use": _uses(chains.pop("use")),
        **{model: {"use": _uses(s)} for model, s in chains.items()},
    }
    return {
        "name": provider.name,
        "api_base_url": redacted(provider.url),
        **_identity(provider),
        "api": provider.api,
        "models": list(provider.models),
        "transformer": transformer,
        **({"max_tokens": dict(provider.max_tokens)} if provider.max_tokens else {}),
        "fetch_images": provider.fetch_images,
        "max_payload_bytes": provider.max_payload_bytes or 0,
        **({"tokenizer": _tokenizers(provider)} if provider.tokenizers else {}),
        **({"prices": prices_shown(provider.prices)} if provider.prices else {}),
        **({"api_keys": [_masked(key) for key in provider.more_keys]} if provider.more_keys else {}),
        **described(provider.network),
    }


def _tokenizers(provider: Provider) -> dict[str, Any]:
    from ccr.config.tokenizers import tokenizers_shown  # imported late: few have any

    return tokenizers_shown(provider.tokenizers)


def _identity(provider: Provider) -> dict[str, Any]:
    """Return the keys that say who calls; of an identity that is looked for, the given ones."""
    said = provider.sign_in
    if provider.api_key is not None or said is None:
        return {"api_key": _masked(provider.api_key)}
    keys = {
        "api_key": AUTO,
        "host": said.host,
        "profile": said.profile,
        "client_id": said.client_id,
        "client_secret": _masked(said.client_secret),
        "auth_type": said.auth_type,
        "cli_path": said.cli_path,
        "on_behalf_of_user": said.on_behalf_of_user,
    }
    return {key: value for key, value in keys.items() if value}


def _uses(steps: tuple[Step, ...]) -> list[Any]:
    return [[step.name, without_secrets(step.options)] if step.options else step.name for step in steps]


def _masked(secret: Secret | None) -> str:
    return MASK if secret is not None else ""
