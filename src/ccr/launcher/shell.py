"""Changes of an environment as lines that a shell can ``eval``. Pure; values are quoted whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.launcher.environment import Changes

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = get_args(Shell)


def shell_of(environ: Mapping[str, str]) -> Shell:
    """Return the person's shell, bash when it is none of the known ones."""
    name = environ.get("SHELL", "").rpartition("/")[2]
    return next((shell for shell in SHELLS if shell == name), "bash")


def lines_from_changes(changes: Changes, shell: Shell, *, with_alias: bool = False) -> list[str]:
    """Return the lines in the order: removals, settings, the alias ``cc`` when asked for."""
    if shell == "fish":
        lines = [f"set -e {name};" for name in changes.removed]
        lines += [f"set -gx {name} {_fish_quoted(value)};" for name, value in changes.values.items()]
        return [*lines, "alias cc 'ccr code';"] if with_alias else lines
    lines = [f"unset {name}" for name in changes.removed]
    lines += [f"export {name}={_quoted(value)}" for name, value in changes.values.items()]
    return [*lines, "alias cc='ccr code'"] if with_alias else lines


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"


def _fish_quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
