"""The alias ``cc`` in the person's shell files: between two marks, once, and only when asked for. Pure."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.setup.plan import Change, content_of, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN: Final = "# >>> ccr >>>"
END: Final = "# <<< ccr <<<"
BLOCK: Final = re.compile(rf"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", re.DOTALL)
FILES: Final = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}


def ccr_command(environ: Mapping[str, str]) -> str:
    """Return how a shell starts this ccr: ``ccr`` where PATH finds one, else the whole path, quoted."""
    if shutil.which("ccr", path=environ.get("PATH")):
        return "ccr"
    return shlex.quote(str(Path(sys.executable).with_name("ccr")))


def alias_changes(environ: Mapping[str, str], home: Path) -> list[Change]:
    """Return the changes that define the alias in every shell file the person has.

    The file of the shell in use (bash when none of the known ones) counts as there. A file that has the very
    block is not changed; one with an older block gets the new one in its place.
    """
    name = environ.get("SHELL", "").rpartition("/")[2]
    own = name if name in FILES else "bash"
    changes = []
    for shell, file in FILES.items():
        path = home / file
        if shell != own and not path.exists():
            continue
        old = content_of(path)
        text = (old or b"").decode("utf-8", "surrogateescape")
        new = with_block(text, ccr_command(environ), shell)
        data = new.encode("utf-8", "surrogateescape")
        changes.append(Change(path, old, data, shown(old or b""), shown(data)))
    return [change for change in changes if change.is_needed]


def with_block(text: str, command: str, shell: str) -> str:
    """Return a shell file's text with the alias in it, once."""
    quoted = f"{command} code".replace("\\", "\\\\").replace('"', '\\"')
    separator = " " if shell == "fish" else "="
    block = f'{BEGIN}\nalias cc{separator}"{quoted}"\n{END}\n'
    if BLOCK.search(text):
        first, *_ = BLOCK.finditer(text)
        rest = BLOCK.sub("", text[first.end() :])
        return text[: first.start()] + block + rest
    gap = "" if not text or text.endswith("\n") else "\n"
    return text + gap + block
