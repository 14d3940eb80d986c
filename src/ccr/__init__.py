"""ccr: Claude Code on Claude models hosted by Databricks, and on others, as if it talked to Anthropic.

What authors of transformers need is here (docs/transformers.md). It is imported when it is first used:
commands that must be quick import this package too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccr.errors import ApiError, RequestError
    from ccr.protocol.openai import ChatMessage, ChatRequest
    from ccr.transformers.base import Chunk, ChunkStep, Completion, Context, Target, Transformer
    from ccr.transformers.texts import with_texts

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "ChatMessage",
    "ChatRequest",
    "Chunk",
    "ChunkStep",
    "Completion",
    "Context",
    "RequestError",
    "Target",
    "Transformer",
    "__version__",
    "with_texts",
]

_MODULES = {
    "ccr.errors": ("ApiError", "RequestError"),
    "ccr.protocol.openai": ("ChatMessage", "ChatRequest"),
    "ccr.transformers.base": ("Chunk", "ChunkStep", "Completion", "Context", "Target", "Transformer"),
    "ccr.transformers.texts": ("with_texts",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Return a name of `__all__` from the module that defines it."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
