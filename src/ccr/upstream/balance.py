"""Which of several providers with the same model is asked first: the one with the least to do. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")


def least_loaded_first(
    items: Iterable[Item], *, name: Callable[[Item], str], load: Callable[[str], float], session: str
) -> list[Item]:
    """Return the items in the order they should be tried.

    load: of a name, how much it has to do. session: decides between equals, so that the turns of a
    conversation meet the same prompt cache as long as nothing speaks against it.
    """
    return sorted(items, key=lambda item: (load(name(item)), _weight(session, name(item))))


def _weight(session: str, name: str) -> bytes:
    return blake2b(f"{session}\0{name}".encode("utf-8", "replace"), digest_size=8).digest()
