"""``REWRITE_SYSTEM_PROMPT``: a file of the person's whose text takes the place of the client's system prompt.

The text is part of the configuration: an edit of the file makes another configuration, as an edit of
config.json does. What is done with it: routing/own_prompt.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.config.model import SystemPrompt

if TYPE_CHECKING:
    from ccr.config.section import Section

KEY: Final = "REWRITE_SYSTEM_PROMPT"
MAX_BYTES: Final = 1 << 20
"""Sent with every request of the client's main loop; far more than any model takes is a wrong file."""
ALLOWED: Final = "the path of a text file (UTF-8, at most 1 MB, not empty)"


def system_prompt_from(root: Section) -> SystemPrompt | None:
    """Return the prompt; a relative path is one beside the configuration, as ``~`` is the person's folder."""
    name = root.text(KEY, allowed=ALLOWED)
    if name is None:
        return None
    path = Path(root.findings.file).absolute().parent / Path(name).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode()
    except OSError as error:
        root.problem(KEY, f"{root.quoted(KEY)}, which cannot be read ({error.strerror})", ALLOWED)
        return None
    except UnicodeDecodeError:
        root.problem(KEY, f"{root.quoted(KEY)}, which is no text", ALLOWED)
        return None
    if not text.strip() or len(data) > MAX_BYTES:
        fault = "which is too large" if len(data) > MAX_BYTES else "which is empty"
        root.problem(KEY, f"{root.quoted(KEY)}, {fault}", ALLOWED)
        return None
    return SystemPrompt(path=path, text=text)
