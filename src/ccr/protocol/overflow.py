"""Recognises that a prompt was too long, in anybody's words, and says it in the words the client acts upon.

Observed: the client compacts the conversation and goes on only when the message says ``prompt is too
long``; after ``input length and `max_tokens` exceed context limit: a + b > c`` it lowers ``max_tokens`` by
itself. No other wording helps the person.
"""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"(?P<{}>\d[\d,]*)"
_TOKENS: Final = _NUMBER.format("tokens")
_LIMIT: Final = _NUMBER.format("limit")

# Prompt and answer told apart, by Anthropic, by OpenAI and vLLM: then the client can help itself by asking
# for a shorter answer.
_INPUT_IN: Final = r"\b(?P<input>\d+) (?:tokens )?(?:in|from) the (?:input |prompt|messages)"
_OUTPUT_IN: Final = r"\b(?P<output>\d+) (?:tokens )?(?:in|for) the (?:completion|output)"
_BOTH: Final = (
    rf"input length and \W?max_tokens\W? exceed context limit: (?P<input>\d+) \+ (?P<output>\d+) > {_LIMIT}",
    rf"maximum context length (?:is|of) {_LIMIT} tokens?.{{0,200}}?{_INPUT_IN}.{{0,80}}?{_OUTPUT_IN}",
)
_WITH_MAX_TOKENS: Final = tuple(re.compile(sentence, re.IGNORECASE | re.DOTALL) for sentence in _BOTH)

# The upstreams' sentences, those with numbers first: Anthropic; OpenAI and vLLM (two wordings); Gemini;
# llama.cpp; then any of them without, and Bedrock.
_REQUESTED: Final = "(?:resulted in|requested(?: a total of)?(?: about)?)"
_THE_MODELS: Final = "(?:the |this |its )?(?:model'?s? )?(?:maximum |available |allowed )?"
_SENTENCES: Final = (
    rf"prompt is too long: {_TOKENS} tokens > {_LIMIT} maximum",
    rf"maximum context length (?:is|of) {_LIMIT} tokens?.{{0,200}}?{_REQUESTED} {_TOKENS} tokens",
    rf"input \({_TOKENS} tokens\).{{0,60}}?context length \({_LIMIT} tokens\)",
    rf"input token count \W?{_TOKENS}\W? exceeds the maximum number of (?:input )?tokens allowed \W?{_LIMIT}",
    rf"request \({_TOKENS} tokens\) exceeds the available context size \({_LIMIT} tokens\)",
    r"prompt is too long",
    r"input is too long for (?:the )?requested model",
    rf"maximum context length (?:is|of) {_LIMIT} tokens?",
    rf"exceed(?:s|ed|ing)? {_THE_MODELS}context (?:window|length|size|limit)",
    r"(?:prompt|input|request) (?:is|was) (?:too long|larger than).{0,40}?context",
)
_OVERFLOWS: Final = tuple(re.compile(sentence, re.IGNORECASE | re.DOTALL) for sentence in _SENTENCES)
_CODES: Final = frozenset(
    {"context_length_exceeded", "model_context_window_exceeded", "context_window_exceeded"}
)


def overflow_message(
    message: str, codes: tuple[str, ...], *, context_tokens: int | None, estimated_tokens: int | None
) -> str | None:
    """Return the client's wording when ``message`` says that the prompt is too long, else None.

    codes: the upstream's words for the kind of error. context_tokens: the model's limit, estimated_tokens:
    our estimate of the prompt; they stand in for numbers that the upstream did not give. With a limit but
    no estimate above it, the prompt is said to be one token longer than the limit: that much is certain.
    """
    with_max_tokens = _first_match(_WITH_MAX_TOKENS, message)
    if with_max_tokens is not None:
        tokens, output, limit = (_int(with_max_tokens[name]) for name in ("input", "output", "limit"))
        if tokens < limit:
            return f"input length and `max_tokens` exceed context limit: {tokens} + {output} > {limit}"
        return f"prompt is too long: {tokens} tokens > {limit} maximum"
    match = _first_match(_OVERFLOWS, message)
    if match is None and _CODES.isdisjoint(code.lower() for code in codes):
        return None
    numbers = match.groupdict() if match is not None else {}
    limit_text = numbers.get("limit")
    known_limit = _int(limit_text) if limit_text else context_tokens
    if known_limit is None:
        return "prompt is too long"
    tokens_text = numbers.get("tokens")
    known_tokens = _int(tokens_text) if tokens_text else max(estimated_tokens or 0, known_limit + 1)
    return f"prompt is too long: {known_tokens} tokens > {known_limit} maximum"


def _first_match(patterns: tuple[re.Pattern[str], ...], message: str) -> re.Match[str] | None:
    return next((match for pattern in patterns if (match := pattern.search(message))), None)


def _int(number: str) -> int:
    return int(number.replace(",", ""))
