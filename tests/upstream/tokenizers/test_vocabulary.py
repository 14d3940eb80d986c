"""Vocabularies by the real libraries: found on disk, fetched once, refused when they are others."""

from __future__ import annotations

import builtins
import hashlib
import os
import stat
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
import tiktoken
import tiktoken.registry
import tiktoken_ext.openai_public as public  # type: ignore[import-untyped] # it has no types

from ccr.config.tokenizers import ENCODINGS
from ccr.upstream.tokenizers import vocabulary
from ccr.upstream.tokenizers.errors import TokenizerError
from ccr.upstream.tokenizers.vocabulary import (
    FILES,
    VocabularyFile,
    huggingface_count,
    tiktoken_count,
)
from tests.upstream.tokenizers.small import huggingface_file, tiktoken_file, write_huggingface

if TYPE_CHECKING:
    from pathlib import Path

DATA = tiktoken_file()
SMALL = VocabularyFile("https://vocabulary.example/small.tiktoken", hashlib.sha256(DATA).hexdigest())


def constructors() -> dict[str, Any]:
    """Return what the library makes its encodings of, by name."""
    assert "gpt2" in tiktoken.list_encoding_names()  # which reads them
    found = tiktoken.registry.ENCODING_CONSTRUCTORS
    assert found is not None
    return found


class Fetched:
    """What was asked for; answers with ``data``."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.urls: list[str] = []

    async def __call__(self, url: str, max_bytes: int) -> bytes:
        self.urls.append(url)
        return self.data


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An encoding ``small`` that the library knows like its own, with its check of the hash."""

    def constructed() -> dict[str, Any]:
        from tiktoken.load import load_tiktoken_bpe

        ranks = load_tiktoken_bpe(SMALL.url, expected_hash=SMALL.sha256)
        return {"name": "small", "pat_str": r"\w+|\W", "mergeable_ranks": ranks, "special_tokens": {}}

    monkeypatch.setitem(constructors(), "small", constructed)
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setitem(FILES, "small", (SMALL,))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    return "small"


async def test_tiktoken_is_fetched_once(small: str, tmp_path: Path) -> None:
    fetch = Fetched(DATA)
    count = await tiktoken_count(small, tmp_path, fetch)
    assert [count(text) for text in ("hello", "hello hello", "hex", "", "<|endoftext|>")] == [1, 3, 2, 0, 13]
    await tiktoken_count(small, tmp_path, fetch)
    assert fetch.urls == [SMALL.url]
    kept = tmp_path / ".tiktoken" / SMALL.name
    assert kept.read_bytes() == DATA
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "TIKTOKEN_CACHE_DIR" not in os.environ


@pytest.mark.parametrize("variable", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", None])
async def test_tiktoken_finds_what_the_library_has_fetched(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    folder = tmp_path / "temp/data-gym-cache" if variable is None else tmp_path / "own"
    if variable is not None:
        monkeypatch.setenv(variable, str(folder))
    folder.mkdir(parents=True)
    (folder / SMALL.name).write_bytes(DATA)
    fetch = Fetched(b"")
    count = await tiktoken_count(small, tmp_path, fetch)
    assert (count("hello"), fetch.urls) == (1, [])
    assert os.environ.get(variable or "TIKTOKEN_CACHE_DIR") == (str(folder) if variable else None)


async def test_another_content_is_no_vocabulary(small: str, tmp_path: Path) -> None:
    """Neither on disk, where somebody may have put it, nor from the network."""
    folder = tmp_path / "temp/data-gym-cache"
    folder.mkdir(parents=True)
    (folder / SMALL.name).write_bytes(DATA + b"x")
    with pytest.raises(TokenizerError, match="is not the vocabulary that tiktoken expects"):
        await tiktoken_count(small, tmp_path, Fetched(DATA + b"y"))
    assert not (tmp_path / ".tiktoken").exists()


async def test_a_vocabulary_that_cannot_be_kept(small: str, tmp_path: Path) -> None:
    (tmp_path / ".tiktoken").write_text("a file")
    with pytest.raises(TokenizerError, match="cannot be kept in"):
        await tiktoken_count(small, tmp_path, Fetched(DATA))


async def test_an_encoding_that_the_library_does_not_load(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> dict[str, Any]:
        raise ValueError("no such thing")

    monkeypatch.setitem(constructors(), "small", broken)
    with pytest.raises(TokenizerError, match="tiktoken does not load small: no such thing"):
        await tiktoken_count(small, tmp_path, Fetched(DATA))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_table_of_files_is_the_library_s(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[VocabularyFile] = []

    def bpe(url: str, expected_hash: str) -> dict[bytes, int]:
        asked.append(VocabularyFile(url, expected_hash))
        return {}

    def gym(**files: str) -> dict[bytes, int]:
        asked.extend(
            VocabularyFile(files[f"{name}_file"], files[f"{name}_hash"])
            for name in ("vocab_bpe", "encoder_json")
        )
        return {}

    monkeypatch.setattr(public, "load_tiktoken_bpe", bpe)
    monkeypatch.setattr(public, "data_gym_to_mergeable_bpe_ranks", gym)
    public.ENCODING_CONSTRUCTORS[encoding]()
    assert tuple(asked) == FILES[encoding]


async def test_the_npm_router_s_folder_of_hugging_face(tmp_path: Path) -> None:
    write_huggingface(tmp_path)
    fetch = Fetched(b"")
    count = await huggingface_count("owner/model", tmp_path, fetch)
    assert [count(text) for text in ("hello world", "hello " * 9, "")] == [2, 9, 0]
    assert fetch.urls == []


async def test_hugging_face_is_fetched_once(tmp_path: Path) -> None:
    fetch = Fetched(huggingface_file())
    for _ in range(2):
        count = await huggingface_count("owner/model-1.5", tmp_path, fetch)
        assert count("hello world") == 2
    assert fetch.urls == ["https://huggingface.co/owner/model-1.5/resolve/main/tokenizer.json"]
    assert (tmp_path / ".huggingface/owner_model-1_5/tokenizer.json").read_bytes() == huggingface_file()


async def test_what_cannot_be_fetched_can_be_put_there(small: str, tmp_path: Path) -> None:
    async def fetch(url: str, max_bytes: int) -> bytes:
        raise TokenizerError("there is no network")

    with pytest.raises(TokenizerError) as caught:
        await tiktoken_count(small, tmp_path, fetch)
    place = tmp_path / ".tiktoken" / SMALL.name
    assert str(caught.value) == f"there is no network; or put {SMALL.url} into {place} yourself"
    place.parent.mkdir()
    place.write_bytes(DATA)
    assert (await tiktoken_count(small, tmp_path, fetch))("hello") == 1
    with pytest.raises(TokenizerError, match=r"/owner_model/tokenizer\.json yourself"):
        await huggingface_count("owner/model", tmp_path, fetch)


async def test_what_is_no_tokenizer_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"owner/model is no tokenizer\.json that can be used"):
        await huggingface_count("owner/model", tmp_path, Fetched(b"<html>"))
    assert not (tmp_path / ".huggingface").exists()
    write_huggingface(tmp_path).write_bytes(b"{}")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is no tokenizer\.json"):
        await huggingface_count("owner/model", tmp_path, Fetched(b""))


async def test_too_large_a_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_huggingface(tmp_path)
    monkeypatch.setattr(vocabulary, "MAX_BYTES", 10)
    fetch = Fetched(huggingface_file())
    await huggingface_count("owner/model", tmp_path, fetch)
    assert len(fetch.urls) == 1


@pytest.mark.parametrize("module", ["tiktoken", "tokenizers"])
async def test_the_extra_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    original = builtins.__import__

    def without(name: str, *more: Any, **others: Any) -> Any:
        if name == module:
            raise ImportError(name)
        return original(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    fetch = Fetched(b"")
    loads: dict[str, tuple[Any, str]] = {
        "tiktoken": (tiktoken_count, "cl100k_base"),
        "tokenizers": (huggingface_count, "owner/model"),
    }
    load, name = loads[module]
    with pytest.raises(TokenizerError, match=r"pip install \"ccr-proxy\[tokenizers\]\"") as caught:
        await load(name, tmp_path, fetch)
    assert caught.value.is_final
    assert fetch.urls == []
