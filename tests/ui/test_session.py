"""The key of a run, and the code that gives it once."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from ccr.ui.session import CODE_LIFE_S, Session, is_of_user, owner_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ui.conftest import Asked

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = (
    "   1: 0100007F:{0:04X} 0100007F:{1:04X} 01 00000000:00000000 00:00000000 00000000 {2:5} 0 {3} 1 0 20 4\n"
)
MAPPED = LINE.replace("0100007F", "0000000000000000FFFF00000100007F")


def code_of(address: str) -> str:
    return address.partition("#once=")[2]


def test_keys_are_new_each_time_and_never_shown() -> None:
    one, other = Session(), Session()
    assert one.key != other.key
    assert len(one.key.reveal()) >= 43
    assert one.key.reveal() not in repr(vars(one))
    assert one.printed_address(9) == f"http://127.0.0.1:9/#key={one.key.reveal()}"


def test_the_code_gives_the_key_once_and_is_another_text() -> None:
    session = Session()
    code = code_of(session.opened_address(9))
    assert code != session.key.reveal()
    assert session.exchanged("x") is None
    assert session.exchanged("schlüssel") is None
    assert session.exchanged(code) == session.key
    assert session.exchanged(code) is None


def test_the_code_ends_and_counts_only_when_it_was_given_out() -> None:
    now = 0.0
    session = Session(clock=lambda: now)
    assert session.exchanged("") is None
    code = code_of(session.opened_address(9))
    now = CODE_LIFE_S + 1
    assert session.exchanged(code) is None


@pytest.mark.parametrize(
    ("table", "uid"),
    [
        (HEAD, None),
        (HEAD + LINE.format(7, 9, 1000, 4711), 1000),
        (HEAD + MAPPED.format(7, 9, 1000, 4711), 1000),
        (HEAD + LINE.format(9, 7, 1000, 4711), None),
        (HEAD + LINE.format(7, 9, 0, 0), None),
        (HEAD + LINE.format(7, 9, 0, 0) + LINE.format(7, 9, 33, 5), 33),
        ("nonsense 0100007F:0007 0100007F:0009", None),
    ],
)
def test_whose_a_connection_is(table: str, uid: int | None) -> None:
    assert owner_of(table, 7, 9) == uid


def test_other_users_connections_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    table.write_text(HEAD + LINE.format(7, 9, 1000, 1) + LINE.format(8, 9, 0, 1))
    assert is_of_user(7, 9, 1000, [table])
    assert not is_of_user(7, 9, 1001, [table])
    assert is_of_user(8, 9, 1001, [table]), "root can read everything anyway"
    assert not is_of_user(6, 9, 1000, [table]), "nobody's"
    assert is_of_user(6, 9, 1000, [tmp_path / "nothing"]), "a system without such a table"


def test_this_process_is_found_in_the_kernels_table() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert is_of_user(client.getsockname()[1], server.getsockname()[1], os.getuid())


async def test_the_code_is_exchanged_on_the_wire(pages: Asked) -> None:
    code = code_of(pages.session.opened_address(pages.port))
    for wrong in ({"code": "x"}, {"code": 1}, {}):
        refused = await pages.post("/api/session", wrong)
        assert refused.status == 403
        assert "open the one that `ccr ui` printed" in refused.values["error"]
    assert (await pages.post("/api/session", {"code": code})).values == {"key": pages.session.key.reveal()}
    assert (await pages.post("/api/session", {"code": code})).status == 403


async def test_another_users_program_gets_no_key(pages: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    code = code_of(pages.session.opened_address(pages.port))
    monkeypatch.setattr("ccr.ui.app.is_of_user", lambda *_: False)
    assert (await pages.post("/api/session", {"code": code})).status == 403
