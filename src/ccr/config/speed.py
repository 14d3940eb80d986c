"""``plugins`` (also ``Plugins``): of the npm router's plugins there is one, ``token-speed``.

It says where the speed of each answer goes: a line of the log, a file of the session, a web address. Read
only where the key is written. What is made of it: gateway/speed.py. Source of the keys: the npm router's
packages/core/src/plugins/token-speed.ts and plugins/output/types.ts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ccr.config.findings import nearest, shape
from ccr.config.section import Section
from ccr.config.webhook import Webhook, webhook_from, webhook_shown

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "token-speed"
FOLDER: Final = "token-speed"
"""Beside config.json: files of sessions, where nothing else is said."""
CONSOLE, FILE, WEBHOOK = "console", "temp-file", "webhook"
OUTPUTS: Final = (CONSOLE, FILE, WEBHOOK)
Level = Literal["log", "info", "warn", "error", "debug"]
PART_OF_A_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
PREFIX: Final = "[Token Speed Final]"


@dataclass(frozen=True, kw_only=True)
class SpeedFiles:
    """Where files of sessions go: ``<prefix>-<session>[-<time>].<extension>`` in a folder of one's own."""

    folder: Path
    prefix: str = "session"
    extension: str = "json"
    has_time: bool = False


@dataclass(frozen=True, kw_only=True)
class TokenSpeed:
    """Where the speed of answers goes; None where not there.

    prefix, metadata, has_time: what a web address is told beside the figures.
    """

    console: Level | None = None
    files: SpeedFiles | None = None
    webhook: Webhook | None = None
    prefix: str = PREFIX
    metadata: Mapping[str, Any] = field(default_factory=dict)
    has_time: bool = True


def speed_from(root: Section) -> TokenSpeed | None:
    """Read ``plugins``, else ``Plugins``; None where there is no speed to tell."""
    key = "plugins" if root.values.get("plugins") else "Plugins"
    found: TokenSpeed | None = None
    seen = False
    for path, entry in root.entries(key, of="plugins"):
        if not isinstance(entry, dict):
            root.findings.problem(path, shape(entry), "an object with name, enabled and options")
            continue
        section = Section(entry, path, root.findings)
        section.warn_of_unknown(("name", "enabled", "options"))
        if not _is_known(section):
            continue
        if seen:
            root.findings.warn(path, f"names {NAME} a second time; the last one counts")
        seen = True
        options = Section(section.table("options"), section.at("options"), root.findings)
        speed = _speed(options)
        if section.values.get("enabled") is None:
            root.findings.warn(path, 'has no effect without "enabled": true')
        found = speed if section.boolean("enabled", default=False) else None
    return found


def _is_known(section: Section) -> bool:
    name = section.text("name", allowed=NAME)
    if name == NAME:
        return True
    hint = nearest(name or "", (NAME,))
    ending = f"; did you mean {hint}?" if hint else f"; there is {NAME}"
    section.findings.warn(section.at("name"), f"names no plugin that is known and has no effect{ending}")
    return False


def _speed(options: Section) -> TokenSpeed:
    options.warn_of_unknown(("reporter", "outputHandlers", "outputOptions"))
    handlers = _handlers(options)
    reporters = _reporters(options)
    said = Section(options.table("outputOptions"), options.at("outputOptions"), options.findings)
    said.warn_of_unknown(("format", "timestamp", "prefix", "metadata", "timeout"))
    said.choice("format", "json", ("json", "text", "markdown"))
    timeout_s = said.integer("timeout", 30_000, 1, 60_000) / 1000
    outputs = _outputs(options, reporters, handlers)
    console, files, webhook = (outputs.get(each) for each in OUTPUTS)
    if WEBHOOK in (reporters or ()) and webhook is None and WEBHOOK not in handlers:
        options.findings.warn(
            options.at("reporter"), "names webhook, which has no effect without its url in outputHandlers"
        )
    return TokenSpeed(
        console=_level(console) if console is not None else None,
        files=_files(files) if files is not None else None,
        webhook=webhook_from(webhook, timeout_s=timeout_s) if webhook is not None else None,
        prefix=said.text("prefix") or PREFIX,
        metadata=said.table("metadata"),
        has_time=said.boolean("timestamp", default=True),
    )


def _handlers(options: Section) -> dict[str, tuple[bool, Section]]:
    """Return type -> whether it is enabled, and its ``config``. A bare text is a type without one."""
    found: dict[str, tuple[bool, Section]] = {}
    for path, entry in options.entries("outputHandlers", of="objects with type, enabled and config"):
        written = {"type": entry} if isinstance(entry, str) else entry
        if not isinstance(written, dict):
            options.findings.problem(path, shape(entry), "an object with type, enabled and config")
            continue
        section = Section(written, path, options.findings)
        section.warn_of_unknown(("type", "enabled", "config"))
        kind = section.choice("type", "", OUTPUTS)
        if not kind:
            section.problem("type", section.quoted("type"), "one of " + ", ".join(OUTPUTS))
            continue
        if kind in found:
            options.findings.warn(path, f"names {kind} a second time; the last one counts")
        config = Section(section.table("config"), section.at("config"), options.findings)
        found[kind] = section.boolean("enabled", default=True), config
    return found


def _reporters(options: Section) -> list[str] | None:
    """Return the outputs that ``reporter`` names, None where it is not written."""
    written = options.values.get("reporter")
    if written is None:
        return None
    entries = [(options.at("reporter"), written)]
    if not isinstance(written, str):
        entries = options.entries("reporter", of="outputs")
    found = []
    for path, entry in entries:
        if entry in OUTPUTS:
            found.append(entry)
        else:
            options.findings.problem(
                path, options.findings.quoted(path, entry), "one of " + ", ".join(OUTPUTS)
            )
    return found


def _outputs(
    options: Section, reporters: list[str] | None, handlers: dict[str, tuple[bool, Section]]
) -> dict[str, Section]:
    """Return the outputs there are, each with its config: those of ``reporter``, else those listed.

    The npm router has console and file where neither is written, and a web address only where it is.
    """
    wanted = reporters if reporters is not None else list(handlers) or [CONSOLE, FILE]
    for kind in handlers:
        if kind not in wanted:
            options.findings.warn(
                options.at("outputHandlers"), f"lists {kind}, which reporter does not name: it has no effect"
            )
    empty = Section({}, options.at("outputHandlers"), options.findings)
    found = {kind: handlers.get(kind, (kind != WEBHOOK, empty)) for kind in wanted}
    return {kind: config for kind, (is_enabled, config) in found.items() if is_enabled}


def _level(config: Section) -> Level:
    config.warn_of_unknown(("colors", "level"))
    config.boolean("colors", default=True)
    level: Level = config.choice("level", "log", get_args(Level))
    return level


def _files(config: Section) -> SpeedFiles:
    config.warn_of_unknown(("subdirectory", "extension", "includeTimestamp", "prefix"))
    base = Path(config.findings.file).absolute().parent / FOLDER
    name = config.text("subdirectory", allowed="the name of a folder")
    written = Path(name).expanduser() if name is not None else Path()
    if ".." in written.parts:
        config.problem("subdirectory", config.quoted("subdirectory"), "a folder, without ..")
    return SpeedFiles(
        folder=base / written,
        prefix=_part(config, "prefix", "session"),
        extension=_part(config, "extension", "json"),
        has_time=config.boolean("includeTimestamp", default=False),
    )


def _part(config: Section, key: str, default: str) -> str:
    """Return a part of a file's name."""
    text = config.text(key)
    if text is None:
        return default
    if not PART_OF_A_NAME.fullmatch(text):
        config.problem(key, config.quoted(key), "letters, digits, dots, - and _")
        return default
    return text.lstrip(".") or default


def options_shown(speed: TokenSpeed) -> dict[str, Any]:
    """Return the options that mean ``speed``, without secrets."""
    handlers: list[dict[str, Any]] = []
    if speed.console is not None:
        handlers.append({"type": CONSOLE, "config": {"level": speed.console}})
    if speed.files is not None:
        shown = {
            "subdirectory": str(speed.files.folder),
            "prefix": speed.files.prefix,
            "extension": speed.files.extension,
            "includeTimestamp": speed.files.has_time,
        }
        handlers.append({"type": FILE, "config": shown})
    if speed.webhook is not None:
        handlers.append({"type": WEBHOOK, "config": webhook_shown(speed.webhook)})
    return {
        "outputHandlers": handlers,
        "outputOptions": {
            "prefix": speed.prefix,
            "timestamp": speed.has_time,
            "metadata": dict(speed.metadata),
            **({"timeout": round(speed.webhook.timeout_s * 1000)} if speed.webhook is not None else {}),
        },
    }
