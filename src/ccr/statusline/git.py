"""The branch of a folder, read from git's own files (gitrepository-layout(5)): no program is started."""

from __future__ import annotations

from pathlib import Path

HEAD_PREFIX = "ref: refs/heads/"
MAX_BYTES = 4096


def branch_of(folder: str) -> str:
    """Return the branch that is checked out, "" outside of a repository and on a detached head."""
    if not folder:
        return ""
    for place in (Path(folder), *Path(folder).parents):
        head = _head_of(place / ".git")
        if head is not None:
            return head.removeprefix(HEAD_PREFIX) if head.startswith(HEAD_PREFIX) else ""
    return ""


def _head_of(git: Path) -> str | None:
    """Return the line in HEAD; ``.git`` may be a file that names the folder (worktrees, submodules)."""
    if git.is_file():
        named = _text(git)
        if named is None or not named.startswith("gitdir:"):
            return None
        git = git.parent / named.removeprefix("gitdir:").strip()
    return _text(git / "HEAD")


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return None
