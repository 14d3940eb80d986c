"""What the conversions must know of the target model: a value, filled from catalog/models.toml by others."""

from __future__ import annotations

from typing import Literal

import msgspec

Thinking = Literal["adaptive", "budget"]
Handled = Literal["wish", "history"]


class ModelTraits(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one upstream model (source: reference table of Databricks-hosted models).

    family: ``claude`` or the vendor's word (``gpt``, ``llama`` …); rules differ by family (chat_families.py).
    thinking: the kinds of ``thinking`` the endpoint takes; empty = the parameter is never sent.
    always_thinks: thinking cannot be switched off, so it is on without the parameter too.
    takes_effort: ``output_config.effort`` is understood.
    takes_reasoning_effort: ``reasoning_effort`` is, which other vendors have in place of ``thinking``.
    takes_sampling: ``temperature``, ``top_p``, ``top_k`` are understood (refused by adaptive-only models).
    takes_cache_control / takes_images / takes_documents: the content part is understood.
    context_tokens, max_output_tokens: limits; None = not known, nothing is clamped.
    max_tokens_cap: the person's own limit of ``max_tokens``, None where there is none.
    handled: what the route's transformers do about the thinking of a model whose family has no ``thinking``
    here: give it the client's ``wish``, and the ``history``, which it is then written with (``ChatMessage``).
    """

    family: str = "claude"
    thinking: frozenset[Thinking] = frozenset()
    always_thinks: bool = False
    takes_effort: bool = False
    takes_reasoning_effort: bool = False
    takes_sampling: bool = True
    takes_cache_control: bool = True
    takes_images: bool = True
    takes_documents: bool = True
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    max_tokens_cap: int | None = None
    handled: frozenset[Handled] = frozenset()
