"""Models that answer nobody, and quotas of tokens per minute."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from ccr.sandbox import Fault, Script, Turn, Usage, Workspace
from ccr.sandbox.quotas import Quotas
from ccr.sandbox.refusals import Refused
from tests.sandbox.bodies import NEW, OLD, native_body
from tests.sandbox.http import CHAT, GATEWAY, SERVING, ask, chat, get
from tests.sandbox.test_identity import Clock


def script_of(*turns: Turn) -> Script:
    return Script(turns=turns, repeat_last=True)


SHORT = script_of(Turn(text="yes", usage=Usage(input=10, output=100)))


class TestModels:
    @pytest.mark.parametrize(("status", "code"), [(404, "RESOURCE_DOES_NOT_EXIST"), (400, "BAD_REQUEST")])
    async def test_retired(self, status: int, code: str) -> None:
        async with Workspace(models=[OLD, NEW], retired={OLD: status}) as workspace:
            answers = [
                await chat(workspace),
                await ask(workspace, "POST", SERVING, json=native_body(model=OLD)),
                await ask(workspace, "POST", GATEWAY, json=native_body(model="system.ai.claude-sonnet-4-5")),
            ]
            listed = (await get(workspace, "/api/2.0/serving-endpoints")).json["endpoints"]
        for answered in answers:
            assert (answered.status, answered.json["error_code"]) == (status, code)
            assert "has been retired" in answered.json["message"]
        assert [endpoint["name"] for endpoint in listed] == [NEW]

    async def test_a_rate_limit_of_zero(self) -> None:
        async with Workspace(models=[OLD], rate_limit_zero=[OLD]) as workspace:
            refused = await chat(workspace)
            listed = (await get(workspace, "/api/2.0/serving-endpoints")).json["endpoints"]
            assert (refused.status, refused.json["error_code"]) == (403, "PERMISSION_DENIED")
            assert "a Databricks-set rate limit of 0." in refused.json["message"]
            assert len(listed) == 1
            workspace.rate_limit_zero = frozenset()
            assert (await chat(workspace)).status == 200


def assert_limited(answered: Any, kind: str, model: str = OLD) -> None:
    assert (answered.status, answered.json["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    limit = f"Exceeded workspace {kind} tokens per minute rate limit for {model}."
    assert answered.json["message"].startswith(f"REQUEST_LIMIT_EXCEEDED: {limit}")


class TestOutputTokensPerMinute:
    async def test_what_is_reserved_is_credited_back(self) -> None:
        clock = Clock()
        async with Workspace(SHORT, otpm=1_000, clock=clock) as workspace:
            for _ in range(5):
                assert (await chat(workspace, max_tokens=600)).status == 200
            assert_limited(await chat(workspace, max_tokens=600), "output")  # 500 were answered
            assert (await chat(workspace, max_tokens=500)).status == 200
            clock.now += 59.9
            assert_limited(await chat(workspace, max_tokens=500), "output")
            clock.now += 0.1
            assert (await chat(workspace, max_tokens=1_000)).status == 200

    async def test_a_reservation_larger_than_the_quota_is_never_admitted(self) -> None:
        async with Workspace(SHORT, otpm=1_000) as workspace:
            assert_limited(await chat(workspace, max_tokens=1_001), "output")
            assert workspace.conversation == []
            body = {"messages": [{"role": "user", "content": "hello"}]}
            answered = await ask(workspace, "POST", CHAT, json=body)
            assert answered.status == 200  # 1,000 are reserved for a request without a limit
            assert_limited(await ask(workspace, "POST", CHAT, json=body), "output")

    async def test_requests_that_run_hold_their_reservation(self) -> None:
        slow = Turn(text="yes", fault=Fault(kind="stall", where="headers", seconds=60))
        async with Workspace(script_of(slow), otpm=1_000) as workspace:
            running = asyncio.create_task(chat(workspace, max_tokens=600))
            await workspace.until(lambda: bool(workspace.conversation))
            assert_limited(await chat(workspace, max_tokens=600), "output")
            running.cancel()
            await workspace.until(lambda: workspace.requests[0].closed_early)
            assert (await chat(workspace, max_tokens=600)).status == 200

    @pytest.mark.parametrize("kind", ["status", "reset"])
    async def test_what_was_not_answered_costs_nothing(self, kind: Any) -> None:
        script = script_of(Turn(text="yes", fault=Fault(kind=kind)), *SHORT.turns)
        async with Workspace(script, otpm=1_000) as workspace:
            if kind == "status":
                assert (await chat(workspace, max_tokens=1_000)).status == 500
            else:
                with pytest.raises(aiohttp.ClientConnectionError):
                    await chat(workspace, max_tokens=1_000)
            assert (await chat(workspace, max_tokens=1_000)).status == 200

    async def test_each_model_has_its_own(self) -> None:
        async with Workspace(SHORT, models=[OLD, NEW], otpm=1_000) as workspace:
            for model in (OLD, NEW):
                path = f"/serving-endpoints/{model}/invocations"
                body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 950}
                assert (await ask(workspace, "POST", path, json=body)).status == 200
                assert_limited(await ask(workspace, "POST", path, json=body), "output", model)


class TestInputTokensPerMinute:
    async def test_the_prompt_counts(self) -> None:
        clock = Clock()
        async with Workspace(SHORT, itpm=1_000, clock=clock) as workspace:
            question = [{"role": "user", "content": "x" * 2_400}]
            assert (await chat(workspace, messages=question)).status == 200
            assert_limited(await chat(workspace, messages=question), "input")
            clock.now += 60
            assert (await chat(workspace, messages=question)).status == 200

    async def test_nothing_is_counted_for_what_is_not_admitted(self) -> None:
        quotas = Quotas(itpm=100, otpm=100, clock=Clock())
        with pytest.raises(Refused, match="output tokens"):
            quotas.admit(OLD, 100, 101)
        with pytest.raises(Refused, match="input tokens"):
            quotas.admit(OLD, 101, 1)
        quotas.admit(OLD, 100, 100)
