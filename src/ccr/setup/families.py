"""Which of the served models are the ones to work with: the newest of each family of the client. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.catalog.lookup import canonical_name, model_facts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from ccr.upstream.discovery import ServedModel

FAMILIES: Final = ("sonnet", "opus", "haiku")
"""The client's three model aliases; the first one served is proposed as the default."""


def ranked_by_family(models: Iterable[ServedModel], today: dt.date) -> dict[str, list[str]]:
    """Return family -> names of its usable models, the best first; families without any are left out.

    Usable: an endpoint that holds conversations, not reported as not ready, not retired. Databricks' own
    endpoints come before those that somebody named after a Claude model, then the higher version.
    """
    ranked: dict[str, list[str]] = {}
    for family in FAMILIES:
        names = [model.name for model in models if family in model.name.lower() and _is_usable(model, today)]
        if names:
            ranked[family] = sorted(names, key=_rank, reverse=True)
    return ranked


def is_retired(name: str, today: dt.date) -> bool:
    """Tell whether the catalog says that a model has been switched off."""
    facts = model_facts(name)
    return facts is not None and facts.retires is not None and facts.retires <= today


def _is_usable(model: ServedModel, today: dt.date) -> bool:
    return (
        model.source == "endpoint"
        and model.is_chat
        and model.state != "NOT_READY"
        and "claude" in model.name.lower()
        and not is_retired(model.name, today)
    )


def _rank(name: str) -> tuple[bool, tuple[int, ...], str]:
    version = tuple(int(piece) for piece in canonical_name(name).split("-") if piece.isdigit())
    return name.lower().startswith("databricks-claude-"), version, name
