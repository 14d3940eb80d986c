"""Installing Claude Code with npm: only when asked, and without the person's tokens in its environment."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE: Final = "@anthropic-ai/claude-code"
WAIT_S: Final = 600.0
SECRET_NAME: Final = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL|^DATABRICKS_", re.IGNORECASE)
SHOWN_CHARACTERS: Final = 500


def install_claude(environ: Mapping[str, str]) -> str:
    """Install the package globally; return where ``claude`` is then. Raises StartError with npm's last words.

    npm runs scripts of packages, so it is given no variable whose name says that it holds a secret.
    """
    npm = shutil.which("npm", path=environ.get("PATH"))
    if npm is None:
        raise StartError("npm is not installed, so Claude Code cannot be; install Node.js 18 or newer.")
    cleaned = {name: value for name, value in environ.items() if not SECRET_NAME.search(name)}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, without a shell
            [npm, "install", "-g", PACKAGE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=WAIT_S,
            check=False,
            env=cleaned,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"npm install -g {PACKAGE} did not end well: {type(error).__name__}.") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-SHOWN_CHARACTERS:]
        raise StartError(f"npm install -g {PACKAGE} failed ({done.returncode}):\n{words}")
    program = shutil.which("claude", path=environ.get("PATH"))
    return program or "by npm, in a folder that is not on PATH (`npm prefix -g` names it)"
