"""``tooluse``: for models that talk about tools instead of calling them: they must call one, or leave by one.

``ExitTool`` is that one. Its only argument is what the model wants to say, and comes to the client as the
text it is, while it is written.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, cast

from ccr.transformers.base import Transformer
from ccr.transformers.choices import ByChoice, Choice, ChoiceStep
from ccr.transformers.enhancetool import arguments_text
from ccr.transformers.json_repair import repaired_object
from ccr.transformers.options import Options
from ccr.transformers.reminders import with_reminder
from ccr.transformers.rules import StepRule
from ccr.transformers.thinking import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.protocol.openai import ChatRequest
    from ccr.transformers.base import ChunkStep, Completion, Context

EXIT_TOOL: Final = "ExitTool"
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": EXIT_TOOL,
        "description": (
            "Say something to the user without calling another tool. Only for when the task is done, when "
            "you need to ask something, or when none of the other tools can help."
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "response": {"type": "string", "description": "The text. The user reads it exactly as it is."}
            },
            "required": ["response"],
        },
    },
}
REMINDER: Final = (
    "You are working with tools: each of your messages has to call one. Choose the tool that brings the task "
    f"forward. If none does, or the task is done, call `{EXIT_TOOL}` with what you want to say."
)
_START: Final = re.compile(r'\s*\{\s*"response"\s*:\s*"')
_MAX_START_CHARS: Final = 200
_WHOLE: Final = re.compile(r'(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_OPEN_ESCAPE: Final = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_HIGH_HALF: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_HALF: Final = re.compile("[\ud800-\udfff]")


class ToolUse(Transformer):
    """No options."""

    name = "tooluse"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        Options(self.name, options)

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        """Return the request with the tool and the obligation; one that says how to choose stays as it is.

        While a model thinks it cannot be forced to call a tool (Anthropic's and others' rule): then the
        reminder alone has to do.
        """
        tools = chat.get("tools")
        if not tools or plain(chat.get("tool_choice")) not in (None, "auto"):
            return chat
        if any(cast("Any", tool) == _TOOL for tool in tools):
            return chat  # named twice in the configuration
        changed = {**with_reminder(chat, REMINDER), "tools": [*tools, _TOOL]}
        if _is_thinking(chat):
            context.note(StepRule.TOOL_CHOICE_AS_REMINDER)
        else:
            context.note(StepRule.TOOL_CHOICE_REQUIRED)
            changed["tool_choice"] = "required"
        return cast("ChatRequest", changed)

    def completion(self, completion: Completion, context: Context) -> Completion:
        """Return the answer with what the model said through the tool as its text."""
        choices = completion.get("choices")
        if not isinstance(choices, list):
            return completion
        left = [_left(choice) for choice in choices]
        if any(new is not old for new, old in zip(left, choices, strict=True)):
            context.note(StepRule.EXIT_TOOL_AS_TEXT)
        return {**completion, "choices": left}

    def stream(self, context: Context) -> ChunkStep:
        """Return what does the same with a stream."""
        return ByChoice(lambda index: ExitStep(index, context))


def _is_thinking(chat: ChatRequest) -> bool:
    thinking = plain(chat.get("thinking"))
    return isinstance(thinking, dict) and thinking.get("type") != "disabled"


def _left(choice: Any) -> Any:
    message = choice.get("message") if isinstance(choice, dict) else None
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(calls, list):
        return choice
    others = [call for call in calls if not _is_exit(call)]
    if len(others) == len(calls):
        return choice
    said = [_said(call) for call in calls if _is_exit(call)]
    message = {key: value for key, value in message.items() if key != "tool_calls"}
    message["content"] = _with_said(message.get("content"), said)
    if others:
        return {**choice, "message": {**message, "tool_calls": others}}
    finish_reason = choice.get("finish_reason")
    finish_reason = "stop" if finish_reason == "tool_calls" else finish_reason
    return {**choice, "message": message, "finish_reason": finish_reason}


def _is_exit(call: Any) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    return isinstance(function, dict) and function.get("name") == EXIT_TOOL


def _said(call: Mapping[str, Any]) -> str:
    said = Said()
    return said.feed(arguments_text(call["function"])) + said.end()


def _with_said(content: Any, said: list[str]) -> Any:
    if isinstance(content, list):
        return [*content, *({"type": "text", "text": text} for text in said)]
    return "\n\n".join(text for text in (content, *said) if text)


class ExitStep(ChoiceStep):
    """One choice of a stream."""

    def __init__(self, index: int, context: Context) -> None:
        super().__init__(index)
        self._context = context
        self._exits: dict[object, Said] = {}
        self._last: object = None
        self._has_text = False
        self._has_left = False
        self._has_others = False

    def choice(self, choice: Choice) -> list[Choice]:
        """Return the choice with what is said through the tool as content."""
        delta = choice["delta"]
        calls = delta.get("tool_calls") or []
        content = delta.get("content")
        self._has_text = self._has_text or bool(content)
        taken = [(call, self._exit_of(call)) for call in calls]
        text = "".join(self._text(call, said) for call, said in taken if said is not None)
        if choice.get("finish_reason"):
            text += self._ends()
        others = [call for call, said in taken if said is None]
        self._has_others = self._has_others or bool(others)
        self._has_text = self._has_text or bool(text)
        if len(others) == len(calls) and not text:
            return [self._finished(choice)]
        made = {key: value for key, value in delta.items() if key != "tool_calls"}
        if others:
            made["tool_calls"] = others
        if text and content and not isinstance(content, str):
            made["content"] = [*content, {"type": "text", "text": text}]
        elif text:
            made["content"] = (content or "") + text
        return [self._finished({**choice, "delta": made})] if made or choice.get("finish_reason") else []

    def end(self) -> list[Choice]:
        """Return the rest of what is said."""
        text = self._ends()
        return [{"index": self.index, "delta": {"content": text}, "finish_reason": None}] if text else []

    def _exit_of(self, call: Any) -> Said | None:
        """Return what a fragment goes on with, None when it is not of the tool."""
        if not isinstance(call, dict):
            return None
        key = call.get("index")
        key = (call.get("id") or self._last) if key is None else key
        self._last = key
        function = call.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if name == EXIT_TOOL and key not in self._exits:
            self._exits[key] = Said(after_text=self._has_text)
            self._has_left = True
            self._context.note(StepRule.EXIT_TOOL_AS_TEXT)
        elif name and name != EXIT_TOOL:
            self._exits.pop(key, None)
        return self._exits.get(key)

    def _text(self, call: Mapping[str, Any], said: Said) -> str:
        function = call.get("function")
        return said.feed(arguments_text(function)) if isinstance(function, dict) else ""

    def _ends(self) -> str:
        return "".join(said.end() for said in self._exits.values())

    def _finished(self, choice: Choice) -> Choice:
        if self._has_left and not self._has_others and choice.get("finish_reason") == "tool_calls":
            return {**choice, "finish_reason": "stop"}
        return choice


class Said:
    """The text in the arguments of the tool, which come in fragments. after_text: other text came before."""

    def __init__(self, *, after_text: bool = False) -> None:
        self._break = "\n\n" if after_text else ""
        self._held = ""
        self._is_inside = False
        self._is_over = False

    def feed(self, fragment: str) -> str:
        """Return what the fragment adds to the text."""
        if self._is_over:
            return ""
        self._held += fragment
        if not self._is_inside:
            start = _START.match(self._held[:_MAX_START_CHARS])
            if start is None:
                return ""
            self._is_inside = True
            self._held = self._held[start.end() :]
        return self._after_break(self._inside())

    def end(self) -> str:
        """Return what of the text is still held: all of it when the arguments are not in the usual form."""
        if self._is_over:
            return ""
        self._is_over = True
        text = self._held if self._is_inside else _response_in(self._held)
        return self._after_break(text)

    def _inside(self) -> str:
        pieces = []
        while self._held and not self._is_over:
            match = _WHOLE.match(self._held)
            end = match.end() if match is not None else 0
            half = _HIGH_HALF.search(self._held, max(0, end - 6), end)
            if half is not None and _may_go_on(self._held[end:]):
                end = half.start()
            pieces.append(_unescaped(self._held[:end]))
            self._held = self._held[end:]
            if self._held[:1] == '"':
                self._is_over = True
            elif _OPEN_ESCAPE.match(self._held) or _HIGH_HALF.match(self._held[:6]):
                break
            elif self._held:  # an escape that JSON does not know
                pieces.append(self._held[0])
                self._held = self._held[1:]
        return "".join(pieces)

    def _after_break(self, text: str) -> str:
        if not text:
            return ""
        before, self._break = self._break, ""
        return before + text


def _may_go_on(text: str) -> bool:
    """Whether what follows half a pair may yet become its other half."""
    return _OPEN_ESCAPE.fullmatch(text) is not None or not text


def _unescaped(piece: str) -> str:
    text: str = json.loads(f'"{piece}"', strict=False)
    return _HALF.sub("\ufffd", text)


def _response_in(arguments: str) -> str:
    repaired = repaired_object(arguments)
    response = json.loads(repaired).get("response") if repaired is not None else None
    if isinstance(response, str):
        return _HALF.sub("\ufffd", response)
    return "" if arguments.strip() in ("", "{}", "null") else arguments
