"""The log: one line a record whatever it holds, no secret, and no trouble from the disk."""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from ccr.config.model import Config, Provider, Secret, SignIn
from ccr.config.paths import Paths
from ccr.daemon import log as service_log
from ccr.daemon import log_file
from ccr.daemon.log import LINE_BYTES, adjust_log, open_log, secrets_of

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


class TestLines:
    @pytest.mark.fault("L124", outcome="many long fields and a long traceback fit one line, too")
    def test_a_line_is_never_longer_than_4_kib(self, paths: Paths) -> None:
        logger, _ = opened(paths)
        try:
            raise ValueError("last words " + "x" * 10_000)
        except ValueError:
            logger.exception("m" * 5000, extra={"fields": {f"f{n}": "\U0001f642" * 5000 for n in range(20)}})
        logger.info("lists", extra={"fields": {"l": ["y" * 50] * 500, "d": {"k": "z" * 9000}}})
        logger.info("too many", extra={"fields": {f"field{n}": n for n in range(2000)}})
        first, second, third = records(paths)
        assert all(len(line) <= LINE_BYTES for line in paths.log_file.read_text().splitlines())
        assert first["level"] == "error"
        assert "characters)" in second["l"]
        assert third["message"].startswith("a record of ")

    def test_half_a_secret_is_none(self, paths: Paths) -> None:
        logger, _ = opened(paths)
        for at in (290, 299, 995, 2990):
            logger.info("x" * at + KEY.reveal() + "y" * 5000)
        flush()
        assert "canary" not in paths.log_file.read_text()

    def test_other_forms_of_a_secret(self, paths: Paths) -> None:
        logger, _ = opened(paths)
        coded = base64.b64encode(KEY.reveal().encode()).decode()
        logger.info("forms", extra={"fields": {"url": quote(KEY.reveal(), safe=""), "base64": coded}})
        (record,) = records(paths)
        assert (record["url"], record["base64"].rstrip("=")) == ("***", "***")


class TestTheThread:
    def test_what_does_not_fit_the_queue_is_counted(self) -> None:
        gate = threading.Event()
        written: list[dict[str, Any]] = []

        class Slow(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                gate.wait(10)
                written.append(getattr(record, "fields", {}))

        background = log_file.BackgroundHandler([Slow()], max_waiting=2)
        for _ in range(10):
            background.handle(logging.makeLogRecord({"msg": "x", "levelno": logging.INFO}))
        gate.set()
        background.flush()
        background.handle(logging.makeLogRecord({"msg": "x", "levelno": logging.INFO}))
        background.close()
        background.close()
        background.flush()
        assert written[-1]["dropped_records"] == 10 - (len(written) - 1)

    def test_a_fault_in_writing_one_line_ends_nothing(self) -> None:
        written: list[str] = []

        class Faulty(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.msg == "bad":
                    raise RuntimeError("no")
                written.append(record.msg)

        background = log_file.BackgroundHandler([Faulty()])
        for word in ("bad", "good"):
            background.handle(logging.makeLogRecord({"msg": word, "levelno": logging.INFO}))
        background.close()
        assert written == ["good"]

    @pytest.mark.parametrize("how", ["moved", "removed", "cut"])
    def test_the_file_is_followed_by_its_name(self, paths: Paths, how: str) -> None:
        logger, _ = opened(paths)
        logger.info("one")
        flush()
        if how == "moved":
            paths.log_file.rename(paths.log_file.with_suffix(".old"))
        elif how == "removed":
            paths.log_file.unlink()
        else:
            paths.log_file.write_text("")
        logger.info("two")
        assert [record["message"] for record in records(paths)] == ["two"]


class TestAdjusting:
    def test_level_file_and_secrets_follow_the_configuration(self, paths: Paths) -> None:
        logger, stderr = opened(paths, log=False)
        logger.warning(f"first {KEY.reveal()}")
        flush()
        adjust_log(paths, Config(log=True, log_level="debug"), [Secret("another-canary")])
        logger.debug(f"{KEY.reveal()} and another-canary")
        (record,) = records(paths)
        assert record["message"] == "*** and ***"
        adjust_log(paths, Config(log=True, log_level="error"), [])
        logger.info("no")
        adjust_log(paths, Config(log=False), [])
        logger.error("only on stderr")
        assert "only on stderr" in shown(stderr)
        assert len(records(paths)) == 1
        assert "canary" not in stderr.getvalue()
