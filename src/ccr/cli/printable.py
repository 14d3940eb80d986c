"""Texts of others on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Replace what could move the cursor or start a line of its own."""
    return "".join(character if character.isprintable() else "?" for character in text)
