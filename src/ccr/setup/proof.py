"""The proof that a route works: one real request for one token, on the line that clients' requests take."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ccr.config.masking import secrets_of_config
from ccr.config.model import Secret
from ccr.config.paths import Paths
from ccr.errors import ApiError, CcrError
from ccr.gateway.replies import Client
from ccr.plugins.hosting import plugin_loader
from ccr.server.app import make_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccr.config.model import Config
    from ccr.gateway.gateway import Gateway

AT_ONCE: Final = 4
DEADLINE_S: Final = 60.0
"""An endpoint that was scaled to zero needs most of a minute for its first answer."""
BUSY: Final = frozenset({429, 503, 529})


@dataclass(frozen=True)
class Proof:
    """What came of one call. error: None when the model answered; is_busy: it would have, at another time."""

    route: str
    seconds: float
    error: str | None = None
    status: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the endpoint is there and takes this identity, but has no capacity now."""
        return self.status in BUSY


def routes_of(config: Config) -> list[str]:
    """Return every configured route as ``provider,model``, in order."""
    return [f"{provider.name},{model}" for provider in config.providers for model in provider.models]


async def prove(config: Config, routes: Sequence[str], *, deadline_s: float = DEADLINE_S) -> list[Proof]:
    """Call each of ``routes`` for one token; never raises for what a route answers.

    Raises ConfigError when a transformer of the person's own cannot be loaded.
    """
    silent = logging.Logger("ccr.setup", level=logging.CRITICAL)  # noqa: LOG001 - a logger nobody else gets
    home = Paths.from_environ(os.environ).home
    plugins = await plugin_loader(home, os.environ, secrets=secrets_of_config)(config)
    quiet = replace(config, speed=None)  # what is only tried is told nowhere
    app = make_app(  # built, never listening
        quiet, key=Secret(""), instance="setup", ports=(), log=silent, plugins=plugins
    )
    permits = asyncio.Semaphore(AT_ONCE)
    try:
        proofs = await asyncio.gather(*(_proof(app.gateway, route, permits, deadline_s) for route in routes))
        return [replace(each, error=each.error and app.live.masked(each.error)) for each in proofs]
    finally:
        await app.close()


async def _proof(gateway: Gateway, route: str, permits: asyncio.Semaphore, deadline_s: float) -> Proof:
    body = {"model": route, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
    async with permits:
        began = time.monotonic()
        error: str | None = None
        status: int | None = None
        try:
            async with asyncio.timeout(deadline_s):
                await gateway.messages(json.dumps(body).encode(), Client("setup"))
        except TimeoutError:
            error = f"no answer within {deadline_s:.0f} s"
        except CcrError as failure:
            error = str(failure)
            status = failure.status if isinstance(failure, ApiError) else None
        return Proof(route, time.monotonic() - began, error, status)
