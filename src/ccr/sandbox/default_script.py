"""The script of a sandbox that was given none: it echoes, and calls one tool if offered Bash or Read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ccr.sandbox.script import Script, ToolCall, Turn

if TYPE_CHECKING:
    from ccr.sandbox.view import RequestView

COMMAND = "echo hello from the sandbox"
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)


def default_script() -> Script:
    """Return the built-in script, which never ends."""
    return Script(respond=respond)


def respond(view: RequestView) -> Turn:
    """Answer one request: a tool call first, then a text that shows what came of it."""
    if view.results:
        return Turn(
            thinking="The tool has answered.", text=f"The tool answered: {view.results[-1].strip()[:500]}"
        )
    prompt = prompt_of(view)
    text = f"Hello from the sandbox. You wrote: {prompt[:200]}"
    if "Bash" in view.tools:
        call = ToolCall("Bash", {"command": COMMAND, "description": "Say hello"})
        return Turn(thinking="A command will show that tools work.", text=text, tools=[call])
    if "Read" in view.tools:
        return Turn(text=text, tools=[ToolCall("Read", {"file_path": "/etc/hostname"})])
    return Turn(thinking="A friendly word will do.", text=text)


def prompt_of(view: RequestView) -> str:
    """Return the last thing the user wrote, without the client's reminders."""
    written = (_REMINDER.sub("", text).strip() for text in reversed(view.user_texts))
    return next((text for text in written if text), "nothing")
