"""What tokens cost: list prices of the catalog, or the person's own where the configuration has them.

An estimate in any case: a workspace's contract is known to nobody here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ccr.catalog.lookup import model_facts
from ccr.config.model import Prices

if TYPE_CHECKING:
    from ccr.config.model import Config
    from ccr.store.reading import Sums

MILLION: Final = 1_000_000

PriceOf = Callable[[str, str], Prices | None]
"""Provider and model -> prices; None where there are none, never 0."""


def list_prices(provider: str, model: str) -> Prices | None:  # noqa: ARG001 - the signature of PriceOf
    """Return the catalog's prices of a model, None where it has none."""
    facts = model_facts(model)
    if facts is None or facts.usd_input is None or facts.usd_output is None:
        return None
    return Prices(
        input=facts.usd_input,
        output=facts.usd_output,
        cache_read=facts.usd_cache_read,
        cache_write=facts.usd_cache_write,
    )


def prices_of(config: Config | None) -> PriceOf:
    """Return the person's own prices, and the list prices for all other models. config: None: unreadable."""
    own = {
        (provider.name.lower(), model.lower()): prices
        for provider in (config.providers if config is not None else ())
        for model, prices in provider.prices.items()
    }

    def price_of(provider: str, model: str) -> Prices | None:
        return own.get((provider.lower(), model.lower())) or list_prices(provider, model)

    return price_of


def cost_usd(sums: Sums, prices: Prices) -> float:
    """Return what the tokens of a group cost at some prices, in US dollars."""
    read = prices.input if prices.cache_read is None else prices.cache_read
    write = prices.input if prices.cache_write is None else prices.cache_write
    return (
        sums.input_tokens * prices.input
        + sums.output_tokens * prices.output
        + sums.cache_read_input_tokens * read
        + sums.cache_creation_input_tokens * write
    ) / MILLION
