"""Transformers in Python files and packages: what is found in them, and why one is refused."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest

from ccr.plugins import python_files
from ccr.plugins.errors import PluginError
from ccr.plugins.python_files import forget, made, transformer_of_package, transformers_in_file
from ccr.transformers.base import Transformer

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from ccr import Transformer

@dataclass
class Note:
    text: str

class Base(Transformer):
    pass

class One(Base):
    name = "one"

class Two(Transformer):
    name = "two"
    def __init__(self, options):
        super().__init__(options)
        if "bad" in options:
            raise ValueError("option bad is bad")
        options["needed"]
"""


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    file = folder / "mine.py"
    file.write_text(text)
    file.chmod(mode)
    return str(file)


def test_every_class_with_a_name(tmp_path: Path) -> None:
    found = transformers_in_file(written(tmp_path, GOOD))
    assert [kind.name for kind in found] == ["one", "two"]
    assert not (tmp_path / "__pycache__").exists()
    again = transformers_in_file(str(tmp_path / "mine.py"))
    assert again[0] is not found[0], "an edited file is read again"


def test_modules_are_forgotten(tmp_path: Path) -> None:
    (one, two) = transformers_in_file(written(tmp_path, GOOD))
    assert one.__module__ in sys.modules
    forget({"one": one, "two": two, "other": Transformer})
    assert one.__module__ not in sys.modules
    assert Transformer.__module__ in sys.modules


@pytest.mark.parametrize(
    ("text", "said", "trace"),
    [
        ("x = 1", "defines no transformer", ""),
        ("from ccr import Transformer\nclass A(Transformer): name = ''", "defines no transformer", ""),
        ("from ccr import Transformer\nclass A(Transformer): name = 3", "defines no transformer", ""),
        ("from ccr import Transformer as T", "defines no transformer", ""),
        ("1 / 0", "raises ZeroDivisionError: division by zero", 'mine.py", line 1, in <module>'),
        ("def f(:", "raises SyntaxError", 'mine.py", line 1'),
        ("import sys\nsys.exit()", "raises SystemExit", 'mine.py", line 2, in <module>'),
        ("raise RuntimeError()", "raises RuntimeError", "RuntimeError"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, said: str, trace: str) -> None:
    before = set(sys.modules)
    with pytest.raises(PluginError) as caught:
        transformers_in_file(written(tmp_path, text))
    assert said in caught.value.message
    assert trace in caught.value.trace
    assert "python_files.py" not in caught.value.trace
    if trace:
        assert set(sys.modules) == before


def test_an_import_of_a_file_beside_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("x = 1")
    with pytest.raises(PluginError, match="files beside it are not found by import") as caught:
        transformers_in_file(written(tmp_path, "from beside_it.deeper import x"))
    assert "No module named 'beside_it'" in caught.value.message


def test_options_are_there_whatever_init_does(tmp_path: Path) -> None:
    text = """
from ccr import Transformer
class Mine(Transformer):
    name = "mine"
    def __init__(self, options):
        self.other = 1
"""
    (kind,) = transformers_in_file(written(tmp_path, text))
    assert made(kind, {"debug": True}).options == {"debug": True}


def test_a_file_that_others_can_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="written by other users"):
        transformers_in_file(written(tmp_path, "raise AssertionError('it ran')", 0o602))


def test_objects(tmp_path: Path) -> None:
    _, two = transformers_in_file(written(tmp_path, GOOD))
    assert made(two, {"needed": 1}).options == {"needed": 1}
    with pytest.raises(ValueError, match="two: option bad is bad"):
        made(two, {"bad": 1})
    with pytest.raises(PluginError, match="two failed in __init__: it raises KeyError: 'needed'") as caught:
        made(two, {})
    assert 'mine.py", line' in caught.value.trace


def test_an_object_that_ends_the_program_is_refused(tmp_path: Path) -> None:
    text = (
        "import sys\nfrom ccr import Transformer\nclass One(Transformer):\n    name = 'one'\n"
        "    def __init__(self, options):\n        sys.exit(3)\n"
    )
    (one,) = transformers_in_file(written(tmp_path, text))
    with pytest.raises(PluginError, match="it raises SystemExit: 3"):
        made(one, {})


class Offered(Transformer):
    name = "offered"


NOT_ONE = "text"


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Entry points by name."""
    values: dict[str, str] = {}

    def entry_points(group: str, name: str) -> list[EntryPoint]:
        return [EntryPoint(name, values[name], group)] if name in values else []

    monkeypatch.setattr(python_files, "entry_points", entry_points)
    return values


def test_a_package_offers_a_transformer(offers: dict[str, str]) -> None:
    offers["offered"] = f"{__name__}:Offered"
    kind = transformer_of_package("offered")
    assert kind is not None
    assert kind.name == "offered"
    assert transformer_of_package("other") is None
    assert transformer_of_package("") is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("other", f"{__name__}:Offered", "is no ccr.Transformer whose name is 'other'"),
        ("text", f"{__name__}:NOT_ONE", "is no ccr.Transformer"),
        ("gone", "no_such_package:X", "raises ModuleNotFoundError"),
    ],
)
def test_offers_that_are_refused(offers: dict[str, str], name: str, value: str, said: str) -> None:
    offers[name] = value
    with pytest.raises(PluginError, match=said):
        transformer_of_package(name)
