"""``ccr demo``: the main job, on this machine alone, each step checked.

The embedded workspace stands in for Databricks; everything else is the real thing, used only through what a
person uses: a configuration file, ``ccr start``, ``ccr status``, ``ccr code``, ``ccr stop``.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccr.sandbox.demo_claude import claude_in, converse_with_claude, version_of
from ccr.sandbox.demo_client import USAGE_NAMES, Conversation, DemoError, converse
from ccr.sandbox.demo_timing import ROUNDS, Asking, medians_of
from ccr.sandbox.example_config import FAVOURITE, example_config
from ccr.sandbox.script import Script, ToolCall, Turn, Usage
from ccr.sandbox.thread import WorkspaceThread
from ccr.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CCR = (sys.executable, "-P", "-c", "from ccr.cli import main; main()")
COMMAND_TIMEOUT_S = 60.0
PROMPT = "Write a line into demo.txt and show me what it says."
WRITTEN = "written through the proxy"
COMMAND = f"echo '{WRITTEN}' > demo.txt && cat demo.txt"
SCRIPT = Script(
    turns=[
        Turn(
            thinking="One command writes the file and shows it.",
            text="I will write it with a command.",
            tools=[ToolCall("Bash", {"command": COMMAND, "description": "Write demo.txt and show it"})],
            usage=Usage(input=420, output=60, cache_creation=1_800),
        ),
        Turn(
            text=f"Done: demo.txt says “{WRITTEN}”.",
            usage=Usage(input=60, output=25, cache_read=1_800, cache_creation=420),
        ),
    ]
)
EXPECTED_USAGE = dict(zip(USAGE_NAMES, (480, 85, 1_800, 2_220), strict=True))


@dataclass
class Demo:
    """One run. say: prints a line. environ: the person's environment. ccr: the command line of ccr."""

    say: Callable[[str], None]
    environ: Mapping[str, str]
    ccr: Sequence[str] = CCR
    rounds: int = ROUNDS
    step: str = "start"

    def run(self) -> int:
        """Go through all steps; return 0 only when every one was right."""
        try:
            with ExitStack() as stack:
                self._run(stack)
        except DemoError as error:
            self.say("")
            self.say(f"FAILED at step “{self.step}”: {error}")
            return 1
        self.say("")
        self.say("Every step was right.")
        return 0

    def _run(self, stack: ExitStack) -> None:
        self.say("ccr demo: Claude Code on a Databricks-hosted model, here played by the embedded workspace")
        self.say("")
        folder = Path(stack.enter_context(_folder()))
        home, work = folder / "ccr-home", folder / "work"
        for path in (home, work, folder / "client-home"):
            path.mkdir(mode=0o700)
        workspace = self._workspace(stack)
        key = secrets.token_urlsafe(24)
        address = self._service(stack, workspace, home, key)
        conversation = self._conversation(address, key, home, work)
        self._check_conversation(conversation, workspace, work)
        self._route(workspace, home)
        self._tokens(conversation)
        self._time(workspace, address, key)

    def _workspace(self, stack: ExitStack) -> WorkspaceThread:
        self.step = "workspace"
        workspace = stack.enter_context(WorkspaceThread(Workspace(SCRIPT)))
        self._show("workspace", f"{workspace.url}, strict and scripted")
        return workspace

    def _service(self, stack: ExitStack, workspace: WorkspaceThread, home: Path, key: str) -> str:
        """Start ccr with a home of its own; return its address."""
        self.step = "service"
        settings: dict[str, Any] = {"PORT": 0, "APIKEY": key, "LOG": True}
        claude = claude_in(self.environ)
        if claude is not None:
            settings["CLAUDE_PATH"] = claude
        config = example_config(workspace.url, workspace.token, workspace.workspace.models, **settings)
        file = home / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config, indent=2))
        stack.push(lambda _kind, error, _trace: self._stop(home, error))
        self._ccr(home, "start")
        status = json.loads(self._ccr(home, "status", "--json"))
        address = str(status["address"])
        self._show("service", f"{address}, with a home of its own")
        return address

    def _stop(self, home: Path, error: BaseException | None) -> bool:
        """Stop the service; a failure is reported unless another one, ``error``, is on its way."""
        try:
            self._ccr(home, "stop", "--now")
        except DemoError:
            if error is None:
                self.step = "stop"
                raise
        return False

    def _conversation(self, address: str, key: str, home: Path, work: Path) -> Conversation:
        self.step = "conversation"
        claude = claude_in(self.environ)
        if claude is None:
            self._show("client", "a small one of the demo's own (claude is not installed)")
            conversation = converse(address, key, FAVOURITE, PROMPT, work)
        else:
            self._show("client", f"Claude Code {version_of(claude, self.environ)}, by `ccr code`")
            conversation = converse_with_claude(self.ccr, self.environ, home, PROMPT, work)
        self.say("")
        for who, text in [("you", PROMPT), *conversation.lines]:
            self._show(f"  {who}", text)
        self.say("")
        return conversation

    def _check_conversation(self, conversation: Conversation, workspace: WorkspaceThread, work: Path) -> None:
        """Hold what the client understood and what the workspace saw against the script."""
        self.step = "conversation"
        # the client has its answer a moment before the workspace has written down that it gave one
        workspace.until(lambda: all(record.ended_at is not None for record in workspace.conversation))
        wanted = SCRIPT.turns[-1].text
        file = work / "demo.txt"
        if conversation.result != wanted:
            raise DemoError(f"the client understood {conversation.result!r}, the model said {wanted!r}")
        if not file.is_file() or file.read_text() != f"{WRITTEN}\n":
            raise DemoError("the tool call did not write demo.txt")
        if workspace.refusals:
            raise DemoError(f"the workspace refused: {workspace.refusals[0].sentence}")
        if workspace.remaining or [record.status for record in workspace.conversation] != [200, 200]:
            raise DemoError(f"{len(workspace.conversation)} requests reached the model, 2 were expected")
        results = [m["content"] for m in workspace.conversation[1].body["messages"] if m["role"] == "tool"]
        if WRITTEN not in json.dumps(results):
            raise DemoError(f"the tool's result did not reach the model: {results!r}")

    def _route(self, workspace: WorkspaceThread, home: Path) -> None:
        self.step = "route"
        paths = {record.path for record in workspace.conversation}
        if paths != {f"/serving-endpoints/{FAVOURITE}/invocations"}:
            raise DemoError(f"the requests went to {sorted(paths)}")
        logged = _logged_requests(home)
        if not logged:
            raise DemoError("the service's log has no record of the requests")
        last = logged[-1]
        rule = f"{last['provider']},{last['upstream_model']} (rule: {last['rule']})"
        self._show("route", f"{last['model']} -> {rule}")
        self._show("", f"POST {paths.pop()}, {len(workspace.conversation)} requests, none refused")

    def _tokens(self, conversation: Conversation) -> None:
        self.step = "tokens"
        usage = conversation.usage
        if usage != EXPECTED_USAGE:
            raise DemoError(f"the client counted {usage}, the model used {EXPECTED_USAGE}")
        read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
        cache = f"cache: {read:,} read, {written:,} written"
        self._show("tokens", f"{usage['input_tokens']:,} in, {usage['output_tokens']:,} out, {cache}")

    def _time(self, workspace: WorkspaceThread, address: str, key: str) -> None:
        self.step = "time"
        workspace.play(Script(turns=[Turn(text="One short answer.")], repeat_last=True))
        body = {"model": FAVOURITE, "max_tokens": 100, "stream": True}
        body |= {"messages": [{"role": "user", "content": "x" * 1_000}]}
        path = f"/serving-endpoints/{FAVOURITE}/invocations"
        direct = Asking.of(workspace.url, path, {"authorization": f"Bearer {workspace.token}"}, body)
        through = Asking.of(address, "/v1/messages", {"x-api-key": key}, body)
        medians = medians_of(direct, through, self.rounds)
        self._show("time", f"{medians.added_ms:.1f} ms added by ccr to a small streamed request")
        both = f"{medians.direct_ms:.1f} ms direct, {medians.through_ms:.1f} ms through ccr"
        self._show("", f"median of {self.rounds}: {both}")

    def _ccr(self, home: Path, *arguments: str) -> str:
        """Run a command of ccr on the demo's home and return what it printed. Raises DemoError."""
        command = [*self.ccr, *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - ccr itself
                command,
                env={**self.environ, "CCR_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(
                f"`ccr {' '.join(arguments)}` did not end within {error.timeout:.0f} s"
            ) from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise DemoError(f"`ccr {' '.join(arguments)}` ended with exit code {done.returncode}: {said}")
        return done.stdout

    def _show(self, name: str, text: str) -> None:
        first, *more = text.splitlines() or [""]
        self.say(f"{name:<11}{first}")
        for line in more:
            self.say(f"{'':<11}{line}")


def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with the run; what a client still writes there may stay behind."""
    return tempfile.TemporaryDirectory(prefix="ccr-demo-", ignore_cleanup_errors=True)


def _logged_requests(home: Path) -> list[dict[str, Any]]:
    """Return the records of requests in the service's log."""
    try:
        lines = (home / "logs" / "ccr.log").read_text().splitlines()
    except OSError:
        return []
    records = [json.loads(line) for line in lines]
    return [record for record in records if "upstream_model" in record]
