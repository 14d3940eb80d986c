"""``groq``: without the keys Groq refuses (``cache_control``, ``$schema``), with usable ids of tool calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Raw

from ccr.transformers.base import Transformer
from ccr.transformers.choices import ByChoice
from ccr.transformers.databricks import cache_control_handled
from ccr.transformers.options import Options
from ccr.transformers.rules import StepRule, noted
from ccr.transformers.tool_ids import IdStep, with_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest, ChatTool
    from ccr.transformers.base import ChunkStep, Completion, Context

_KEYS = msgspec.json.Decoder(dict[str, Raw])


class Groq(Transformer):
    """No options."""

    name = "groq"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request without what is refused."""
        chat = noted(chat, cache_control_handled(chat, "strip"), context, StepRule.CACHE_CONTROL_DROPPED)
        tools = [_without_dialect(tool) for tool in chat.get("tools", [])]
        if all(new is old for new, old in zip(tools, chat.get("tools", []), strict=True)):
            return chat
        context.note(StepRule.SCHEMA_DIALECT_DROPPED)
        return cast("ChatRequest", {**chat, "tools": tools})

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the answer with usable ids."""
        return with_ids(completion, context, repairs_finish=False)

    def stream(self, context: Context) -> ChunkStep:
        """Return what does the same with a stream."""
        return ByChoice(lambda index: IdStep(index, context, repairs_finish=False))


def _without_dialect(tool: ChatTool) -> ChatTool:
    """Return the tool without ``$schema``; the rest of the schema stays the client's bytes."""
    function = _object(cast("Any", tool).get("function"))
    parameters = _object(function.get("parameters"))
    if "$schema" not in parameters:
        return tool
    schema = {key: value for key, value in parameters.items() if key != "$schema"}
    return cast("ChatTool", {**tool, "function": {**function, "parameters": schema}})


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, Raw):
        return _KEYS.decode(value) if bytes(value).lstrip().startswith(b"{") else {}
    return value if isinstance(value, dict) else {}
