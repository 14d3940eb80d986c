"""The fake providers of a test, and services that are started on folders of the npm router's users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.dropin.person import Person, started
from tests.dropin.providers import Providers

if TYPE_CHECKING:
    import anthropic


@dataclass(frozen=True)
class Live:
    """A folder that is served. said: by `ccr start`."""

    person: Person
    providers: Providers
    client: anthropic.Anthropic
    said: str


Serve = Callable[..., Live]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serve a folder, once for all tests of a module; its providers must not have refused anything."""
    running: dict[str, Live] = {}
    with ExitStack() as stack:

        def start(folder: str, *, providers: Providers | None = None, **environ: str) -> Live:
            if folder not in running:
                fake = stack.enter_context(providers or Providers())
                home = tmp_path_factory.mktemp(folder)
                person, said = stack.enter_context(started(folder, home, fake, environ))
                client = stack.enter_context(person.client())
                running[folder] = Live(person, fake, client, said)
            return running[folder]

        yield start
        for live in running.values():
            assert live.providers.refusals == []
