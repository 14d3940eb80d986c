"""The key that clients of this installation present: ``APIKEY``, or one made at random on first use.

Without one any program and any web page on the machine could spend the person's tokens.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ccr.config.model import Secret
from ccr.config.private import create_private, make_private_folder, read_private
from ccr.errors import StartError

if TYPE_CHECKING:
    from ccr.config.model import Config
    from ccr.config.paths import Paths

KEY_FORM = re.compile(r"[A-Za-z0-9_-]{24,512}")


def local_key(paths: Paths, config: Config) -> Secret:
    """Return the configured key, else the generated one, which is made when it is missing.

    Raises StartError when the key file cannot be used; the key itself is never in the message.
    """
    if config.api_key is not None:
        return config.api_key
    try:
        return stored_key(paths) or _made_key(paths)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartError(f"The key file {paths.key_file} cannot be used: {reason}.") from error


def stored_key(paths: Paths) -> Secret | None:
    """Return the generated key, None when none was made yet. Raises OSError, StartError."""
    try:
        data = read_private(paths.key_file)
    except FileNotFoundError:
        return None
    status = paths.key_file.lstat()
    if status.st_uid != os.geteuid():
        raise StartError(f"The key file {paths.key_file} belongs to another user; remove it.")
    if status.st_mode & 0o077:
        paths.key_file.chmod(0o600)
    text = data.decode("ascii", "replace").strip()
    if not KEY_FORM.fullmatch(text):
        raise StartError(f"The key file {paths.key_file} is damaged; remove it and a new key is made.")
    return Secret(text)


def _made_key(paths: Paths) -> Secret:
    import secrets  # imported here: needed once per installation, and costs 10 ms

    make_private_folder(paths.home)
    text = secrets.token_urlsafe(32)
    if create_private(paths.key_file, text.encode() + b"\n"):
        return Secret(text)
    stored = stored_key(paths)  # another process was first: its key counts
    if stored is None:
        raise StartError(f"The key file {paths.key_file} vanished while it was read; try again.")
    return stored
