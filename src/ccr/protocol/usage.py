"""Token counts: one table from what a chat endpoint reports to what the Messages API reports.

    chat completion                                            message
    prompt_tokens - cache reads - cache writes             ->  input_tokens
    cache_read_input_tokens                                ->  cache_read_input_tokens
      or prompt_tokens_details.cached_tokens
    cache_creation_input_tokens                            ->  cache_creation_input_tokens
    completion_tokens                                      ->  output_tokens

Databricks puts the two cache counts at the top level for Claude, and ``prompt_tokens`` includes both. A
``prompt_tokens`` smaller than their sum cannot include them and is taken as it is. Counts may come in any
chunk, several times: within an answer they only grow, so the last number of each field counts, and a null
or a zero never replaces a number.
"""

from __future__ import annotations

import msgspec


class PromptTokensDetails(msgspec.Struct):
    """``usage.prompt_tokens_details`` of OpenAI's models."""

    cached_tokens: int | float | None = None


class CompletionTokensDetails(msgspec.Struct):
    """``usage.completion_tokens_details`` of OpenAI's models."""

    reasoning_tokens: int | float | None = None


class ChatUsage(msgspec.Struct):
    """``usage`` of a chat completion or chunk; every count may be missing or null."""

    prompt_tokens: int | float | None = None
    completion_tokens: int | float | None = None
    cache_read_input_tokens: int | float | None = None
    cache_creation_input_tokens: int | float | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None

    @property
    def cached_tokens(self) -> int | float | None:
        """Tokens read from the cache, by either of the two spellings."""
        if self.cache_read_input_tokens is None and self.prompt_tokens_details is not None:
            return self.prompt_tokens_details.cached_tokens
        return self.cache_read_input_tokens


class Usage(msgspec.Struct, frozen=True):
    """Token counts of one message; ``input_tokens`` excludes what was read from or written to the cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, cached or not."""
        return self.input_tokens + self.cache_read_input_tokens + self.cache_creation_input_tokens


def usage_from_chat(raw: ChatUsage) -> Usage:
    """Return the counts in the Messages API's terms; missing ones are 0 (see the module's table)."""
    prompt = _count(raw.prompt_tokens)
    read = _count(raw.cached_tokens)
    creation = _count(raw.cache_creation_input_tokens)
    uncached = prompt - read - creation
    return Usage(
        input_tokens=uncached if uncached >= 0 else prompt,
        output_tokens=_count(raw.completion_tokens),
        cache_read_input_tokens=read,
        cache_creation_input_tokens=creation,
    )


def reasoning_tokens_of(raw: ChatUsage) -> int:
    """Return how many of the output's tokens were thought, 0 where the upstream does not say."""
    details = raw.completion_tokens_details
    return _count(details.reasoning_tokens) if details is not None else 0


def merged(earlier: ChatUsage | None, later: ChatUsage) -> ChatUsage | None:
    """Return what is known after ``later`` was reported too; None while no count is known at all."""
    if earlier is None:
        has_counts = any(
            count is not None
            for count in (
                later.prompt_tokens,
                later.completion_tokens,
                later.cached_tokens,
                later.cache_creation_input_tokens,
            )
        )
        return later if has_counts else None
    return ChatUsage(
        later.prompt_tokens or earlier.prompt_tokens,
        later.completion_tokens or earlier.completion_tokens,
        later.cached_tokens or earlier.cached_tokens,
        later.cache_creation_input_tokens or earlier.cache_creation_input_tokens,
        completion_tokens_details=later.completion_tokens_details or earlier.completion_tokens_details,
    )


def _count(value: float | None) -> int:
    return max(0, int(value or 0))
