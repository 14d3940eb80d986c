"""Token counts by the tokenizers that providers name; whoever gets none from here estimates.

A count must not hold a request: a vocabulary that is not there yet is waited for a second at most, and only
by the requests of that second; a count itself has two. What fails rests, longer each time, and is told once
in the log. Then the tokenizer's ``fallback`` counts, then nobody.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from ccr.errors import RequestError
from ccr.upstream.tokenizers.errors import TokenizerError
from ccr.upstream.tokenizers.making import tokenizer_of
from ccr.upstream.ways import Reach

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from ccr.config.model import Config, Provider
    from ccr.config.tokenizers import Tokenizer

READY_WITHIN_S: Final = 1.0
COUNT_WITHIN_S: Final = 2.0
REST_S: Final = 60.0
MAX_REST_S: Final = 3600.0


class Counter(Protocol):
    """A tokenizer. All raise TokenizerError."""

    async def prepare(self) -> None:
        """Get what counting needs."""

    async def count(self, body: bytes) -> int:
        """Return the tokens of a request; raises RequestError as well."""

    async def close(self) -> None:
        """Let go of what it has."""


class Standby:
    """One tokenizer, and how it fares. what: its name in the log."""

    def __init__(
        self,
        counter: Counter,
        what: str,
        logger: logging.Logger,
        clock: Callable[[], float],
        *,
        ready_within_s: float = READY_WITHIN_S,
        count_within_s: float = COUNT_WITHIN_S,
    ) -> None:
        self._counter = counter
        self._what = what
        self._logger = logger
        self._clock = clock
        self._ready_within_s = ready_within_s
        self._count_within_s = count_within_s
        self._preparing: asyncio.Task[None] | None = None
        self._prepared_since = 0.0
        self._is_ready = False
        self._rests_until = 0.0
        self._failures = 0
        self._said = ""

    async def count(self, body: bytes) -> int | None:
        """Return the tokens of a request, None where it cannot count now."""
        if self._clock() < self._rests_until or not await self._ready():
            return None
        try:
            async with asyncio.timeout(self._count_within_s):
                counted = await self._counter.count(body)
        except TimeoutError:
            self._fail(TokenizerError(f"it takes longer than {self._count_within_s:g} s"))
        except TokenizerError as error:
            self._fail(error)
        except RequestError:
            pass  # whoever reads the request says what is wrong with it
        else:
            self._failures, self._said = 0, ""
            return max(1, counted)
        return None

    async def close(self) -> None:
        """End what it does."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.gather(self._preparing, return_exceptions=True)
        await self._counter.close()

    async def _ready(self) -> bool:
        """Tell whether it is prepared; the first second of that is waited for."""
        if self._is_ready:
            return True
        if self._preparing is None:
            self._prepared_since = self._clock()
            self._preparing = asyncio.create_task(self._prepare())
        left = self._prepared_since + self._ready_within_s - self._clock()
        if left > 0:
            await asyncio.wait({self._preparing}, timeout=left)
        return self._is_ready

    async def _prepare(self) -> None:
        try:
            await self._counter.prepare()
            self._is_ready = True
        except TokenizerError as error:
            self._fail(error)
        finally:
            self._preparing = None

    def _fail(self, error: TokenizerError) -> None:
        """Have it rest. The same reason is told once."""
        rest = min(MAX_REST_S, REST_S * 2**self._failures)
        self._failures += 1
        self._rests_until = float("inf") if error.is_final else self._clock() + rest
        if str(error) != self._said:
            self._said = str(error)
            fields: dict[str, Any] = {"tokenizer": self._what, "reason": str(error)}
            self._logger.warning(
                "a tokenizer does not count: its fallback does, or tokens are estimated",
                extra={"fields": fields},
            )


class Counting:
    """The tokenizers of a configuration. Needs a running loop; ``close`` it. clock: monotonic seconds."""

    def __init__(
        self,
        config: Config,
        logger: logging.Logger,
        *,
        clock: Callable[[], float] = time.monotonic,
        make: Callable[[Tokenizer, str, Reach], Counter] = tokenizer_of,
    ) -> None:
        self._config = config
        self._logger = logger
        self._clock = clock
        self._make = make
        self._providers = {each.name: each for each in config.providers if each.tokenizers}
        self._standbys: dict[tuple[Tokenizer, str, str], Standby] = {}

    async def count(self, provider: str, model: str, body: bytes) -> int | None:
        """Return the tokens of a request for a model, by its tokenizer or that one's fallback.

        None: it has none, or none that counts now.
        """
        for standby in self._chain(provider, model):
            counted = await standby.count(body)
            if counted is not None:
                return counted
        return None

    async def close(self) -> None:
        """End what is being done."""
        await asyncio.gather(*(each.close() for each in self._standbys.values()))

    def _chain(self, name: str, model: str) -> list[Standby]:
        provider = self._providers.get(name)
        if provider is None:
            return []
        tokenizer = provider.tokenizers.get(model) or provider.tokenizers.get("")
        wanted = [tokenizer, tokenizer.fallback if tokenizer is not None else None]
        return [self._standby(each, provider, model) for each in wanted if each is not None]

    def _standby(self, tokenizer: Tokenizer, provider: Provider, model: str) -> Standby:
        """Return the one tokenizer of a kind and name; a web service is one a model."""
        is_api = tokenizer.api is not None
        key = (replace(tokenizer, fallback=None), provider.name if is_api else "", model if is_api else "")
        standby = self._standbys.get(key)
        if standby is None:
            counter = self._make(tokenizer, model, Reach.of(self._config, provider))
            what = f"{tokenizer.kind} {tokenizer.name}".strip()
            standby = self._standbys[key] = Standby(counter, what, self._logger, self._clock)
        return standby
