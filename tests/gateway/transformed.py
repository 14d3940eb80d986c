"""A service whose provider has transformers that a test wrote."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from ccr.config.model import Step
from ccr.plugins.loading import Plugins
from ccr.transformers.base import Transformer
from tests.server.service import MODEL, Service, config_for, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ccr.gateway.patience import Patience
    from ccr.transformers.pipeline import AnyStep


@contextlib.asynccontextmanager
async def transformed_by(
    url: str, *steps: AnyStep, patience: Patience | None = None, **changes: Any
) -> AsyncIterator[Service]:
    """Run a service. changes: of its provider."""
    config = config_for(url)
    written = tuple(Step(name=each.name) for each in steps)
    uses = {id(one): each for one, each in zip(written, steps, strict=True)}
    provider = dataclasses.replace(config.providers[0], steps=written, **changes)
    config = dataclasses.replace(config, providers=(provider,))
    async with running(config, patience=patience, plugins=Plugins(config, uses)) as service:
        yield service


def step(hook: str, function: Any, name: str = "mine", **more: Any) -> Transformer:
    """Return a transformer with one hook; function: that hook without ``self``. more: hooks with it."""
    hooks = {hook: lambda _self, *arguments: function(*arguments), **more}
    made: Transformer = type("Mine", (Transformer,), {"name": name, **hooks})({})
    return made


__all__ = ["MODEL", "step", "transformed_by"]
