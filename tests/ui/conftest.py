"""Installations, and the pages of them on a port of their own."""

from __future__ import annotations

import asyncio
import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ccr.cli.status_report import status_values
from ccr.ui.app import Listening
from ccr.ui.calls import Around
from ccr.ui.guard import KEY_HEADER
from ccr.ui.session import Session
from tests.daemon.conftest import installation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.daemon.installation import Installation

__all__ = ["installation"]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def values(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass(frozen=True)
class Asked:
    """The pages of an installation, served by this process."""

    installation: Installation
    session: Session
    port: int

    async def raw(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Send exactly this."""
        return await asyncio.to_thread(self._raw, method, target, headers, body)

    def _raw(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        found = Answer(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        )
        connection.close()
        return found

    def headers(self, body: bytes | None = None) -> dict[str, str]:
        """Return what a page of ours sends."""
        host = f"127.0.0.1:{self.port}"
        found = {"Host": host, "Sec-Fetch-Site": "same-origin", KEY_HEADER: self.session.key.reveal()}
        if body is not None:
            found |= {
                "Origin": f"http://{host}",
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }
        return found

    async def get(self, target: str) -> Answer:
        return await self.raw("GET", target, self.headers())

    async def post(self, target: str, values: Any) -> Answer:
        body = json.dumps(values).encode()
        return await self.raw("POST", target, self.headers(body), body)


def around(installation: Installation, **environ: str) -> Around:
    made = installation.environ(**environ)
    return Around(paths=installation.paths, environ=made, status=lambda: status_values(made))


@pytest.fixture
async def pages(installation: Installation) -> AsyncIterator[Asked]:
    session = Session()
    async with Listening(around(installation), session) as port:
        yield Asked(installation, session, port)
