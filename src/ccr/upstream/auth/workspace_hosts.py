"""Which workspace a setting or a URL means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ccr.config.address import is_loopback, workspace_url
from ccr.errors import ConfigError, Problem

if TYPE_CHECKING:
    from ccr.upstream.auth.layers import Layer

_DATABRICKS: Final = re.compile(
    r".+\.(?:databricks\.(?:com|us|mil)|azuredatabricks\.net|databricks\.azure\.(?:us|cn)|databricksapps\.com)"
)
_GATEWAY: Final = ".ai-gateway."
"""Part of the hosts ``<workspace-id>.ai-gateway.cloud.databricks.com``, which take tokens of another host."""


def host_in(layer: Layer) -> str | None:
    """Return the workspace that a place names. Raises ConfigError on what is no host (it is not quoted)."""
    written = layer.values.get("host")
    if written is None:
        return None
    try:
        return workspace_url(written)
    except ValueError as error:
        raise ConfigError(
            Problem(
                layer.place,
                layer.key("host"),
                str(error),
                "the workspace's host, like https://dbc-….cloud.databricks.com",
            )
        ) from None


def workspace_of_url(url: str | None) -> str | None:
    """Return the workspace that a URL leads to; None when that cannot be told from it."""
    if not url or _GATEWAY in url:
        return None
    try:
        return workspace_url(url)
    except ValueError:
        return None


def is_databricks(url: str) -> bool:
    """Tell whether a host surely is a workspace, or this machine: a workspace's token may be sent there."""
    host = urlsplit(url).hostname or ""
    return _DATABRICKS.fullmatch(host) is not None or is_loopback(host)
