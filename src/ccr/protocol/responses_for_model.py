"""What the model of a route takes of a chat that was a Responses request; the rules are the Messages API's.

Claude on Databricks takes thinking in parameters of its own and refuses others, has an own idea of sampling
beside thinking, and cuts an answer after 1,000 tokens where no limit is named (databricks.md §0, §2).
So ``reasoning.effort`` becomes what an effort is on ``/v1/messages`` (chat_thinking.py, chat_options.py), and
thinking of the history goes to whom it can be of use. Other models get ``reasoning_effort`` as it is, and a
history and schemas as their family takes them (chat_families.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from ccr.protocol.anthropic import MessagesRequest, OutputConfig, Thinking
from ccr.protocol.chat_content import content_from_parts, text_part
from ccr.protocol.chat_families import history_for_family, tools_for_family
from ccr.protocol.chat_options import add_sampling, effort_from_request, max_tokens_from_request
from ccr.protocol.chat_thinking import (
    BUDGET_OF_EFFORT,
    DEFAULT_BUDGET_TOKENS,
    history_without_thinking,
    thinking_from_request,
)
from ccr.protocol.chat_tools import ONE_TOOL_AT_A_TIME
from ccr.protocol.chat_turns import FILLER
from ccr.protocol.request_rules import RequestRule
from ccr.protocol.responses_caching import with_cache_marks
from ccr.protocol.responses_for_claude import (
    fit_for_workspace,
    with_note,
    with_readable_arguments,
    without_blank_texts,
)
from ccr.protocol.responses_rules import ResponsesRule, ResponsesRules

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ChatRequest, ContentPart
    from ccr.protocol.traits import ModelTraits

CLAUDE: Final = "claude"
_EFFORTS: Final[dict[str | None, str]] = {"minimal": "low"}
"""Efforts of OpenAI's that Claude has no word for."""


def chat_for_model(
    chat: ChatRequest, *, is_summary_wanted: bool, traits: ModelTraits, is_workspace: bool = True
) -> tuple[ChatRequest, tuple[str, ...]]:
    """Return the chat request for a model, and the names of the rules applied; ``chat`` stays as it is.

    is_workspace: the provider is Databricks, which counts the tokens of a stream unasked, and is strict.
    """
    rules = ResponsesRules()
    made: dict[str, Any] = {**chat, "messages": _history(chat["messages"], traits, rules)}
    if traits.family != CLAUDE:
        made["messages"] = history_for_family(made["messages"], traits, rules)
        if "tools" in made:
            made["tools"] = tools_for_family(made["tools"], traits, rules)
    if made.get("stream") and not is_workspace:
        made["stream_options"] = {"include_usage": True}
    request = MessagesRequest(
        chat["model"],
        [],
        max_tokens=chat.get("max_tokens"),
        temperature=chat.get("temperature"),
        top_p=chat.get("top_p"),
    )
    max_tokens = max_tokens_from_request(request, traits, rules)
    if max_tokens is not None:
        made["max_tokens"] = max_tokens
    if traits.family == CLAUDE:
        effort = chat.get("reasoning_effort")
        request.thinking = _thinking(effort, max_tokens, traits, rules, is_shown=is_summary_wanted)
        if effort not in (None, "none") and traits.takes_effort:
            if effort in _EFFORTS:
                rules.add(RequestRule.EFFORT_REPLACED)
            request.output_config = OutputConfig(effort=_EFFORTS.get(effort, effort))
        _add_thinking(made, request, traits, rules)
        if made.pop("parallel_tool_calls", None) is False:
            rules.add(RequestRule.PARALLEL_TOOL_USE_AS_INSTRUCTION)
            made["messages"] = with_note(made["messages"], ONE_TOOL_AT_A_TIME)
        if is_workspace:
            fit_for_workspace(made, rules)
        if traits.takes_cache_control:
            made["messages"] = with_cache_marks(made["messages"], has_tools="tools" in made, rules=rules)
    return cast("ChatRequest", made), rules.names()


def _thinking(
    effort: str | None, max_tokens: int | None, traits: ModelTraits, rules: ResponsesRules, *, is_shown: bool
) -> Thinking | None:
    """Return what an effort asks for in the Messages API; a budget is half of the answer's tokens at most."""
    if effort == "none":
        return Thinking("disabled")
    if effort is None and not (is_shown and traits.always_thinks):
        return None
    if "budget" not in traits.thinking or "adaptive" in traits.thinking:
        is_told = is_shown and "adaptive" in traits.thinking
        return Thinking("adaptive", display="summarized" if is_told else None)
    rules.add(ResponsesRule.EFFORT_AS_BUDGET)
    budget = BUDGET_OF_EFFORT.get(_EFFORTS.get(effort or "", effort or ""), DEFAULT_BUDGET_TOKENS)
    return Thinking("enabled", budget if max_tokens is None else min(budget, max_tokens // 2))


def _add_thinking(
    made: dict[str, Any], request: MessagesRequest, traits: ModelTraits, rules: ResponsesRules
) -> None:
    """Put Claude's parameters in place of OpenAI's, as far as the history and the model allow it."""
    for name in ("reasoning_effort", "temperature", "top_p"):
        made.pop(name, None)
    thinking = thinking_from_request(request, made["messages"], made.get("max_tokens"), traits, rules)
    is_thinking = thinking is not None or traits.always_thinks
    if thinking is not None:
        made["thinking"] = thinking
    if not is_thinking:
        made["messages"] = history_without_thinking(made["messages"], rules)
    effort = effort_from_request(request, traits, rules)
    if effort is not None:
        made["output_config"] = {"effort": effort}
    add_sampling(cast("ChatRequest", made), request, traits, is_thinking=is_thinking, rules=rules)
    if is_thinking and made.get("tool_choice", "auto") not in ("auto", "none"):
        rules.add(RequestRule.FORCED_TOOL_CHOICE_AS_AUTO)
        made["tool_choice"] = "auto"


# -- the history


def _history(messages: list[ChatMessage], traits: ModelTraits, rules: ResponsesRules) -> list[ChatMessage]:
    """Return the messages with what the model takes of them; none that says nothing then."""
    kept: list[ChatMessage] = []
    for message in messages:
        made = _message(message, traits, rules)
        if traits.family == CLAUDE:
            made = with_readable_arguments(without_blank_texts(made, rules), rules)
        content = made.get("content")
        if "tool_calls" in made or (isinstance(content, str) and content):
            kept.append(made)
        elif not content:
            rules.add(RequestRule.EMPTY_MESSAGE_DROPPED)
        elif _is_thinking_alone(content):
            rules.add(RequestRule.THINKING_ONLY_MESSAGE_DROPPED)
        else:
            kept.append(made)
    start = int(bool(kept) and kept[0]["role"] == "system")
    begins_odd = traits.family == CLAUDE and kept[start:] and kept[start]["role"] == "assistant"
    if begins_odd or not kept[start:]:
        rules.add(RequestRule.USER_TURN_FILLED)
        kept.insert(start, {"role": "user", "content": FILLER})
    if traits.family == CLAUDE and kept[-1]["role"] == "assistant" != messages[-1]["role"]:
        rules.add(RequestRule.USER_TURN_FILLED)
        kept.append({"role": "user", "content": FILLER})
    return kept


def _is_thinking_alone(parts: list[ContentPart]) -> bool:
    return all(part["type"] == "reasoning" for part in parts)


def _message(message: ChatMessage, traits: ModelTraits, rules: ResponsesRules) -> ChatMessage:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    thoughts = [part for part in content if part["type"] == "reasoning" and _is_taken(part, traits, rules)]
    made = message.copy()
    parts = [
        part if part["type"] == "reasoning" else _part(part, traits, rules)
        for part in content
        if part["type"] != "reasoning" or (traits.family == CLAUDE and part in thoughts)
    ]
    if thoughts and traits.family != CLAUDE:
        entries = [entry for part in thoughts for entry in part["summary"]]
        text = "\n\n".join(entry["text"] for entry in entries)
        made["thinking"] = {"content": text, "signature": entries[-1]["signature"]}
    made["content"] = content_from_parts(parts, traits) if parts else None
    if made["content"] is None:
        del made["content"]
    return made


def _is_taken(part: ContentPart, traits: ModelTraits, rules: ResponsesRules) -> bool:
    """Tell whether a model, or a transformer before it, takes a piece of thinking of the history."""
    (entry,) = part["summary"]
    is_claude = traits.family == CLAUDE and bool(traits.thinking)
    if not is_claude:
        if entry.get("text") and "history" in traits.handled and traits.family != CLAUDE:
            return True
        rules.add(RequestRule.THINKING_HISTORY_DROPPED)
        return False
    if not (entry.get("signature") or entry.get("data")):
        rules.add(RequestRule.UNSIGNED_THINKING_DROPPED)
        return False
    return True


def _part(part: ContentPart, traits: ModelTraits, rules: ResponsesRules) -> ContentPart:
    """Return a part as the model takes it; a note in place of what it takes not at all."""
    if part["type"] == "image_url":
        if not traits.takes_images:
            rules.add(RequestRule.IMAGE_AS_NOTE)
            return text_part("[image left out, the model takes no images]")
        if "detail" in part["image_url"] and traits.family == CLAUDE:
            rules.add(ResponsesRule.IMAGE_DETAIL_DROPPED)
            return {"type": "image_url", "image_url": {"url": part["image_url"]["url"]}}
    if part["type"] == "file" and not traits.takes_documents:
        rules.add(RequestRule.DOCUMENT_AS_NOTE)
        return text_part(f"[document: {part['file']['filename']}]\n[left out, the model takes no documents]")
    return part
