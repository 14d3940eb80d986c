"""``ccr models``: what is configured and what the workspaces serve, with the facts of each model. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ccr.catalog.lookup import model_facts
from ccr.setup.families import is_retired
from ccr.upstream.discovered import workspace_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from ccr.config.model import Config
    from ccr.upstream.discovered import Remembered
    from ccr.upstream.discovery import ServedModel

HEADINGS = ("MODEL", "PROVIDER", "CONTEXT", "OUTPUT", "THINKING", "$/M IN", "$/M OUT", "STATE")
NOT_SERVED = "not served"


@dataclass(frozen=True)
class ModelRow:
    """One model of one provider or workspace.

    provider: the configured one, None when it is only served. state: the workspace's word in lower case,
    ``not served`` when its list does not have the model, "" when nobody said. Prices in US dollars per
    million tokens. retires: the day it is switched off, as ISO date.
    """

    name: str
    provider: str | None
    workspace: str | None
    is_default: bool
    state: str
    context_tokens: int | None
    max_output_tokens: int | None
    thinking: tuple[str, ...]
    usd_input: float | None
    usd_output: float | None
    retires: str | None
    is_retired: bool


def model_rows(config: Config, remembered: Mapping[str, Remembered], today: dt.date) -> list[ModelRow]:
    """Return the configured models in their order, then the served ones that hold conversations by name."""
    rows = []
    configured: set[tuple[str | None, str]] = set()
    for provider in config.providers:
        url = workspace_of(provider)
        served = _served(remembered, url)
        for name in provider.models:
            configured.add((url, name.lower()))
            is_default = config.router.default == f"{provider.name},{name}"
            state = _state(served, name)
            rows.append(_row(name, provider.name, url, state, today, is_default=is_default))
    for url, found in remembered.items():
        rows += [
            _row(model.name, None, url, model.state.lower(), today, is_default=False)
            for model in found.models
            if model.is_chat and (url, model.name.lower()) not in configured
        ]
    return rows


def rows_as_json(rows: Sequence[ModelRow], remembered: Mapping[str, Remembered]) -> dict[str, Any]:
    """Return the document of ``--json``; ``asked_at`` in seconds since 1970."""
    return {
        "models": [asdict(row) for row in rows],
        "workspaces": [
            {"url": url, "asked_at": found.at, "served": len(found.models)}
            for url, found in remembered.items()
        ],
    }


def rows_as_text(rows: Sequence[ModelRow]) -> str:
    """Return the rows as a table; ``*`` marks the default route."""
    return text_table(HEADINGS, [_cells(row) for row in rows])


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return left-aligned columns, as wide as their longest cell, without spaces at the end of a line."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    )
    return "\n".join(lines)


def _cells(row: ModelRow) -> tuple[str, ...]:
    state = row.state
    if row.is_retired:
        state = f"RETIRED {row.retires}"
    elif row.retires:
        state = f"{state or '-'}, retires {row.retires}"
    return (
        f"{row.name} *" if row.is_default else row.name,
        row.provider or "-",
        _tokens(row.context_tokens),
        _tokens(row.max_output_tokens),
        "+".join(row.thinking) or "-",
        _price(row.usd_input),
        _price(row.usd_output),
        state or "-",
    )


def _tokens(count: int | None) -> str:
    if count is None:
        return "-"
    return f"{count // 1_000_000}M" if count % 1_000_000 == 0 else f"{count // 1000}K"


def _price(dollars: float | None) -> str:
    return "-" if dollars is None else f"{dollars:.2f}"


def _served(remembered: Mapping[str, Remembered], url: str | None) -> dict[str, ServedModel] | None:
    found = remembered.get(url) if url is not None else None
    return None if found is None else {model.name.lower(): model for model in found.models}


def _state(served: dict[str, ServedModel] | None, name: str) -> str:
    if served is None:
        return ""
    model = served.get(name.lower())
    return NOT_SERVED if model is None else model.state.lower()


def _row(
    name: str, provider: str | None, url: str | None, state: str, today: dt.date, *, is_default: bool
) -> ModelRow:
    facts = model_facts(name)
    retires = facts.retires if facts else None
    return ModelRow(
        name=name,
        provider=provider,
        workspace=url,
        is_default=is_default,
        state=state,
        context_tokens=facts.context_tokens if facts else None,
        max_output_tokens=facts.max_output_tokens if facts else None,
        thinking=tuple(sorted(facts.thinking)) if facts else (),
        usd_input=facts.usd_input if facts else None,
        usd_output=facts.usd_output if facts else None,
        retires=retires.isoformat() if retires else None,
        is_retired=is_retired(name, today),
    )
