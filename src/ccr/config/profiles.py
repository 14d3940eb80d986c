"""The profiles of ``~/.databrickscfg``, the file that all Databricks tools share.

An INI file: one section a profile, ``[DEFAULT]`` is a profile like the others and lends its keys to none
(source: databricks-sdk, which skips configparser's own DEFAULT). ``default_profile`` in ``[__settings__]``
is what ``databricks auth switch`` chose. Values are never quoted in an error: they may be tokens.
"""

from __future__ import annotations

import configparser
import ntpath
import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    ReadFile = Callable[[str], str]

CONFIG_FILE_VARIABLE: Final = "DATABRICKS_CONFIG_FILE"
DEFAULT_PROFILE: Final = "DEFAULT"
_FILE_NAME: Final = ".databrickscfg"
_SETTINGS: Final = "__settings__"
_NO_SECTION: Final = "\0"
"""Stands for configparser's section whose keys all others inherit; no file can have it."""


@dataclass(frozen=True)
class Profiles:
    """file: as it is shown to a person. named: profile -> key (lower case) -> value, without empty ones."""

    file: str
    exists: bool = False
    named: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    default: str = DEFAULT_PROFILE

    def get(self, name: str) -> Mapping[str, str]:
        """Return a profile's keys. Raises ConfigError that names the existing ones."""
        if name not in self.named:
            raise ConfigError(Problem(self.file, f"[{name}]", "no such profile", self.choice()))
        return self.named[name]

    def choice(self) -> str:
        """Say which profiles there are, for an error."""
        if not self.exists:
            return "a profile; the file does not exist: `databricks auth login --host <workspace>` makes it"
        if not self.named:
            return "a profile; the file has none: `databricks auth login --host <workspace>` makes one"
        return "one of the profiles " + ", ".join(self.named)


def read_profiles(environ: Mapping[str, str], read_file: ReadFile) -> Profiles:
    """Return the profiles; none when there is no file. Raises ConfigError on a file that cannot be used.

    read_file: path -> text; raises OSError, and UnicodeDecodeError for what is no text.
    """
    path, shown = _path_from(environ)
    if path is None:
        return Profiles(shown)
    try:
        text = read_file(path)
    except FileNotFoundError:
        return Profiles(shown)
    except (OSError, UnicodeDecodeError) as error:
        found = f"a file that cannot be read ({type(error).__name__})"
        raise ConfigError(Problem(shown, "", found, "a text file that you may read")) from None
    return profiles_from_text(text, shown)


def read_text(path: str) -> str:
    """Return a text file's content. Raises OSError, UnicodeDecodeError."""
    return Path(path).read_text("utf-8-sig")


def profiles_from_text(text: str, file: str) -> Profiles:
    """Return the profiles of an INI text. Raises ConfigError: which line is wrong, without its words."""
    parser = configparser.ConfigParser(default_section=_NO_SECTION, interpolation=None)
    try:
        parser.read_string(text.removeprefix("\ufeff"))
    except configparser.Error as error:
        raise ConfigError(_fault_of_file(error, file)) from None
    sections = {
        name: {key: value.strip() for key, value in parser[name].items() if value.strip()}
        for name in parser.sections()
    }
    chosen = sections.pop(_SETTINGS, {}).get("default_profile", DEFAULT_PROFILE)
    return Profiles(file, exists=True, named=sections, default=chosen)


def _path_from(environ: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the file's path and how to show it. ``~`` is the environment's home, nobody else's."""
    home = environ.get("HOME") or environ.get("USERPROFILE") or ""
    join = ntpath.join if "\\" in home else posixpath.join
    written = environ.get(CONFIG_FILE_VARIABLE, "").strip()
    if not written:
        return (join(home, _FILE_NAME) if home else None), f"~/{_FILE_NAME}"
    if written.startswith(("~/", "~\\")) and home:
        return join(home, written[2:]), written
    return written, written


def _fault_of_file(error: configparser.Error, file: str) -> Problem:
    """Return the problem; texts of configparser quote the line, so only its number is taken."""
    if isinstance(error, configparser.DuplicateOptionError):
        return Problem(file, f"[{error.section}] {error.option}", "the key a second time", "each key once")
    if isinstance(error, configparser.DuplicateSectionError):
        return Problem(file, f"[{error.section}]", "the profile a second time", "each profile once")
    faults: list[tuple[int, str]] = getattr(error, "errors", None) or [(getattr(error, "lineno", 0), "")]
    where = ", ".join(str(number) for number, _ in faults)
    return Problem(
        file, f"line {where}", "a line that is not key = value", "[profile] lines, and key = value under them"
    )
