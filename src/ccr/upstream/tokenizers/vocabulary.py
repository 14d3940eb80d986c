"""Vocabularies: found on disk, else fetched once, checked, and loaded in a thread.

tiktoken's files are looked for where the library keeps them, and known by their hash; those of Hugging Face
where the npm router keeps them. The library never fetches anything itself: it would ask for no proxy of the
configuration, and has no time limit.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.config.private import make_private_folder, write_private
from ccr.config.tokenizers import REMEDY
from ccr.upstream.tokenizers.errors import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Fetch = Callable[[str, int], Awaitable[bytes]]
    """A URL and the most bytes, to its content; raises TokenizerError."""
    Count = Callable[[str], int]

HUB: Final = "https://huggingface.co"
MAX_BYTES: Final = 64 * 1024 * 1024
_ENCODINGS: Final = "https://openaipublic.blob.core.windows.net/encodings/"
_GPT2: Final = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/"
_CACHE_DIR: Final = "TIKTOKEN_CACHE_DIR"
_NOT_IN_A_FOLDER: Final = re.compile(r"[^A-Za-z0-9_-]")
_environment = threading.Lock()


class VocabularyFile(NamedTuple):
    """A file of tiktoken: where it is, and the SHA-256 of what it must be."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """Its name in the library's folder."""
        return hashlib.sha1(self.url.encode(), usedforsecurity=False).hexdigest()


_CL100K: Final = VocabularyFile(
    f"{_ENCODINGS}cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
)
_O200K: Final = VocabularyFile(
    f"{_ENCODINGS}o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
)
_P50K: Final = VocabularyFile(
    f"{_ENCODINGS}p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"
)
FILES: Final = {
    "cl100k_base": (_CL100K,),
    "o200k_base": (_O200K,),
    "o200k_harmony": (_O200K,),
    "p50k_base": (_P50K,),
    "p50k_edit": (_P50K,),
    "r50k_base": (
        VocabularyFile(
            f"{_ENCODINGS}r50k_base.tiktoken",
            "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
        ),
    ),
    "gpt2": (
        VocabularyFile(
            f"{_GPT2}vocab.bpe", "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
        ),
        VocabularyFile(
            f"{_GPT2}encoder.json", "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
        ),
    ),
}
"""Encoding -> its files. Source: tiktoken_ext/openai_public.py of tiktoken; a test compares them."""


async def tiktoken_count(encoding: str, folder: Path, fetch: Fetch) -> Count:
    """Return what counts the tokens of a text by an encoding. folder: of config.json. Raises TokenizerError.

    Its files are kept in ``.tiktoken`` there, unless the library's variables name another folder.
    """
    await asyncio.to_thread(_installed, "tiktoken")
    files = FILES[encoding]
    own = folder / ".tiktoken"
    found = await asyncio.to_thread(_folder_with, files, own)
    if found is None:
        for file in files:
            data = await _fetched(file.url, own / file.name, fetch)
            if hashlib.sha256(data).hexdigest() != file.sha256:
                raise TokenizerError(f"{file.url} is not the vocabulary that tiktoken expects")
            await asyncio.to_thread(_keep, own / file.name, data)
        found = own
    return await asyncio.to_thread(_loaded_tiktoken, encoding, found)


async def huggingface_count(model: str, folder: Path, fetch: Fetch, *, hub: str = HUB) -> Count:
    """Return what counts the tokens of a text by a model's tokenizer. Raises TokenizerError.

    Its file is ``.huggingface/<owner>_<name>/tokenizer.json`` in ``folder``, that of config.json.
    """
    await asyncio.to_thread(_installed, "tokenizers")
    file = folder / ".huggingface" / _NOT_IN_A_FOLDER.sub("_", model) / "tokenizer.json"
    data = await asyncio.to_thread(_read, file)
    if data is None:
        data = await _fetched(f"{hub}/{model}/resolve/main/tokenizer.json", file, fetch)
        count = await asyncio.to_thread(_loaded_huggingface, data, model)
        await asyncio.to_thread(_keep, file, data)
        return count
    return await asyncio.to_thread(_loaded_huggingface, data, str(file))


async def _fetched(url: str, path: Path, fetch: Fetch) -> bytes:
    """Return what is at a URL. Raises TokenizerError with what else the person can do."""
    try:
        return await fetch(url, MAX_BYTES)
    except TokenizerError as error:
        raise TokenizerError(f"{error}; or put {url} into {path} yourself") from error


def _installed(module: str) -> None:
    try:
        __import__(module)
    except ImportError as error:
        raise TokenizerError(f"{module} is not installed: {REMEDY}", is_final=True) from error


def _folder_with(files: tuple[VocabularyFile, ...], own: Path) -> Path | None:
    """Return the folder in which all files are, each with its content."""
    named = (os.environ.get(_CACHE_DIR), os.environ.get("DATA_GYM_CACHE_DIR"))
    common = Path(tempfile.gettempdir()) / "data-gym-cache"
    for folder in (*(Path(name) for name in named if name), own, common):
        if all(_is_whole(folder / file.name, file.sha256) for file in files):
            return folder
    return None


def _is_whole(path: Path, sha256: str) -> bool:
    data = _read(path)
    return data is not None and hashlib.sha256(data).hexdigest() == sha256


def _read(path: Path) -> bytes | None:
    """Return the content of a file, None where there is none that can be read, or too large a one."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= MAX_BYTES else None


def _keep(path: Path, data: bytes) -> None:
    try:
        make_private_folder(path.parent)
        write_private(path, data)
    except OSError as error:
        raise TokenizerError(f"the vocabulary cannot be kept in {path.parent}: {error.strerror}") from error


def _loaded_tiktoken(encoding: str, folder: Path) -> Count:
    import tiktoken  # imported late: of the extra [tokenizers]

    with _environment:  # the library is told its folder by a variable alone
        before = os.environ.get(_CACHE_DIR)
        os.environ[_CACHE_DIR] = str(folder)
        try:
            encode = tiktoken.get_encoding(encoding).encode_ordinary
        except Exception as error:  # the library raises nothing narrower
            raise TokenizerError(f"tiktoken does not load {encoding}: {error}") from error
        finally:
            if before is None:
                del os.environ[_CACHE_DIR]
            else:
                os.environ[_CACHE_DIR] = before
    return lambda text: len(encode(text))


def _loaded_huggingface(data: bytes, what: str) -> Count:
    from tokenizers import Tokenizer  # imported late: of the extra [tokenizers]

    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:  # the library raises nothing narrower
        raise TokenizerError(f"{what} is no tokenizer.json that can be used: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
