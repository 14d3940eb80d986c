"""When a refused request is repaired, and what is remembered of it: decisions only, no I/O.

    attempt = repairing.begin("databricks,some-model", chat)     what was learnt is applied
    send attempt.chat
    refused:  attempt.repair(status, body) -> True: send attempt.chat again; False: the refusal stands
    answered: attempt.accept()

A repair is learnt when it has been proven: the upstream took the request, or went on to refuse something
else. The one exception is the limit of a minute, which is learnt at once: one halving need not be enough, and
the client's own repetitions must not begin with the full reservation again. Each repair is tried once in a
request, and at most `MAX_REPAIRS` are, so a request is sent at most four times.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from ccr.protocol.repairs import Repair, max_tokens_repair, repair_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.protocol.openai import ChatRequest

MAX_REPAIRS: Final = 3
MAX_MODELS: Final = 64
MAX_LEARNT: Final = 32
"""Repairs learnt for one model; the oldest goes first."""
WINDOW_S: Final = 60.0
"""The window of the output-tokens-per-minute quota: after each, a learnt limit doubles."""
MIN_LEARNT_TOKENS: Final = 4096
"""A learnt limit is never smaller: waiting is better for the person than every answer cut short."""
MAX_WINDOWS: Final = 6
"""After so many windows even the smallest limit is above what any model gives: it is forgotten."""

Snapshot = dict[str, dict[str, dict[str, int]]]
"""Model -> rule -> what it is about -> requests it changed."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Learnt:
    repair: Repair
    at: float


class Repairing:
    """What was learnt about each model while the process lives. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._learnt: OrderedDict[str, OrderedDict[str, _Learnt]] = OrderedDict()
        self._counts: OrderedDict[str, OrderedDict[tuple[str, str], int]] = OrderedDict()

    def begin(self, model: str, chat: ChatRequest) -> Attempt:
        """Return one request's attempts at a model (``provider,model``), with what was learnt applied."""
        chat, rules = self.apply(model, chat)
        return Attempt(self, model, chat, rules)

    def apply(self, model: str, chat: ChatRequest) -> tuple[ChatRequest, tuple[str, ...]]:
        """Return the request with what was learnt about the model, and the rules that changed it."""
        rules: dict[str, None] = {}
        for learnt in list(self._learnt.get(model, {}).values()):
            repair = self._repair_now(model, learnt)
            repaired = repair.apply(chat) if repair is not None else chat
            if repair is not None and repaired is not chat:
                chat = repaired
                rules[repair.rule] = None
                self.count(model, repair)
        return chat, tuple(rules)

    def learn(self, model: str, repair: Repair) -> None:
        """Remember a repair as long as it says; it takes the place of an earlier one with its key."""
        if repair.memory == "request":
            return
        if repair.limit is not None and repair.memory == "minute":
            repair = max_tokens_repair(repair.rule, max(repair.limit, MIN_LEARNT_TOKENS), repair.memory)
        learnt = _newest(self._learnt, model, OrderedDict(), MAX_MODELS)
        learnt.pop(repair.key, None)
        _newest(learnt, repair.key, _Learnt(repair, self._clock()), MAX_LEARNT)

    def count(self, model: str, repair: Repair) -> None:
        """Count a request that a repair has changed."""
        counts = _newest(self._counts, model, OrderedDict(), MAX_MODELS)
        subject = (str(repair.rule), "max_tokens" if repair.memory == "minute" else repair.what)
        counts[subject] = _newest(counts, subject, 0, MAX_LEARNT) + 1

    def snapshot(self) -> Snapshot:
        """Return how many requests were changed, by model, rule and subject."""
        snapshot: Snapshot = {}
        for model, counts in self._counts.items():
            for (rule, what), count in counts.items():
                snapshot.setdefault(model, {}).setdefault(rule, {})[what] = count
        return snapshot

    def _repair_now(self, model: str, learnt: _Learnt) -> Repair | None:
        """Return the repair as it holds by now, None when its time is over."""
        repair = learnt.repair
        if repair.limit is None or repair.memory != "minute":
            return repair
        windows = int((self._clock() - learnt.at) // WINDOW_S)
        if windows >= MAX_WINDOWS:
            del self._learnt[model][repair.key]
            return None
        return max_tokens_repair(repair.rule, repair.limit << windows, repair.memory)


class Attempt:
    """One request on its way to the upstream, sent again as long as a repair is found."""

    def __init__(self, repairing: Repairing, model: str, chat: ChatRequest, rules: tuple[str, ...]) -> None:
        self.chat = chat
        self._repairing = repairing
        self._model = model
        self._rules = dict.fromkeys(rules)
        self._tried: list[Repair] = []

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules that have changed the request so far, each once."""
        return tuple(self._rules)

    def repair(self, status: int, body: bytes) -> bool:
        """Tell whether ``chat`` was repaired after a refusal and should be sent again."""
        repair = repair_of(status, body, self.chat, {each.key for each in self._tried})
        if repair is None:
            return False
        self._learn_last()  # another thing is refused now, so what was repaired before is no longer
        if len(self._tried) == MAX_REPAIRS:
            return False
        self.chat = repair.apply(self.chat)
        self._tried.append(repair)
        self._rules[repair.rule] = None
        self._repairing.count(self._model, repair)
        if repair.memory == "minute":
            self._learn_last()
        return True

    def accept(self) -> None:
        """Note that the upstream took the request."""
        self._learn_last()

    def _learn_last(self) -> None:
        for repair in self._tried[-1:]:
            self._repairing.learn(self._model, repair)


def _newest(table: OrderedDict[_Key, _Value], key: _Key, default: _Value, limit: int) -> _Value:
    """Return the value at ``key``, which is the newest now; of more than ``limit`` the oldest goes."""
    value = table.setdefault(key, default)
    table.move_to_end(key)
    if len(table) > limit:
        table.popitem(last=False)
    return value
