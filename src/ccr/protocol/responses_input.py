"""The items of a Responses input as the messages of a chat.

    reasoning*, message of the assistant*, call*    one assistant message: thinking, what it says, its calls
    outputs of these calls                          tool messages, right behind it, whatever comes between
    message of the user                             user message
    message of system or developer                  system message

Thinking becomes parts of the type ``reasoning``, as Databricks gives and takes them; responses_for_model.py
decides which model gets them. What only OpenAI's own tools write into a history becomes a text. An item that
is not known is refused: nothing of a conversation is left out in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from ccr.protocol.chat_content import is_blank, text_part
from ccr.protocol.chat_results import NO_OUTPUT
from ccr.protocol.request_rules import RequestRule
from ccr.protocol.responses_reasoning import summary_from_encrypted
from ccr.protocol.responses_request import HISTORY, refuse
from ccr.protocol.responses_rules import ResponsesRule, ResponsesRules
from ccr.protocol.responses_tools import INPUT, function_name

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatMessage, ContentPart, Summary, ToolCall
    from ccr.protocol.responses_request import Item

_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_SYSTEM: Final = frozenset({"system", "developer"})
_ROLES: Final = frozenset({"user", "assistant"}) | _SYSTEM
_OF_HOSTED_TOOLS: Final = frozenset(
    {"web_search_call", "file_search_call", "computer_call", "image_generation_call", "code_interpreter_call"}
    | {"local_shell_call", "shell_call", "apply_patch_call", "tool_search_call"}
    | {"mcp_list_tools", "mcp_call", "mcp_approval_request"}
)
_OUTPUTS_OF_HOSTED_TOOLS: Final = frozenset(
    {"computer_call_output", "local_shell_call_output", "shell_call_output", "apply_patch_call_output"}
    | {"tool_search_output", "mcp_approval_response"}
)
_REFUSED: Final = {
    "item_reference": f"{HISTORY}, with the item itself in place of a reference to it.",
    "compaction": "only OpenAI's service can read what it has compacted: send the history itself.",
    "compaction_summary": "only OpenAI's service can read what it has compacted: send the history itself.",
}
_FILES: Final = "ccr keeps no files: send what is in it, as `{}`."
_KINDS: Final = {"image_url": "image", "input_audio": "audio"}
_encode: Final = msgspec.json.Encoder().encode


def messages_from_items(items: list[Item], rules: ResponsesRules) -> list[ChatMessage]:
    """Return the messages of an input. Raises RequestError (400) that names the item at fault."""
    history = _History(rules)
    for index, item in enumerate(items):
        history.add(item, f"input.{index}")
    return history.messages()


class _Calls:
    """The calls of one assistant message, and their outputs, which have to follow it."""

    def __init__(self, message: ChatMessage) -> None:
        self.message = message
        self.outputs: dict[str, ChatMessage | None] = {}
        self.places: dict[str, str] = {}
        self.lifted: list[ContentPart] = []


class _History:
    """The messages of a conversation so far, with the outputs of calls kept at their calls."""

    def __init__(self, rules: ResponsesRules) -> None:
        self._rules = rules
        self._turns: list[_Calls] = []
        self._is_assistants = False
        self._call_of: dict[str, _Calls] = {}

    def add(self, item: Item, where: str) -> None:
        """Take one item."""
        kind = item.get("type", "message" if "role" in item else None)
        if not isinstance(kind, str):
            refuse(f"{where}.type", "Field required")
        if kind == "message":
            self._add_message(item, where)
        elif kind == "reasoning":
            self._add_reasoning(item, where)
        elif kind in _CALLS:
            self._add_call(item, kind == "custom_tool_call", where)
        elif kind in _OUTPUTS:
            self._add_output(item, where)
        elif kind in _OF_HOSTED_TOOLS or kind in _OUTPUTS_OF_HOSTED_TOOLS:
            self._rules.add(RequestRule.SERVER_TOOL_BLOCK_AS_TEXT)
            part = text_part(f"[{kind}] {_encode(item).decode()}")
            self._say("assistant" if kind in _OF_HOSTED_TOOLS else "user", [part])
        elif kind in _REFUSED:
            refuse(f"{where}.type", _REFUSED[kind])
        else:
            refuse(f"{where}.type", f"an item of the type {kind!r} is not known here")

    def messages(self) -> list[ChatMessage]:
        """Return all messages. Raises RequestError where a call has no output."""
        messages: list[ChatMessage] = []
        for turn in self._turns:
            messages.append(_finished(turn.message))
            for call_id, output in turn.outputs.items():
                if output is None:
                    refuse(turn.places[call_id], f"no output of the call `{call_id}` is in `input`")
                messages.append(output)
            if turn.lifted:
                messages.append({"role": "user", "content": turn.lifted})
        return messages

    # -- items

    def _add_message(self, item: Item, where: str) -> None:
        role = item.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            refuse(f"{where}.role", "Input should be 'user', 'assistant', 'system' or 'developer'")
        content = item.get("content")
        parts = self._parts(content, f"{where}.content")
        if role in _SYSTEM and any(part["type"] != "text" for part in parts):
            refuse(f"{where}.content", f"a message of the role {role} holds texts alone")
        self._say("system" if role in _SYSTEM else role, parts)

    def _add_reasoning(self, item: Item, where: str) -> None:
        """Add thinking: what was signed as it was, else the text of its summary."""
        sealed = item.get("encrypted_content")
        texts = self._parts(item.get("summary") or [], f"{where}.summary")
        texts += self._parts(item.get("content") or [], f"{where}.content")
        entry: Summary | None = None
        if isinstance(sealed, str) and sealed:
            entry = summary_from_encrypted(sealed)
            if entry is None:
                self._rules.add(ResponsesRule.FOREIGN_REASONING_DROPPED)
                return
        if entry is None:
            text = "\n\n".join(part["text"] for part in texts if part["type"] == "text")
            entry = {"type": "summary_text", "text": text, "signature": ""}
        self._say("assistant", [{"type": "reasoning", "summary": [entry]}])

    def _add_call(self, item: Item, is_custom: bool, where: str) -> None:
        call_id, name = _text(item, "call_id", where), _text(item, "name", where)
        namespace = item.get("namespace")
        arguments = _text(item, INPUT if is_custom else "arguments", where)
        if is_custom:
            arguments = _encode({INPUT: arguments}).decode()
        if call_id in self._call_of:
            refuse(f"{where}.call_id", f"the call `{call_id}` is in `input` twice")
        turn = self._turn("assistant")
        call: ToolCall = {
            "id": call_id,
            "type": "function",
            "function": {
                "name": function_name(name, namespace if isinstance(namespace, str) else None),
                "arguments": arguments,
            },
        }
        turn.message.setdefault("tool_calls", []).append(call)
        turn.outputs[call_id] = None
        turn.places[call_id] = where
        self._call_of[call_id] = turn

    def _add_output(self, item: Item, where: str) -> None:
        call_id = _text(item, "call_id", where)
        turn = self._call_of.get(call_id)
        if turn is None:
            refuse(f"{where}.call_id", f"no call `{call_id}` is in `input` before its output")
        if turn.outputs[call_id] is not None:
            refuse(f"{where}.call_id", f"the output of the call `{call_id}` is in `input` twice")
        parts = self._parts(item.get("output"), f"{where}.output")
        texts = [self._text_or_note(part, turn, call_id) for part in parts]
        texts = [part for part in texts if not is_blank(part["text"])]
        if not texts:
            self._rules.add(RequestRule.EMPTY_TOOL_RESULT_FILLED)
            texts = [text_part(NO_OUTPUT)]
        content = texts[0]["text"] if len(texts) == 1 else texts
        turn.outputs[call_id] = {"role": "tool", "tool_call_id": call_id, "content": content}
        self._is_assistants = False

    def _text_or_note(self, part: ContentPart, turn: _Calls, call_id: str) -> ContentPart:
        """Return a text as it is; a note where something else is, which tool messages cannot hold."""
        if part["type"] == "text":
            return part
        self._rules.add(RequestRule.TOOL_RESULT_ATTACHMENT_LIFTED)
        kind = _KINDS.get(part["type"], "document")
        turn.lifted += [text_part(f"[{kind} from the result of tool call {call_id}]"), part]
        return text_part(f"[{kind}: see the user message below]")

    # -- messages

    def _say(self, role: str, parts: list[ContentPart]) -> None:
        content: Any = self._turn(role).message.setdefault("content", [])
        content += parts

    def _turn(self, role: str) -> _Calls:
        """Return what a role's next words belong to: the assistant's last message, as long as it goes on."""
        if role == "assistant" and self._is_assistants:
            return self._turns[-1]
        self._is_assistants = role == "assistant"
        turn = _Calls({"role": role})
        self._turns.append(turn)
        return turn

    # -- content

    def _parts(self, content: object, where: str) -> list[ContentPart]:
        if isinstance(content, str):
            return [text_part(content)]
        if not isinstance(content, list):
            refuse(where, "Input should be a text or a list")
        return [self._part(part, f"{where}.{index}") for index, part in enumerate(content)]

    def _part(self, part: object, where: str) -> ContentPart:
        if not isinstance(part, dict):
            refuse(where, "Input should be an object")
        kind = part.get("type")
        if not isinstance(kind, str):
            refuse(f"{where}.type", "Field required")
        if kind in _TEXTS:
            return text_part(_text(part, "text", where))
        if kind == "refusal":
            return text_part(_text(part, "refusal", where))
        if kind == "input_image":
            return _image(part, where)
        if kind == "input_file":
            return _file(part, where)
        if kind != "input_audio":
            refuse(f"{where}.type", f"content of the type {kind!r} is not known here")
        audio: Any = {"type": kind, "input_audio": part.get("input_audio")}
        return cast("ContentPart", audio)


def _image(part: Item, where: str) -> ContentPart:
    url, detail = part.get("image_url"), part.get("detail")
    if not isinstance(url, str) or not url:
        refuse(f"{where}.image_url", _FILES.format("image_url") if part.get("file_id") else "Field required")
    image: Any = {"url": url}
    if isinstance(detail, str) and detail != "auto":
        image["detail"] = detail
    return {"type": "image_url", "image_url": image}


def _file(part: Item, where: str) -> ContentPart:
    data, name = part.get("file_data"), part.get("filename")
    if not isinstance(data, str) or not data:
        is_elsewhere = part.get("file_id") or part.get("file_url")
        refuse(f"{where}.file_data", _FILES.format("file_data") if is_elsewhere else "Field required")
    filename = name if isinstance(name, str) and name else "document.pdf"
    return {"type": "file", "file": {"filename": filename, "file_data": data}}


def _text(item: Item, key: str, where: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        refuse(f"{where}.{key}", "Field required" if value is None else "Input should be a text")
    return value


def _finished(message: ChatMessage) -> ChatMessage:
    """Return a message whose content is one text where it is nothing else."""
    content = message.get("content")
    if isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
        return {**message, "content": content[0]["text"]}
    return message
