"""``models.json``: what the workspaces served when they were last asked, so that commands work offline.

A hint, never a proof, and never a secret: a missing or damaged file is an empty one. The service serves these
models beside the configured ones, to requests that name them (`with_discovered`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from ccr.config.api import is_workspace_url
from ccr.config.private import make_private_folder, read_private, write_private
from ccr.upstream.discovery import ServedModel  # noqa: TC001 - msgspec resolves the annotation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ccr.config.model import Config, Provider
    from ccr.config.paths import Paths

FILE_NAME: Final = "models.json"
MAX_FILE_BYTES: Final = 4 * 1024 * 1024


class Remembered(msgspec.Struct, frozen=True):
    """What one workspace served ``at`` a time, in seconds since 1970."""

    at: float
    models: tuple[ServedModel, ...]


def models_file(paths: Paths) -> Path:
    """Return where it lies."""
    return paths.home / FILE_NAME


def read_discovered(paths: Paths) -> dict[str, Remembered]:
    """Return workspace URL -> what it served; empty when nothing was remembered."""
    try:
        data = read_private(models_file(paths), limit_bytes=MAX_FILE_BYTES)
        return msgspec.json.decode(data, type=dict[str, Remembered])
    except (OSError, msgspec.MsgspecError, RecursionError):
        return {}


def write_discovered(paths: Paths, url: str, models: tuple[ServedModel, ...], *, at: float) -> None:
    """Remember what the workspace at ``url`` serves; what others serve stays. Raises OSError."""
    remembered = read_discovered(paths) | {url: Remembered(at, models)}
    make_private_folder(paths.home)
    write_private(models_file(paths), msgspec.json.encode(remembered) + b"\n")


def workspace_of(provider: Provider) -> str | None:
    """Return the workspace's URL that a provider's leads to; None when it is no Databricks endpoint."""
    if provider.sign_in is not None and provider.sign_in.host is not None:
        return provider.sign_in.host
    if not is_workspace_url(provider.url):
        return None
    parts = urlsplit(provider.url)
    return f"{parts.scheme}://{parts.netloc}"


def with_discovered(config: Config, remembered: Mapping[str, Remembered]) -> Config:
    """Return the configuration with what each provider's workspace serves beside its models."""
    providers = tuple(_with_discovered(provider, remembered) for provider in config.providers)
    return dataclasses.replace(config, providers=providers)


def _with_discovered(provider: Provider, remembered: Mapping[str, Remembered]) -> Provider:
    found = remembered.get(workspace_of(provider) or "")
    if found is None:
        return provider
    configured = {model.lower() for model in provider.models}
    names = tuple(
        model.name
        for model in found.models
        if model.name.lower() not in configured and _is_served(model, provider)
    )
    return dataclasses.replace(provider, discovered=names)


def _is_served(model: ServedModel, provider: Provider) -> bool:
    """Tell whether a provider can hold a conversation with a model: the Messages API has Claude alone."""
    if "," in model.name or not model.is_chat:
        return False
    return provider.api != "anthropic" or model.takes_messages or "claude" in model.name.lower()
