"""One configuration at work, for as long as requests that began with it are running.

An edit of config.json makes a new generation for new requests; the old one is closed when its last request
has ended. Two neighbours share the connections to the providers when nothing that concerns them has changed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ccr.config.model import Config, Router, UsageKept
from ccr.gateway.gateway import Gateway
from ccr.server.sign_ins import Lease
from ccr.upstream.client import Upstream

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from ccr.gateway.counting import Counting
    from ccr.gateway.lasting import Lasting
    from ccr.gateway.patience import Patience
    from ccr.gateway.routes import Routes
    from ccr.gateway.speed import SpeedOutputs
    from ccr.plugins.loading import Plugins
    from ccr.upstream.auth.credentials import Credentials
    from ccr.upstream.sent import SentSecrets


class SharedUpstream:
    """The connections to the providers, held by one generation or several; the last one closes them."""

    def __init__(
        self, config: Config, credentials: Mapping[str, Credentials], sent: SentSecrets | None = None
    ) -> None:
        self.upstream = Upstream(config, credentials, sent=sent)
        self.credentials = credentials
        self._settings = _settings_of(config)
        self._holders = 0

    def fits(self, config: Config, credentials: Mapping[str, Credentials]) -> bool:
        """Tell whether it serves another configuration as well as one made for it."""
        return (
            _settings_of(config) == self._settings
            and credentials.keys() == self.credentials.keys()
            and all(_is_same(each, self.credentials[name]) for name, each in credentials.items())
        )

    def hold(self) -> SharedUpstream:
        """Count a generation that uses it."""
        self._holders += 1
        return self

    async def release(self) -> None:
        """Count a generation less."""
        self._holders -= 1
        if self._holders == 0:
            await self.upstream.close()


class Generation:
    """The parts that come from one configuration. on_end: called when it is retired and nothing runs.

    beside: what else ends with it.
    """

    def __init__(
        self,
        config: Config,
        shared: SharedUpstream,
        gateway: Gateway,
        plugins: Plugins,
        on_end: Callable[[Generation], None],
        beside: Sequence[SpeedOutputs | Counting] = (),
    ) -> None:
        self.config = config
        self._beside = beside
        self.plugins = plugins
        self.shared = shared.hold()
        self.gateway = gateway
        self.takes_user_token = any(
            each.sign_in is not None and each.sign_in.on_behalf_of_user for each in config.providers
        )
        self._on_end = on_end
        self._running = 0
        self._is_retired = False

    def begin(self) -> None:
        """Count a request that begins."""
        self._running += 1

    def end(self) -> None:
        """Count a request that ended."""
        self._running -= 1
        self._end_if_idle()

    def retire(self) -> None:
        """Take no further request."""
        self._is_retired = True
        self._end_if_idle()

    async def close(self) -> None:
        """Close what belongs to this generation alone."""
        for each in self._beside:
            await each.close()
        await self.plugins.close()
        await self.shared.release()

    def _end_if_idle(self) -> None:
        if self._is_retired and not self._running:
            self._on_end(self)


def generation_of(
    config: Config,
    routes: Routes,
    shared: SharedUpstream,
    lasting: Lasting,
    plugins: Plugins,
    *,
    log: logging.Logger,
    patience: Patience | None,
    on_end: Callable[[Generation], None],
) -> Generation:
    """Return a configuration at work. routes, plugins: made of it."""
    speed, counting = _speed_of(config, log), _counting_of(config, log)
    gateway = Gateway(
        config,
        routes,
        shared.upstream,
        logger=log,
        patience=patience,
        lasting=lasting,
        javascript=plugins.host,
        end_points=plugins.end_points,
        speed=speed,
        counting=counting,
    )
    beside = [each for each in (speed, counting) if each is not None]
    return Generation(config, shared, gateway, plugins, on_end, beside)


def _speed_of(config: Config, log: logging.Logger) -> SpeedOutputs | None:
    """Return where the speed of answers goes, None for nowhere."""
    if config.speed is None:
        return None
    from ccr.gateway.speed import SpeedOutputs  # imported late: few have it
    from ccr.upstream.ways import Reach
    from ccr.upstream.webhook import WebhookSender

    address = config.speed.webhook
    reach = Reach(config.proxy_url, config.no_proxy, config.ca_files)
    return SpeedOutputs(config.speed, WebhookSender(address, reach) if address is not None else None, log)


def _counting_of(config: Config, log: logging.Logger) -> Counting | None:
    """Return what counts by the tokenizers of providers, None where there are none."""
    if not any(provider.tokenizers for provider in config.providers):
        return None
    from ccr.gateway.counting import Counting  # imported late: few have any

    return Counting(config, log)


def _settings_of(config: Config) -> Config:
    """Return a configuration without what the connections to the providers do not depend on."""
    return dataclasses.replace(
        config,
        log=True,
        log_level="info",
        claude_path=None,
        stop_timeout_s=Config.stop_timeout_s,
        router=Router(),
        system_prompt=None,
        speed=None,
        status_line=None,
        usage=UsageKept(),
        warnings=(),
        notes=(),
        providers=tuple(
            dataclasses.replace(provider, discovered=(), prices={}, tokenizers={})
            for provider in config.providers
        ),
    )


def _is_same(one: Credentials, other: Credentials) -> bool:
    return one is other or (isinstance(one, Lease) and one.is_of_same(other))
