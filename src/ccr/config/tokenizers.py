"""``tokenizer`` of a provider: what counts the tokens of requests for its models.

``{"default": {…}, "models": {"<model>": {…}}}``, or the short form: one tokenizer for all of its models.
Read only where the key is written. What counts by it: gateway/counting.py. Source of the keys: the npm
router's packages/core/src/types/tokenizer.d.ts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ccr.config.findings import shape
from ccr.config.model import MASK, Secret
from ccr.config.section import Section
from ccr.config.urls import fault_of_url
from ccr.config.webhook import URL_FORM, headers_from
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Kind = Literal["tiktoken", "huggingface", "api"]
Format = Literal["standard", "openai", "anthropic", "custom"]
ENCODINGS: Final = (
    *("cl100k_base", "o200k_base", "o200k_harmony", "p50k_base", "p50k_edit", "r50k_base", "gpt2"),
)
KEYS: Final = (
    *("type", "encoding", "model", "url", "apiKey", "requestFormat", "responseField", "headers", "fallback"),
)
MODEL: Final = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
FIELD: Final = re.compile(r"[^.\s]+(?:\.[^.\s]+)*")
LIBRARIES: Final = {"tiktoken": "tiktoken", "huggingface": "tokenizers"}
"""Type -> the module that does it, of the extra ``[tokenizers]``."""
REMEDY: Final = 'pip install "ccr-proxy[tokenizers]"'


@dataclass(frozen=True, kw_only=True)
class TokenizerApi:
    """A web service that counts. field: the path to the count in its answer. headers: names and values."""

    url: str
    key: Secret | None = None
    format: Format = "standard"
    field: tuple[str, ...] = ("token_count",)
    headers: tuple[tuple[str, Secret], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """What counts tokens. name: an encoding of tiktoken, or a model of Hugging Face; "" for an ``api``.

    folder: of config.json; vocabularies are kept in folders beside it. fallback: what counts when it cannot.
    """

    kind: Kind
    name: str = ""
    api: TokenizerApi | None = None
    folder: Path = Path()
    fallback: Tokenizer | None = None


def tokenizers_from(section: Section, models: Collection[str]) -> Mapping[str, Tokenizer]:
    """Return model -> tokenizer of a provider; that of all others at ""."""
    given = Section(section.table("tokenizer"), section.at("tokenizer"), section.findings)
    if "type" in given.values:
        tokenizer = _tokenizer(given)
        return {} if tokenizer is None else {"": tokenizer}
    given.warn_of_unknown(("default", "models"))
    own = Section(given.table("models"), given.at("models"), section.findings)
    own.warn_of_unknown(models)
    sections = {"": Section(given.table("default"), given.at("default"), section.findings)}
    sections |= {
        model: Section(own.table(model), own.at(model), section.findings)
        for model in models
        if own.values.get(model) is not None
    }
    found = {model: _tokenizer(each) for model, each in sections.items() if each.values}
    return {model: tokenizer for model, tokenizer in found.items() if tokenizer is not None}


def secrets_of_tokenizers(tokenizers: Mapping[str, Tokenizer]) -> list[Secret]:
    """Return every secret in the tokenizers of a provider."""
    found = []
    for tokenizer in tokenizers.values():
        for each in (tokenizer, tokenizer.fallback):
            if each is not None and each.api is not None:
                found += [value for _, value in each.api.headers]
                found += [each.api.key] if each.api.key is not None else []
    return found


def tokenizers_shown(tokenizers: Mapping[str, Tokenizer]) -> dict[str, Any]:
    """Return what is written of the tokenizers of a provider, without secrets."""
    shown = {model: _shown(tokenizer) for model, tokenizer in tokenizers.items()}
    default = shown.pop("", None)
    return {**({"default": default} if default else {}), **({"models": shown} if shown else {})}


def _tokenizer(section: Section) -> Tokenizer | None:
    section.warn_of_unknown(KEYS)
    kind: Any = section.choice("type", "", get_args(Kind))
    if not kind:
        section.problem("type", section.quoted("type"), "one of " + ", ".join(get_args(Kind)))
        return None
    other: Any = section.choice("fallback", "", get_args(Kind))
    fallback = _of_kind(section, other) if other and other != kind else None
    return _of_kind(section, kind, fallback)


def _of_kind(section: Section, kind: Kind, fallback: Tokenizer | None = None) -> Tokenizer:
    library = LIBRARIES.get(kind)
    if library is not None and find_spec(library) is None:
        section.findings.warn(
            section.path, f"needs {library}: {REMEDY}; until it is there tokens are estimated"
        )
    return Tokenizer(
        kind=kind,
        name=_name(section, kind),
        api=_api(section) if kind == "api" else None,
        folder=Path(section.findings.file).absolute().parent,
        fallback=fallback,
    )


def _name(section: Section, kind: Kind) -> str:
    if kind == "tiktoken":
        return section.choice("encoding", "cl100k_base", ENCODINGS)
    if kind == "api":
        return ""
    name = section.text("model") or ""
    if not MODEL.fullmatch(name):
        section.problem("model", section.quoted("model"), "the name of a model at huggingface.co, owner/name")
    return name


def _api(section: Section) -> TokenizerApi:
    url = section.text("url")
    fault = shape(section.values.get("url")) if url is None else fault_of_url(url)
    if fault is not None:
        section.problem("url", fault, URL_FORM)
    field = section.text("responseField") or "token_count"
    if not FIELD.fullmatch(field):
        section.problem("responseField", section.quoted("responseField"), "names of keys, with dots between")
    return TokenizerApi(
        url=url or "",
        key=section.secret("apiKey"),
        format=section.choice("requestFormat", "standard", get_args(Format)),
        field=tuple(field.split(".")),
        headers=headers_from(section, "headers"),
    )


def _shown(tokenizer: Tokenizer) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": tokenizer.kind}
    for each in (tokenizer, tokenizer.fallback):
        if each is not None and each.kind == "tiktoken":
            shown["encoding"] = each.name
        elif each is not None and each.kind == "huggingface":
            shown["model"] = each.name
        elif each is not None and each.api is not None:
            shown |= {
                "url": redacted(each.api.url),
                "apiKey": MASK if each.api.key is not None else "",
                "requestFormat": each.api.format,
                "responseField": ".".join(each.api.field),
                "headers": {name: MASK for name, _ in each.api.headers},
            }
    return shown if tokenizer.fallback is None else {**shown, "fallback": tokenizer.fallback.kind}
