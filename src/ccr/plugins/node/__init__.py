"""JavaScript plugins: one Node child for all of them, spoken to over a Unix socket.

``host.js`` and the files beside it are the child; ``frames.js`` says what is spoken.
"""

from __future__ import annotations

from ccr.plugins.node.answers import HookedResponse
from ccr.plugins.node.host import NodeHost
from ccr.plugins.node.values import ClientRequest, HookedRequest, LoadedPlugin, provider_for_plugins

__all__ = [
    "ClientRequest",
    "HookedRequest",
    "HookedResponse",
    "LoadedPlugin",
    "NodeHost",
    "provider_for_plugins",
]
