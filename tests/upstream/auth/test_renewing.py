"""One renewal at a time, for everybody, and nobody waits without need."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from ccr.config.model import Secret
from ccr.errors import UpstreamError
from ccr.upstream.auth.renewing import RenewingCredentials
from tests.upstream.auth.fakes import Clock, Source, outage


def made(life_s: float | None = 3600.0, **options: Any) -> tuple[RenewingCredentials, Source, Clock]:
    clock = Clock()
    source = Source(clock, life_s)
    return RenewingCredentials(source, clock=clock, **options), source, clock


async def settled(credentials: RenewingCredentials) -> None:
    """Wait for the renewal that runs in the background."""
    await credentials._ended.wait()


async def test_the_token_is_fetched_once_and_used_for_its_life() -> None:
    credentials, source, clock = made()
    for _ in range(100):
        assert (await credentials.authorization()).reveal() == "Bearer token-1"
        clock.pass_s(20)
    assert source.calls == [None]


async def test_fifty_requests_that_meet_an_expired_token_cause_one_renewal() -> None:
    credentials, source, clock = made()
    await credentials.authorization()
    clock.pass_s(3600)
    source.gate.clear()
    source.started.clear()
    waiting = [asyncio.create_task(credentials.authorization("ignored")) for _ in range(50)]
    await source.started.wait()
    await asyncio.sleep(0)
    source.gate.set()
    assert {header.reveal() for header in await asyncio.gather(*waiting)} == {"Bearer token-2"}
    assert source.calls == [None, "token-1"]
    assert source.most_running == 1


@pytest.mark.fault("S66", outcome="one renewal")
async def test_fifty_parallel_refusals_cause_one_renewal() -> None:
    credentials, source, _clock = made()
    used = await credentials.authorization()
    source.gate.clear()
    source.started.clear()
    refused = [asyncio.create_task(credentials.rejected(used)) for _ in range(50)]
    await source.started.wait()
    waiting = asyncio.create_task(credentials.authorization())
    await asyncio.sleep(0)
    assert not waiting.done(), "the refused token is given to nobody else"
    source.gate.set()
    assert await asyncio.gather(*refused) == [True] * 50
    assert (await waiting).reveal() == "Bearer token-2"
    assert await credentials.rejected(used), "a latecomer finds the new one"
    assert source.calls == [None, "token-1"]


@pytest.mark.fault("K129", outcome="two renewals")
async def test_twenty_seconds_of_refusals_cause_two_renewals() -> None:
    credentials, source, clock = made()
    answers = []
    for _ in range(40):
        answers.append(await credentials.rejected(await credentials.authorization()))
        clock.pass_s(0.5)
    assert answers.count(True) == 2
    assert len(source.calls) == 1 + 2


async def test_a_due_token_is_renewed_beside_the_requests() -> None:
    credentials, source, clock = made()
    await credentials.authorization()
    clock.pass_s(3000)
    source.gate.clear()
    for _ in range(10):
        assert (await credentials.authorization()).reveal() == "Bearer token-1"
        await asyncio.sleep(0)
    source.gate.set()
    await settled(credentials)
    assert (await credentials.authorization()).reveal() == "Bearer token-2"
    assert source.calls == [None, "token-1"]


async def test_tokens_of_three_seconds_are_renewed_once_each() -> None:
    credentials, source, clock = made(3.0)
    seen = []
    for _ in range(600):
        seen.append((await credentials.authorization()).reveal())
        await asyncio.sleep(0)
        clock.pass_s(0.1)
    lives = 60 / 2.4
    assert len(source.calls) == pytest.approx(lives, abs=2)
    assert len(set(seen)) == pytest.approx(len(source.calls), abs=1), "the last one may not be used any more"
    assert source.most_running == 1


@pytest.mark.fault(
    "S67", outcome="requests with a good token go on; without one a 503 within seconds that says why"
)
async def test_while_the_endpoint_is_down_a_good_token_serves_every_request() -> None:
    credentials, source, clock = made()
    await credentials.authorization()
    source.error = outage()
    clock.pass_s(3000)
    for _ in range(100):
        assert (await credentials.authorization()).reveal() == "Bearer token-1"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.pass_s(0.1)
    assert 2 <= len(source.calls) <= 1 + 4, "1, 2, 4 seconds apart"
    source.error = None
    clock.pass_s(60)
    await credentials.authorization()
    await settled(credentials)
    assert (await credentials.authorization()).reveal() != "Bearer token-1"


async def test_without_a_good_token_the_failure_is_what_the_client_sees() -> None:
    credentials, source, clock = made()
    source.error = outage("the endpoint is down")
    errors = []
    for _ in range(2):
        with pytest.raises(UpstreamError, match="the endpoint is down") as caught:
            await credentials.authorization()
        errors.append(caught.value)
    assert [(error.status, error.retry_after_s) for error in errors] == [(503, 1)] * 2
    assert errors[0] is not errors[1]
    assert len(source.calls) == 1
    source.error = None
    clock.pass_s(1)
    assert (await credentials.authorization()).reveal() == "Bearer token-2"


async def test_what_only_a_person_can_mend_is_not_to_be_repeated() -> None:
    credentials, source, _clock = made()
    source.error = UpstreamError(403, "sign in again", should_retry=False)
    with pytest.raises(UpstreamError, match="sign in again") as caught:
        await credentials.authorization()
    assert (caught.value.status, caught.value.should_retry, caught.value.retry_after_s) == (403, False, None)


async def test_a_refusal_that_no_renewal_mends_says_why() -> None:
    credentials, source, _clock = made()
    used = await credentials.authorization()
    source.error = UpstreamError(403, "sign in again", should_retry=False)
    with pytest.raises(UpstreamError, match="sign in again"):
        await credentials.rejected(used)
    assert (await credentials.authorization()) == used, "others may be luckier with it"


async def test_a_source_that_knows_no_other_token_ends_the_matter() -> None:
    credentials, source, _clock = made()
    source.fixed = "always"
    used = await credentials.authorization()
    assert await credentials.rejected(used) is False
    assert source.calls == [None, "always"]


@pytest.mark.fault(
    "S67", outcome="requests with a good token go on; without one a 503 within seconds that says why"
)
async def test_a_request_waits_only_so_long_and_the_renewal_goes_on() -> None:
    credentials, source, _clock = made(max_wait_s=0.01)
    source.gate.clear()
    with pytest.raises(UpstreamError, match=r"no token from https://dbc\.example\.com") as caught:
        await credentials.authorization()
    assert (caught.value.status, caught.value.retry_after_s) == (503, 1)
    source.gate.set()
    await settled(credentials)
    assert (await credentials.authorization()).reveal() == "Bearer token-1"
    assert source.calls == [None]


async def test_a_cancelled_request_takes_nobody_elses_token_away() -> None:
    credentials, source, _clock = made()
    source.gate.clear()
    first, second = (asyncio.create_task(credentials.authorization()) for _ in range(2))
    await source.started.wait()
    first.cancel()
    await asyncio.wait([first])
    source.gate.set()
    assert (await second).reveal() == "Bearer token-1"
    assert first.cancelled()
    assert source.calls == [None]


async def test_an_error_that_nobody_foresaw_frees_those_who_wait(caplog: pytest.LogCaptureFixture) -> None:
    credentials, source, _clock = made(log=logging.getLogger("test.auth"))
    source.error = ZeroDivisionError("a bug")
    with pytest.raises(UpstreamError, match="ZeroDivisionError"):
        await credentials.authorization()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_closing_ends_a_renewal_under_way() -> None:
    credentials, source, _clock = made()
    await credentials.close()
    source.gate.clear()
    waiting = asyncio.create_task(credentials.authorization())
    await source.started.wait()
    await credentials.close()
    with pytest.raises(UpstreamError, match="given up"):
        await waiting
    assert source.running == 0
    await credentials.close()


async def test_closing_before_a_renewal_ran_frees_those_who_wait() -> None:
    credentials, source, _clock = made()
    waiting = asyncio.create_task(credentials.authorization())
    asyncio.get_running_loop().call_soon(lambda: credentials._renewal and credentials._renewal.cancel())
    with pytest.raises(UpstreamError, match="given up"):
        await waiting
    assert source.calls == []


async def test_a_token_that_is_over_before_anybody_woke_is_renewed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Late(logging.Handler):
        """Time passes between the arrival of the first token and the waking of those who wait."""

        def emit(self, _record: logging.LogRecord) -> None:
            if len(source.calls) == 1:
                clock.pass_s(10)

    log = logging.getLogger("test.late")
    monkeypatch.setattr(log, "handlers", [Late()])
    log.setLevel(logging.INFO)
    credentials, source, clock = made(3.0, log=log)
    assert (await credentials.authorization()).reveal() == "Bearer token-2"


async def test_log_and_description_name_the_identity_and_no_token(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("test.auth")
    credentials, source, clock = made(log=log)
    assert credentials.describe()["expires_at"] == "no token yet"
    with caplog.at_level(logging.INFO, "test.auth"):
        await credentials.authorization()
        source.error = outage()
        clock.pass_s(3000)
        await credentials.authorization()
        await settled(credentials)
    assert credentials.describe() == {
        "method": "fake",
        "host": "https://dbc.example.com",
        "expires_at": "2027-01-15T09:00:00Z",
        "problem": "the token endpoint is down",
    }
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "new token"),
        ("WARNING", "no new token"),
    ]
    fields = [vars(record)["fields"] for record in caplog.records]
    assert fields[1]["error"] == outage().message
    assert "token-1" not in repr(fields)


async def test_a_secret_stays_one() -> None:
    credentials, _source, _clock = made()
    header = await credentials.authorization()
    assert isinstance(header, Secret)
    assert repr(header) == "***"
