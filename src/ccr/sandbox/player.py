"""Which turn answers which request: the state of a script that is being played."""

from __future__ import annotations

from dataclasses import dataclass, field

from ccr.sandbox.refusals import Refused, model_refusal
from ccr.sandbox.script import Fault, Script, ToolCall, Turn
from ccr.sandbox.view import RequestView, text_of_instance

SIDE_SERIALS = 9_000
COMPLETING = frozenset({"slow", "stall"})


@dataclass(frozen=True)
class Cue:
    """The turn for one request, and the fault to play with it.

    position: the turn's place in the script, None beyond it. serial: a number no other turn has, the same in
    every run of the script, so that tool ids are unique and equal in both dialects. is_turn: not a side
    request.
    """

    turn: Turn
    serial: int
    fault: Fault | None = None
    position: int | None = None
    is_turn: bool = True


@dataclass
class Player:
    """A script and what was taken of it; every turn is taken once."""

    script: Script
    taken: set[int] = field(default_factory=set)
    faults_played: dict[int, int] = field(default_factory=dict)
    beyond: int = 0
    beside: int = 0

    def next(self, view: RequestView) -> Cue:
        """Return the cue for a request, taking its turn; raises ``Refused`` when there is none for it."""
        position = self._position_for(view)
        if view.is_side and (position is None or not self._calls(position, view.forced_tool)):
            self.beside += 1
            return Cue(self._side_turn(view), SIDE_SERIALS + self.beside, is_turn=False)
        if position is None:
            self.beyond += 1
            return Cue(self._turn_beyond(view), len(self.script.turns) + self.beyond)
        turn = self.script.turns[position]
        fault = turn.fault
        played = self.faults_played.get(position, 0)
        if fault is None or played >= fault.times:
            self.taken.add(position)
            return Cue(turn, position + 1, None, position)
        self.faults_played[position] = played + 1
        if fault.consumes_turn:
            self.taken.add(position)
        return Cue(turn, position + 1, fault, position)

    def completed(self, cue: Cue) -> None:
        """Note that a turn was sent to its end although a fault was played with it."""
        if cue.position is not None and cue.fault is not None and cue.fault.kind in COMPLETING:
            self.taken.add(cue.position)

    @property
    def remaining(self) -> int:
        """How many turns nobody has asked for."""
        return len(self.script.turns) - len(self.taken)

    def _position_for(self, view: RequestView) -> int | None:
        turns = enumerate(self.script.turns)
        return next((i for i, turn in turns if i not in self.taken and turn.fits(view)), None)

    def _calls(self, position: int, tool: str | None) -> bool:
        """Tell whether a scripted turn calls the tool that a request forces: then it is no side request."""
        return any(call.name == tool for call in self.script.turns[position].tools)

    def _side_turn(self, view: RequestView) -> Turn:
        answer = self.script.side_answer
        if view.schema is None:
            return Turn(text=answer)
        text = text_of_instance(view.schema, answer)
        return Turn(tools=[ToolCall(view.forced_tool, text)]) if view.forced_tool else Turn(text=text)

    def _turn_beyond(self, view: RequestView) -> Turn:
        if self.script.respond is not None:
            return self.script.respond(view)
        if self.script.repeat_last and self.script.turns:
            return self.script.turns[-1]
        raise Refused(model_refusal("The sandbox's script has no turn for this request."))
