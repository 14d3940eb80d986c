"""Asking the configured workspaces what they serve, and remembering the answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ccr.errors import UpstreamError
from ccr.setup.workspaces import identity_of, models_of, workspaces_of
from ccr.upstream.discovered import read_discovered, write_discovered
from ccr.upstream.ways import Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Config
    from ccr.config.paths import Paths
    from ccr.upstream.discovered import Remembered
    from ccr.upstream.discovery import Discovery


async def refreshed(
    paths: Paths, config: Config, environ: Mapping[str, str], *, is_forced: bool, clock: Callable[[], float]
) -> tuple[dict[str, Remembered], list[str]]:
    """Return what the configured workspaces serve, and one sentence for each that could not say (all of) it.

    A workspace that was asked before is asked again only when ``is_forced``. Raises OSError when the answer
    cannot be remembered.
    """
    wanted = workspaces_of(config)
    remembered = read_discovered(paths)
    asked = [url for url in wanted if is_forced or url not in remembered]
    answers = await asyncio.gather(*(_asked(config, environ, url) for url in asked))
    problems = []
    for url, answer in zip(asked, answers, strict=True):
        if isinstance(answer, UpstreamError):
            problems.append(answer.message)
            continue
        problems += answer.problems
        write_discovered(paths, url, answer.models, at=clock())
    remembered = read_discovered(paths)
    return {url: remembered[url] for url in wanted if url in remembered}, problems


async def _asked(config: Config, environ: Mapping[str, str], url: str) -> Discovery | UpstreamError:
    provider = workspaces_of(config)[url]
    try:
        reach = Reach.of(config, provider)
        identity = await identity_of(provider, environ, reach=reach)
        return await models_of(url, identity, reach=reach)
    except UpstreamError as error:
        return error
