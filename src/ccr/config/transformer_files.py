"""``transformers[]``: files of transformers, in Python and JavaScript. One of them is built in here.

The file that Databricks Devbox writes defines ``databricks-custom``. That step is built in, so the file is
not loaded, and a note says so, unless its option ``forceJs`` asks for the file. The others are loaded when
the service starts (`ccr.plugins`), and only then is known which names they define: until then a step may have
any name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ccr.config.findings import shape
from ccr.config.model import TransformerFile, UnknownStepError
from ccr.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Config, Provider, Step

BUILT_IN_STEP: Final = "databricks-custom"
FORCE_OPTION: Final = "forceJs"
ENTRY_POINTS: Final = "ccr.transformers"
"""The group in which installed packages name their transformers."""
NAME_IN_SOURCE = re.compile(rb"""["'`]databricks-custom["'`]""")
READ_BYTES = 1 << 20
SCRIPTS: Final = (".js", ".cjs", ".mjs")
PYTHON: Final = ".py"


def transformer_files_from(root: Section) -> dict[str, TransformerFile]:
    """Read ``transformers``: key path -> file; a file that the built-in step stands for gives a note."""
    files = {}
    for path, entry in root.entries("transformers", of="objects with path and options"):
        if not isinstance(entry, dict):
            root.findings.problem(path, shape(entry), "an object with path and options")
            continue
        section = Section(entry, path, root.findings)
        section.warn_of_unknown(("path", "options"))
        name = section.text("path", allowed="the path of a file")
        options = section.table("options")
        if name is None:
            section.problem("path", shape(entry.get("path")), "the path of a file")
        elif Path(name).suffix.lower() not in (PYTHON, *SCRIPTS):
            found = section.findings.quoted(section.at("path"), Path(name).name)
            section.problem("path", found, "a transformer in a file that ends in .py or .js")
        else:
            files[section.at("path")] = _file(name, options, root)
    return files


def check_that_files_exist(
    files: Mapping[str, TransformerFile], providers: tuple[Provider, ...], root: Section
) -> None:
    """Note a problem for every file that will have to be loaded and is not there. files: by key path."""
    is_needed = any(map(is_forced, _steps_of(providers)))
    for path, file in files.items():
        if (is_needed or not file.is_built_in) and not os.path.isfile(file.path):  # noqa: PTH113 - never raises
            found = f"{root.findings.quoted(path, file.path)}, where there is no file"
            root.findings.problem(path, found, "the path of a file that is there")


def options_by_step(files: tuple[TransformerFile, ...]) -> Mapping[str, Mapping[str, Any]]:
    """Return step name -> options written at the file that a built-in step stands for; later ones on top."""
    options: dict[str, Any] = {}
    for file in files:
        if file.is_built_in:
            options |= file.options
    return {BUILT_IN_STEP: options}


def check_before_loading(
    check_step: Callable[[Step], object] | None, files: tuple[TransformerFile, ...]
) -> Callable[[Step], object] | None:
    """Return the check of steps as far as it can be made before files are loaded.

    A file may define any name, and take the place of a built-in transformer; then nothing is a problem yet.
    """
    if check_step is None or any(not file.is_built_in for file in files):
        return None

    def check(step: Step) -> None:
        try:
            check_step(step)
        except UnknownStepError:
            if not has_entry_point(step.name):
                raise

    return check


def has_entry_point(name: str) -> bool:
    """Tell whether an installed package offers a transformer of this name; nothing of it is loaded."""
    if not name:
        return False
    from importlib.metadata import entry_points  # imported late: only an unknown name needs it

    return bool(entry_points(group=ENTRY_POINTS, name=name))


def is_forced(step: Step) -> bool:
    """Tell whether a step asks for the JavaScript file where a built-in one stands for it."""
    return step.name == BUILT_IN_STEP and bool(step.options.get(FORCE_OPTION))


def steps_of(config: Config) -> list[Step]:
    """Return every step of every chain, in order."""
    return _steps_of(config.providers)


def _steps_of(providers: tuple[Provider, ...]) -> list[Step]:
    return [
        step
        for provider in providers
        for chain in (provider.steps, *provider.model_steps.values())
        for step in chain
    ]


def own_files(config: Config) -> tuple[Path, ...]:
    """Return the files of the person's that a configuration has loaded: transformers, router, prompt."""
    is_needed = any(map(is_forced, steps_of(config)))
    files = [Path(file.path) for file in config.transformers if is_needed or not file.is_built_in]
    prompt = config.system_prompt.path if config.system_prompt is not None else None
    return (*files, *(file for file in (config.custom_router, prompt) if file is not None))


def is_databricks_custom(name: str) -> bool:
    """Tell whether a file holds the transformer ``databricks-custom``: by its text, else by its name."""
    path = Path(name)
    if path.suffix.lower() not in SCRIPTS:
        return False
    try:
        if path.is_file():
            with path.open("rb") as file:
                return NAME_IN_SOURCE.search(file.read(READ_BYTES)) is not None
    except OSError:
        pass  # what cannot be read is judged like what is not there
    return "databricks" in path.stem.lower()


def _file(name: str, options: Mapping[str, Any], root: Section) -> TransformerFile:
    """Return the entry; a relative path is one beside the configuration, as ``~`` is the person's folder."""
    if name.startswith("~"):
        path = str(Path(name).expanduser())
    else:
        path = str(Path(root.findings.file).parent / name) if not name.startswith("/") else name
    is_built_in = is_databricks_custom(path)
    if is_built_in and not options.get(FORCE_OPTION):
        root.findings.notes.append(
            f"{name}: {BUILT_IN_STEP} is built in; the file is not loaded and need not exist."
        )
    return TransformerFile(path=path, options=options, is_built_in=is_built_in)
