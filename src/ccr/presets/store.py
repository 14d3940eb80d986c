"""The installed presets: ``presets/NAME`` below ccr's home, each with manifest, files and a service."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Final

from ccr.config.paths import Paths
from ccr.config.private import make_private_folder, write_private
from ccr.errors import StartError
from ccr.presets.folder import MANIFEST, manifest_of
from ccr.presets.manifest import NAME, check_name, preset_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ccr.presets.manifest import Preset

MAX_MANIFEST_BYTES: Final = 8 * 1024 * 1024


def presets_folder(paths: Paths) -> Path:
    """Return where presets are installed."""
    return paths.home / "presets"


def folder_of(paths: Paths, name: str) -> Path:
    """Return the folder of a preset. Raises StartError for what is no name."""
    return presets_folder(paths) / check_name(name)


def service_paths(paths: Paths, name: str) -> Paths:
    """Return the home of the preset's service: an installation of its own, with key, port and log."""
    return Paths(folder_of(paths, name) / "service")


def is_installed(paths: Paths, name: str) -> bool:
    """Tell whether there is a preset of that name; quick, for the command line."""
    return bool(NAME.fullmatch(name)) and (presets_folder(paths) / name / MANIFEST).is_file()


def installed(paths: Paths) -> list[str]:
    """Return the names of all presets."""
    try:
        names = os.listdir(presets_folder(paths))  # noqa: PTH208 - names
    except FileNotFoundError:
        return []
    return sorted(name for name in names if is_installed(paths, name))


def read_manifest(paths: Paths, name: str) -> dict[str, Any]:
    """Return an installed preset's manifest. Raises StartError."""
    path = folder_of(paths, name) / MANIFEST
    try:
        with path.open("rb") as file:
            return manifest_of({MANIFEST: file.read(MAX_MANIFEST_BYTES)})
    except FileNotFoundError:
        known = ", ".join(installed(paths)) or "none"
        raise StartError(f"There is no preset {name}; installed: {known}.") from None


def read_preset(paths: Paths, name: str) -> Preset:
    """Return an installed preset. Raises StartError."""
    return preset_from(read_manifest(paths, name), name)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a preset's files for their owner alone, the manifest last. Raises OSError."""
    make_private_folder(folder)
    for name in sorted(files, key=lambda each: each == MANIFEST):
        path = folder / name
        make_private_folder(path.parent)
        write_private(path, files[name])


def replace_files(paths: Paths, name: str, files: Mapping[str, bytes]) -> None:
    """Write a preset in place of the one of that name; its service's home stays. Raises OSError."""
    folder = folder_of(paths, name)
    make_private_folder(paths.home)
    make_private_folder(presets_folder(paths))
    draft = folder.with_name(f".{name}.{os.getpid()}.new")
    shutil.rmtree(draft, ignore_errors=True)
    write_files(draft, files)
    if not folder.exists():
        draft.rename(folder)
        return
    service = folder / "service"
    if service.is_dir() and not service.is_symlink():
        service.rename(draft / "service")
    old = folder.with_name(f".{name}.{os.getpid()}.old")
    folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old)


def delete(paths: Paths, name: str) -> None:
    """Remove a preset with everything of it. Raises StartError, OSError."""
    read_manifest(paths, name)
    folder = folder_of(paths, name)
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
