"""``prices`` of a provider: what its tokens cost, for ``ccr usage``; nothing else depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.config.model import Prices
from ccr.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEYS: Final = ("prices",)
NEEDED: Final = ("input", "output")
OF_CACHED: Final = ("cache_read", "cache_write")
FORM: Final = "US dollars per million tokens, a number that is not negative"


def prices_from(section: Section, models: Sequence[str]) -> Mapping[str, Prices]:
    """Return the prices of each model that has some: ``prices`` is one object for all, or one a model."""
    given = Section(section.table("prices"), section.at("prices"), section.findings)
    if not given.values:
        return {}
    if any(isinstance(given.values.get(key), int | float) for key in NEEDED):
        prices = _prices(given)
        return dict.fromkeys(models, prices) if prices is not None else {}
    found = {}
    for key in given.values:
        if key not in models:
            given.problem(key, "a model that the provider does not list", f"one of {', '.join(models)}")
            continue
        of_model = given.table(key)
        prices = _prices(Section(of_model, given.at(key), given.findings)) if of_model else None
        if prices is not None:
            found[key] = prices
    return found


def prices_shown(prices: Mapping[str, Prices]) -> dict[str, dict[str, float]]:
    """Return what ``prices`` would have to hold."""
    return {
        model: {key: dollars for key in (*NEEDED, *OF_CACHED) if (dollars := getattr(each, key)) is not None}
        for model, each in prices.items()
    }


def _prices(section: Section) -> Prices | None:
    section.warn_of_unknown((*NEEDED, *OF_CACHED))
    dollars = {key: _dollars(section, key, is_needed=key in NEEDED) for key in (*NEEDED, *OF_CACHED)}
    price_in, price_out = dollars["input"], dollars["output"]
    if price_in is None or price_out is None:
        return None
    return Prices(
        input=price_in, output=price_out, cache_read=dollars["cache_read"], cache_write=dollars["cache_write"]
    )


def _dollars(section: Section, key: str, *, is_needed: bool) -> float | None:
    value = section.values.get(key)
    if value is None and not is_needed:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        section.problem(key, section.quoted(key) if value is not None else "nothing", FORM)
        return None
    return float(value)
