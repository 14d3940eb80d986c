"""``Providers[]``: who is called, with which key, for which models, through which steps."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ccr.config import limits, network, prices, sign_in
from ccr.config.api import api_from, key_header_from
from ccr.config.findings import shape
from ccr.config.model import Provider, Step
from ccr.config.section import Section
from ccr.config.sign_in import host_from, host_of_profile, sign_in_from
from ccr.config.urls import fault_of_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ccr.config.findings import Findings
    from ccr.config.tokenizers import Tokenizer

KEYS = (
    "name",
    "api_base_url",
    "api_key",
    *sign_in.KEYS,
    "models",
    "transformer",
    "api",
    "tokenizer",
    *limits.KEYS,
    *prices.KEYS,
    *network.KEYS,
)
NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f,]")
NOT_IN_A_MODEL = re.compile(r"[\x00-\x1f\x7f]")
URL_FORM = (
    "a full https URL with the path of the endpoint (http only on this machine), without credentials; "
    "or `host` or `profile` of a Databricks workspace"
)


def providers_from(
    root: Section,
    check_step: Callable[[Step], object] | None,
    inherited: Mapping[str, Mapping[str, Any]],
    environ: Mapping[str, str],
) -> tuple[Provider, ...]:
    """Read ``Providers`` (or ``providers``).

    check_step: raises ValueError with a sentence on a step that cannot be built.
    inherited: options of a step by its name, below those of its use. environ: says where profiles are.
    """
    key = "Providers" if root.values.get("Providers") is not None else "providers"
    entries = root.entries(key, of="providers")
    if not entries and not root.values.get(key):
        root.problem("Providers", shape(root.values.get(key)), "a list with at least one provider")
    found_providers: dict[str, Provider] = {}
    for path, entry in entries:
        if not isinstance(entry, dict):
            root.findings.problem(path, shape(entry), "an object with name, api_base_url, api_key, models")
            continue
        section = Section(entry, path, root.findings)
        provider = _provider(section, StepReader(root.findings, check_step, inherited), environ)
        if provider.name.lower() in found_providers:
            section.problem("name", f"{section.quoted('name')} a second time", "a name of its own")
        elif provider.name:
            found_providers[provider.name.lower()] = provider
    return tuple(found_providers.values())


def _provider(section: Section, steps: StepReader, environ: Mapping[str, str]) -> Provider:
    section.warn_of_unknown(KEYS)
    name = section.text("name") or ""
    if not name or NOT_IN_A_NAME.search(name):
        section.problem("name", section.quoted("name"), "a name without commas and control characters")
    models = _models(section)
    url = _url(section, models, environ)
    section, more_keys = network.with_one_key(section)
    api_key, signing_in = sign_in_from(section, url)
    chain = Section(section.table("transformer"), section.at("transformer"), section.findings)
    chain.warn_of_unknown(("use", *models))
    provider_steps = steps.read(chain)
    model_steps = {
        model: steps.read(Section(chain.table(model), chain.at(model), section.findings))
        for model in models
        if chain.values.get(model) is not None
    }
    api = api_from(section, url, itertools.chain(provider_steps, *model_steps.values()))
    return Provider(
        name=name,
        url=url,
        api_key=api_key,
        models=models,
        sign_in=signing_in,
        steps=provider_steps,
        model_steps=model_steps,
        api=api,
        key_header=key_header_from(url, api, api_key, provider_steps),
        max_tokens=limits.max_tokens_from(section, models),
        fetch_images=section.boolean("fetch_images", default=False),
        max_payload_bytes=limits.max_payload_bytes_from(section, url),
        prices=prices.prices_from(section, models),
        more_keys=more_keys,
        network=network.network_from(section, environ),
        tokenizers=_tokenizers(section, models),
    )


def _url(section: Section, models: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the URL, empty after a problem; a wrong one is never quoted: people paste keys into it.

    Without one it is the endpoint of the first model in the workspace of ``host``, else of ``profile``.
    """
    text = section.text("api_base_url")
    if text is None and (section.values.get("host") or section.values.get("profile")):
        host = host_from(section) if section.values.get("host") else host_of_profile(section, environ)
        return f"{host}/serving-endpoints/{quote(models[0], safe='')}/invocations" if host and models else ""
    fault = shape(section.values.get("api_base_url")) if text is None else fault_of_url(text)
    if fault:
        section.problem("api_base_url", fault, URL_FORM)
        return ""
    return text or ""


def _tokenizers(section: Section, models: Sequence[str]) -> Mapping[str, Tokenizer]:
    if not section.values.get("tokenizer"):
        return {}
    from ccr.config.tokenizers import tokenizers_from  # imported late: few have any

    return tokenizers_from(section, models)


def _models(section: Section) -> tuple[str, ...]:
    entries = section.entries("models", of="model names")
    if not entries and not section.values.get("models"):
        section.problem("models", shape(section.values.get("models")), "a list with at least one model name")
    models: dict[str, str] = {}
    for path, entry in entries:
        if not isinstance(entry, str) or not entry.strip() or NOT_IN_A_MODEL.search(entry):
            section.findings.problem(path, section.findings.quoted(path, entry), "the name of a model")
        elif entry.strip().lower() in models:
            shown = section.findings.quoted(path, entry)
            section.findings.warn(path, f"names {shown} a second time and has no effect")
        else:
            models[entry.strip().lower()] = entry.strip()
    return tuple(models.values())


@dataclass(frozen=True)
class StepReader:
    """Reads the ``use`` lists; see `providers_from` for the fields."""

    findings: Findings
    check_step: Callable[[Step], object] | None
    inherited: Mapping[str, Mapping[str, Any]]

    def read(self, chain: Section) -> tuple[Step, ...]:
        """Return the steps of ``chain.use`` in order, without those that have problems."""
        steps = (self._step(path, entry) for path, entry in chain.entries("use", of="transformer names"))
        return tuple(step for step in steps if step is not None)

    def _step(self, path: str, entry: Any) -> Step | None:
        name, options = entry, dict[str, Any]()
        if isinstance(entry, list) and 1 <= len(entry) <= 2:
            name, options = entry[0], entry[1] if len(entry) == 2 else {}
        if not isinstance(name, str) or not name.strip() or not isinstance(options, dict):
            self.findings.problem(path, shape(entry), 'a name, or ["name", {options}]')
            return None
        step = Step(name=name.strip(), options={**self.inherited.get(name.strip(), {}), **options})
        try:
            if self.check_step is not None:
                self.check_step(step)
        except ValueError as error:
            found, _, allowed = str(error).partition("; ")
            allowed = allowed.removeprefix("allowed: ")
            self.findings.problem(path, found, allowed or "options this transformer knows")
            return None
        return step
