"""What models of other vendors refuse on Databricks' chat endpoints, beyond what traits say of one model.

The endpoints speak one format, the models behind them do not take all of it (databricks.md §2, message rules
and limits): each family's differences are one row of `FAMILIES`. A family without a row takes what Claude
takes, within its traits. Applied to a finished conversion, so that nothing else needs to know of families.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ccr.protocol.chat_schemas import plain_schema
from ccr.protocol.request_rules import RequestRule, Rules

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatTool
    from ccr.protocol.traits import ModelTraits

FILLER: Final = "I have the results."
"""Text of an assistant message that has to stand between tool results and what the user says after them."""


class Family(NamedTuple):
    """What is different with a vendor's models.

    one_call: an assistant message of the history may hold one tool call only.
    alternates: after tool messages the assistant must speak before the user does.
    plain_schemas: tool schemas may use Gemini's keywords only, and a tool without parameters has no schema.
    max_tools: how many tools are documented to be taken; more are sent, as they may well be.
    """

    one_call: bool = False
    alternates: bool = False
    plain_schemas: bool = False
    max_tools: int | None = None


FAMILIES: Final = {
    "gpt-oss": Family(one_call=True),
    "llama": Family(one_call=True, alternates=True, max_tools=32),
    "gemini": Family(plain_schemas=True),
}
_PLAIN: Final = Family()


def history_for_family(history: list[ChatMessage], traits: ModelTraits, rules: Rules) -> list[ChatMessage]:
    """Return the messages in the order the family takes them in; no system message is among them."""
    family = FAMILIES.get(traits.family, _PLAIN)
    if family.one_call:
        history = _with_single_calls(history, rules)
    if family.alternates:
        history = _with_answered_results(history, rules)
    return history


def tools_for_family(tools: list[ChatTool], traits: ModelTraits, rules: Rules) -> list[ChatTool]:
    """Return the tools with schemas that the family takes."""
    family = FAMILIES.get(traits.family, _PLAIN)
    if family.max_tools is not None and len(tools) > family.max_tools:
        rules.add(RequestRule.MORE_TOOLS_THAN_DOCUMENTED)
    if family.plain_schemas:
        return [_with_plain_schema(tool, rules) for tool in tools]
    return tools


def _with_single_calls(history: list[ChatMessage], rules: Rules) -> list[ChatMessage]:
    """Return the history with each call in a message of its own, directly before its result.

    The first of them keeps the text. Every call has its result in the messages that follow (chat_results.py).
    """
    results = {message["tool_call_id"]: message for message in history if message["role"] == "tool"}
    split: list[ChatMessage] = []
    for message in history:
        calls = message.get("tool_calls", [])
        if len(calls) > 1:
            rules.add(RequestRule.PARALLEL_CALLS_SPLIT)
        if message["role"] == "tool":
            continue
        if not calls:
            split.append(message)
        for index, call in enumerate(calls):
            single: ChatMessage = message.copy() if index == 0 else {"role": "assistant"}
            single["tool_calls"] = [call]
            split += [single, results[call["id"]]]
    return split


def _with_answered_results(history: list[ChatMessage], rules: Rules) -> list[ChatMessage]:
    """Return the history with an assistant message between tool messages and a user message."""
    answered: list[ChatMessage] = []
    for message in history:
        if message["role"] == "user" and answered and answered[-1]["role"] == "tool":
            rules.add(RequestRule.ASSISTANT_TURN_FILLED)
            answered.append({"role": "assistant", "content": FILLER})
        answered.append(message)
    return answered


def _with_plain_schema(tool: ChatTool, rules: Rules) -> ChatTool:
    schema = plain_schema(tool["function"]["parameters"], rules)
    function = tool["function"].copy()
    if schema is None:
        del function["parameters"]
    else:
        function["parameters"] = schema
    return {**tool, "function": function}
