"""Files of presets: folders, archives, and archives that mean harm."""

from __future__ import annotations

import io
import json
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from ccr.config.paths import Paths
from ccr.errors import StartError
from ccr.presets import folder as files_of
from ccr.presets import store
from ccr.presets.folder import archive_of, manifest_of, read_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {"manifest.json": b'{"name": "team"}', "plugins/a.js": b"1"}


def tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


@pytest.mark.parametrize("name", ["p.zip", "p.tar.gz", "P.TGZ"])
@pytest.mark.parametrize("top", ["", "preset-main/"])
def test_archives(tmp_path: Path, name: str, top: str) -> None:
    path = tmp_path / name
    path.write_bytes(archive_of({top + each: content for each, content in FILES.items()}, name))
    assert read_files(path) == FILES


def test_folders(tmp_path: Path) -> None:
    store.write_files(tmp_path / "p", FILES)
    for left_out in ("service/config.json", ".git/config", ".env"):
        path = tmp_path / "p" / left_out
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
    assert read_files(tmp_path / "p") == FILES
    assert stat.S_IMODE((tmp_path / "p" / "plugins" / "a.js").stat().st_mode) == 0o600


def zipped(path: Path, name: str, *, mode: int = 0, content: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}")
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return path


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda f: zipped(f / "a.zip", "../evil"), "leads outside"),
        (lambda f: zipped(f / "a.zip", "/etc/evil"), "leads outside"),
        (lambda f: zipped(f / "a.zip", "a/../../evil"), "leads outside"),
        (lambda f: zipped(f / "a.zip", "C:evil"), "leads outside"),
        (lambda f: zipped(f / "a.zip", "link", mode=stat.S_IFLNK | 0o777), "no plain file"),
        (lambda f: zipped(f / "a.zip", "bomb", content=bytes(9 << 20)), "more than"),
        (lambda f: tar(f / "a.tar.gz", member("../evil")), "leads outside"),
        (lambda f: tar(f / "a.tar.gz", member("/etc/evil")), "leads outside"),
        (
            lambda f: tar(f / "a.tar.gz", member("l", kind=tarfile.SYMTYPE, link="/etc/passwd")),
            "no plain file",
        ),
        (
            lambda f: tar(f / "a.tar.gz", member("l", kind=tarfile.LNKTYPE, link="/etc/passwd")),
            "no plain file",
        ),
        (lambda f: tar(f / "a.tar.gz", member("d", kind=tarfile.CHRTYPE)), "no plain file"),
        (lambda f: tar(f / "a.tar.gz", member("big", size=9 << 20)), "more than"),
        (lambda f: tar(f / "a.tar.gz", member("node_modules/big", size=65 << 20)), "more than 64 MB"),
        (lambda f: tar(f / "a.tar.gz", *(member(f"f{n}") for n in range(201))), "more than 200 files"),
        (lambda f: tar(f / "a.tar.gz", member("x/other")), "no manifest.json"),
        (lambda f: tar(f / "a.tar.gz", member("x/manifest.json"), member("y/z")), "no manifest.json"),
        (lambda f: f / "missing", "no folder and no archive"),
    ],
)
def test_what_means_harm_is_refused(tmp_path: Path, make: Callable[[Path], Path], sentence: str) -> None:
    path = make(tmp_path)
    with pytest.raises(StartError, match=sentence):
        read_files(path)
    assert {each.name for each in tmp_path.iterdir()} <= {path.name}


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_damaged_archives(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(StartError, match="cannot be read"):
        read_files(tmp_path / name)


def test_too_large_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_of, "MAX_ARCHIVE_BYTES", 10)
    (tmp_path / "a.zip").write_bytes(bytes(11))
    with pytest.raises(StartError, match="larger than"):
        read_files(tmp_path / "a.zip")


def test_links_in_folders_are_refused(tmp_path: Path) -> None:
    store.write_files(tmp_path / "p", FILES)
    (tmp_path / "p" / "link").symlink_to("/etc/passwd")
    with pytest.raises(StartError, match="is a link"):
        read_files(tmp_path / "p")


@pytest.mark.parametrize("content", [b"{", b"[]"])
def test_manifests_that_are_none(content: bytes) -> None:
    with pytest.raises(StartError, match="is no JSON"):
        manifest_of({"manifest.json": content})


def test_a_preset_is_replaced_and_its_service_stays(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    assert store.installed(paths) == []
    store.replace_files(paths, "team", FILES)
    service = store.service_paths(paths, "team").home
    service.mkdir()
    (service / ".key").write_text("k")
    store.replace_files(paths, "team", {"manifest.json": b'{"version": "2"}'})
    assert (service / ".key").read_text() == "k"
    assert not (tmp_path / "home" / "presets" / "team" / "plugins").exists()
    assert store.installed(paths) == ["team"]
    assert store.read_preset(paths, "team").metadata == {"version": "2"}
    store.delete(paths, "team")
    assert [each.name for each in (tmp_path / "home" / "presets").iterdir()] == []
    with pytest.raises(StartError, match="There is no preset team; installed: none"):
        store.read_manifest(paths, "team")


def test_a_linked_preset_is_only_unlinked(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    store.write_files(tmp_path / "elsewhere", FILES)
    store.presets_folder(paths).mkdir(parents=True)
    (store.presets_folder(paths) / "team").symlink_to(tmp_path / "elsewhere")
    store.delete(paths, "team")
    assert json.loads((tmp_path / "elsewhere" / "manifest.json").read_text()) == {"name": "team"}
