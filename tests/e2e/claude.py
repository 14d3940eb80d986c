"""Running the published Claude Code program in a folder of its own, away from the person's files."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VERSION = os.environ.get("CLAUDE_VERSION") or (ROOT / "tests/e2e/claude-version").read_text().strip()
PROGRAM = ROOT / ".cache/claude" / VERSION / "node_modules/.bin/claude"


@dataclass(frozen=True)
class Session:
    """What one run of the client left: exit code, result record, every event it printed, its folder."""

    exit_code: int
    events: list[dict[str, Any]]
    stderr: str
    folder: Path
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The final answer, or the error text shown to the person."""
        return str(self.result.get("result", ""))

    @property
    def usage(self) -> dict[str, Any]:
        """The usage figures the client accounts for."""
        return dict(self.result.get("usage", {}))

    def blocks(self) -> list[dict[str, Any]]:
        """All content blocks of the conversation in order, as the client recorded them."""
        found = []
        for event in self.events:
            if event.get("type") in ("assistant", "user"):
                content = event["message"]["content"]
                if isinstance(content, str):
                    content = [{"type": "text", "text": content}]
                found += [{"role": event["type"], **block} for block in content]
        return found

    def transcript(self) -> list[dict[str, Any]]:
        """The blocks without what differs from run to run: ids become their order of appearance."""
        names: dict[str, str] = {}
        text = json.dumps(self.blocks(), sort_keys=True).replace(str(self.folder), "FOLDER")
        for block in self.blocks():
            for key in ("id", "tool_use_id"):
                if key in block:
                    names.setdefault(block[key], f"tool-{len(names)}")
        for name, neutral in names.items():
            text = text.replace(json.dumps(name), json.dumps(neutral))
        return sorted_results(json.loads(text))


def sorted_results(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put neighbouring tool results into the order of their calls: the client sends them as they complete."""
    found: list[dict[str, Any]] = []
    for is_result, group in itertools.groupby(blocks, lambda block: block["type"] == "tool_result"):
        neighbours = list(group)
        found += sorted(neighbours, key=lambda b: str(b["tool_use_id"])) if is_result else neighbours
    return found


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """The least environment the client runs in: own HOME, no telemetry, one retry."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "IS_SANDBOX": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
        **extra,
    }


def run(
    command: list[str],
    prompt: str,
    folder: Path,
    *,
    arguments: tuple[str, ...] = (),
    stdin: str | None = None,
    **extra: str,
) -> Session:
    """Run ``command`` (the client, or ``ccr code``) with one prompt in ``folder/work``."""
    work = folder / "work"
    for path in (work, folder / "home"):
        path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            *command,
            "-p",
            *([] if stdin is not None else [prompt]),
            "--output-format",
            "stream-json",
            "--verbose",
            "--dangerously-skip-permissions",
            *arguments,
        ],
        cwd=work,
        env=environment(folder, **extra),
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    results = [event for event in events if event.get("type") == "result"]
    return Session(done.returncode, events, done.stderr, work, results[-1] if results else {})
