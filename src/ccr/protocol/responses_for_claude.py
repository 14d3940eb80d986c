"""What Claude refuses of a chat that was a Responses request, beyond thinking and sampling.

    anywhere               blank texts; arguments of earlier calls that are no JSON object
    on Databricks alone    parameters of OpenAI's own service, ``response_format``, ``strict`` of a function,
                           system messages after the first (databricks.md §2)

The transformer ``databricks-custom`` does the same for chat requests of clients; here it is done whatever the
steps of the provider are, as on ``/v1/messages``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccr.protocol.chat_content import is_blank
from ccr.protocol.chat_options import json_instruction
from ccr.protocol.chat_turns import REMINDER_CLOSE, REMINDER_OPEN
from ccr.protocol.completion import is_json_object
from ccr.protocol.request_rules import RequestRule
from ccr.protocol.responses_request import FOR_THE_PROVIDER
from ccr.protocol.responses_rules import ResponsesRule, ResponsesRules
from ccr.protocol.tool_calls import unparsed_input

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatTool, ToolCall

_OF_OPENAI: Final = (*FOR_THE_PROVIDER, "verbosity")
ANY_OBJECT: Final = (
    "Your final answer must be one JSON object, and nothing else: no introduction, no code fence."
)
_encode: Final = msgspec.json.Encoder().encode


def without_blank_texts(message: ChatMessage, rules: ResponsesRules) -> ChatMessage:
    """Return the message without texts of nothing; one that has only such has no content then."""
    content = message.get("content")
    if isinstance(content, str):
        kept: Any = "" if is_blank(content) else content
    else:
        kept = [part for part in content or () if part["type"] != "text" or not is_blank(part["text"])]
    if kept == content or content is None:
        return message
    rules.add(RequestRule.EMPTY_TEXT_DROPPED)
    return {**message, "content": kept}


def with_readable_arguments(message: ChatMessage, rules: ResponsesRules) -> ChatMessage:
    """Return the message with a JSON object as the arguments of each call: what cannot be read is in one."""
    calls = message.get("tool_calls")
    if not calls or all(is_json_object(call["function"]["arguments"]) for call in calls):
        return message
    rules.add(ResponsesRule.ARGUMENTS_REPLACED)
    return {**message, "tool_calls": [_readable(call) for call in calls]}


def _readable(call: ToolCall) -> ToolCall:
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    if is_json_object(arguments):
        return call
    text = "{}" if is_blank(arguments) else _encode(unparsed_input(arguments)).decode()
    return {**call, "function": {"name": name, "arguments": text}}


def fit_for_workspace(made: dict[str, Any], rules: ResponsesRules) -> None:
    """Take out of a request what Databricks' endpoint for Claude refuses; ``made`` is the caller's own."""
    for name in _OF_OPENAI:
        if made.pop(name, None) is not None:
            rules.add(ResponsesRule.OPENAI_PARAMETERS_DROPPED)
    wanted = made.pop("response_format", None)
    if wanted is not None:
        rules.add(RequestRule.JSON_FORMAT_AS_INSTRUCTION)
        made["messages"] = with_note(made["messages"], _instruction(wanted))
    if any("strict" in tool["function"] for tool in made.get("tools", ())):
        rules.add(RequestRule.TOOL_STRICT_DROPPED)
        made["tools"] = [_without_strict(tool) for tool in made["tools"]]
    messages = made["messages"]
    if any(message["role"] == "system" for message in messages[1:]):
        rules.add(RequestRule.SYSTEM_MESSAGE_FOLDED)
        made["messages"] = [*messages[:1], *map(_as_reminder, messages[1:])]


def with_note(messages: list[ChatMessage], note: str) -> list[ChatMessage]:
    """Return the messages with a sentence at the end of the first system message."""
    if messages and messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{messages[0]['content']}\n\n{note}"}, *messages[1:]]
    return [{"role": "system", "content": note}, *messages]


def _instruction(wanted: dict[str, Any]) -> str:
    if wanted["type"] == "json_object":
        return ANY_OBJECT
    described = msgspec.json.decode(wanted["json_schema"], type=dict[str, msgspec.Raw])
    return json_instruction(bytes(described["schema"]).decode())


def _without_strict(tool: ChatTool) -> ChatTool:
    function: Any = {key: value for key, value in tool["function"].items() if key != "strict"}
    return {**tool, "function": function}


def _as_reminder(message: ChatMessage) -> ChatMessage:
    if message["role"] != "system":
        return message
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "\n\n".join(part["text"] for part in content)
    return {"role": "user", "content": f"{REMINDER_OPEN}\n{text}\n{REMINDER_CLOSE}"}
