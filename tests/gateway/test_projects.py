from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw

from ccr.config.model import Config, Provider, Router
from ccr.gateway.projects import MAX_SESSIONS, RECHECK_S, Folders, ProjectRouters
from ccr.gateway.sessions import Sessions, checked_session_id, session_id_from_metadata
from ccr.protocol.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = Config(
    providers=(Provider(name="p", url="https://x.test/v1", api_key=None, models=("a", "b", "c")),),
    router=Router(default="p,a"),
)


class Around:
    """A home, the client's folder, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.client = folder / "client"
        self.home.mkdir()
        self.now = 100.0
        self.said: list[str] = []
        log = logging.Logger("test", logging.INFO)  # noqa: LOG001 - not shared between tests
        handler = logging.Handler()
        handler.emit = lambda entry: self.said.append(entry.getMessage())  # type: ignore[assignment, method-assign] # enough
        log.addHandler(handler)
        folders = Folders(self.home, self.client / "projects")
        self.routers = ProjectRouters(CONFIG, folders, log, lambda: self.now)

    def session(self, project: str, session: str) -> None:
        folder = self.client / "projects" / project
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{session}.jsonl").touch()

    def write(self, project: str, file: str, router: Any) -> Path:
        path = self.home / project / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(router if isinstance(router, str) else json.dumps({"Router": router}))
        return path

    def later(self) -> None:
        self.now += RECHECK_S

    def default(self, session: str | None) -> tuple[str | None, str] | None:
        rulebook = self.routers.rulebook(session)
        return None if rulebook is None else (rulebook.router.default, rulebook.scope)


@pytest.fixture
def around(tmp_path: Path) -> Around:
    return Around(tmp_path)


def test_the_session_wins_over_the_project_and_the_project_over_all(around: Around) -> None:
    around.session("-home-ada-x", "s1")
    around.session("-home-ada-x", "s2")
    around.session("-home-ada-y", "s3")
    around.write("-home-ada-x", "config.json", {"default": "p,b"})
    around.write("-home-ada-x", "s2.json", {"default": "P,C"})
    (around.home / "logs").mkdir()
    assert around.default("s1") == ("p,b", "project")
    assert around.default("s2") == ("p,c", "session")
    assert around.default("s3") is None
    assert around.default(None) is None


def test_files_are_looked_at_again_and_read_when_they_have_changed(around: Around) -> None:
    around.session("x", "s")
    (around.home / "x").mkdir()
    assert around.default("s") is None
    file = around.write("x", "config.json", {"default": "p,b"})
    assert around.default("s") is None  # known for a moment
    around.later()
    assert around.default("s") == ("p,b", "project")
    rulebook = around.routers.rulebook("s")
    around.later()
    assert around.routers.rulebook("s") is rulebook
    around.write("x", "config.json", {"default": "p,c", "think": "p,b"})
    around.later()
    assert around.default("s") == ("p,c", "project")
    file.unlink()
    around.later()
    assert around.default("s") is None


def test_a_session_that_begins_later_is_found(around: Around) -> None:
    around.write("x", "config.json", {"default": "p,b"})
    assert around.default("s") is None
    around.session("x", "s")
    around.later()
    assert around.default("s") == ("p,b", "project")


def test_until_its_transcript_is_there_the_folder_counts_that_the_request_names(around: Around) -> None:
    def default(directory: str | None) -> str | None:
        around.later()
        rulebook = around.routers.rulebook("s", lambda: directory)
        return None if rulebook is None else rulebook.router.default

    around.write("-home-ada-x", "config.json", {"default": "p,b"})
    around.write("-home-ada-y", "s.json", {"default": "p,c"})
    around.write("relative", "config.json", {"default": "p,c"})
    assert default("/home/ada/x") == "p,b"
    assert default("/home/ada/y") == "p,c", "the next request says otherwise"
    for directory in (None, "/home/ada/z", "relative", "/" + "x" * 300):
        assert default(directory) is None
    assert default("/home/ada/x") == "p,b"
    around.session("-home-ada-y", "s")
    assert default("/home/ada/x") == "p,c", "the transcript has the last word"


def test_a_small_job_before_the_first_request_keeps_nobody_from_naming_the_project(around: Around) -> None:
    around.write("-home-ada-x", "config.json", {"default": "p,b"})
    assert around.routers.rulebook("s") is None
    assert around.routers.rulebook("s", lambda: "/home/ada/x") is not None
    assert around.routers.rulebook("s") is not None, "for a moment it is known"


def test_nobody_is_asked_where_there_are_no_projects(around: Around) -> None:
    (around.home / "logs").mkdir()

    def asked() -> str:
        raise AssertionError

    assert around.routers.rulebook("s", asked) is None
    around.home.joinpath("logs").rmdir()
    around.home.rmdir()
    around.later()
    assert around.routers.rulebook("s", asked) is None


def test_a_named_project_with_problems_is_told_once_until_it_changes(around: Around) -> None:
    around.write("-home-ada-x", "config.json", "{")
    for _ in range(3):
        around.later()
        assert around.routers.rulebook("s", lambda: "/home/ada/x") is None
    assert len(around.said) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "text that is not JSON"),
        ("[]", "an empty list"),
        ('{"Router": {"default": "p,nobody"}}', "Router.default: found 'p,nobody'"),
        ('{"Router": 3}', "Router: found a number"),
    ],
)
def test_a_file_with_problems_is_told_and_does_not_count(around: Around, text: str, said: str) -> None:
    around.session("x", "s")
    around.write("x", "s.json", text)
    around.write("x", "config.json", {"default": "p,b"})
    assert around.default("s") == ("p,b", "project")
    assert len(around.said) == 1
    assert said in around.said[0]
    around.later()
    assert around.default("s") == ("p,b", "project")
    assert len(around.said) == 1


def test_a_file_without_router_says_nothing_and_unknown_keys_are_warned_of(around: Around) -> None:
    around.session("x", "s")
    around.write("x", "s.json", "{}")
    around.write("x", "config.json", {"default": "p,b", "thinking": "p,c"})
    assert around.default("s") == ("p,b", "project")
    assert len(around.said) == 1
    assert "Router.thinking is not known" in around.said[0]


def test_without_a_home_nothing_is_found_and_the_number_of_sessions_is_bounded(around: Around) -> None:
    around.home.rmdir()
    for number in range(MAX_SESSIONS + 1):
        assert around.default(f"s{number}") is None
    assert len(around.routers._known) == MAX_SESSIONS


def test_where_the_client_keeps_its_projects(tmp_path: Path) -> None:
    assert Folders.from_environ(tmp_path, {"HOME": "/h"}).client_projects.as_posix() == "/h/.claude/projects"
    chosen = Folders.from_environ(tmp_path, {"HOME": "/h", "CLAUDE_CONFIG_DIR": "/c"})
    assert chosen.client_projects.as_posix() == "/c/projects"


@pytest.mark.parametrize(
    ("metadata", "session_id"),
    [
        ({"user_id": json.dumps({"device_id": "d", "account_uuid": "", "session_id": "0-1f"})}, "0-1f"),
        ({"user_id": "user_ab12_account__session_0-1f"}, "0-1f"),
        ({"user_id": "user_ab12_account_x-y_session_0-1f"}, "0-1f"),
        ({"user_id": json.dumps({"session_id": "../x"})}, None),
        ({"user_id": json.dumps({"session_id": 7})}, None),
        ({"user_id": json.dumps({})}, None),
        ({"user_id": "somebody"}, None),
        ({"user_id": 7}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_session_s_id_in_the_metadata(metadata: Any, session_id: str | None) -> None:
    assert session_id_from_metadata(Raw(json.dumps(metadata).encode())) == session_id


def test_no_metadata_and_names_that_are_no_files() -> None:
    assert session_id_from_metadata(Raw(b"")) is None
    assert checked_session_id("a/b") is None
    assert checked_session_id("a" * 129) is None


def test_the_newest_sessions_are_remembered() -> None:
    sessions = Sessions(max_sessions=2)
    for session, tokens in (("a", 1), ("b", 2), ("a", 3), ("c", 4), ("d", 0), (None, 9)):
        sessions.note(session, Usage(input_tokens=tokens))
    sessions.note("e", None)
    assert [sessions.last_tokens(each) for each in ("a", "b", "c", "d", None)] == [3, 0, 4, 0, 0]
