"""Becoming ``claude``: which program, which target, and the exec itself.

No shell, no child, no copy of the arguments: exit code and signals are claude's own. No file of the person's
is written. The key goes through the environment only, never into an argument that others could list.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ccr.errors import StartError
from ccr.launcher.client_settings import settings_of, settings_text, with_settings
from ccr.launcher.detours import detours
from ccr.launcher.environment import FAMILY_VARIABLES, Target, claude_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccr.config.model import Config, Secret

INSTALL = "npm install -g @anthropic-ai/claude-code"
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def become_claude(
    program: str, target: Target, environ: Mapping[str, str], arguments: Sequence[str]
) -> NoReturn:
    """Replace this process by ``program`` with ``arguments`` untouched. Raises StartError (exit code 126).

    Only the target's settings, where there are some, stand before them. Settings of the person's that lead
    past the target are told on stderr.
    """
    environment = claude_environment(environ, target)
    whole = with_settings(arguments, target.settings)
    for sentence in detours(environ, Path(), target.base_url):
        print(f"warning: {sentence}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if not target.is_interactive:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.execve(program, [program, *whole], environment)  # noqa: S606 - that is the purpose; no shell
    except OSError as error:
        message = f"{program} cannot be run: {error.strerror}."
        raise StartError(message, exit_code=NOT_EXECUTABLE) from error


def target_of(config: Config, base_url: str, key: Secret) -> Target:
    """Return what the client is to know of the service and of the models behind its aliases.

    Only the main model, opus and fable may be taken for a window of a million tokens (client reference §1.4).
    """
    # imported late: the table of models is read only for this
    from ccr.catalog.lookup import name_facts, traits_of
    from ccr.routing.facts import Facts
    from ccr.routing.route import name_for
    from ccr.routing.router import Rulebook

    if config.router.default is None:
        return Target(base_url=base_url, key=key, api_timeout_s=config.api_timeout_s)
    today = dt.datetime.now(dt.UTC).date()
    rulebook = Rulebook(config)
    chosen = {
        alias: rulebook.decide(Facts(alias), lambda model: name_facts(model, today))
        for alias in (config.router.default, *FAMILY_VARIABLES)
    }
    names = {alias: name_for(decision.provider, decision.model, config) for alias, decision in chosen.items()}
    large = (chosen[config.router.default], chosen["opus"], chosen["fable"])
    return Target(
        base_url=base_url,
        key=key,
        model=names[config.router.default],
        family_models={family: names[family] for family in FAMILY_VARIABLES},
        context_tokens=min(traits_of(decision.model).context_tokens or 0 for decision in large),
        api_timeout_s=config.api_timeout_s,
        small_fast_model=config.small_fast_model,
        is_interactive=not config.non_interactive,
        settings=settings_text(settings_of(config)),
    )


def claude_program(config: Config, environ: Mapping[str, str]) -> str:
    """Return the program: ``CLAUDE_PATH`` of the configuration, of the environment, else ``claude`` on PATH.

    Raises StartError (exit code 127) with the command that installs it.
    """
    chosen = config.claude_path or environ.get("CLAUDE_PATH", "").strip()
    if chosen and environ.get("HOME") and chosen.startswith("~/"):
        chosen = str(Path(environ["HOME"]) / chosen[2:])
    found = program_on_path(chosen or "claude", environ)
    if found is None:
        where = f"CLAUDE_PATH {chosen!r} is no program" if chosen else "Claude Code is not installed"
        raise StartError(f"{where}; install it with: {INSTALL}", exit_code=NOT_FOUND)
    return found


def program_on_path(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the file that ``name`` starts, None when there is none."""
    folders = [""] if "/" in name else os.get_exec_path(dict(environ))
    candidates = (os.path.join(folder, name) for folder in folders)  # noqa: PTH118 - keeps "./x" as it is
    return next((path for path in candidates if Path(path).is_file() and os.access(path, os.X_OK)), None)
