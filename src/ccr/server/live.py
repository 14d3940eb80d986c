"""The configuration that answers now, and its exchange for another while requests are running.

live.current        the generation that new requests begin with
live.adopt(config)  an edited configuration becomes the current one, or raises and nothing has changed
live.reject(…)      an edited configuration cannot be used: the last good one stays, and status says so
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final

from ccr.config.masking import Mask, secrets_of_config
from ccr.gateway.lasting import Lasting
from ccr.gateway.routes import Routes
from ccr.plugins.loading import Plugins
from ccr.server.generation import SharedUpstream, generation_of
from ccr.upstream.sent import SentSecrets

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Coroutine, Mapping

    from ccr.config.model import Config
    from ccr.gateway.patience import Patience
    from ccr.gateway.projects import Folders
    from ccr.server.generation import Generation
    from ccr.store.records import RequestRow
    from ccr.upstream.auth.credentials import Credentials

NEED_RESTART: Final = {"host": "HOST", "port": "PORT", "api_key": "APIKEY", "auth": "AUTH"}
"""Fields of the configuration that the listening socket and the guard were made of, and their keys."""


class Live:
    """Holds the current generation; closes earlier ones when their last request has ended.

    sign_in: makes the credentials of a configuration, raises ConfigError. Needs a running loop; ``close`` it.
    folders: where the Routers of projects are. plugins: loaded for it. keep: gets a row of each request that
    ends, where the configuration wants it. Raises ValueError when a configured transformer cannot be built,
    ConfigError when a custom router cannot be loaded.
    """

    def __init__(
        self,
        config: Config,
        sign_in: Callable[[Config], Mapping[str, Credentials]],
        *,
        log: logging.Logger,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.time,
        folders: Folders | None = None,
        plugins: Plugins | None = None,
        keep: Callable[[RequestRow], None] | None = None,
    ) -> None:
        plugins = plugins or Plugins()
        self._sign_in = sign_in
        self._log = log
        self._patience = patience
        self._clock = clock
        self._lasting = Lasting.new(folders=folders, keep=keep)
        self._closing: set[asyncio.Task[None]] = set()
        self._retired: set[Generation] = set()
        self._number = 1
        self._loaded_at = clock()
        self._problems: tuple[str, ...] = ()
        self._need_restart: tuple[str, ...] = ()
        self._mask = Mask(secrets_of_config(config))
        self._sent = SentSecrets()
        routes = Routes(config, plugins.build)
        self.current = self._made(
            config, routes, SharedUpstream(config, sign_in(config), self._sent), plugins
        )

    def adopt(self, config: Config, plugins: Plugins | None = None, *, has_new_code: bool = False) -> bool:
        """Let new requests begin with this configuration; False when it says what the current one says.

        has_new_code: a file that it loads has changed, so that it counts although it says the same. What
        needs a restart keeps its value and is named in the log and in `report`. Raises ConfigError when there
        is no identity for a provider, ValueError when a transformer cannot be built.
        """
        pinned = {name: getattr(self.current.config, name) for name in NEED_RESTART}
        needed = tuple(key for name, key in NEED_RESTART.items() if getattr(config, name) != pinned[name])
        effective = dataclasses.replace(config, **pinned)
        plugins = plugins or Plugins()
        is_new = False
        try:
            is_new = self._exchange(effective, plugins, has_new_code=has_new_code)
        finally:
            if not is_new:
                self._begin(plugins.close())
        self._problems = ()
        self._loaded_at = self._clock()
        if needed and needed != self._need_restart:
            self._log.warning("%s changed: `ccr restart` makes it count", " and ".join(needed))
        self._need_restart = needed
        return is_new

    def reject(self, problems: tuple[str, ...]) -> None:
        """Note why an edited configuration was not taken; each reason is logged."""
        self._problems = problems
        for problem in problems:
            self._log.error(
                "the edited configuration is not used; the last good one goes on",
                extra={"fields": {"problem": problem}},
            )

    def unexpected(self, error: Exception) -> None:
        """Log the traceback of what an edited configuration has raised."""
        self._log.error("an edited configuration raises an unexpected error", exc_info=error)

    def masked(self, text: str) -> str:
        """Return a text without the secrets of the configuration, and without keys and tokens sent lately."""
        return self._sent.masked(self._mask.by_value(text))

    def report(self) -> dict[str, Any]:
        """Return what ``/status`` says about the configuration. loaded_at: seconds since 1970."""
        return {
            "generation": self._number,
            "loaded_at": self._loaded_at,
            "problems": list(self._problems),
            "restart_needed_for": list(self._need_restart),
            "earlier_generations_running": len(self._retired),
            "end_points": {path: each.name for path, each in self.current.plugins.end_points.items()},
        }

    async def close(self) -> None:
        """Close all generations, whatever is running."""
        retired = [*self._retired, self.current]
        self._retired.clear()
        for generation in retired:
            await generation.close()
        await asyncio.gather(*self._closing, return_exceptions=True)

    # -- making and exchanging -------------------------------------------------------------------------

    def _exchange(self, config: Config, plugins: Plugins, *, has_new_code: bool) -> bool:
        routes = Routes(config, plugins.build)  # first: what can fail must leave nothing to be closed
        credentials = self._sign_in(config)
        shared = self.current.shared
        if shared.fits(config, credentials):
            self._begin(_close_all(credentials))  # its own leases go on
            if config == self.current.config and not has_new_code:
                return False
        else:
            shared = SharedUpstream(config, credentials, self._sent)
        made = self._made(config, routes, shared, plugins)
        old, self.current = self.current, made
        self._number += 1
        self._mask = Mask({*secrets_of_config(config), *secrets_of_config(old.config)})
        self._retired.add(old)
        old.retire()
        if shared is not old.shared:
            self._begin(shared.upstream.sign_in())
        return True

    def _made(self, config: Config, routes: Routes, shared: SharedUpstream, plugins: Plugins) -> Generation:
        return generation_of(
            config,
            routes,
            shared,
            self._lasting,
            plugins,
            log=self._log,
            patience=self._patience,
            on_end=self._end,
        )

    def _end(self, generation: Generation) -> None:
        if generation in self._retired:
            self._retired.remove(generation)
            self._begin(generation.close())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close_all(credentials: Mapping[str, Credentials]) -> None:
    for each in credentials.values():
        await each.close()
