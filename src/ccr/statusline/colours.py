"""Colours of StatusLine modules as terminal sequences: names, ``bg_`` names, and hexadecimal. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

RESET: Final = "\x1b[0m"
NAMES: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
EXTRA: Final = {"bright_orange": 202, "bright_purple": 129, "gray": 8, "grey": 8}
HEX: Final = re.compile(r"#?(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)


@dataclass(frozen=True)
class Colour:
    """A colour of a terminal. code: what stands behind ``3``/``4`` (or ``9``/``10`` when bright) in SGR."""

    code: str
    is_bright: bool = False

    @property
    def foreground(self) -> str:
        """The sequence that writes in this colour."""
        return f"\x1b[{9 if self.is_bright else 3}{self.code}m"

    @property
    def background(self) -> str:
        """The sequence that writes on this colour."""
        return f"\x1b[{10 if self.is_bright else 4}{self.code}m"


def colour_from(written: object) -> Colour | None:
    """Return the colour of a text such as ``bright_blue``, ``bg_red``, ``#f80``; None when it names none."""
    if not isinstance(written, str):
        return None
    name = written.strip().lower().removeprefix("bg_")
    if HEX.fullmatch(name):
        digits = name.removeprefix("#")
        digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
        red, green, blue = (int(digits[at : at + 2], 16) for at in (0, 2, 4))
        return Colour(f"8;2;{red};{green};{blue}")
    plain = name.removeprefix("bright_")
    if plain in NAMES:
        return Colour(str(NAMES.index(plain)), is_bright=name != plain)
    return Colour(f"8;5;{EXTRA[name]}") if name in EXTRA else None
