"""In which folder a client works, by what it tells the model of its surroundings. Pure.

Claude Code says it in a section of its own making: in the system prompt, or before the first answer in a
message of the system's or a reminder in the user's. Nothing else counts: a file or a prompt that quotes such
a section names no folder. Where two are named there is none. Source: requests of Claude Code 2.1.197 and
2.1.330, and the older ``<env>``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ccr.routing.facts import Content, View

MARK: Final = b"orking directory: "
MAX_NAME_CHARS: Final = 200
"""The client shortens longer names, and puts a checksum behind them."""
_SECTION: Final = (
    r"(?:# Environment\s*\nYou have been invoked in the following environment:[ \t]*\n[ \t]*- Primary w"
    r"|<env>\s*\nW)orking directory: (?P<path>/[^\n]*)"
)
_IN_SYSTEM: Final = re.compile(rf"^{_SECTION}", re.MULTILINE)
_START: Final = {
    False: re.compile(rf"<system-reminder>\s*{_SECTION}"),
    True: re.compile(rf"(?:<system-reminder>)?\s*{_SECTION}"),
}
"""How a text begins that has the section: of the user, and of the system."""
_REPLACED: Final = re.compile(r"[^A-Za-z0-9]")


def working_directory(view: View) -> str | None:
    """Return the folder a request names as the client's, None where it names none, or several."""
    texts = _texts(view.system(MARK))
    found = {match["path"].rstrip() for text in texts for match in _IN_SYSTEM.finditer(text)}
    for index in range(view.count):
        if view.role(index) == "assistant":
            break
        start = _START[view.role(index) == "system"]
        starts = (start.match(text) for text in _texts(view.message(index, MARK)))
        found |= {match["path"].rstrip() for match in starts if match is not None}
    return found.pop() if len(found) == 1 else None


def project_name(directory: str) -> str | None:
    """Return the client's name for a folder, that of its transcripts' folder; None where it is not known."""
    name = _REPLACED.sub(lambda match: "-" * _units(match[0]), directory)
    return name if len(name) <= MAX_NAME_CHARS else None


def _units(character: str) -> int:
    """Return how many characters the client counts for one: JavaScript's are of UTF-16."""
    return len(character.encode("utf-16-le", "surrogatepass")) // 2


def _texts(content: Content) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [block.text for block in content or () if block.type == "text" and block.text]
