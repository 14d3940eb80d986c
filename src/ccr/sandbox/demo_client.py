"""The demo's own small client, for machines without Claude Code: it streams, and runs one tool itself.

Standard library only, and it trusts nothing of ccr: what it understood is what any client would understand.
"""

from __future__ import annotations

import http.client
import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

MAX_TURNS = 5
TIMEOUT_S = 60.0
USAGE_NAMES = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
TOOL = {
    "name": "Bash",
    "description": "Run a command in a shell and return what it prints.",
    "input_schema": {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
    },
}


class DemoError(Exception):
    """Something is not as it should be; the text says what."""


@dataclass
class Conversation:
    """What was said: lines of (who, text), the model's last text, and the usage of all turns together."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    result: str = ""
    usage: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USAGE_NAMES, 0))

    def add_usage(self, usage: dict[str, Any]) -> None:
        """Add the usage of one turn."""
        for name in USAGE_NAMES:
            self.usage[name] += usage.get(name) or 0

    def add_block(self, block: dict[str, Any]) -> None:
        """Note a block of an assistant's message."""
        if block["type"] == "thinking" and block["thinking"]:
            self.lines.append(("thinking", block["thinking"]))
        elif block["type"] == "text":
            self.lines.append(("model", block["text"]))
            self.result = block["text"]
        elif block["type"] == "tool_use":
            self.lines.append((block["name"], str(block["input"].get("command", block["input"]))))


def converse(address: str, key: str, model: str, prompt: str, folder: Path) -> Conversation:
    """Hold one conversation, tools included; commands run in ``folder``. Raises DemoError."""
    conversation = Conversation()
    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    for _ in range(MAX_TURNS):
        body = {
            "model": model,
            "max_tokens": 8_000,
            "messages": messages,
            "tools": [TOOL],
            "thinking": {"type": "enabled", "budget_tokens": 2_000},
            "stream": True,
        }
        message = message_from_events(events_of(address, key, body))
        conversation.add_usage(message["usage"])
        for block in message["content"]:
            conversation.add_block(block)
        calls = [block for block in message["content"] if block["type"] == "tool_use"]
        if not calls:
            return conversation
        results = [_result_of(call, folder) for call in calls]
        conversation.lines += [("result", result["content"].rstrip()) for result in results]
        messages += [
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": results},
        ]
    raise DemoError(f"the conversation did not end within {MAX_TURNS} turns")


def events_of(address: str, key: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Post a messages request and return the events of its stream. Raises DemoError."""
    host = urlsplit(address)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=TIMEOUT_S)
    headers = {"x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01"}
    try:
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise DemoError(f"{address}: {error!r}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise DemoError(f"{address} answered {response.status}: {text[:500]}")
    datas = [line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:")]
    try:
        return [json.loads(data) for data in datas]
    except ValueError as error:
        raise DemoError(f"{address} sent an event that is no JSON") from error


def message_from_events(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message a stream told: content, stop reason, usage. Raises DemoError when it broke off."""
    content: list[dict[str, Any]] = []
    texts: list[str] = []
    ended: dict[str, Any] = {}
    for event in events:
        if event["type"] == "error":
            raise DemoError(f"the stream told an error: {event['error']}")
        if event["type"] == "content_block_start":
            content.append(dict(event["content_block"]))
            texts = []
        elif event["type"] == "content_block_delta":
            _apply(event["delta"], content[event["index"]], texts)
        elif event["type"] == "content_block_stop" and content[event["index"]]["type"] == "tool_use":
            content[event["index"]]["input"] = json.loads("".join(texts) or "{}")
        elif event["type"] == "message_delta":
            ended = event
    if not ended or events[-1]["type"] != "message_stop":
        raise DemoError("the stream ended before the message did")
    return {"content": content, "stop_reason": ended["delta"]["stop_reason"], "usage": ended["usage"]}


def _apply(delta: dict[str, Any], block: dict[str, Any], texts: list[str]) -> None:
    kind, value = next((name, text) for name, text in delta.items() if name != "type")
    if kind == "partial_json":
        texts.append(value)
    else:
        block[kind] = block.get(kind, "") + value


def _result_of(call: dict[str, Any], folder: Path) -> dict[str, Any]:
    command = ["/bin/sh", "-c", call["input"]["command"]]
    done = subprocess.run(  # noqa: S603 - the command is the demo's own script's
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return {
        "type": "tool_result",
        "tool_use_id": call["id"],
        "content": done.stdout + done.stderr,
        "is_error": done.returncode != 0,
    }
