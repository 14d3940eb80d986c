"""The ``Router`` of a project or of one session, as the npm router has it.

    ~/.claude-code-router/<project>/config.json      for all sessions in a project
    ~/.claude-code-router/<project>/<session>.json   for one session; wins

``<project>`` is the client's own name for a folder: that of the folder below ``~/.claude/projects`` in which
the client keeps ``<session>.jsonl``. Until that file is there, which may be a moment after the session's
first request, the folder counts that the request itself names (routing/workplace.py). All places are only
read. What was found is remembered: at most once in `RECHECK_S` a session's files are looked at again, and
read when they have changed.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ccr.config.findings import Findings, shape
from ccr.config.parse import MalformedError, values_from_bytes
from ccr.config.router import router_from
from ccr.config.section import Section
from ccr.errors import ConfigError, Problem
from ccr.routing.router import Rulebook
from ccr.routing.workplace import project_name

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from ccr.config.model import Config, Router

RECHECK_S: Final = 1.0
UNKNOWN_S: Final = 0.1
"""The same for a session without project: the client may write its transcript after its first request."""
MAX_SESSIONS: Final = 1000
MAX_FILE_BYTES: Final = 1 << 20

Signature = tuple[tuple[int, int] | None, ...]
"""Time of change and size of each file, None for one that is not there."""


class Folders(NamedTuple):
    """Where things lie. home: of ccr. client_projects: of the client."""

    home: Path
    client_projects: Path

    @classmethod
    def from_environ(cls, home: Path, environ: Mapping[str, str]) -> Folders:
        """Return the folders: the client's below ``CLAUDE_CONFIG_DIR``, else ``~/.claude``."""
        chosen = environ.get("CLAUDE_CONFIG_DIR")
        client = Path(chosen) if chosen else Path(environ.get("HOME", "/")) / ".claude"
        return cls(home, client / "projects")

    def project_of(self, session_id: str) -> Path | None:
        """Return ccr's folder for the project of a session, None where it has none."""
        try:
            with os.scandir(self.home) as entries:
                names = [entry.name for entry in entries if entry.is_dir()]
        except OSError:
            return None
        transcript = f"{session_id}.jsonl"
        found = (name for name in names if (self.client_projects / name / transcript).is_file())
        return next((self.home / name for name in found), None)

    def has_projects(self) -> bool:
        """Tell whether ccr has a folder with a name like a project's: of an absolute path."""
        try:
            with os.scandir(self.home) as entries:
                return any(entry.name.startswith("-") and entry.is_dir() for entry in entries)
        except OSError:
            return False

    def project_named(self, directory: str | None) -> Path | None:
        """Return ccr's folder for the folder in which a client says it works, None where it has none."""
        name = project_name(directory) if directory is not None else None
        if name is None or not name.startswith("-"):
            return None
        folder = self.home / name
        return folder if folder.is_dir() else None


def _nowhere() -> None:
    return None


class _Known(NamedTuple):
    rulebook: Rulebook | None
    signature: Signature
    project: Path | None
    fresh_until: float
    is_certain: bool = True
    is_nameable: bool = False
    """There are folders of projects, of which a request may name one."""


class ProjectRouters:
    """The rulebooks of all sessions, by one configuration. clock: monotonic seconds."""

    def __init__(
        self,
        config: Config,
        folders: Folders,
        logger: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._folders = folders
        self._logger = logger
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def rulebook(
        self, session_id: str | None, directory: Callable[[], str | None] = _nowhere
    ) -> Rulebook | None:
        """Return the rules of a session, None where those of the configuration count.

        session_id: fit for a file name (`sessions.checked_session_id`). directory: finds the folder that the
        request names as the client's.
        """
        if session_id is None:
            return None
        known = self._known.get(session_id)
        now = self._clock()
        if known is None or now >= known.fresh_until or known.is_nameable:
            known = self._looked_up(session_id, known, now, directory)
            self._known[session_id] = known
            self._known.move_to_end(session_id)
            if len(self._known) > MAX_SESSIONS:
                self._known.popitem(last=False)
        return known.rulebook

    def _looked_up(
        self, session_id: str, known: _Known | None, now: float, directory: Callable[[], str | None]
    ) -> _Known:
        project = known.project if known is not None and known.is_certain else None
        project = project or self._folders.project_of(session_id)
        if project is not None:
            return self._of(session_id, project, known, now + RECHECK_S)
        if not self._folders.has_projects():
            return _Known(None, (), None, now + UNKNOWN_S)
        named = self._folders.project_named(directory())
        if named is None:
            return _Known(None, (), None, now + UNKNOWN_S, is_nameable=True)
        # Its transcript will have the last word.
        return self._of(session_id, named, known, now + UNKNOWN_S)._replace(is_certain=False)

    def _of(self, session_id: str, project: Path, known: _Known | None, fresh_until: float) -> _Known:
        """Return the rules in the files of a project."""
        files = {"session": project / f"{session_id}.json", "project": project / "config.json"}
        signature = tuple(map(_signature, files.values()))
        if known is not None and (known.project, known.signature) == (project, signature):
            return known._replace(fresh_until=fresh_until, is_certain=True)
        rulebook = None
        for (scope, file), seen in zip(files.items(), signature, strict=True):
            router = self._read(file) if seen is not None else None
            if router is not None:
                rulebook = Rulebook(self._config, router, scope)
                break
        return _Known(rulebook, signature, project, fresh_until)

    def _read(self, file: Path) -> Router | None:
        """Return the ``Router`` in a file; None where it has none, or has problems, which are logged."""
        try:
            router, warnings = router_of_file(file, self._config)
        except ConfigError as error:
            for problem in error.problems:
                self._logger.warning("%s; its Router does not count", problem)
            return None
        for sentence in warnings:
            self._logger.warning(sentence)
        return router


def router_of_file(file: Path, config: Config) -> tuple[Router | None, list[str]]:
    """Return the ``Router`` in the file of a project or session, and warnings. Raises ConfigError."""
    try:
        with file.open("rb") as opened:
            values: Any = values_from_bytes(opened.read(MAX_FILE_BYTES))
    except (OSError, MalformedError) as error:
        raise ConfigError(Problem(str(file), "", str(error), "JSON; comments are allowed")) from error
    if not isinstance(values, dict):
        raise ConfigError(Problem(str(file), "", shape(values), "an object with Router"))
    if not values.get("Router"):
        return None, []
    findings = Findings(str(file), {})
    router = router_from(Section(values, "", findings), config.providers, is_default_needed=False)
    if findings.problems:
        raise ConfigError(*findings.problems)
    return router, findings.warnings


def _signature(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
