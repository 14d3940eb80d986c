"""Why a tokenizer does not count."""

from __future__ import annotations


class TokenizerError(Exception):
    """A sentence with what to do. is_final: trying again would not help."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final
