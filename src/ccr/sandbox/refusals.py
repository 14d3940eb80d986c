"""How the workspace says no: the status and the body of each refusal, in the shapes seen on the wire.

Checks raise ``Refused`` at the first fault; their public functions turn it into a ``Refusal`` value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True)
class Refusal:
    """An error answer: HTTP status, JSON body, and the bare sentence for tests and logs."""

    status: int
    body: dict[str, Any]
    sentence: str


class Refused(Exception):  # noqa: N818 - it is not a fault of the sandbox, but its verdict on a request
    """The request is refused; carries the ``Refusal``."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.sentence)


def coded(status: int, error_code: str, message: str) -> Refusal:
    """Return a refusal in the platform's own shape: ``error_code`` and ``message``."""
    return Refusal(status, {"error_code": error_code, "message": message}, message)


def model_refusal(sentence: str) -> Refusal:
    """Return a 400 of the model behind the endpoint: its JSON is a string inside ``message``."""
    body = {"error_code": "BAD_REQUEST", "message": json.dumps({"message": sentence}) + "\n"}
    return Refusal(400, body, sentence)


def anthropic_refusal(status: int, error_type: str, sentence: str) -> Refusal:
    """Return a refusal in the Anthropic API's shape."""
    return Refusal(status, {"type": "error", "error": {"type": error_type, "message": sentence}}, sentence)


def pass_if_none(refusal: Refusal | None) -> None:
    """Raise the refusal, if there is one."""
    if refusal is not None:
        raise Refused(refusal)


def refuse(sentence: str) -> NoReturn:
    """Refuse the request with a 400 of the model."""
    raise Refused(model_refusal(sentence))


def refuse_extra(where: str, value: dict[str, Any], allowed: frozenset[str]) -> None:
    """Refuse the first key of ``value`` that is not allowed; ``where`` is its path, empty at the top."""
    for key in value:
        if key not in allowed:
            refuse(
                f"{where}.{key}: Extra inputs are not permitted"
                if where
                else f"{key}: Extra inputs are not permitted"
            )


def require_object(where: str, value: object) -> dict[str, Any]:
    """Return ``value`` when it is a JSON object, refuse it otherwise."""
    if not isinstance(value, dict):
        refuse(f"{where}: Input should be a valid dictionary")
    return value


def require_list(where: str, value: object) -> list[Any]:
    """Return ``value`` when it is a JSON array, refuse it otherwise."""
    if not isinstance(value, list):
        refuse(f"{where}: Input should be a valid list")
    return value


def require_string(where: str, value: object) -> str:
    """Return ``value`` when it is a string, refuse it otherwise."""
    if not isinstance(value, str):
        refuse(f"{where}: Input should be a valid string")
    return value


THINKING = frozenset({"thinking", "redacted_thinking"})
NO_PREFILL = (
    "This model does not support assistant message prefill. The conversation must end with a user message."
)


def refuse_tag(where: str, found: object, expected: frozenset[str]) -> NoReturn:
    """Refuse a ``type`` that is none of those expected."""
    tags = ", ".join(f"'{name}'" for name in sorted(expected))
    refuse(f"{where}: Input tag '{found}' found using 'type' does not match any of the expected tags: {tags}")


def refuse_orphan(turn: int, result_id: str) -> NoReturn:
    """Refuse a tool result that answers no call of the turn before."""
    refuse(
        f"messages.{turn}.content: unexpected `tool_use_id` found in `tool_result` blocks: {result_id}. "
        "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
    )


def refuse_unanswered(turn: int, call_ids: list[str]) -> None:
    """Refuse calls without results in the next turn, if there are any."""
    if call_ids:
        refuse(
            f"messages.{turn}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(call_ids)}. "
            "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        )


def refuse_misplaced_thinking(
    turn: int, kinds: list[str], thinking: str, *, in_loop: bool, begins_loop: bool
) -> None:
    """Refuse an assistant message by the kinds of its blocks, in order.

    No message may end in thinking. A tool loop still going on is one turn (``in_loop``): it must begin with
    thinking when a budget is given, and must hold none when thinking is off.
    """
    if kinds[-1] in THINKING:
        refuse(f"messages.{turn}: The final block in an assistant message cannot be `{kinds[-1]}`.")
    if not in_loop:
        return
    if thinking == "enabled" and begins_loop and kinds[0] not in THINKING:
        refuse(
            f"messages.{turn}.content.0.type: Expected `thinking` or `redacted_thinking`, "
            f"but found `{kinds[0]}`. "
            "When `thinking` is enabled, a final `assistant` message must start with a thinking block."
        )
    if thinking == "disabled" and not THINKING.isdisjoint(kinds):
        refuse(
            f"messages.{turn}.content.0.type: When `thinking` is disabled, an `assistant` message in the "
            "final position cannot contain `thinking`."
        )
