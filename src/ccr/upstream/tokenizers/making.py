"""From a configured tokenizer to one that counts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ccr.upstream.tokenizers.api import ApiTokenizer
from ccr.upstream.tokenizers.fetch import fetched
from ccr.upstream.tokenizers.local import LocalTokenizer
from ccr.upstream.tokenizers.vocabulary import huggingface_count, tiktoken_count

if TYPE_CHECKING:
    from ccr.config.tokenizers import Tokenizer
    from ccr.upstream.ways import Reach


def tokenizer_of(tokenizer: Tokenizer, model: str, reach: Reach) -> LocalTokenizer | ApiTokenizer:
    """Return what counts the tokens of requests for a model. reach: how its provider is reached."""
    if tokenizer.api is not None:
        return ApiTokenizer(tokenizer.api, model, reach)

    async def fetch(url: str, max_bytes: int) -> bytes:
        return await fetched(url, reach, max_bytes=max_bytes)

    load = tiktoken_count if tokenizer.kind == "tiktoken" else huggingface_count
    return LocalTokenizer(partial(load, tokenizer.name, tokenizer.folder, fetch))
