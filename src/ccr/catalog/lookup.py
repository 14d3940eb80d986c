"""Facts about a model by any of its names: an endpoint's, a catalog's, a vendor's, with dates and prefixes.

The table is models.toml, read once when it is first asked for. Knows no configuration and no endpoint.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec resolves the annotation when it converts the table
import re
import tomllib
from functools import cache, lru_cache
from importlib import resources

import msgspec

from ccr.protocol.traits import ModelTraits, Thinking

_CLAUDE_WORDS = ("sonnet", "opus", "haiku", "fable")
_TOKEN = re.compile(r"[a-z]+|\d+")
_DATE_DIGITS = 6
_SUFFIX = re.compile(r"\[[^\]]*\]\s*$")
_PREFIXES = ("databricks-", "system.ai.")


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of models.toml; None where the table says nothing.

    usd_*, dbu_*: price per million tokens in US dollars and Databricks units.
    """

    name: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    thinking: frozenset[Thinking] = frozenset()
    takes_effort: bool = False
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
        """The vendor's word: ``claude``, ``gpt``, ``llama`` …; conversions differ by it."""
        return "llama" if "llama" in self.name else self.name.partition("-")[0]

    @property
    def traits(self) -> ModelTraits:
        """What the conversions must know of the model."""
        is_claude = self.family == "claude"
        return ModelTraits(
            family=self.family,
            thinking=self.thinking,
            takes_effort=self.takes_effort,
            takes_sampling=self.takes_sampling,
            takes_cache_control=is_claude,
            takes_images=self.takes_images,
            takes_documents=is_claude and self.takes_images,
            context_tokens=self.context_tokens,
            max_output_tokens=self.max_output_tokens,
        )


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
    known = [name for name in models if key == name or key.startswith(name + "-")]
    return models[max(known, key=len)] if known else None


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
