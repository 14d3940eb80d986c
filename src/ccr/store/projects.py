"""Which folder a session belongs to: the client keeps ``<session>.jsonl`` in a folder named after it.

Only names are looked at; what is in the files is nobody's business here.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
MAX_REMEMBERED: Final = 1000


class Projects:
    """Finds the folders of sessions. client_projects: ``~/.claude/projects``, None: nobody is to look."""

    def __init__(self, client_projects: Path | None) -> None:
        self._client_projects = client_projects
        self._known: dict[str, str] = {}

    def project_of(self, session: str) -> str | None:
        """Return the client's name for the session's folder, None while there is no transcript of it."""
        if session not in self._known:
            found = self._looked_up(session)
            if found is None:
                return None
            if len(self._known) == MAX_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[session] = found
        return self._known[session]

    def _looked_up(self, session: str) -> str | None:
        if self._client_projects is None or _ID.fullmatch(session) is None:
            return None
        try:
            with os.scandir(self._client_projects) as entries:
                names = [entry.name for entry in entries if entry.is_dir()]
        except OSError:
            return None
        file = f"{session}.jsonl"
        return next((name for name in names if (self._client_projects / name / file).is_file()), None)
