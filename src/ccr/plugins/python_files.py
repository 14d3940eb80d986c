"""Transformers in Python: from a file that the configuration names, or from an installed package.

A file is read once, checked (files.py) and run as a module of its own name; nothing is written beside it.
Every class in it that derives from ``ccr.Transformer`` and has a ``name`` is a transformer. A package names
its own as entry points of the group ``ccr.transformers``; one is loaded only when a step names it.
"""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import entry_points
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ccr.config.transformer_files import ENTRY_POINTS
from ccr.plugins.errors import PluginError, plugin_error_from_file
from ccr.plugins.files import check_plugin_file
from ccr.transformers.base import Transformer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TransformerClass = type[Transformer]

_NUMBERS: Final = count(1)
"""Modules of earlier configurations stay while requests run on them: every load has a name of its own."""


def transformers_in_file(path: str) -> tuple[TransformerClass, ...]:
    """Return the transformers that a Python file defines. Raises PluginError with its traceback."""
    file = check_plugin_file(path)
    module = ModuleType(f"ccr_plugin_{next(_NUMBERS)}_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses and pickle look a class's module up there
    try:
        code = compile(file.read_bytes(), str(file), "exec")
        exec(code, vars(module))  # noqa: S102 - the person's own file, named by the person's configuration
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        reason = f"{file} raises {_summary(error)}{_about_neighbour(error, file)}"
        raise PluginError(
            file.name, reason, hook="load", trace=_trace(error, file), should_retry=False
        ) from error
    found = tuple(value for value in vars(module).values() if _is_transformer(value, module.__name__))
    if not found:
        raise plugin_error_from_file(
            file, "defines no transformer: a class that derives from ccr.Transformer and has a name"
        )
    return found


def transformer_of_package(name: str) -> TransformerClass | None:
    """Return the transformer that an installed package offers by this name, None when none does.

    Raises PluginError with its traceback.
    """
    offers = tuple(entry_points(group=ENTRY_POINTS, name=name)) if name else ()
    if not offers:
        return None
    try:
        loaded = offers[0].load()
    except (Exception, SystemExit) as error:
        reason = f"the entry point {offers[0].value} raises {_summary(error)}"
        raise PluginError(name, reason, hook="load", trace=_trace(error), should_retry=False) from error
    if not _is_transformer(loaded) or loaded.name != name:
        reason = f"the entry point {offers[0].value} is no ccr.Transformer whose name is {name!r}"
        raise PluginError(name, reason, hook="load", should_retry=False)
    kind: TransformerClass = loaded
    return kind


def made(kind: TransformerClass, options: Mapping[str, Any]) -> Transformer:
    """Return a transformer for one use.

    Raises ValueError with the transformer's own sentence about its options, PluginError on anything else.
    """
    try:
        transformer = kind(options)
    except ValueError as error:
        raise ValueError(f"{kind.name}: {error}") from error
    except (Exception, SystemExit) as error:
        reason = f"it raises {_summary(error)}"
        raise PluginError(
            kind.name, reason, hook="__init__", trace=_trace(error), should_retry=False
        ) from error
    if not hasattr(transformer, "options"):  # an __init__ of its own that does not call this one's
        transformer.options = options
    return transformer


def forget(kinds: Mapping[str, TransformerClass]) -> None:
    """Let go of the modules of files that are needed no longer."""
    for kind in kinds.values():
        if kind.__module__.startswith("ccr_plugin_"):
            sys.modules.pop(kind.__module__, None)


def _is_transformer(value: object, module: str | None = None) -> bool:
    """Tell whether a value is a transformer's class, defined in that module and not only imported there."""
    if not isinstance(value, type) or not issubclass(value, Transformer):
        return False
    name: object = value.name
    return isinstance(name, str) and bool(name.strip()) and module in (None, value.__module__)


def _about_neighbour(error: BaseException, file: Path) -> str:
    """Return what to do about an import of a file beside this one."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if not name or not file.with_name(f"{name.partition('.')[0]}.py").exists():
        return ""
    return " (files beside it are not found by import: write one file, or install a package)"


def _summary(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _trace(error: BaseException, file: Path | None = None) -> str:
    """Return the traceback, from the file's first line on: what ccr did before says nothing to its author."""
    frames = error.__traceback__
    while frames is not None and file is not None and frames.tb_frame.f_code.co_filename != str(file):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))
