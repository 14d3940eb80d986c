"""Where everything of one installation lies: ``~/.claude-code-router``, or ``CCR_HOME``.

Only names and folders; nothing is read here, and a folder is made only on request.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_NAME = ".claude-code-router"


@dataclass(frozen=True)
class Paths:
    """The files of one installation; ``home`` is absolute."""

    home: Path

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Paths:
        """Find the home folder: ``CCR_HOME`` when set (a leading ``~`` means HOME), else below ``HOME``."""
        chosen = environ.get("CCR_HOME", "")
        person = environ.get("HOME", "")
        if not chosen:
            if not person:
                raise StartError(
                    "HOME is not set, so there is no place for ccr's files; set HOME or CCR_HOME."
                )
            return cls(Path(person).absolute() / HOME_NAME)
        if chosen == "~" or chosen.startswith("~/"):
            if not person:
                raise StartError(
                    f"CCR_HOME is {chosen!r} but HOME is not set; give CCR_HOME as a whole path."
                )
            return cls(Path(person).absolute() / chosen[2:])
        return cls(Path(chosen).absolute())

    @property
    def config_file(self) -> Path:
        """The person's configuration."""
        return self.home / "config.json"

    @property
    def key_file(self) -> Path:
        """The generated key of this installation."""
        return self.home / ".key"

    @property
    def state_file(self) -> Path:
        """Who serves now: process, instance, address."""
        return self.home / "service.json"

    @property
    def lock_file(self) -> Path:
        """Held (flock) by the serving process for as long as it lives."""
        return self.home / ".lock"

    @property
    def handover_file(self) -> Path:
        """The socket at which the next serving process asks for the lock and the listening socket."""
        return self.home / ".handover"

    @property
    def usage_file(self) -> Path:
        """The database of finished requests; SQLite keeps files beside it with names that begin so."""
        return self.home / "usage.sqlite"

    @property
    def log_dir(self) -> Path:
        """All logs."""
        return self.home / "logs"

    @property
    def log_file(self) -> Path:
        """One JSON record a line."""
        return self.log_dir / "ccr.log"

    @property
    def start_log(self) -> Path:
        """What the background process wrote to its stdout and stderr."""
        return self.log_dir / "start.log"
