"""Somebody who used the npm router until yesterday: a HOME with their folder in it, and their commands."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.dropin.providers import Providers

CCR = Path(sys.executable).with_name("ccr")
FOLDERS = Path(__file__).parent / "folders"
TEXTS = {".json", ".js", ".py", ".md"}
OURS = {
    *(".key", ".lock", "service.json", "plugin.log", "token-speed", "logs", "run", "service"),
    *("usage.sqlite", "usage.sqlite-wal", "usage.sqlite-shm", "usage.sqlite-journal"),
}
"""What ccr makes in the folder for itself."""
HOST = re.compile(r"https?://(?P<host>[a-z0-9.-]+)(?::\d+)?")


@dataclass
class Person:
    """home: their HOME; the folder of the router is in it. environ: variables of their shell."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)
    address: str = ""
    before: dict[str, tuple[bytes, int, int]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder that they had for the npm router."""
        return self.home / ".claude-code-router"

    def run(self, *arguments: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command as they do."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CCR_"))
        }
        # Their port is 3456, which somebody may have on this machine.
        environment = {**kept, "HOME": str(self.home), "SERVICE_PORT": "0", **self.environ, **extra}
        return subprocess.run(
            [str(CCR), *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self) -> str:
        """Start the service as they do, and return what was said."""
        done = self.run("start")
        assert done.returncode == 0, done.stdout + done.stderr
        self.address = json.loads(self.run("status", "--json").stdout)["address"]
        return done.stdout + done.stderr

    def client(self) -> anthropic.Anthropic:
        """Return the published client, with the key that `ccr code` would hand over."""
        key = self.run("key").stdout.strip()
        return anthropic.Anthropic(base_url=self.address, auth_token=key, api_key=None, max_retries=0)

    def files(self) -> dict[str, tuple[bytes, int, int]]:
        """Return path -> content, mode and time of every file of theirs."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            if path.is_file() and not OURS & set(name.parts):
                status = path.stat()
                found[str(name)] = (path.read_bytes(), status.st_mode, status.st_mtime_ns)
        return found


def person_with(
    folder: str,
    home: Path,
    url: str,
    *,
    instead: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = {},
) -> Person:
    """Make a person with a copy of a folder, in which every host is one of ``url``.

    instead: further texts to replace, before that.
    """

    def here(text: str) -> str:
        return HOST.sub(lambda found: found[0] if "127.0.0.1" in found[0] else f"{url}/{found['host']}", text)

    person = Person(home, {name: here(value) for name, value in environ.items()})
    shutil.copytree(FOLDERS / folder, person.folder)
    for path in [person.folder, *person.folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)  # as an ordinary umask leaves them
        if path.suffix in TEXTS:
            text = path.read_text()
            for old, new in (instead or {}).items():
                text = text.replace(old, new)
            text = here(text)
            path.write_text(text.replace("/home/user/", f"{home}/"))
    person.before = person.files()
    return person


@contextlib.contextmanager
def started(
    folder: str, home: Path, providers: Providers, environ: Mapping[str, str] = {}
) -> Iterator[tuple[Person, str]]:
    """Start the service on a copy of a folder, and stop it at the end. Yields what start said, too."""
    person = person_with(folder, home, providers.url, environ=environ)
    with serving(person) as said:
        yield person, said


@contextlib.contextmanager
def serving(person: Person) -> Iterator[str]:
    """Start the service, and stop it at the end; nothing of the folder may have been written."""
    try:
        yield person.start()
    finally:
        person.run("stop", "--now")
    assert person.files() == person.before, "ccr wrote a file of the person's"


def message(text: str = "hi", **changes: Any) -> dict[str, Any]:
    """Return a request as Claude Code makes them, with a turn of tools behind it."""
    mark = {"type": "ephemeral"}
    system = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli"},
        {"type": "text", "text": "You are a CLI.", "cache_control": mark},
        {"type": "text", "text": "Work in /home/user/code.", "cache_control": mark},
    ]
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
        "additionalProperties": False,
    }
    tool = {"name": "Bash", "description": "Run a command", "input_schema": schema, "cache_control": mark}
    session = "0b1e8a52-6d0f-4f0a-9a77-2f8f4c5d9e10"
    user_id = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": session})
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "list the files"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I should look.", "signature": "c2lnbmF0dXJl"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.txt"},
                {"type": "text", "text": text, "cache_control": mark},
            ],
        },
    ]
    made = {
        "model": "claude-sonnet-5",
        "max_tokens": 32000,
        "system": system,
        "tools": [tool],
        "metadata": {"user_id": user_id},
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "messages": messages,
    }
    return {key: value for key, value in {**made, **changes}.items() if value is not None}


def ask(client: anthropic.Anthropic, *, stream: bool, **request: Any) -> anthropic.types.Message:
    """Ask in one of the two ways; the published client puts the stream together, and is strict about it."""
    if not stream:
        whole: anthropic.types.Message = client.messages.create(**request, timeout=30)
        return whole
    with client.messages.stream(**request, timeout=30) as answer:
        return answer.get_final_message()
