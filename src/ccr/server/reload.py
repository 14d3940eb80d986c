"""Noticing that config.json was edited, and taking it over: a cheap look once a second, or SIGHUP.

The person's own files that it names (transformers, the custom router, the system prompt) are watched as
well, and loaded anew; what those load in their turn is not.

An editor may write a file in pieces. So a content that cannot be used is looked at once more a moment later,
and called a mistake only when it is still the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.config.transformer_files import own_files
from ccr.errors import ConfigError, StartError
from ccr.plugins.loading import no_plugins

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ccr.config.model import Config
    from ccr.plugins.loading import Plugins
    from ccr.server.live import Live

POLL_S: Final = 1.0

FileSignature = tuple[int, int, int, int] | None
"""Time of the last change, size, inode, device; None when there is no such file."""
Signature = dict[Path, FileSignature]


@dataclass(frozen=True)
class Source:
    """Where the configuration comes from.

    load: reads and checks it, outside the loop; raises ConfigError or StartError. on_adopted: called with
    each configuration that is taken over, before a request begins with it (the log must mask its secrets).
    beside: further files that it is made of. load_plugins: loads the transformers of the person's own that it
    names; raises ConfigError.
    """

    file: Path
    load: Callable[[], Config]
    on_adopted: Callable[[Config], None]
    beside: tuple[Path, ...] = ()
    load_plugins: Callable[[Config], Awaitable[Plugins]] = no_plugins


class Reloader:
    """Keeps a service at the configuration of its source."""

    def __init__(self, live: Live, source: Source, *, poll_s: float = POLL_S) -> None:
        self._live = live
        self._source = source
        self._poll_s = poll_s
        self._code = _signature_of_files(own_files(live.current.config))
        """The person's own files that the current configuration has loaded, as they were then."""
        self._named = self._code
        """Those that the configuration read last names, as they were before they were loaded."""
        self._seen = self._signature()
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have it read now, whether the file looks changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        doubted: Signature | None = None
        while True:
            is_asked = await self._is_asked()
            signature = self._signature()
            if signature == self._seen and not is_asked:
                continue
            problems = await self._taken_over()
            # What it names by now; of files that were not watched before counts how they were then.
            before = {**self._named, **signature}
            signature = {file: before[file] for file in self._files()}
            if not problems:
                self._seen, doubted = signature, None
            elif is_asked or signature == doubted:
                self._seen, doubted = signature, None
                self._live.reject(problems)
            else:
                doubted = signature

    async def _is_asked(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._asked.wait()
        is_asked = self._asked.is_set()
        self._asked.clear()
        return is_asked

    async def _taken_over(self) -> tuple[str, ...]:
        """Return why the file cannot be used; empty when it is in use now."""
        try:
            config = await asyncio.to_thread(self._source.load)
            code = _signature_of_files(own_files(config))
            self._named = code
            self._source.on_adopted(config)
            plugins = await self._source.load_plugins(config)
            self._live.adopt(config, plugins, has_new_code=code != self._code)
            self._code = code
        except ConfigError as error:
            return tuple(str(problem) for problem in error.problems)
        except (StartError, ValueError, OSError) as error:
            return (str(error).partition("\n")[0],)
        except Exception as error:  # noqa: BLE001 - code of the person's own may raise anything
            # It must not end the watching: nobody else would notice that the mistake was mended.
            self._live.unexpected(error)
            return (f"it cannot be used: {type(error).__name__}: {error}".partition("\n")[0],)
        return ()

    def _signature(self) -> Signature:
        return _signature_of_files(self._files())

    def _files(self) -> tuple[Path, ...]:
        return (self._source.file, *self._source.beside, *self._named)


def _signature_of_files(files: Iterable[Path]) -> Signature:
    return {file: _signature_of(file) for file in files}


def _signature_of(file: Path) -> FileSignature:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev
