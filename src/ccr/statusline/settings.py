"""What config.json, or the manifest of a preset, says of the status line; read without the rest of it.

The whole configuration is not checked here: a fault elsewhere in it must not cost the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ccr.config.parse import MalformedError, values_from_bytes
from ccr.statusline.style import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SIMPLE_TERMINALS = ("dumb", "unknown")


@dataclass(frozen=True)
class Settings:
    """style: ``default``, ``powerline``, or a name of the person's own. folder: of relative script paths."""

    style: str
    modules: Sequence[Mapping[str, Any]]
    folder: Path
    default_model: str = ""


def read_settings(*files: Path) -> Settings:
    """Return what the first of the files that has modules says; the built-in modules when none has."""
    model = ""
    for file in files:
        values = _values(file)
        model = model or _default_model(values)
        status_line = values.get("StatusLine")
        if not isinstance(status_line, dict):
            continue
        style = status_line.get("currentStyle")
        style = style if isinstance(style, str) and style else "default"
        chosen = status_line.get(style)
        modules = chosen.get("modules") if isinstance(chosen, dict) else None
        if isinstance(modules, list):
            modules = [module for module in modules if isinstance(module, dict)]
            return Settings(style, modules, file.parent, model)
    return Settings("default", DEFAULT, files[0].parent, model)


def is_simple(environ: Mapping[str, str]) -> bool:
    """Tell whether the terminal has to do without Nerd Font glyphs."""
    return environ.get("USE_SIMPLE_ICONS", "").lower() == "true" or environ.get("TERM") in SIMPLE_TERMINALS


def has_colours(environ: Mapping[str, str]) -> bool:
    """Tell whether to write colours; NO_COLOR is the convention of no-color.org."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _values(file: Path) -> Mapping[str, Any]:
    try:
        values = values_from_bytes(file.read_bytes())
    except (OSError, MalformedError):
        return {}
    return values if isinstance(values, dict) else {}


def _default_model(values: Mapping[str, Any]) -> str:
    router = values.get("Router")
    route = router.get("default") if isinstance(router, dict) else None
    return route.partition(",")[2].strip() if isinstance(route, str) else ""
