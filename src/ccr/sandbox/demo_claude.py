"""The demo's conversation held by the published client, started the way a person starts it: ``ccr code``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccr.sandbox.demo_client import Conversation, DemoError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT_S = 120.0
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


def claude_in(environ: Mapping[str, str]) -> str | None:
    """Return the path of the client: ``CLAUDE_PATH``, else what PATH holds; None when it is not installed."""
    chosen = environ.get("CLAUDE_PATH")
    if chosen:
        path = Path(chosen).expanduser().absolute()
        return str(path) if path.is_file() and os.access(path, os.X_OK) else None
    return shutil.which("claude", path=environ.get("PATH"))


def version_of(program: str, environ: Mapping[str, str]) -> str:
    """Return the client's version, without the name it puts behind; "" when it does not say."""
    done = _run([program, "--version"], dict(environ), None)
    return done.stdout.strip().partition("\n")[0].partition(" (")[0]


def converse_with_claude(
    ccr: Sequence[str], environ: Mapping[str, str], home: Path, prompt: str, folder: Path
) -> Conversation:
    """Hold one conversation with the client, away from the person's files. Raises DemoError.

    ccr: the command line of ccr. home: the service's home (CCR_HOME). folder: where the client works; its own
    home is beside it.
    """
    variables = {name: environ[name] for name in KEPT if name in environ} | {
        "HOME": str(folder.parent / "client-home"),
        "CCR_HOME": str(home),
        "IS_SANDBOX": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }
    arguments = [
        "code",
        "-p",
        prompt,
        "--output-format",
        "stream-json",
        "--verbose",
        "--dangerously-skip-permissions",
    ]
    done = _run([*ccr, *arguments], variables, folder)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return conversation_from(events, done.returncode, done.stderr)


def conversation_from(events: list[dict[str, Any]], exit_code: int, stderr: str) -> Conversation:
    """Return what the client's printed events tell. Raises DemoError when it did not end well."""
    conversation = Conversation()
    result: dict[str, Any] = {}
    for event in events:
        content = event["message"]["content"] if event.get("type") in {"assistant", "user"} else []
        for block in content if isinstance(content, list) else []:
            if block["type"] == "tool_result":
                conversation.lines.append(("result", _text_of(block.get("content"))))
            else:
                conversation.add_block(block)
        if event.get("type") == "result":
            result = event
    if exit_code or not result or result.get("is_error"):
        said = result.get("result") or stderr.strip() or "nothing"
        raise DemoError(f"claude ended with exit code {exit_code} and said: {said[:1000]}")
    conversation.result = result["result"]
    conversation.add_usage(result["usage"])
    return conversation


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content).rstrip()
    return str(content or "").rstrip()


def _run(
    command: list[str], environ: dict[str, str], folder: Path | None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - ccr itself, and the client the person installed
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{command[0]} did not end within {TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise DemoError(f"{command[0]} cannot be run: {error.strerror}") from error
