from __future__ import annotations

import grp
import os
import pwd
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from ccr.plugins.errors import PluginError
from ccr.plugins.files import check_plugin_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    file = folder / "own.js"
    file.write_text("x")
    file.chmod(0o644)
    return file


def refusal(path: Path | str) -> str:
    with pytest.raises(PluginError) as caught:
        check_plugin_file(path)
    assert caught.value.should_retry is False
    return caught.value.reason


def test_ones_own_file_is_taken_and_links_are_followed(plugin: Path) -> None:
    assert check_plugin_file(str(plugin)) == plugin.resolve()
    link = plugin.with_name("link.js")
    link.symlink_to(plugin)
    assert check_plugin_file(link) == plugin.resolve()


def test_a_path_must_be_whole_and_lead_to_a_file(plugin: Path) -> None:
    assert refusal("own.js") == "own.js is no absolute path; write it out in full"
    assert refusal("/no/such/plugin.js") == "/no/such/plugin.js cannot be read (No such file or directory)"
    assert refusal(plugin.parent) == f"{plugin.parent} is no file"


@pytest.mark.fault("L120", outcome="one that others can write is not loaded")
def test_a_file_or_folder_others_can_write_is_refused(plugin: Path) -> None:
    plugin.chmod(0o646)
    assert refusal(plugin) == f"{plugin} can be written by other users; `chmod go-w {plugin}` closes it"
    plugin.chmod(0o644)
    plugin.parent.chmod(0o757)
    assert refusal(plugin).startswith(
        f"{plugin} lies in {plugin.parent}, which can be written by other users"
    )
    plugin.parent.chmod(0o755)
    plugin.parent.parent.chmod(0o757)
    assert refusal(plugin).startswith(f"{plugin} lies in {plugin.parent.parent}, which can be written")
    plugin.parent.parent.chmod(0o700)
    plugin.parent.chmod(0o1757)  # as /tmp is: nobody can exchange what is not theirs
    assert check_plugin_file(plugin) == plugin.resolve()


def test_every_folder_and_link_on_the_way_is_looked_at(plugin: Path) -> None:
    """A link through a folder that others can write may lead elsewhere tomorrow, `..` or not."""
    open_folder = plugin.parent.parent / "open"
    open_folder.mkdir()
    (open_folder / "link.js").symlink_to(plugin)
    (open_folder / "folder").symlink_to("../plugins")
    (plugin.parent / "chain.js").symlink_to(open_folder / "link.js")
    ways = [
        open_folder / "link.js",
        open_folder / "folder" / "own.js",
        open_folder / ".." / "plugins" / "own.js",
        plugin.parent / "chain.js",
    ]
    assert [check_plugin_file(way) for way in ways] == [plugin.resolve()] * 4
    open_folder.chmod(0o757)
    said = (
        f"{plugin.resolve()} lies in {open_folder}, which can be written by other users; "
        f"`chmod go-w {open_folder}` closes it"
    )
    assert [refusal(way) for way in ways] == [said] * 4
    assert check_plugin_file(plugin) == plugin.resolve()


def test_a_circle_of_links_leads_nowhere(plugin: Path) -> None:
    (plugin.parent / "a.js").symlink_to("b.js")
    (plugin.parent / "b.js").symlink_to("a.js")
    assert "cannot be read (" in refusal(plugin.parent / "a.js")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_folders_and_links_of_others_are_refused(plugin: Path) -> None:
    said = "which belongs to another user; put it into a folder of your own"
    link = plugin.with_name("link.js")
    link.symlink_to(plugin)
    os.lchown(link, 1, -1)
    assert refusal(link) == f"{plugin.resolve()} is reached by {link}, {said}"
    assert check_plugin_file(plugin) == plugin.resolve()
    os.chown(plugin.parent, 65534, -1)
    assert refusal(plugin) == f"{plugin.resolve()} is reached by {plugin.parent}, {said}"
    os.chown(plugin.parent, 0, -1)
    # Inside a container the system's own folders may seem to belong to nobody.
    os.chown(plugin.parent.parent, 65534, -1)
    assert check_plugin_file(plugin) == plugin.resolve()
    os.chown(plugin.parent.parent, 1, -1)
    assert refusal(plugin) == f"{plugin.resolve()} is reached by {plugin.parent.parent}, {said}"


ME = pwd.getpwuid(os.geteuid()).pw_name
GROUPS = [
    (SimpleNamespace(gr_name=ME, gr_mem=[]), True),
    (SimpleNamespace(gr_name=ME, gr_mem=[ME]), True),
    (SimpleNamespace(gr_name=ME, gr_mem=["somebody"]), False),
    (SimpleNamespace(gr_name="staff", gr_mem=[]), False),
    (None, False),
]


@pytest.mark.parametrize(("group", "is_taken"), GROUPS)
def test_a_group_may_write_when_it_is_only_oneself(
    plugin: Path, monkeypatch: pytest.MonkeyPatch, group: SimpleNamespace | None, is_taken: bool
) -> None:
    def named(gid: int) -> SimpleNamespace:
        if group is None:
            raise KeyError(gid)
        return group

    monkeypatch.setattr(grp, "getgrgid", named)
    plugin.chmod(0o664)
    if is_taken:
        assert check_plugin_file(plugin) == plugin.resolve()
    else:
        assert "can be written by other users" in refusal(plugin)


@pytest.mark.parametrize("is_known", [True, False])
def test_anothers_file_is_refused(plugin: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool) -> None:
    user = 1 if is_known else 4_000_123
    if os.geteuid() == 0:
        os.chown(plugin, 65534, -1)
    else:
        monkeypatch.setattr("ccr.plugins.files.os.geteuid", lambda: user)
    if os.geteuid() == 0:
        monkeypatch.setattr("ccr.plugins.files.os.geteuid", lambda: user)
    name = pwd.getpwuid(1).pw_name if is_known else "4000123"
    assert refusal(plugin) == (
        f"{plugin} belongs to another user; a plugin must be your own (chown it to {name})"
    )
