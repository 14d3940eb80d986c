"""For the tests of payloads: routes with limits, and images made smaller and fetched without doing either."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ccr.config.model import Config, Provider, Router
from ccr.gateway.payload import Payloads
from ccr.gateway.record import Record
from ccr.gateway.replies import Client
from ccr.gateway.routes import Route, Routes
from ccr.protocol.images import InlineImage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.upstream.images.pillow import Step

MODEL = "databricks-claude-sonnet-4-5"
HOST = "https://dbc-1.cloud.databricks.com"


def route_with(*, path: str = "/serving-endpoints/m/invocations", **limits: Any) -> Route:
    provider = Provider(name="dbx", url=HOST + path, api_key=None, models=(MODEL,), **limits)
    config = Config(providers=(provider,), router=Router(default=f"dbx,{MODEL}"))
    return Routes(config).find(MODEL)[0]


def new_record() -> Record:
    return Record(client=Client("req_1"), route="messages", started_at=0.0, body_bytes=0)


@dataclass
class FakeReencode:
    """Gives images of a tenth of the step's edge in characters, and none for data that begins with ``!``."""

    asked: list[tuple[int, str]] = field(default_factory=list)

    async def at(self, step: Step, data: str) -> InlineImage | str:
        self.asked.append((step.long_edge, data[:1]))
        if data.startswith("!"):
            return "it cannot be made smaller"
        return InlineImage("image/jpeg", (data[0] + str(step.quality)).ljust(step.long_edge // 10, "-"))


@dataclass
class FakeFetch:
    """Gives an image for addresses that end in .png."""

    asked: list[str] = field(default_factory=list)

    async def fetch(self, urls: Iterable[str]) -> dict[str, InlineImage | str]:
        wanted = list(urls)
        self.asked += wanted
        image = InlineImage("image/png", "QUJD")
        return {url: image if url.endswith(".png") else "it is gone" for url in wanted}


@dataclass
class Around:
    """Payloads with fakes around them."""

    has_pillow: bool = True
    reencode: FakeReencode = field(default_factory=FakeReencode)
    fetch: FakeFetch = field(default_factory=FakeFetch)
    entries: list[logging.LogRecord] = field(default_factory=list)

    def payloads(self) -> Payloads:
        log = logging.Logger("test", logging.INFO)  # noqa: LOG001 - not shared between tests
        handler = logging.Handler()
        handler.emit = self.entries.append  # type: ignore[assignment, method-assign] # a list is enough
        log.addHandler(handler)
        return Payloads(
            logger=log, reencode=self.reencode, fetch=self.fetch, has_pillow=lambda: self.has_pillow
        )
