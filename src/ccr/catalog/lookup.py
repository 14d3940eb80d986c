"""Facts about a model by any of its names: an endpoint's, a catalog's, a vendor's, with dates and prefixes.

The table is models.toml, read once when it is first asked for. Knows no configuration and no endpoint.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec resolves the annotation when it converts the table
import re
import tomllib
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

import msgspec

from ccr.protocol.traits import ModelTraits, Thinking

_CLAUDE_WORDS = ("sonnet", "opus", "haiku", "fable")
_TOKEN = re.compile(r"[a-z]+|\d+")
_DATE_DIGITS = 6
_SUFFIX = re.compile(r"\[[^\]]*\]\s*$")
_VENDOR = re.compile(
    r"(?:^|-)(?P<word>llama|gpt-oss|gpt|gemini|gemma|qwen|kimi|deepseek|glm|grok|mistral|mixtral)(?![a-z])"
)
_NOT_LETTERS = re.compile(r"[^a-z]")
_PREFIXES = ("databricks-", "system.ai.")


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of models.toml; None where the table says nothing.

    usd_*, dbu_*: price per million tokens in US dollars and Databricks units.
    """

    name: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    thinking: frozenset[Thinking] = frozenset()
    always_thinks: bool = False
    takes_effort: bool = False
    takes_reasoning_effort: bool = False
    takes_sampling: bool = True
    takes_images: bool = True
    usd_input: float | None = None
    usd_output: float | None = None
    usd_cache_read: float | None = None
    usd_cache_write: float | None = None
    dbu_input: float | None = None
    dbu_output: float | None = None
    cache_min_tokens: int | None = None
    retires: dt.date | None = None

    @property
    def family(self) -> str:
        """``claude`` or the vendor's word: ``gpt``, ``gpt-oss``, ``llama`` …; conversions differ by it.

        It may stand anywhere in the name: endpoints are called ``team-gemini`` too. A name without a known
        word gives its own first one.
        """
        if _is_claude(self.name):
            return "claude"
        found = _VENDOR.search(self.name)
        return found["word"] if found else _NOT_LETTERS.split(self.name, maxsplit=1)[0]

    @property
    def traits(self) -> ModelTraits:
        """What the conversions must know of the model."""
        is_claude = self.family == "claude"
        return ModelTraits(
            family=self.family,
            thinking=self.thinking,
            always_thinks=self.always_thinks,
            takes_effort=self.takes_effort,
            takes_reasoning_effort=self.takes_reasoning_effort,
            takes_sampling=self.takes_sampling,
            takes_cache_control=is_claude,
            takes_images=self.takes_images,
            takes_documents=is_claude and self.takes_images,
            context_tokens=self.context_tokens,
            max_output_tokens=self.max_output_tokens,
        )


class NameFacts(NamedTuple):
    """What a model's name says to those who choose among models (routing/route.py).

    canonical: its name in models.toml, or what it would be. family: the client's word for the kind of
    Claude, ``claude`` where the name has none of them, "" for other vendors. version: major and minor.
    is_retired: the table says that its endpoint has been switched off.
    """

    canonical: str
    family: str
    version: tuple[int, ...]
    is_retired: bool


class Catalog(msgspec.Struct, frozen=True):
    """The table: rows by name, and the newest row of each Claude word."""

    models: dict[str, ModelFacts]
    newest: dict[str, str]


@cache
def catalog() -> Catalog:
    """Return the table, read from the package on first use."""
    text = resources.files(__package__).joinpath("models.toml").read_text("utf-8")
    table = tomllib.loads(text)
    rows = {name: {"name": name, **row} for name, row in table["models"].items()}
    return msgspec.convert({"models": rows, "newest": table["newest"]}, Catalog)


@lru_cache(maxsize=512)
def model_facts(model: str) -> ModelFacts | None:
    """Return what is known of a model, None when the table has no row for it."""
    models = catalog().models
    key = canonical_name(model)
    if key in models:
        return models[key]
    if _is_claude(key):
        return None
    vendor = _VENDOR.search(key)
    for name in (key, key[vendor.start("word") :] if vendor else key):
        known = [row for row in models if name == row or name.startswith(row + "-")]
        if known:
            return models[max(known, key=len)]
    return None


@lru_cache(maxsize=512)
def traits_of(model: str) -> ModelTraits:
    """Return a model's traits: its row's, else the newest like-named Claude's, else a plain chat model's."""
    facts = model_facts(model)
    if facts is not None:
        return facts.traits
    key = canonical_name(model)
    if not _is_claude(key):
        return ModelFacts(name=key).traits
    table = catalog()
    word = next((word for word in _CLAUDE_WORDS if word in key), "claude")
    return table.models[table.newest[word]].traits


@lru_cache(maxsize=512)
def name_facts(model: str, today: dt.date) -> NameFacts:
    """Return what a model's name says on a day."""
    key = canonical_name(model)
    facts = model_facts(model)
    is_retired = facts is not None and facts.retires is not None and facts.retires <= today
    if not _is_claude(key):
        return NameFacts(key, "", (), is_retired)
    family = next((word for word in _CLAUDE_WORDS if word in key), "claude")
    version = tuple(int(piece) for piece in key.split("-") if piece.isdigit())
    return NameFacts(key, family, version, is_retired)


def canonical_name(model: str) -> str:
    """Return the name models.toml has for a model, or would have.

    ``databricks-claude-sonnet-4-5``, ``system.ai.claude-sonnet-4-5``, ``anthropic/claude-4.5-sonnet``,
    ``us.anthropic.claude-sonnet-4-5-20250929-v1:0``, ``provider,claude_sonnet_4_5[1m]`` are all
    ``claude-sonnet-4-5``.
    """
    name = _SUFFIX.sub("", model.strip().lower()).rpartition(",")[2].rpartition("/")[2].strip()
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    if not _is_claude(name):
        return re.sub(r"[._: ]+", "-", name).strip("-")
    start = min(name.find(word) for word in ("claude", *_CLAUDE_WORDS) if word in name)
    tokens = _TOKEN.findall(name[start:])
    words = [token for token in tokens if token in _CLAUDE_WORDS]
    return "-".join(["claude", *words[:1], *_version(tokens)])


def _version(tokens: list[str]) -> list[str]:
    """Return major and minor, without dates, a trailing 0 and what follows a vendor's ``v1``."""
    digits: list[str] = []
    for piece in tokens:
        if piece == "v" or (len(piece) >= _DATE_DIGITS and piece.isdigit()):
            break
        if piece.isdigit():
            digits.append(piece)
    version = digits[:2]
    return version[:1] if version[1:] == ["0"] else version


def _is_claude(name: str) -> bool:
    return "claude" in name or any(word in name for word in _CLAUDE_WORDS)
