"""The profiles of ``~/.databrickscfg``: their names and hosts. Nothing else of them is read here."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import TYPE_CHECKING

from ccr.upstream.workspace_api import workspace_url

if TYPE_CHECKING:
    from collections.abc import Mapping


def hosts_of_profiles(environ: Mapping[str, str]) -> dict[str, str]:
    """Return profile -> workspace URL, in the file's order; empty when there is no readable file.

    environ: ``DATABRICKS_CONFIG_FILE`` names another file. Profiles without a usable host are left out.
    """
    chosen = environ.get("DATABRICKS_CONFIG_FILE", "").strip() or "~/.databrickscfg"
    home = environ.get("HOME", "")
    path = Path(home) / chosen[2:] if chosen.startswith("~/") else Path(chosen)
    parser = configparser.ConfigParser(default_section="no such section", interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {}
    found = {}
    for profile in parser.sections():
        try:
            found[profile] = workspace_url(parser.get(profile, "host", fallback=""))
        except ValueError:
            continue
    return found
