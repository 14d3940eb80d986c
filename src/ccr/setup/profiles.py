"""The workspaces of the profiles in ``~/.databrickscfg``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.config.address import workspace_url
from ccr.config.profiles import read_profiles, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def hosts_of_profiles(environ: Mapping[str, str]) -> dict[str, str]:
    """Return profile -> workspace URL, the default profile first; those without a usable host are left out.

    Raises ConfigError on a file that is there and cannot be read.
    """
    profiles = read_profiles(environ, read_text)
    found = {}
    for name in sorted(profiles.named, key=lambda name: name != profiles.default):
        try:
            found[name] = workspace_url(profiles.named[name].get("host", ""))
        except ValueError:
            continue
    return found
