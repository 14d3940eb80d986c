"""The files of a preset, from a folder or an archive: bounded, plain files only, nothing outside of it.

An archive is read in memory and never unpacked by its own names: links, devices, absolute names and ``..``
are refused, sizes are counted while reading, not taken from the archive's word.
"""

from __future__ import annotations

import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from ccr.config.parse import MalformedError, values_from_bytes
from ccr.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST: Final = "manifest.json"
MAX_FILES: Final = 200
MAX_BYTES: Final = 8 * 1024 * 1024
MAX_ARCHIVE_BYTES: Final = 16 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024
ARCHIVES: Final = (".zip", ".tar.gz", ".tgz")
LEFT_OUT: Final = frozenset({".git", "node_modules", "__pycache__", "service", ".DS_Store", "__MACOSX"})

Files = dict[str, bytes]
"""Path below the preset's folder -> content; ``manifest.json`` is one of them."""


def read_files(source: Path) -> Files:
    """Return the files of a preset. Raises StartError."""
    try:
        if source.is_dir():
            entries = _of_folder(source)
        elif source.is_file() and source.name.lower().endswith(ARCHIVES):
            entries = _of_archive(source)
        else:
            raise StartError(f"{source} is no folder and no archive ({', '.join(ARCHIVES)}) with a preset.")
        return _rooted(_bounded(entries), source)
    except (
        OSError,
        EOFError,
        tarfile.TarError,
        zipfile.BadZipFile,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise StartError(f"{source} cannot be read: {error}.") from error


def manifest_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what the manifest says. Raises StartError."""
    try:
        document = values_from_bytes(files[MANIFEST])
    except MalformedError as error:
        raise StartError(f"{MANIFEST} is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise StartError(f"{MANIFEST} is no JSON object.")
    return document


def bytes_from_manifest(document: Mapping[str, Any]) -> bytes:
    """Return a manifest as it is written."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def archive_of(files: Mapping[str, bytes], name: str) -> bytes:
    """Return an archive whose kind its ``name`` says; the files are in it without owners and times."""
    buffer = io.BytesIO()
    if name.lower().endswith(".zip"):
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(zipfile.ZipInfo(path), content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive_:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mode = 0o600
            archive_.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _bounded(entries: Iterator[tuple[str, bytes]]) -> Files:
    files: Files = {}
    total = 0
    for name, content in entries:
        total += len(content)
        if len(files) >= MAX_FILES or total > MAX_BYTES:
            raise StartError(
                f"This is no preset: it has more than {MAX_FILES} files or {MAX_BYTES >> 20} MB."
            )
        files[name] = content
    return files


def _rooted(files: Files, source: Path) -> Files:
    """Return the files below the folder of the manifest: the top, or the one folder in it."""
    if MANIFEST in files:
        return files
    tops = {name.partition("/")[0] for name in files}
    top = tops.pop() if len(tops) == 1 else ""
    if f"{top}/{MANIFEST}" not in files:
        raise StartError(f"{source} has no {MANIFEST}, so it is no preset.")
    return {name.removeprefix(f"{top}/"): content for name, content in files.items()}


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT or path.name.startswith(".env"):
            continue
        if path.is_symlink():
            raise StartError(f"{path} is a link; a preset has plain files only.")
        if path.is_dir():
            for name, content in _of_folder(path):
                yield f"{path.name}/{name}", content
        elif path.is_file():
            with path.open("rb") as file:
                yield path.name, file.read(MAX_BYTES + 1)


def _of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.stat().st_size > MAX_ARCHIVE_BYTES:
        raise StartError(f"{path} is larger than {MAX_ARCHIVE_BYTES >> 20} MB; it is no preset.")
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.is_dir() or _is_left_out(entry.filename):
                    continue
                if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
                    raise StartError(f"{entry.filename!r} in {path} is no plain file.")
                with archive.open(entry) as member:
                    yield _name(entry.filename, path), member.read(MAX_BYTES + 1)
        return
    with tarfile.open(path, "r:gz") as archive_:
        unpacked = 0
        for member_ in archive_:
            unpacked += member_.size
            if unpacked > MAX_UNPACKED_BYTES:  # what is left out has to be unpacked, too, to get behind it
                raise StartError(f"{path} holds more than {MAX_UNPACKED_BYTES >> 20} MB; it is no preset.")
            if member_.isdir() or _is_left_out(member_.name):
                continue
            content = archive_.extractfile(member_) if member_.isreg() else None
            if content is None:
                raise StartError(f"{member_.name!r} in {path} is no plain file.")
            yield _name(member_.name, path), content.read(MAX_BYTES + 1)


def _is_left_out(name: str) -> bool:
    return bool(LEFT_OUT.intersection(PurePosixPath(name).parts))


def _name(name: str, archive: Path) -> str:
    """Return a path inside of the preset. Raises StartError for one that leads outside."""
    parts = PurePosixPath(name).parts
    is_safe = (
        parts and not name.startswith("/") and "\\" not in name and ":" not in name and "\x00" not in name
    )
    if not is_safe or ".." in parts:
        raise StartError(f"{archive} holds a file with the name {name!r}, which leads outside of the preset.")
    return "/".join(parts)
