"""``ccr doctor``: all checks in their order. Nothing here prints, nothing is changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ccr.config.load import load_config
from ccr.errors import ConfigError, StartError
from ccr.setup.check_local import (
    certificate_finding,
    claude_finding,
    environment_findings,
    proxy_findings,
    retired_findings,
)
from ccr.setup.check_plugins import plugin_findings
from ccr.setup.check_workspace import workspace_findings
from ccr.setup.finding import Finding, is_failed
from ccr.setup.proof import prove, routes_of
from ccr.setup.workspaces import signed_in, workspaces_of
from ccr.transformers.registry import build

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from ccr.config.model import Config
    from ccr.config.paths import Paths
    from ccr.setup.proof import Proof

SETUP = "`ccr setup` makes one; `ccr demo` needs none"


@dataclass(frozen=True)
class Surroundings:
    """What the checks look at.

    port: finds out who listens on the configured port (the service's control lies beside this layer).
    claude: the program `ccr code` would start, by the configuration (None: without one).
    clock: seconds since 1970.
    """

    paths: Paths
    environ: Mapping[str, str]
    port: Callable[[Config], Finding]
    claude: Callable[[Config | None], str | None]
    clock: Callable[[], float]
    today: dt.date


async def examine(around: Surroundings, *, with_calls: bool = True) -> list[Finding]:
    """Return what every check found. with_calls: False leaves out the one-token calls."""
    found, config = _configuration(around)
    claude = claude_finding(around.claude(config), around.environ)
    if config is None:
        return [
            *found,
            claude,
            certificate_finding(around.environ),
            *environment_findings(around.environ, ()),
        ]
    workspaces = workspaces_of(config)
    plugins = await plugin_findings(config, around.paths.home, around.environ)
    found += [
        *plugins,
        *retired_findings(config, around.today),
        around.port(config),
        claude,
        *proxy_findings(config, around.environ),
        certificate_finding(around.environ, config),
        *environment_findings(around.environ, workspaces),
    ]
    asked = (
        workspace_findings(config, url, provider, around.environ, around.clock)
        for url, provider in workspaces.items()
    )
    for answers in await asyncio.gather(*asked):
        found += answers
    if with_calls and not is_failed(plugins):
        routes = routes_of(config)
        found += [_call(proof) for proof in await prove(await signed_in(config, around.environ), routes)]
    return found


def _configuration(around: Surroundings) -> tuple[list[Finding], Config | None]:
    path = around.paths.config_file
    try:
        config = load_config(around.paths, around.environ, check_step=build)
    except StartError:
        return [Finding("config", "failed", f"there is no configuration at {path}", SETUP)], None
    except ConfigError as error:
        remedy = "correct these keys; docs/configuration.md has every key"
        return [Finding("config", "failed", str(error), remedy)], None
    found = [Finding("config", "ok", f"{path}, default route {config.router.default}")]
    return found + [Finding("config", "warning", sentence) for sentence in config.warnings], config


def _call(proof: Proof) -> Finding:
    check = f"call {proof.route}"
    if proof.error is None:
        return Finding(check, "ok", f"answered in {proof.seconds * 1000:.0f} ms")
    if proof.is_busy:
        return Finding(check, "warning", proof.error, "the endpoint is there; wait a minute and try again")
    message = proof.error.lower()
    if "rate limit of 0" in message:
        remedy = "this workspace does not offer the model to you: choose another one from `ccr models`"
    elif proof.status == 400:
        remedy = "correct the model's name or api_base_url; `ccr models --refresh` lists what is served"
    elif proof.status == 403:
        remedy = "see the line `identity`; else ask for the permission `Can query` on the endpoint"
    else:
        remedy = "see the line `host`; `ccr logs` and docs/troubleshooting.md help further"
    return Finding(check, "failed", proof.error, remedy)
