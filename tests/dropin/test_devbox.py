"""The folder that Databricks Devbox writes: as it stands, and with its file forced to run in Node.

What the file sends is compared with what the built-in step sends, byte for byte. Where they differ, the
differences are those of docs/transformers-builtin.md.
"""

from __future__ import annotations

import contextlib
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
import pytest

from ccr.sandbox import Script, Turn, WorkspaceThread
from tests.dropin.person import Person, ask, message, person_with, serving
from tests.e2e.material import pdf, png

if TYPE_CHECKING:
    from collections.abc import Iterator

    import anthropic

Json = dict[str, Any]
MODEL = "databricks-claude-sonnet-4-5"
AS_IT_STANDS, FORCED, STRIPPED = "as it stands", "forceJs", "cache_control: strip"
OPTIONS = {
    AS_IT_STANDS: '"debug": true',
    FORCED: '"debug": true, "forceJs": true',
    STRIPPED: '"debug": true, "cache_control": "strip"',
}


@dataclass(frozen=True)
class Devbox:
    """A service on the folder, with the workspace behind it and both clients."""

    person: Person
    workspace: WorkspaceThread
    anthropic: anthropic.Anthropic
    openai: openai.OpenAI

    def sent(self, front: str, request: Json, *, stream: bool) -> bytes:
        """Return the first body that reaches the workspace for a request."""
        before = len(self.workspace.requests)
        if front == "messages":
            ask(self.anthropic, stream=stream, **{**request, "model": MODEL})
        else:
            with contextlib.suppress(
                openai.BadRequestError
            ):  # what the file leaves in, a workspace may refuse
                answer = self.openai.chat.completions.create(**request, model=MODEL, stream=stream)
                list(answer) if stream else answer
        return self.workspace.requests[before].raw


@pytest.fixture(scope="module")
def devboxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Devbox]]:
    with contextlib.ExitStack() as stack:
        found = {}
        for name, options in OPTIONS.items():
            script = Script(turns=[Turn(thinking="Hm.", text="Größe ☕")], repeat_last=True)
            workspace = stack.enter_context(WorkspaceThread(script))
            instead = {
                "https://adb-1.azuredatabricks.net": workspace.url,
                "workspace-token": workspace.token,
                '"debug": true': options,
            }
            person = person_with("devbox", tmp_path_factory.mktemp("devbox"), "", instead=instead)
            stack.enter_context(serving(person))
            client = stack.enter_context(person.client())
            address = f"{person.address}/v1"
            other = openai.OpenAI(base_url=address, api_key=client.auth_token, max_retries=0)
            found[name] = Devbox(person, workspace, client, stack.enter_context(other))
        yield found


def user(*content: Json, **changes: Any) -> Json:
    """Return a plain request of the Messages API."""
    messages = [{"role": "user", "content": [*content]}]
    return {"max_tokens": 4000, "messages": messages, **changes}


def unmarked(value: Any) -> Any:
    """Return a request without breakpoints of the prompt cache."""
    if isinstance(value, dict):
        return {key: unmarked(each) for key, each in value.items() if key != "cache_control"}
    return [unmarked(each) for each in value] if isinstance(value, list) else value


HI = {"type": "text", "text": 'Grüezi \U0001f600 \u2028 \\ " \u0007 </script>'}
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": b64encode(png()).decode()},
}
PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": b64encode(pdf()).decode()},
}
SCHEMA = {
    "type": "object",
    "properties": {"zeta": {"type": "number", "minimum": 0.5}, "alpha": {"enum": ["é", None, True, 3]}},
    "required": ["zeta"],
}
TOOL = {"name": "f", "description": "", "input_schema": SCHEMA}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"zeta": 12.5, "alpha": "é"}}


def after_call(*content: Json, call: Json = CALL) -> Json:
    history = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "text", "text": "Now."}, call]},
        {"role": "user", "content": [*content]},
    ]
    return {"max_tokens": 4000, "tools": [TOOL], "messages": history}


def result(content: Any, **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **more}


EQUAL: dict[str, Json] = {
    "text": user(HI),
    "a system prompt, sampling and stops": user(
        HI, system="Be brief.", stop_sequences=["END"], extra_body={"temperature": 0.5}
    ),
    "an image": user(HI, IMAGE),
    "a document": user(PDF, HI),
    "thinking": user(HI, thinking={"type": "enabled", "budget_tokens": 2000}),
    "tools": user(HI, tools=[TOOL], tool_choice={"type": "any"}),
    "a tool's result": after_call(result("done")),
    "a failed tool, and a word": after_call(result("oops", is_error=True), HI),
    "an empty result": after_call(result("")),
    "a result with an image": after_call(result([{"type": "text", "text": "see"}, IMAGE])),
    "no parallel calls": user(
        HI, tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}
    ),
    "a request of Claude Code": unmarked(message()),
}
MARKED: dict[str, Json] = {
    "breakpoints of Claude Code": {**message(), "tools": unmarked(message()["tools"])},
    "a breakpoint on a result": after_call(result("done", cache_control={"type": "ephemeral"})),
}
BOTH_FORMS = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@BOTH_FORMS
@pytest.mark.parametrize("name", EQUAL)
def test_the_file_sends_what_the_built_in_step_sends(
    devboxes: dict[str, Devbox], name: str, *, stream: bool
) -> None:
    forced, built_in = (
        devboxes[way].sent("messages", EQUAL[name], stream=stream) for way in (FORCED, AS_IT_STANDS)
    )
    assert forced == built_in


@BOTH_FORMS
@pytest.mark.parametrize("name", MARKED)
def test_and_without_prompt_caching_too(devboxes: dict[str, Devbox], name: str, *, stream: bool) -> None:
    sent = {way: devboxes[way].sent("messages", MARKED[name], stream=stream) for way in OPTIONS}
    assert sent[FORCED] == sent[STRIPPED]
    assert b"cache_control" not in sent[FORCED]
    assert b"cache_control" in sent[AS_IT_STANDS]


def chat(*messages: Json, **changes: Any) -> Json:
    return {"messages": [*messages], "max_tokens": 100, **changes}


def of_user(content: Any) -> Json:
    return {"role": "user", "content": content}


FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
CALLING = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
BARE = b64encode(png()).decode()
EQUAL_CHATS: dict[str, Json] = {
    "empty content beside a call": chat(
        of_user("go"), CALLING, {"role": "tool", "tool_call_id": "c1", "content": "x"}, tools=[FUNCTION]
    ),
    "a data URL without base64": chat(
        of_user([{"type": "image_url", "image_url": {"url": f"data:image/png,{BARE}"}}])
    ),
    "a bare image": chat(of_user([{"type": "image_url", "image_url": {"url": BARE}}])),
    "breakpoints on messages only": chat({"role": "system", "content": "s"}, of_user("hi")),
}


@pytest.mark.parametrize("name", EQUAL_CHATS)
def test_what_openai_s_clients_send_is_mended_alike(devboxes: dict[str, Devbox], name: str) -> None:
    sent = {way: devboxes[way].sent("chat", EQUAL_CHATS[name], stream=False) for way in OPTIONS}
    assert sent[FORCED] == sent[AS_IT_STANDS] == sent[STRIPPED]


# name -> front, request, what only the built-in step sends, what only the file sends
DIFFERENCES: dict[str, tuple[str, Json, str, str]] = {
    "prompt caching": (
        "messages",
        message(),
        '"text":"hi","cache_control":{"type":"ephemeral"}',
        '"text":"hi"}',
    ),
    "parallel_tool_calls": (
        "chat",
        chat(of_user("hi"), tools=[FUNCTION], parallel_tool_calls=False),
        "",
        '"parallel_tool_calls":false',
    ),
    "an image's address": (
        "chat",
        chat(
            of_user(
                [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
                ]
            )
        ),
        "",
        "data:image/png;base64,https://x.example/a.png",
    ),
    "blank content": (
        "chat",
        chat(
            of_user("hi"),
            CALLING | {"content": " "},
            {"role": "tool", "tool_call_id": "c1", "content": "x"},
            tools=[FUNCTION],
        ),
        '"content":null',
        '"content":" "',
    ),
    "an empty part": (
        "chat",
        chat(of_user([{"type": "text", "text": ""}, {"type": "text", "text": "hi"}])),
        "",
        '{"type":"text","text":""}',
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_differences_are_the_documented_ones(devboxes: dict[str, Devbox], name: str) -> None:
    front, request, only_built_in, only_file = DIFFERENCES[name]
    built_in, forced = (
        devboxes[way].sent(front, request, stream=False).decode() for way in (AS_IT_STANDS, FORCED)
    )
    assert built_in != forced
    assert only_file in forced
    assert only_file not in built_in
    assert only_built_in in built_in
    assert not only_built_in or only_built_in not in forced


def test_numbers_are_javascript_s(devboxes: dict[str, Devbox]) -> None:
    """Digits beyond 2^53 are lost, in Node as in the npm router; the built-in step keeps the bytes."""
    call = {**CALL, "input": {"zeta": 2.0, "alpha": 9007199254740993}}
    request = {
        **after_call(result("done"), call=call),
        "tools": [{**TOOL, "input_schema": {**SCHEMA, "maxProperties": 9007199254740993}}],
    }
    built_in, forced = (
        devboxes[way].sent("messages", request, stream=False) for way in (AS_IT_STANDS, FORCED)
    )
    assert b'"maxProperties":9007199254740993' in built_in
    assert b'"maxProperties":9007199254740992' in forced
    # Arguments are a text in the chat format: there nothing is lost either way.
    assert b'9007199254740993}"' in forced


@BOTH_FORMS
@pytest.mark.parametrize("way", OPTIONS)
def test_an_answer_and_the_strict_workspace(devboxes: dict[str, Devbox], way: str, *, stream: bool) -> None:
    devbox = devboxes[way]
    before = len(devbox.workspace.workspace.refusals)
    answer = ask(
        devbox.anthropic, stream=stream, **message(messages=[of_user("hi")], model="claude-sonnet-5")
    )
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert getattr(answer.content[1], "text", "") == "Größe ☕"
    assert answer.usage.output_tokens > 0
    assert devbox.workspace.workspace.refusals[before:] == []


def test_which_file_runs_is_said_by_the_check(devboxes: dict[str, Devbox]) -> None:
    for way, devbox in devboxes.items():
        log = devbox.person.folder / "plugin.log"
        written = log.read_text() if log.exists() else ""
        assert ("[DEBUG] transformRequestIn called" in written) is (way == FORCED), "the file's own lines"
        checked = devbox.person.run("config", "check")
        assert ("is built in; the file is not loaded" in checked.stdout + checked.stderr) is (way != FORCED)
