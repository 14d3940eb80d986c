"""How a process loads the transformers of its configurations: where their log and their sockets are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.plugins.end_points import nothing_is_built_in
from ccr.plugins.loading import load_plugins
from ccr.plugins.log import FILE_NAME, PluginLog

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path

    from ccr.config.model import Config, Secret
    from ccr.plugins.loading import Plugins
    from ccr.plugins.node.host import NodeHost

SOCKETS = "run"


def plugin_loader(
    home: Path,
    environ: Mapping[str, str],
    *,
    secrets: Callable[[Config], Iterable[Secret]],
    log: logging.Logger | None = None,
    is_built_in: Callable[[str], bool] = nothing_is_built_in,
) -> Callable[[Config], Awaitable[Plugins]]:
    """Return what loads the transformers of the person's own that a configuration names.

    home: the configuration's folder; ``plugin.log`` is in it. environ: of plugins in JavaScript. secrets:
    what no log may hold. log: ccr's own, for when ``plugin.log`` cannot be written. is_built_in: tells of
    paths that no plugin can have for its route.
    """

    def new_host(config: Config, plugin_log: PluginLog) -> NodeHost:
        from ccr.plugins.node.host import NodeHost  # imported late: few configurations need it

        return NodeHost(
            command=config.node_command, socket_dir=home / SOCKETS, log=plugin_log, environ=environ
        )

    async def load(config: Config) -> Plugins:
        plugin_log = PluginLog(
            home / FILE_NAME,
            level=config.log_level if config.log else None,
            secrets=secrets(config),
            failures=log,
        )
        plugins = await load_plugins(
            config,
            new_host=lambda: new_host(config, plugin_log),
            log=plugin_log,
            is_built_in=is_built_in,
        )
        if log is not None:
            for sentence in plugins.warnings:
                log.warning(sentence)
        return plugins

    return load
