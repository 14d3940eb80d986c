"""What is given to people: the wheel holds the package and nothing that runs by itself."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {".html", ".css", ".svg"}
SUFFIXES = {".py", ".js", ".toml", ".typed", *PAGES}
ABOUT = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return zipfile.ZipFile(folder / done.stdout.splitlines()[-1])


def test_it_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """A `.pth` file would run at every start of Python, a `.data` folder could write anywhere."""
    names = {entry.filename for entry in wheel.infolist() if not entry.is_dir()}
    about = {name for name in names if ".dist-info/" in name}
    source = ROOT / "src"
    package = {
        path.relative_to(source).as_posix()
        for path in (source / "ccr").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names - about == package
    assert {name.partition(".dist-info/")[2] for name in about} == ABOUT
    assert {Path(name).suffix for name in package} <= SUFFIXES
    assert all(name.startswith("ccr/ui/static/") for name in package if Path(name).suffix in PAGES)


def test_it_installs_one_command(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(name).decode().split() == ["[console_scripts]", "ccr", "=", "ccr.cli:main"]


def test_its_files_are_plain(wheel: zipfile.ZipFile) -> None:
    for entry in wheel.infolist():
        mode = entry.external_attr >> 16
        assert mode & 0o7000 == 0, f"{entry.filename}: {mode:o}"
        assert mode & 0o170000 in (0, 0o100000), f"{entry.filename} is no plain file"
        assert not entry.filename.startswith("/")
        assert ".." not in Path(entry.filename).parts
