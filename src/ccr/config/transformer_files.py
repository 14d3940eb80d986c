"""``transformers[]``: files of transformers. One of them is built in here; the others cannot be hosted yet.

The file that Databricks Devbox writes defines ``databricks-custom``. That step is built in, so the file is
not loaded, and a note says so. Any other file stops the start: the pipeline would lack it otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccr.config.findings import shape
from ccr.config.model import TransformerFile
from ccr.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILT_IN_STEP = "databricks-custom"
NAME_IN_SOURCE = re.compile(rb"""["'`]databricks-custom["'`]""")
READ_BYTES = 1 << 20
SCRIPTS = (".js", ".cjs", ".mjs")


def transformer_files_from(root: Section) -> tuple[TransformerFile, ...]:
    """Read ``transformers``; files that the built-in step stands for give a note, others a problem."""
    files = []
    for path, entry in root.entries("transformers", of="objects with path and options"):
        if not isinstance(entry, dict):
            root.findings.problem(path, shape(entry), "an object with path and options")
            continue
        section = Section(entry, path, root.findings)
        section.warn_of_unknown(("path", "options"))
        name = section.text("path", allowed="the path of a file")
        options = section.table("options")
        if name is None:
            section.problem("path", shape(entry.get("path")), "the path of a file")
        elif not is_databricks_custom(name):
            section.problem("path", _kind(name, section), _remedy(name))
        else:
            files.append(TransformerFile(path=name, options=options))
            root.findings.notes.append(
                f"{name}: {BUILT_IN_STEP} is built in; the file is not loaded and need not exist."
            )
    return tuple(files)


def options_by_step(files: tuple[TransformerFile, ...]) -> Mapping[str, Mapping[str, Any]]:
    """Return step name -> options written at its file; a later file's options come on top."""
    options: dict[str, Any] = {}
    for file in files:
        options |= file.options
    return {BUILT_IN_STEP: options}


def is_databricks_custom(name: str) -> bool:
    """Tell whether a file holds the transformer ``databricks-custom``, by its name or by its text."""
    path = Path(name)
    if path.suffix.lower() not in SCRIPTS:
        return False
    if "databricks" in path.stem.lower():
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return NAME_IN_SOURCE.search(file.read(READ_BYTES)) is not None
    except OSError:
        return False


def _kind(name: str, section: Section) -> str:
    kind = "a .js transformer" if Path(name).suffix.lower() in SCRIPTS else "a transformer file"
    return f"{kind}, {section.findings.quoted(section.at('path'), Path(name).name)}"


def _remedy(name: str) -> str:
    kind = ".js transformers" if Path(name).suffix.lower() in SCRIPTS else "transformer files"
    return f"only {BUILT_IN_STEP}, which is built in; {kind} are not hosted yet"
