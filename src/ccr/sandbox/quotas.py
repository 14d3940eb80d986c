"""Tokens per minute: what a workspace lets one model take in and give out. Pure but for the clock handed in.

A request's ``max_tokens`` is reserved of the output quota when it is admitted; what was not answered is
credited back when it ends. So a large ``max_tokens`` is refused although nothing near it is ever answered.
Source: reference notes databricks.md §0.8 and §4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ccr.sandbox.refusals import Refused, coded

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S = 60.0
DEFAULT_MAX_TOKENS = 1_000
"""What is reserved for a request that gives no limit: the service's own."""


@dataclass
class Charge:
    """Tokens counted against a quota since ``at`` (seconds)."""

    at: float
    tokens: int


@dataclass
class Quota:
    """Tokens per minute for each model. kind: input or output. limit None: as many as one likes."""

    kind: str
    limit: int | None
    charges: dict[str, list[Charge]] = field(default_factory=dict)

    def used(self, model: str, now: float) -> int:
        """Return the tokens counted in the last minute."""
        recent = [charge for charge in self.charges.get(model, []) if now - charge.at < WINDOW_S]
        self.charges[model] = recent
        return sum(charge.tokens for charge in recent)

    def check(self, model: str, tokens: int, now: float) -> None:
        """Raise Refused (429) when so many more do not fit."""
        if self.limit is not None and self.used(model, now) + tokens > self.limit:
            code = "REQUEST_LIMIT_EXCEEDED"
            sentence = (
                f"{code}: Exceeded workspace {self.kind} tokens per minute rate limit for {model}. "
                "Work with your Databricks account team to raise it."
            )
            raise Refused(coded(429, code, sentence))

    def charge(self, model: str, tokens: int, now: float) -> Charge:
        """Count tokens from now on; what was returned may be changed."""
        charge = Charge(now, tokens)
        if self.limit is not None:
            self.charges.setdefault(model, []).append(charge)
        return charge


class Quotas:
    """Both quotas of a workspace. itpm, otpm: input and output tokens per minute and model."""

    def __init__(self, *, itpm: int | None, otpm: int | None, clock: Callable[[], float]) -> None:
        self.input = Quota("input", itpm)
        self.output = Quota("output", otpm)
        self._clock = clock

    def admit(self, model: str, input_tokens: int, max_tokens: int | None) -> Charge:
        """Count a request's input and reserve its output, or raise Refused (429) and count nothing.

        Set the returned charge's tokens to what was answered when the request ends.
        """
        now, reserved = self._clock(), DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens
        self.input.check(model, input_tokens, now)
        self.output.check(model, reserved, now)
        self.input.charge(model, input_tokens, now)
        return self.output.charge(model, reserved, now)
