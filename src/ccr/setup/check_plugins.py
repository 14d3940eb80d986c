"""Whether the person's own files load: transformers, plugins, the custom router. As the start loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.config.masking import secrets_of_config
from ccr.config.transformer_files import has_entry_point, steps_of
from ccr.errors import ConfigError
from ccr.gateway.custom_router import loaded_custom_router
from ccr.plugins.hosting import plugin_loader
from ccr.server.routes import is_built_in
from ccr.setup.finding import Finding
from ccr.transformers.registry import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ccr.config.model import Config


def names_own_files(config: Config) -> bool:
    """Tell whether a configuration has anything of the person's own to load."""
    if config.transformers or config.custom_router is not None:
        return True
    others = {step.name for step in steps_of(config)} - BUILT_IN.keys()
    return any(map(has_entry_point, others))


async def load_own_files(config: Config, home: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Load everything and let go of it; return what a person should know. Raises ConfigError.

    home: the configuration's folder, where plugin.log is.
    """
    loaded_custom_router(config)
    load = plugin_loader(home, environ, secrets=secrets_of_config, is_built_in=is_built_in)
    plugins = await load(config)
    await plugins.close()
    return plugins.warnings


async def plugin_findings(config: Config, home: Path, environ: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each file that does not load; none where nothing is configured."""
    if not names_own_files(config):
        return []
    try:
        warnings = await load_own_files(config, home, environ)
    except ConfigError as error:
        remedy = "correct the file, or take it out of config.json; the service does not start with it"
        return [Finding("plugins", "failed", str(problem), remedy) for problem in error.problems]
    if warnings:
        return [Finding("plugins", "warning", sentence) for sentence in warnings]
    return [Finding("plugins", "ok", "all transformers and routers of your own load")]
