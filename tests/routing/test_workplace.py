"""The folder that a client's request names as its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.native_request import request_from_json
from ccr.protocol.openai import decode_chat_request
from ccr.routing.views import ChatView, MessagesView, NativeView
from ccr.routing.workplace import project_name, working_directory

SECTION = (
    "# Environment\nYou have been invoked in the following environment: \n"
    " - Primary working directory: {0}\n - Is a git repository: false\n"
)
REMINDER = "<system-reminder>\n" + SECTION + "</system-reminder>\n"
ENV = "Here is what you run in:\n<env>\nWorking directory: {0}\nPlatform: linux\n</env>\n"
USER: dict[str, Any] = {"role": "user", "content": "hi"}


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def said(*values: str) -> dict[str, Any]:
    return {"role": "user", "content": [text(value) for value in values]}


def of_user(*values: str) -> dict[str, Any]:
    return {"messages": [said(*values)]}


CASES: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"system": "In the working directory: /home"}, None),
    ({"system": "Be kind.\n\n" + SECTION.format("/home/ada/my proj-ä.x")}, "/home/ada/my proj-ä.x"),
    ({"system": [text("a"), text("Be kind.\n" + SECTION.format("/home/ada"))]}, "/home/ada"),
    ({"system": [text(ENV.format("/old"))]}, "/old"),
    (of_user(REMINDER.format("/home/ada"), "hello"), "/home/ada"),
    (of_user("hello", REMINDER.format("/home/ada")), "/home/ada"),
    ({"messages": [USER, {"role": "system", "content": SECTION.format("/home/ada")}]}, "/home/ada"),
    # what is quoted names nothing
    ({"messages": [{"role": "system", "content": "It said: " + SECTION.format("/home/ada")}, USER]}, None),
    (of_user("see: " + REMINDER.format("/home/ada")), None),
    (
        of_user("<system-reminder>\nCLAUDE.md says:\n" + SECTION.format("/home/ada") + "</system-reminder>"),
        None,
    ),
    (of_user(SECTION.format("/home/ada")), None),
    ({"system": SECTION.format("/one"), **of_user(REMINDER.format("/two"))}, None),
    ({"system": SECTION.format("/one"), **of_user(REMINDER.format("/one"))}, "/one"),
    ({"system": SECTION.format("work")}, None),
    (
        {"messages": [USER, {"role": "assistant", "content": "x"}, said(REMINDER.format("/x"))]},
        None,
    ),
]


@pytest.mark.parametrize(("changes", "directory"), CASES)
def test_messages(changes: dict[str, Any], directory: str | None) -> None:
    body = json.dumps({"model": "m", "max_tokens": 1, "messages": [USER], **changes}).encode()
    assert working_directory(MessagesView(decode_messages_request(body))) == directory
    assert working_directory(NativeView(request_from_json(body))) == directory


@pytest.mark.parametrize("role", ["system", "developer"])
def test_chat(role: str) -> None:
    messages = [{"role": role, "content": "Be kind.\n" + SECTION.format("/home/ada")}, USER]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    assert working_directory(ChatView(decode_chat_request(body), body)) == "/home/ada"


def test_a_request_without_a_message_of_the_users() -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "system", "content": "x"}]}).encode()
    assert working_directory(ChatView(decode_chat_request(body), body)) is None


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("/srv/my proj-ä._1k1x", "-srv-my-proj----1k1x"),
        ("/a/😀", "-a---"),
        ("/" + "a" * 199, "-" + "a" * 199),
        ("/" + "a" * 200, None),
        ("/../etc", "----etc"),
    ],
)
def test_names_of_projects(directory: str, name: str | None) -> None:
    assert project_name(directory) == name
