"""From modules and variables to the line: the plain style and ``powerline``. Pure.

The keys of a module are the npm router's: ``type``, ``icon``, ``text``, ``color``, ``background``. A module
whose variables are all empty is left out, with its icon.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ccr.statusline.colours import RESET, Colour, colour_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
NERD_FONT: Final = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
"""The private areas of Unicode: glyphs that only patched fonts have."""
CONTROL: Final = re.compile(r"[\x00-\x1a\x1c-\x1f\x7f]")
NOT_PLAIN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What a folder's or a branch's name must not bring into the terminal."""
ARROW: Final = "\ue0b0"
POWERLINE: Final = "powerline"
TEXTS: Final = {
    "workDir": "{{workDirName}}",
    "gitBranch": "{{gitBranch}}",
    "model": "{{model}}",
    "usage": "↑ {{inputTokens}} ↓ {{outputTokens}}",
    "speed": "{{tokenSpeed}} t/s",
    "cost": "{{cost}}",
    "duration": "{{duration}}",
    "context": "{{contextPercent}}%",
    "lines": "+{{linesAdded}} -{{linesRemoved}}",
}
"""The text of a module that gives none, by its type."""
DEFAULT: Final[tuple[dict[str, str], ...]] = (
    {"type": "workDir", "icon": "\U000f024b", "color": "bright_blue"},
    {"type": "gitBranch", "icon": "\ue725", "color": "bright_magenta"},
    {"type": "model", "icon": "\U000f06a9", "color": "bright_cyan"},
    {"type": "usage", "icon": "↑", "text": "{{inputTokens}}", "color": "bright_green"},
    {"type": "usage", "icon": "↓", "text": "{{outputTokens}}", "color": "bright_yellow"},
    {"type": "context", "text": "{{contextPercent}}%", "color": "bright_white"},
    {"type": "speed", "text": "{{tokenSpeed}} t/s", "color": "bright_black"},
    {"type": "cost", "text": "{{cost}}", "color": "bright_black"},
)
DEFAULT_BACKGROUND: Final = "bright_blue"


def line_of(
    modules: Sequence[Mapping[str, Any]],
    variables: Mapping[str, str],
    scripted: Mapping[int, str],
    *,
    style: str,
    is_simple: bool,
    has_colours: bool,
) -> str:
    """Return the line. scripted: index of a script module -> what it gave. is_simple: no Nerd Font glyphs."""
    parts = []
    for index, module in enumerate(modules):
        text = scripted.get(index, "") if module.get("type") == "script" else text_of(module, variables)
        shown = _with_icon(module, text, is_simple=is_simple)
        if shown:
            parts.append((module, shown))
    if not has_colours:
        return " ".join(text for _, text in parts)
    if style == POWERLINE:
        return _powerline(parts, is_simple=is_simple)
    return " ".join(_coloured(module, text) for module, text in parts)


def text_of(module: Mapping[str, Any], variables: Mapping[str, str]) -> str:
    """Return a module's text with its variables replaced; "" when it has some and all are empty."""
    text = module.get("text")
    if not isinstance(text, str):
        text = TEXTS.get(str(module.get("type")), "")
    names = VARIABLE.findall(text)
    if names and not any(variables.get(name) for name in names):
        return ""
    return VARIABLE.sub(lambda match: NOT_PLAIN.sub("?", variables.get(match[1], "")), text)


def _with_icon(module: Mapping[str, Any], text: str, *, is_simple: bool) -> str:
    text = CONTROL.sub(" ", text).strip()
    icon = module.get("icon")
    icon = icon.strip() if isinstance(icon, str) else ""
    if is_simple:
        text, icon = NERD_FONT.sub("", text).strip(), NERD_FONT.sub("", icon).strip()
    return f"{icon} {text}".strip() if text else ""


def _coloured(module: Mapping[str, Any], text: str) -> str:
    background, colour = colour_from(module.get("background")), colour_from(module.get("color"))
    start = (background.background if background else "") + (colour.foreground if colour else "")
    return f"{start}{text}{RESET}"


def _powerline(parts: Sequence[tuple[Mapping[str, Any], str]], *, is_simple: bool) -> str:
    """Return segments on their backgrounds, with arrows from each to the next."""
    grounds = [_ground(module) for module, _ in parts]
    line = ""
    for index, (module, text) in enumerate(parts):
        colour = colour_from(module.get("color")) or Colour("7", is_bright=True)
        line += f"{grounds[index].background}{colour.foreground} {text} {RESET}"
        if not is_simple:
            following = grounds[index + 1].background if index + 1 < len(parts) else ""
            line += f"{grounds[index].foreground}{following}{ARROW}{RESET}"
    return line


def _ground(module: Mapping[str, Any]) -> Colour:
    return colour_from(module.get("background")) or colour_from(DEFAULT_BACKGROUND) or Colour("4")
