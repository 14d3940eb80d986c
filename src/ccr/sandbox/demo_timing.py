"""How much time the proxy adds: the same small question, asked directly and through it, in turns."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ccr.sandbox.demo_client import DemoError

WARM_UP = 5
ROUNDS = 40
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Asking:
    """One way to ask: where, with which headers, with which body. A connection is kept open."""

    connection: http.client.HTTPConnection
    path: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, url: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> Asking:
        """Return a way to ask ``url`` + ``path``."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        headers = {"content-type": "application/json"} | headers
        return cls(connection, path, headers, json.dumps(body).encode())

    def seconds(self) -> float:
        """Ask once and return how long the whole answer took. Raises DemoError."""
        begun = time.perf_counter()
        try:
            self.connection.request("POST", self.path, self.body, self.headers)
            response = self.connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise DemoError(f"{self.path}: {error!r}") from error
        if response.status != 200:
            raise DemoError(f"{self.path} answered {response.status}: {text[:500].decode(errors='replace')}")
        return time.perf_counter() - begun


@dataclass(frozen=True)
class Medians:
    """Median times of one small streamed request, in milliseconds."""

    direct_ms: float
    through_ms: float

    @property
    def added_ms(self) -> float:
        """What the proxy adds."""
        return self.through_ms - self.direct_ms


def medians_of(direct: Asking, through: Asking, rounds: int = ROUNDS) -> Medians:
    """Ask both ways in turns, and return the medians; the first few answers do not count."""
    times = [(direct.seconds(), through.seconds()) for _ in range(WARM_UP + rounds)][WARM_UP:]
    direct.connection.close()
    through.connection.close()
    return Medians(
        statistics.median(one for one, _ in times) * 1000, statistics.median(two for _, two in times) * 1000
    )
