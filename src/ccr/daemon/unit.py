"""Running always: the file that tells the system to start ccr with the person's session, and its commands.

systemd on Linux (a user unit), launchd on macOS. No root, no secret in the file: variables that config.json
names go into ``service.env`` beside it (systemd). Pure: texts and command lines; nothing is run here.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.paths import Paths

Supervisor = Literal["systemd", "launchd"]
VARIABLE: Final = "CCR_SUPERVISOR"
"""Tells the process who started it: only that one can restart it."""
UNIT: Final = "ccr.service"
LABEL: Final = "ccr.service"
MARGIN_S: Final = 15
"""How much longer than the running answers the process may take to end."""

# Only what a user manager can do without namespaces of its own; the rest would keep the unit from starting.
HARDENING: Final = (
    "NoNewPrivileges=yes",
    "UMask=0077",
    "LimitCORE=0",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "SystemCallArchitectures=native",
)


@dataclass(frozen=True)
class Unit:
    """A file for a supervisor, and command lines; the exit code of ``is_running`` is 0 when it runs."""

    supervisor: Supervisor
    path: Path
    content: bytes
    install: tuple[tuple[str, ...], ...]
    uninstall: tuple[tuple[str, ...], ...]
    after_removal: tuple[tuple[str, ...], ...]
    is_running: tuple[str, ...]


def unit_for(
    paths: Paths, environ: Mapping[str, str], *, platform: str, python: str, uid: int, stop_timeout_s: float
) -> Unit:
    """Return the unit of this installation. Raises StartError on a system that has neither supervisor."""
    stop_s = math.ceil(stop_timeout_s) + MARGIN_S
    if not environ.get("HOME"):
        raise StartError("HOME is not set, so there is no place for the unit; set HOME.")
    command = (python, "-P", "-m", "ccr.cli", "start", "--foreground")
    if platform == "darwin":
        return _launchd(paths, environ, command, uid, stop_s)
    if platform.startswith("linux"):
        return _systemd(paths, environ, command, stop_s)
    raise StartError("There is no service manager here that ccr knows (systemd, launchd).")


def restart_command(supervisor: str, uid: int) -> tuple[str, ...]:
    """Return how the supervisor restarts the service."""
    if supervisor == "launchd":
        return ("launchctl", "kickstart", "-k", f"gui/{uid}/{LABEL}")
    return ("systemctl", "--user", "restart", UNIT)


def _systemd(paths: Paths, environ: Mapping[str, str], command: tuple[str, ...], stop_s: int) -> Unit:
    folder = Path(environ.get("XDG_CONFIG_HOME") or Path(environ["HOME"]) / ".config")
    variables = {"CCR_HOME": str(paths.home), VARIABLE: "systemd", "PATH": environ.get("PATH", "")}
    lines = [
        "# Written by `ccr service install`; `ccr service uninstall` removes it.",
        "[Unit]",
        "Description=ccr, Claude Code on other models",
        "After=network.target",
        "",
        "[Service]",
        "Type=exec",
        "ExecStart=" + " ".join(_quoted(each).replace("$", "$$") for each in command),
        "ExecReload=/bin/kill -HUP $MAINPID",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in variables.items()),
        f"EnvironmentFile=-{_specifier_free(str(paths.home / 'service.env'))}",
        "Restart=on-failure",
        "RestartSec=2",
        f"TimeoutStopSec={stop_s}",
        "KillMode=mixed",
        *HARDENING,
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    systemctl = ("systemctl", "--user")
    return Unit(
        "systemd",
        folder / "systemd" / "user" / UNIT,
        os.fsencode("\n".join(lines)),
        install=((*systemctl, "daemon-reload"), (*systemctl, "enable", UNIT), (*systemctl, "restart", UNIT)),
        uninstall=((*systemctl, "disable", "--now", UNIT),),
        after_removal=((*systemctl, "daemon-reload"),),
        is_running=(*systemctl, "is-active", "--quiet", UNIT),
    )


def _launchd(
    paths: Paths, environ: Mapping[str, str], command: tuple[str, ...], uid: int, stop_s: int
) -> Unit:
    import plistlib  # late: every command imports this module, hardly any writes a launch agent

    path = Path(environ["HOME"]) / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    values = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": {
            "CCR_HOME": str(paths.home),
            VARIABLE: "launchd",
            "PATH": environ.get("PATH", ""),
        },
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": stop_s,
        "ProcessType": "Interactive",
        "Umask": 0o077,
        "HardResourceLimits": {"Core": 0},
        "StandardOutPath": "/dev/null",
        "StandardErrorPath": str(paths.start_log),
    }
    domain = f"gui/{uid}"
    return Unit(
        "launchd",
        path,
        plistlib.dumps(values),
        install=(("launchctl", "bootstrap", domain, str(path)),),
        uninstall=(("launchctl", "bootout", f"{domain}/{LABEL}"),),
        after_removal=(),
        is_running=("launchctl", "print", f"{domain}/{LABEL}"),
    )


def _quoted(text: str) -> str:
    """Return a word as systemd reads it back (source: systemd.syntax(7), quoting; `%` is a specifier)."""
    if any(ord(char) < 32 for char in text):
        raise StartError("A path or PATH holds a control character; it cannot stand in a unit.")
    escaped = _specifier_free(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _specifier_free(text: str) -> str:
    return text.replace("%", "%%")
