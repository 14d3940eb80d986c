"""The log: one line a record whatever it holds, no secret, and no trouble from the disk."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Config, Provider, Secret, SignIn
from ccr.config.paths import Paths
from ccr.daemon import log as service_log
from ccr.daemon import log_file
from ccr.daemon.log import LINE_BYTES, open_log, secrets_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = Secret('canary-"quoted"-key')


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root, logger, raising = logging.getLogger(), logging.getLogger("ccr"), logging.raiseExceptions
    before = (root.handlers[:], root.level, logger.level)
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], level, logger_level = before
    root.setLevel(level)
    logger.setLevel(logger_level)
    logging.raiseExceptions = raising


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "home")


def flush() -> None:
    """Wait for the thread that writes."""
    logging.getLogger().handlers[0].flush()


def shown(stderr: io.StringIO) -> str:
    flush()
    return stderr.getvalue()


def opened(paths: Paths, **settings: Any) -> tuple[logging.Logger, io.StringIO]:
    stderr = io.StringIO()
    return open_log(paths, Config(**settings), [KEY], stderr=stderr), stderr


def records(paths: Paths) -> list[dict[str, Any]]:
    flush()
    return [json.loads(line) for line in paths.log_file.read_text().splitlines()]


@pytest.mark.fault("L124", outcome="one escaped line")
def test_a_record_is_one_line_of_json(paths: Paths) -> None:
    logger, _ = opened(paths)
    logger.info("two\nlines \x1b[2J", extra={"fields": {"path": "a\r\nb", "ms": 1.5, "message": "no"}})
    (record,) = records(paths)
    assert paths.log_file.read_text().count("\n") == 1
    assert record.pop("time").endswith("+00:00")
    assert record == {"level": "info", "message": "two\nlines \x1b[2J", "path": "a\r\nb", "ms": 1.5}
    assert "\x1b" not in paths.log_file.read_text()
    assert paths.log_file.stat().st_mode & 0o777 == 0o600
    assert paths.log_dir.stat().st_mode & 0o777 == 0o700


def test_secrets_are_masked_by_value_and_by_form(paths: Paths) -> None:
    logger, stderr = opened(paths)
    logger.warning(f"key {KEY.reveal()}", extra={"fields": {"header": "Bearer abcdef123456", "s": KEY}})
    try:
        raise ValueError(KEY.reveal())
    except ValueError:
        logger.exception("trouble")
    flush()
    for text in (paths.log_file.read_text(), stderr.getvalue()):
        assert "canary" not in text
        assert "abcdef123456" not in text
        assert "Traceback" in text


@pytest.mark.fault("L124", outcome="a line has at most 4 KiB")
def test_long_values_are_cut(paths: Paths) -> None:
    logger, _ = opened(paths)
    logger.info("x" * 1_000_000, extra={"fields": {"y": "y" * 1_000_000}})
    (record,) = records(paths)
    assert len(paths.log_file.read_text()) <= LINE_BYTES + 1
    assert record["message"].startswith("xxx")
    assert record["y"].endswith("characters)")


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("fatal", ["fatal"]),
        ("error", ["fatal", "error"]),
        ("warn", ["fatal", "error", "warn"]),
        ("info", ["fatal", "error", "warn", "info"]),
        ("debug", ["fatal", "error", "warn", "info", "debug"]),
        ("trace", ["fatal", "error", "warn", "info", "debug", "trace"]),
    ],
)
def test_levels(paths: Paths, level: str, written: list[str]) -> None:
    logger, stderr = opened(paths, log_level=level)
    for name in service_log.LEVELS:
        logger.log(service_log.LEVELS[name], name)
    assert [record["level"] for record in records(paths)] == written
    on_stderr = [json.loads(line)["level"] for line in shown(stderr).splitlines()]
    assert on_stderr == [name for name in written if name in ("fatal", "error", "warn")]


def test_without_log_only_warnings_to_stderr(paths: Paths) -> None:
    logger, stderr = opened(paths, log=False, log_level="trace")
    logger.info("no")
    logger.warning("yes")
    assert not paths.log_file.exists()
    assert json.loads(shown(stderr))["message"] == "yes"


def test_other_loggers_are_named(paths: Paths) -> None:
    opened(paths)
    logging.getLogger("asyncio").error("trouble")
    logging.getLogger("asyncio").info("chatter")
    (record,) = records(paths)
    assert record["logger"] == "asyncio"


def test_below_trace(paths: Paths) -> None:
    logger, _ = opened(paths, log_level="trace")
    logger.setLevel(1)
    logger.log(1, "x")
    assert records(paths)[0]["level"] == "trace"


def test_it_rotates(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "FILE_BYTES", 500)
    logger, _ = opened(paths)
    for number in range(60):
        logger.info(f"record {number}")
    flush()
    names = sorted(file.name for file in paths.log_dir.iterdir())
    assert names == ["ccr.log", "ccr.log.1", "ccr.log.2", "ccr.log.3"]
    assert all(file.stat().st_size <= 500 for file in paths.log_dir.iterdir())


@pytest.mark.fault("L114", outcome="records are dropped and counted")
def test_a_full_disk_costs_records_and_nothing_else(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    logger, _ = opened(paths)
    logger.info("before")
    flush()
    (background,) = logging.getLogger().handlers
    assert isinstance(background, log_file.BackgroundHandler)
    handler = background.targets[1]
    assert isinstance(handler, log_file.QuietFileHandler)

    def full() -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(handler, "flush", full)
        logger.info("lost")
        logger.info("lost")
        flush()
    logger.info("after", extra={"fields": {"a": 1}})
    logger.info("again")
    *_, after, again = records(paths)
    assert (after["message"], after["a"], after["dropped_records"]) == ("after", 1, 2)
    assert "dropped_records" not in again


@pytest.mark.fault("L112", outcome="the log is not written through a link")
def test_a_link_in_its_place_is_not_followed(paths: Paths, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    paths.log_dir.mkdir(parents=True)
    paths.log_file.symlink_to(target)
    logger, _ = opened(paths)
    logger.info("x")
    flush()
    assert target.read_text() == "kept"


def test_every_secret_of_a_configuration() -> None:
    provider = Provider(name="p", url="https://h/x", api_key=Secret("b"), models=("m",))
    signing_in = SignIn(client_secret=Secret("e"))
    principal = Provider(name="r", url="https://h/x", api_key=None, models=("m",), sign_in=signing_in)
    keyless = Provider(name="q", url="http://localhost/x", api_key=None, models=("m",))
    config = Config(api_key=None, proxy_url=Secret("c"), providers=(provider, keyless, principal))
    found = secrets_of(config, Secret("a"), {"DATABRICKS_TOKEN": "d", "HOME": "/h"})
    assert [secret.reveal() for secret in found] == ["a", "c", "b", "e", "d"]
