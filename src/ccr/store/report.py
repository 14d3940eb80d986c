"""Figures of a period, by day, model, provider … and in total. Pure: what is counted comes from a Reader.

What nobody knows is None, never 0: the cost of a model without price, the tokens that no upstream reported.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from ccr.store.prices import PriceOf, cost_usd, list_prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ccr.store.reading import By, Reader, Sums

DOLLAR_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What some requests came to.

    errors, cancelled: of ``requests``. without_usage: answered well, and the upstream reported no tokens.
    The token figures: None when no request reported any. cost_usd: of the requests whose model has a price,
    None when none has. without_price: requests with tokens whose model has no price; they are not in
    ``cost_usd``. cache_hit_share: part of the prompt tokens that came from the cache, 0 to 1. tokens_per_s:
    output tokens a second in streams, from the first byte to the end. first_byte_ms: the mean. last_at: when
    the last one began, UTC.
    """

    requests: int
    errors: int
    cancelled: int
    without_usage: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    cost_usd: float | None
    without_price: int
    cache_hit_share: float | None
    tokens_per_s: float | None
    first_byte_ms: float | None
    last_at: dt.datetime | None

    @property
    def prompt_tokens(self) -> int | None:
        """All tokens of the prompts, cached ones too."""
        if self.input_tokens is None:
            return None
        cached = (self.cache_read_input_tokens or 0) + (self.cache_creation_input_tokens or 0)
        return self.input_tokens + cached

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; ``last_at`` as ISO time in UTC."""
        last_at = self.last_at.isoformat(timespec="milliseconds") if self.last_at is not None else None
        return {**asdict(self), "last_at": last_at}


@dataclass(frozen=True)
class Line:
    """One group. key: the day, model, provider …; None where requests have none."""

    key: str | None
    figures: Figures

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"key": self.key, **self.figures.to_dict()}


@dataclass(frozen=True)
class Report:
    """The groups of a period and their total. since, until: begun at or after, before; None: no bound.

    lines: days in order; other groups by cost, then by tokens, the largest first.
    """

    by: By
    since: dt.datetime | None
    until: dt.datetime | None
    lines: tuple[Line, ...]
    total: Figures

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; times as ISO, dollars in ``cost_usd``."""
        return {
            "by": self.by,
            "since": self.since.isoformat() if self.since is not None else None,
            "until": self.until.isoformat() if self.until is not None else None,
            "lines": [line.to_dict() for line in self.lines],
            "total": self.total.to_dict(),
        }


def usage_report(
    reader: Reader,
    since: dt.datetime | None,
    until: dt.datetime | None,
    by: By,
    price_of: PriceOf = list_prices,
) -> Report:
    """Return the figures of a period. since, until: aware. price_of: ``prices_of(config)`` or list prices.

    Raises StoreError.
    """
    groups: dict[str | None, list[Sums]] = {}
    every = reader.sums(by, since, until)
    for sums in every:
        groups.setdefault(sums.key, []).append(sums)
    lines = [Line(key, figures_of(of_key, price_of)) for key, of_key in groups.items()]
    if by == "day":
        lines.sort(key=lambda line: line.key or "")
    else:
        lines.sort(key=_largest_first)
    return Report(by, since, until, tuple(lines), figures_of(every, price_of))


def figures_of(groups: Sequence[Sums], price_of: PriceOf = list_prices) -> Figures:
    """Return groups taken together."""
    with_usage = sum(each.with_usage for each in groups)
    cost, without_price = _cost(groups, price_of)
    input_tokens = sum(each.input_tokens for each in groups)
    cache_read = sum(each.cache_read_input_tokens for each in groups)
    cache_creation = sum(each.cache_creation_input_tokens for each in groups)
    last_ms = max((each.last_ms for each in groups), default=None)
    return Figures(
        requests=sum(each.requests for each in groups),
        errors=sum(each.errors for each in groups),
        cancelled=sum(each.cancelled for each in groups),
        without_usage=sum(each.without_usage for each in groups),
        input_tokens=input_tokens if with_usage else None,
        output_tokens=sum(each.output_tokens for each in groups) if with_usage else None,
        cache_read_input_tokens=cache_read if with_usage else None,
        cache_creation_input_tokens=cache_creation if with_usage else None,
        cost_usd=cost,
        without_price=without_price,
        cache_hit_share=_ratio(cache_read, input_tokens + cache_read + cache_creation),
        tokens_per_s=_ratio(
            sum(each.stream_output_tokens for each in groups), sum(each.stream_ms for each in groups) / 1000
        ),
        first_byte_ms=_ratio(
            sum(each.first_byte_ms for each in groups), sum(each.answered for each in groups)
        ),
        last_at=dt.datetime.fromtimestamp(last_ms / 1000, dt.UTC) if last_ms is not None else None,
    )


def _cost(groups: Iterable[Sums], price_of: PriceOf) -> tuple[float | None, int]:
    """Return the cost of what has a price, and how many requests with tokens have none."""
    cost: float | None = None
    without_price = 0
    for each in groups:
        if not each.with_usage:
            continue
        prices = price_of(each.provider, each.upstream_model)
        if prices is None:
            without_price += each.with_usage
        else:
            cost = (cost or 0.0) + cost_usd(each, prices)
    return (None if cost is None else round(cost, DOLLAR_DIGITS)), without_price


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole > 0 else None


def _largest_first(line: Line) -> tuple[float, int, int, str]:
    figures = line.figures
    tokens = (figures.prompt_tokens or 0) + (figures.output_tokens or 0)
    return -(figures.cost_usd or 0.0), -tokens, -figures.requests, line.key or ""
