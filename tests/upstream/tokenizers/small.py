"""Vocabularies small enough to be written here, in the forms that the real libraries read."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, models, pre_tokenizers

if TYPE_CHECKING:
    from pathlib import Path


def huggingface_file() -> bytes:
    """Return a tokenizer.json in which each word is a token; it cuts after four, as some do."""
    words = {"[UNK]": 0, "hello": 1, "world": 2}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    return tokenizer.to_str().encode()


def tiktoken_file() -> bytes:
    """Return ranks of all single bytes and of ``hello``."""
    pieces = [bytes([number]) for number in range(256)] + [b"he", b"ll", b"hell", b"hello"]
    return b"".join(b64encode(piece) + b" %d\n" % rank for rank, piece in enumerate(pieces))


def write_huggingface(folder: Path, model: str = "owner_model") -> Path:
    file = folder / ".huggingface" / model / "tokenizer.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(huggingface_file())
    return file
