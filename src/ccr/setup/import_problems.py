"""What of another installation's configuration would stop the start: found as the start finds it, taken out.

The npm router skips in silence what it cannot use; here the same is a problem. A provider with a problem is
left out as a whole, of everything else only the value that has it; each with a sentence that says why.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ccr.config.interpolate import Interpolation
from ccr.config.key_path import NoSuchKeyError, document_without, place_of, value_at
from ccr.config.load import config_from_bytes
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ccr.config.model import Step
    from ccr.errors import Problem
    from ccr.setup.import_v3 import Imported

PROVIDER: Final = re.compile(r"([Pp]roviders)\[(\d+)\]\.?(.*)", re.DOTALL)


class Verdict(NamedTuple):
    """What the start would say of a document; the warnings without the file's name."""

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def verdict_on(
    data: bytes,
    document: Mapping[str, Any],
    environ: Mapping[str, str],
    file: Path,
    check_step: Callable[[Step], object] | None = None,
) -> Verdict:
    """Return what is wrong with a configuration, whatever the variables will be that are not set here.

    A variable is set where the service is started, not necessarily where its configuration is written.
    """
    interpolation = Interpolation(environ)
    interpolation.walk(document)
    problems: tuple[Problem, ...] = ()
    try:
        warnings = config_from_bytes(data, environ, file=str(file), check_step=check_step).warnings
    except ConfigError as error:
        problems, warnings = error.problems, error.warnings
    return Verdict(
        tuple(problem for problem in problems if problem.key not in interpolation.unset),
        tuple(warning.removeprefix(f"{file}: ") for warning in warnings),
    )


def drop_providers(imported: Imported, environ: Mapping[str, str], file: Path) -> None:
    """Leave out the providers that the start would refuse."""
    faults: dict[tuple[str, int], list[str]] = {}
    for problem in _problems(imported, environ, file):
        found = PROVIDER.fullmatch(problem.key)
        if found is not None:
            where = f"{found[3]}: " if found[3] else ""
            faults.setdefault((found[1], int(found[2])), []).append(
                f"{where}found {problem.found}; allowed: {problem.allowed}"
            )
    for (key, index), sentences in faults.items():
        entry = imported.document[key][index]
        name = entry.get("name") if isinstance(entry, dict) else None
        imported.lost.append(f"The provider {name or 'without a name'} was left out: {'; '.join(sentences)}.")
    for key in ("Providers", "providers"):
        entries = imported.document.get(key)
        if isinstance(entries, list):
            imported.document[key] = [
                entry for index, entry in enumerate(entries) if (key, index) not in faults
            ]


def drop_values(imported: Imported, environ: Mapping[str, str], file: Path) -> None:
    """Leave out every other value that the start would refuse; what cannot be left out stays, and is told."""
    # the last first: the indices of the others in a list stay what they are
    for problem in reversed(_problems(imported, environ, file)):
        try:
            place = place_of(imported.document, problem.key)
            value_at(imported.document, place)
        except NoSuchKeyError:
            continue
        imported.document = document_without(imported.document, place)
        imported.lost.append(
            f"{problem.key} was left out: found {problem.found}; allowed: {problem.allowed}."
        )


def _problems(imported: Imported, environ: Mapping[str, str], file: Path) -> tuple[Problem, ...]:
    data = json.dumps(imported.document).encode()
    return verdict_on(data, imported.document, environ, file).problems
