"""How many tokens a request is: estimated from sizes, corrected by what upstreams report.

No tokenizer is used: the real one is not public, and the client asks 15 to 35 times at once (``/context``).
Text counts by its UTF-8 bytes, which suits English (about 3.6 characters a token) as well as Chinese (three
bytes a character, about one token). What is wrong in that for a model (its tokenizer, its kind of text) is
mostly a factor, and the factor is learnt from the usage of finished answers. Images and documents count by
what they measure (media_tokens.py).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from ccr.protocol.media_tokens import IMAGE_TOKENS, document_tokens, image_tokens

if TYPE_CHECKING:
    import msgspec

    from ccr.protocol.anthropic import Block, MessagesRequest, Source, Tool

BYTES_PER_TEXT_TOKEN: Final = 3.6
BYTES_PER_JSON_TOKEN: Final = 3.0
BASE64_PER_REDACTED_TOKEN: Final = 6.0
MESSAGE_TOKENS: Final = 4
BLOCK_TOKENS: Final = 2
TOOL_TOKENS: Final = 8
TOOL_PROMPT_TOKENS: Final = 346
"""What the API adds to the system prompt as soon as there are tools (documented by Anthropic)."""

MIN_FACTOR: Final = 0.5
MAX_FACTOR: Final = 2.5
MIN_LEARNT_TOKENS: Final = 100
"""Smaller requests say more about the fixed parts of the estimate than about the model."""
WEIGHT: Final = 0.3
MAX_MODELS: Final = 64


class TokenEstimator:
    """Estimates requests and learns a factor per model; the newest ``max_models`` models are remembered."""

    def __init__(self, *, max_models: int = MAX_MODELS) -> None:
        self._max_models = max_models
        self._factors: OrderedDict[str, float] = OrderedDict()

    def estimate(self, request: MessagesRequest, *, model: str | None = None) -> int:
        """Return the estimated prompt tokens of the request, cached ones included, at least 1.

        model: whose factor counts; by default the one the request names. ``learn`` must be told the same.
        """
        factor = self._factors.get(model or request.model, 1.0)
        return max(1, round(count_request_tokens(request) * factor))

    def factor(self, model: str) -> float:
        """Return what ``count_request_tokens`` is to be multiplied by for a model."""
        return self._factors.get(model, 1.0)

    def learn(self, model: str, estimated: int, actual: int) -> None:
        """Correct the model's factor by one finished request.

        estimated: what ``estimate`` returned for it. actual: all prompt tokens that the upstream counted
        (``Usage.prompt_tokens``). Counts that cannot be right or are too small to tell are ignored.
        """
        if estimated < MIN_LEARNT_TOKENS or actual <= 0:
            return
        known = self._factors.pop(model, None)
        wanted = (known or 1.0) * actual / estimated
        factor = wanted if known is None else known + WEIGHT * (wanted - known)
        self._factors[model] = min(MAX_FACTOR, max(MIN_FACTOR, factor))
        if len(self._factors) > self._max_models:
            self._factors.popitem(last=False)


def count_request_tokens(request: MessagesRequest) -> int:
    """Return the uncorrected estimate: from sizes alone, the same for every model."""
    total = _content_tokens(request.system)
    for message in request.messages:
        total += MESSAGE_TOKENS + _content_tokens(message.content)
    if request.tools:
        total += TOOL_PROMPT_TOKENS + sum(map(_tool_tokens, request.tools))
    return round(total)


def _content_tokens(content: str | list[Block] | Block | None) -> float:
    if content is None:
        return 0
    if isinstance(content, str):
        return _text_tokens(content)
    if isinstance(content, list):
        return sum(map(_block_tokens, content))
    return _block_tokens(content)


def _block_tokens(block: Block) -> float:
    if block.type == "text":  # by far the most frequent
        return BLOCK_TOKENS + _text_tokens(block.text)
    total = BLOCK_TOKENS + _content_tokens(block.content)
    for text in (block.text, block.thinking, block.name, block.title, block.context, block.tool_name):
        total += _text_tokens(text)
    # Thinking that is not shown is in what stands for it.
    hidden = block.data or ("" if block.thinking else block.signature)
    if hidden:
        total += len(hidden) / BASE64_PER_REDACTED_TOKEN
    return total + _json_tokens(block.input) + _source_tokens(block.type, block.source)


def _source_tokens(block_type: str, source: Source | str | None) -> float:
    if source is None:
        return 0
    if isinstance(source, str):
        return _text_tokens(source)
    if block_type == "image":
        return image_tokens(source.data) if source.data else IMAGE_TOKENS
    if source.type == "text":
        return _text_tokens(source.data)
    return _content_tokens(source.content) + (document_tokens(source.data) if source.data else 0)


def _tool_tokens(tool: Tool) -> float:
    return (
        TOOL_TOKENS
        + _text_tokens(tool.name)
        + _text_tokens(tool.description)
        + _json_tokens(tool.input_schema)
    )


def _text_tokens(text: str | None) -> float:
    if not text:
        return 0
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return size / BYTES_PER_TEXT_TOKEN


def _json_tokens(raw: msgspec.Raw) -> float:
    return memoryview(raw).nbytes / BYTES_PER_JSON_TOKEN
