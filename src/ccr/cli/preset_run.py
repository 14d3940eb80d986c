"""``ccr NAME …``: Claude Code with a preset, through a service of the preset's own.

A preset is an installation of its own below the person's: its configuration is made anew from the person's
and the preset's at each start, and its service has its own port, key, log and limits. Two presets never mix.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ccr.cli.code import Verbatim

if TYPE_CHECKING:
    import click


def command_of(name: str) -> click.Command:
    """Return the command of an installed preset; all of its arguments are claude's."""

    def run(arguments: tuple[str, ...]) -> None:
        _run(name, arguments)

    return Verbatim(
        name, callback=run, add_help_option=False, help=f"Run Claude Code with the preset {name}."
    )


def _run(name: str, arguments: tuple[str, ...]) -> None:
    from ccr.cli.warnings import show_warnings
    from ccr.config.keys import local_key
    from ccr.config.load import load_config
    from ccr.config.paths import Paths
    from ccr.config.private import make_private_folder, write_private
    from ccr.daemon.control import ask_to_reload, start
    from ccr.launcher.client_settings import settings_of, settings_text
    from ccr.launcher.launch import become_claude, claude_program, target_of
    from ccr.presets import store
    from ccr.presets.plan import plan_of

    paths = Paths.from_environ(os.environ)
    found = store.read_preset(paths, name)
    plan = plan_of(paths, found, found.values, store.folder_of(paths, name))
    service = store.service_paths(paths, name)
    make_private_folder(service.home)
    is_changed = not service.config_file.is_file() or service.config_file.read_bytes() != plan.data
    if is_changed:
        plan.config(service.config_file, os.environ)  # what has problems takes nothing's place
        write_private(service.config_file, plan.data)
    # SERVICE_PORT is the main service's.
    environ = {key: value for key, value in os.environ.items() if key != "SERVICE_PORT"}
    environ["CCR_HOME"] = str(service.home)
    config = load_config(service, environ)
    program = claude_program(config, os.environ)
    started = start(service, environ, config)
    if started.is_new:
        show_warnings(config, with_notes=False)
    elif is_changed:
        ask_to_reload(service, local_key(service, config))  # before the client asks for what is new in it
    target = target_of(config, started.state.address, local_key(service, config))
    settings = settings_text({**settings_of(config, name), **plan.settings})
    if plan.settings:  # of somebody else's making: answers to its questions, a key perhaps, may stand in them
        file = service.home / "claude-settings.json"
        write_private(file, settings.encode())
        settings = str(file)
    become_claude(program, replace(target, settings=settings), os.environ, arguments)
