"""The whole way: the client's bytes in, the line out. Never raises for anything it is given."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ccr.statusline.git import branch_of
from ccr.statusline.scripts import scripts_of, texts_of
from ccr.statusline.settings import has_colours, is_simple, read_settings
from ccr.statusline.style import line_of
from ccr.statusline.tail import last_answer, last_measured
from ccr.statusline.variables import folder_of, variables_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def status_line(data: bytes, *, files: tuple[Path, ...], log: Path, environ: Mapping[str, str]) -> str:
    """Return the line for what the client wrote; "" with a word on stderr when it cannot be made.

    files: where StatusLine may stand, the first that has one counts. log: the service's.
    """
    try:
        told = json.loads(data)
        if not isinstance(told, dict):
            raise TypeError("no JSON object on stdin")
        return _line(told, files, log, environ)
    except Exception as error:  # noqa: BLE001 - the client shows our faults in place of its own work
        print(f"ccr statusline: {type(error).__name__}: {error}", file=sys.stderr)
        return ""


def _line(told: Mapping[str, object], files: tuple[Path, ...], log: Path, environ: Mapping[str, str]) -> str:
    settings = read_settings(*files)
    transcript, session = told.get("transcript_path"), told.get("session_id")
    variables = variables_from(
        told,
        branch=branch_of(folder_of(told)),
        answer=last_answer(transcript) if isinstance(transcript, str) else None,
        measured=last_measured(str(log), session) if isinstance(session, str) else None,
        default_model=settings.default_model,
    )
    scripts = scripts_of(settings.modules, settings.folder)
    return line_of(
        settings.modules,
        variables,
        texts_of(scripts, variables) if scripts else {},
        style=settings.style,
        is_simple=is_simple(environ),
        has_colours=has_colours(environ),
    )
