"""The group ``ccr`` and how its errors reach the person: one sentence on stderr, and the exit code."""

from __future__ import annotations

import importlib
import sys
from keyword import iskeyword
from typing import TYPE_CHECKING

import click

import ccr
from ccr.errors import CcrError, ConfigError, StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "start": ("service", "Start the service in the background (--foreground: stay)."),
    "stop": ("service", "Let running requests end, then stop the service."),
    "restart": ("service", "Let a new process take over; no request is lost."),
    "status": ("status", "Show whether the service runs, where, and what it serves."),
    "service": ("autostart", "Run always, by systemd or launchd: install, uninstall, status."),
    "code": ("code", "Run Claude Code through the service; all arguments are claude's."),
    "env": ("env", "Print shell lines that point Claude Code at the service, for eval."),
    "usage": ("usage", "Show tokens, costs and errors: by day, model, session, project …"),
    "requests": ("requests", "Show and search the last requests; none of their texts are kept."),
    "logs": ("logs", "Show the service's log (-f: and what follows)."),
    "config": ("config", "Show and check the configuration."),
    "model": ("model", "Choose the models for default, background, think …; add models and providers."),
    "import": ("importing", "Write config.json from another router's files (npm router v1, v2, v3)."),
    "preset": (
        "preset",
        "Configurations with a name: export, install, list, info, delete; `ccr NAME` runs one.",
    ),
    "statusline": ("statusline", "Print Claude Code's status line (JSON on stdin)."),
    "setup": ("setup", "Find the workspace, prove identity and models, write config.json."),
    "doctor": ("doctor", "Check configuration, port, identity, host, models, clock; with remedies."),
    "route": ("route", "Explain which route a request would take, and what would be sent."),
    "models": ("models", "List the configured and the served models: context, thinking, price."),
    "ui": ("ui", "Open the pages: service, configuration, connections, logs, routes (until Ctrl-C)."),
    "connect": ("connect", "Put base URL and key helper into Claude Code's settings, for IDEs."),
    "disconnect": ("connect", "Take them out again."),
    "key": ("key", "Print the local key, for Claude Code's apiKeyHelper."),
    "demo": ("demo", "Show everything at work on the embedded workspace; needs no configuration."),
    "sandbox": ("sandbox", "Run the embedded workspace, a strict stand-in for Databricks model serving."),
    "version": ("version", "Print the version."),
}
"""Command -> module of ``ccr.cli`` that defines a command of that name, and the line shown for it."""
ALIASES = {"activate": "env"}
HELP = "help"
ELSEWHERE = {
    "install": "`ccr preset install` takes a folder or an archive; there is no marketplace.",
}
"""Commands of the npm router that are not here -> what does their work."""
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class LazyGroup(click.Group):
    """Imports a command's module when the command is run, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import and return a command."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"ccr.cli.{COMMANDS[name][0]}")
        command = getattr(module, f"{name}_" if iskeyword(name) else name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when there is none of that name."""
        name = args[0]
        if name not in COMMANDS and name not in ALIASES and not name.startswith("-"):
            if (preset := _preset_command(name)) is not None:
                return name, preset, args[1:]
            if name == HELP:
                click.echo(ctx.get_help())
                ctx.exit()
            ctx.fail(f"There is no command `{name}`.{_hint(name)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


def _hint(name: str) -> str:
    from difflib import get_close_matches  # imported late: only a mistake needs it

    if name in ELSEWHERE:
        return f" {ELSEWHERE[name]}"
    near = get_close_matches(name, COMMANDS, n=1)
    return f" Did you mean `ccr {near[0]}`?" if near else ""


def _preset_command(name: str) -> click.Command | None:
    """Return the command of an installed preset, None when there is none of that name."""
    import os

    from ccr.config.paths import Paths
    from ccr.presets.store import is_installed

    if not is_installed(Paths.from_environ(os.environ), name):
        return None
    from ccr.cli.preset_run import command_of

    return command_of(name)


@click.group(cls=LazyGroup, context_settings=CONTEXT, epilog="Files: ~/.claude-code-router, or $CCR_HOME.")
@click.version_option(ccr.__version__, "-v", "--version", message="ccr %(version)s")
def cli() -> None:
    """Claude Code on Databricks-hosted Claude models, as if it talked to Anthropic.

    The main way in is `ccr code`: it starts the service when needed and becomes `claude`.
    """


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (by default the process's) and leave with its exit code."""
    try:
        cli.main(args=None if arguments is None else list(arguments), prog_name="ccr")
    except CcrError as error:
        for sentence in error.warnings if isinstance(error, ConfigError) else ():
            click.echo(f"warning: {sentence}", err=True)
        click.echo(f"ccr: {error}", err=True)
        sys.exit(error.exit_code if isinstance(error, StartError) else 1)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        click.echo(f"ccr: {what}{_remedy(error)}", err=True)
        sys.exit(1)


def _remedy(error: OSError) -> str:
    """Return what can be done about a home that cannot be written."""
    import os

    from ccr.config.paths import Paths

    try:
        home = str(Paths.from_environ(os.environ).home)
    except StartError:
        return ""
    is_in_home = str(error.filename or "").startswith(home)
    return ". CCR_HOME names another folder for ccr's files." if is_in_home else ""
