"""When a refused request is repaired, and what is remembered of it: decisions only, no I/O.

    attempt = repairing.begin("databricks,some-model", chat)     what was learnt is applied
    send attempt.request
    refused:  attempt.repair(status, body) -> True: send attempt.request again; False: the refusal stands
    answered: attempt.accept()

`begin_native` is the same for a request of the native route; what is learnt there is kept apart, because
fields have other names in the other format, and counted together.
A repair is learnt when it has been proven: the upstream took the request, or went on to refuse something
else. The one exception is the limit of a minute, which is learnt at once: one halving need not be enough, and
the client's own repetitions must not begin with the full reservation again. Each repair is tried once in a
request, and at most `MAX_REPAIRS` are, so a request is sent at most four times.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from ccr.protocol.native_repairs import native_max_tokens_repair, native_repair_of
from ccr.protocol.repairs import Repair, max_tokens_repair, repair_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.protocol.native_repairs import NativeSent
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
_Request = TypeVar("_Request")


class Repairing:
    """What was learnt about each model while the process lives.

    clock: monotonic seconds. of: shares what another one has learnt.
    """

    def __init__(self, clock: Callable[[], float], of: Repairing | None = None) -> None:
        self._clock = clock
        self._counts: _Counts = OrderedDict()
        chat, native = of.lessons if of is not None else (None, None)
        self._chat = Lessons(clock, self._counts, _Ways(repair_of, max_tokens_repair), chat)
        self._native = Lessons(clock, self._counts, _Ways(native_repair_of, native_max_tokens_repair), native)

    @property
    def lessons(self) -> tuple[Lessons[ChatRequest], Lessons[NativeSent]]:
        """What was learnt about requests of each format."""
        return self._chat, self._native

    def uncounted(self) -> Repairing:
        """Return one that applies what this one has learnt, for requests that are not sent: none counts."""
        return Repairing(self._clock, self)

    def begin(self, model: str, chat: ChatRequest) -> Attempt[ChatRequest]:
        """Return one request's attempts at a model (``provider,model``), with what was learnt applied."""
        return self._chat.begin(model, chat)

    def begin_native(self, model: str, sent: NativeSent) -> Attempt[NativeSent]:
        """Return the same for a request of the native route."""
        return self._native.begin(model, sent)

    def snapshot(self) -> Snapshot:
        """Return how many requests were changed, by model, rule and subject."""
        snapshot: Snapshot = {}
        for model, counts in self._counts.items():
            for (rule, what), count in counts.items():
                snapshot.setdefault(model, {}).setdefault(rule, {})[what] = count
        return snapshot


_Counts = OrderedDict[str, OrderedDict[tuple[str, str], int]]


class _Ways(NamedTuple, Generic[_Request]):
    """How requests of one format are repaired: the repair for a refusal, the one of ``max_tokens``."""

    repair_of: Callable[..., Repair[_Request] | None]
    max_tokens_repair: Callable[..., Repair[_Request]]


@dataclass(frozen=True, slots=True)
class _Learnt(Generic[_Request]):
    repair: Repair[_Request]
    at: float


class Lessons(Generic[_Request]):
    """What was learnt about requests of one format, or by others, of which it is shared.

    counts: model -> (rule, subject) -> requests changed.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        counts: _Counts,
        ways: _Ways[_Request],
        of: Lessons[_Request] | None = None,
    ) -> None:
        self._clock = clock
        self._ways = ways
        self.learnt: OrderedDict[str, OrderedDict[str, _Learnt[_Request]]] = (
            OrderedDict() if of is None else of.learnt
        )
        self._counts = counts

    def begin(self, model: str, request: _Request) -> Attempt[_Request]:
        """Return one request's attempts at a model, with what was learnt applied."""
        rules: dict[str, None] = {}
        for learnt in list(self.learnt.get(model, {}).values()):
            repair = self._repair_now(model, learnt)
            repaired = repair.apply(request) if repair is not None else request
            if repair is not None and repaired is not request:
                request = repaired
                rules[repair.rule] = None
                self.count(model, repair)
        return Attempt(self, model, request, tuple(rules))

    def repair_of(
        self, status: int, body: bytes, request: _Request, tried: set[str]
    ) -> Repair[_Request] | None:
        """Return the repair that a refusal calls for; see `ccr.protocol.repairs.repair_of`."""
        return self._ways.repair_of(status, body, request, tried)

    def learn(self, model: str, repair: Repair[_Request]) -> None:
        """Remember a repair as long as it says; it takes the place of an earlier one with its key."""
        if repair.memory == "request":
            return
        if repair.limit is not None and repair.memory == "minute":
            limit = max(repair.limit, MIN_LEARNT_TOKENS)
            repair = self._ways.max_tokens_repair(repair.rule, limit, repair.memory)
        learnt = _newest(self.learnt, model, OrderedDict(), MAX_MODELS)
        learnt.pop(repair.key, None)
        _newest(learnt, repair.key, _Learnt(repair, self._clock()), MAX_LEARNT)

    def count(self, model: str, repair: Repair[_Request]) -> None:
        """Count a request that a repair has changed."""
        counts = _newest(self._counts, model, OrderedDict(), MAX_MODELS)
        subject = (str(repair.rule), "max_tokens" if repair.memory == "minute" else repair.what)
        counts[subject] = _newest(counts, subject, 0, MAX_LEARNT) + 1

    def _repair_now(self, model: str, learnt: _Learnt[_Request]) -> Repair[_Request] | None:
        """Return the repair as it holds by now, None when its time is over."""
        repair = learnt.repair
        if repair.limit is None or repair.memory != "minute":
            return repair
        windows = int((self._clock() - learnt.at) // WINDOW_S)
        if windows >= MAX_WINDOWS:
            del self.learnt[model][repair.key]
            return None
        return self._ways.max_tokens_repair(repair.rule, repair.limit << windows, repair.memory)


class Attempt(Generic[_Request]):
    """One request on its way to the upstream, sent again as long as a repair is found."""

    def __init__(
        self, lessons: Lessons[_Request], model: str, request: _Request, rules: tuple[str, ...]
    ) -> None:
        self.request = request
        self._lessons = lessons
        self._model = model
        self._rules = dict.fromkeys(rules)
        self._tried: list[Repair[_Request]] = []

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules that have changed the request so far, each once."""
        return tuple(self._rules)

    def repair(self, status: int, body: bytes) -> bool:
        """Tell whether ``request`` was repaired after a refusal and should be sent again."""
        repair = self._lessons.repair_of(status, body, self.request, {each.key for each in self._tried})
        if repair is None:
            return False
        self._learn_last()  # another thing is refused now, so what was repaired before is no longer
        if len(self._tried) == MAX_REPAIRS:
            return False
        self.request = repair.apply(self.request)
        self._tried.append(repair)
        self._rules[repair.rule] = None
        self._lessons.count(self._model, repair)
        if repair.memory == "minute":
            self._learn_last()
        return True

    def accept(self) -> None:
        """Note that the upstream took the request."""
        self._learn_last()

    def _learn_last(self) -> None:
        for repair in self._tried[-1:]:
            self._lessons.learn(self._model, repair)


def _newest(table: OrderedDict[_Key, _Value], key: _Key, default: _Value, limit: int) -> _Value:
    """Return the value at ``key``, which is the newest now; of more than ``limit`` the oldest goes."""
    value = table.setdefault(key, default)
    table.move_to_end(key)
    if len(table) > limit:
        table.popitem(last=False)
    return value
