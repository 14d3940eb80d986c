"""Counts by the tokenizers of providers: where they count, what failures cost, and who counts then."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Router, Secret
from ccr.config.tokenizers import Tokenizer, TokenizerApi
from ccr.errors import RequestError
from ccr.gateway.counting import MAX_REST_S, REST_S, Counting, Standby
from ccr.sandbox import Workspace
from ccr.upstream.tokenizers.errors import TokenizerError
from tests.gateway.native_service import native_config, post
from tests.server.raw_client import ask, request
from tests.server.service import MODEL, OTHER_MODEL, Service, config_for, running
from tests.upstream.raw import Exchange, good_completion, raw_upstream
from tests.upstream.tokenizers.small import write_huggingface

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ccr.config.model import Config
    from ccr.gateway.counting import Counter
    from ccr.upstream.ways import Reach

BODY = b'{"messages": [{"role": "user", "content": "hello"}]}'
TOKEN = "sandbox-token-not-a-secret"


class Fake:
    """A tokenizer that does as told. counts: what each count gives or raises, the last one again."""

    def __init__(self, *counts: int | Exception, prepares: tuple[Exception | None, ...] = (None,)) -> None:
        self.counts = list(counts)
        self.prepares = list(prepares)
        self.asked = 0
        self.prepared = 0
        self.is_closed = False
        self.ready = asyncio.Event()
        self.ready.set()
        self.answers = asyncio.Event()
        self.answers.set()

    async def prepare(self) -> None:
        self.prepared += 1
        await self.ready.wait()
        outcome = self.prepares.pop(0) if len(self.prepares) > 1 else self.prepares[0]
        if outcome is not None:
            raise outcome

    async def count(self, body: bytes) -> int:
        self.asked += 1
        await self.answers.wait()
        outcome = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self) -> None:
        self.is_closed = True


class Clocked:
    """A `Standby` with a clock of its own and a log."""

    def __init__(self, fake: Counter, **within: float) -> None:
        self.now = 1000.0
        self.log: list[logging.LogRecord] = []
        logger = logging.Logger("test")  # noqa: LOG001 - not shared between tests
        handler = logging.Handler()
        handler.emit = self.log.append  # type: ignore[assignment, method-assign] # a list is handler enough
        logger.addHandler(handler)
        self.standby = Standby(fake, "tiktoken x", logger, lambda: self.now, **within)

    async def count(self) -> int | None:
        return await self.standby.count(BODY)

    @property
    def reasons(self) -> list[str]:
        return [entry.__dict__["fields"]["reason"] for entry in self.log]


async def test_it_is_prepared_once() -> None:
    fake = Fake(7, 0)
    clocked = Clocked(fake)
    assert [*await asyncio.gather(clocked.count(), clocked.count())] == [7, 1], "none has no tokens"
    assert (fake.prepared, fake.asked) == (1, 2)
    await clocked.standby.close()
    assert fake.is_closed


async def test_a_vocabulary_that_comes_late_is_waited_for_once() -> None:
    fake = Fake(7)
    fake.ready.clear()
    clocked = Clocked(fake, ready_within_s=0.01)
    assert await clocked.count() is None
    clocked.now += 5
    async with asyncio.timeout(5):
        assert await clocked.count() is None, "nobody waits any more"
        fake.ready.set()
        while await clocked.count() is None:  # noqa: ASYNC110 - the product needs no event for it
            await asyncio.sleep(0)
    assert (fake.prepared, clocked.log) == (1, [])
    await clocked.standby.close()


async def test_one_that_never_comes_does_not_hold_the_end() -> None:
    fake = Fake(7)
    fake.ready.clear()
    clocked = Clocked(fake, ready_within_s=0.0)
    assert await clocked.count() is None
    async with asyncio.timeout(5):
        await clocked.standby.close()
    assert fake.is_closed


async def test_what_fails_rests_longer_each_time_and_is_told_once() -> None:
    down = TokenizerError("it is down")
    fake = Fake(down, down, 7, down)
    clocked = Clocked(fake)
    assert [await clocked.count() for _ in range(3)] == [None] * 3
    assert fake.asked == 1
    clocked.now += REST_S
    assert await clocked.count() is None
    clocked.now += REST_S
    assert (await clocked.count(), fake.asked) == (None, 2)
    clocked.now += REST_S
    assert await clocked.count() == 7
    assert clocked.reasons == ["it is down"]
    assert await clocked.count() is None
    assert clocked.reasons == ["it is down"] * 2, "it had counted in between"
    for _ in range(20):
        clocked.now += MAX_REST_S
        await clocked.count()
    assert fake.asked == 24


async def test_what_cannot_be_prepared() -> None:
    fake = Fake(7, prepares=(TokenizerError("no network"), None))
    clocked = Clocked(fake)
    assert await clocked.count() is None
    assert await clocked.count() is None
    clocked.now += REST_S
    assert await clocked.count() == 7
    assert (fake.prepared, clocked.reasons) == (2, ["no network"])


async def test_what_is_not_installed_is_not_tried_again() -> None:
    fake = Fake(7, prepares=(TokenizerError("not installed", is_final=True),))
    clocked = Clocked(fake)
    for _ in range(3):
        assert await clocked.count() is None
        clocked.now += 10 * MAX_REST_S
    assert fake.prepared == 1


async def test_one_that_hangs_costs_its_time_once() -> None:
    fake = Fake(7)
    fake.answers.clear()
    clocked = Clocked(fake, count_within_s=0.01)
    assert await clocked.count() is None
    assert await clocked.count() is None
    assert fake.asked == 1
    assert clocked.reasons == ["it takes longer than 0.01 s"]


async def test_what_is_no_request_is_not_its_fault() -> None:
    fake = Fake(RequestError("odd"), 7)
    clocked = Clocked(fake)
    assert await clocked.count() is None
    assert await clocked.count() == 7
    assert clocked.log == []


# -- which tokenizer counts ----------------------------------------------------------------------------


async def test_the_model_s_own_then_the_default_then_the_fallback() -> None:
    made: list[tuple[str, str, Fake]] = []

    def make(tokenizer: Tokenizer, model: str, reach: Reach) -> Fake:
        failing = tokenizer.kind == "api"
        made.append((tokenizer.kind, model, Fake(TokenizerError("down") if failing else 7)))
        return made[-1][2]

    local = Tokenizer(kind="tiktoken", name="gpt2")
    service = Tokenizer(kind="api", api=TokenizerApi(url="https://h/x"), fallback=local)
    config = config_for("http://127.0.0.1:1", models=(MODEL, OTHER_MODEL))
    provider = dataclasses.replace(config.providers[0], tokenizers={"": local, MODEL: service})
    other = dataclasses.replace(config.providers[0], name="other")
    config = dataclasses.replace(config, providers=(provider, other))
    counting = Counting(config, logging.Logger("test"), make=make)  # noqa: LOG001 - nobody listens
    assert await counting.count("databricks", OTHER_MODEL, BODY) == 7
    assert await counting.count("databricks", MODEL, BODY) == 7
    assert await counting.count("other", MODEL, BODY) is None
    assert await counting.count("", "", BODY) is None
    assert [(kind, model) for kind, model, _ in made] == [("tiktoken", OTHER_MODEL), ("api", MODEL)]
    await counting.close()
    assert all(fake.is_closed for *_, fake in made)


# -- in a whole service --------------------------------------------------------------------------------


def counted_by(config: Config, tokenizer: Tokenizer, **changes: Any) -> Config:
    provider = dataclasses.replace(config.providers[0], tokenizers={"": tokenizer})
    return dataclasses.replace(config, providers=(provider,), **changes)


async def count(service: Service, content: str, **more: Any) -> int:
    values = {"model": MODEL, "messages": [{"role": "user", "content": content}], **more}
    data = request(service.port, "/v1/messages/count_tokens?beta=true", json.dumps(values).encode())
    answered = await ask(service.port, data)
    assert answered.status == 200, answered.body
    return int(answered.json["input_tokens"])


def words(folder: Path) -> Tokenizer:
    """Return a tokenizer to which each word is a token, by the real library."""
    write_huggingface(folder)
    return Tokenizer(kind="huggingface", name="owner/model", folder=folder)


async def test_count_tokens_by_the_provider_s_tokenizer(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:1")
    async with running(config) as service:
        estimated = await count(service, "hello " * 500)
    async with running(counted_by(config, words(tmp_path))) as service:
        assert await count(service, "hello " * 500) == 500
        tools = [{"name": "A", "input_schema": {}}]
        assert await count(service, "hello world", system="hello", tools=tools) == 4
        assert await count(service, "") == 1
        assert await asyncio.gather(*(count(service, "hello " * n) for n in range(1, 20))) == [*range(1, 20)]
    assert estimated != 500


async def test_a_refused_request_is_refused_as_ever(tmp_path: Path) -> None:
    async with running(counted_by(config_for("http://127.0.0.1:1"), words(tmp_path))) as service:
        data = request(service.port, "/v1/messages/count_tokens", b'{"model": "m"}')
        assert (await ask(service.port, data)).status == 400


async def test_a_vocabulary_that_cannot_be_had_is_told_and_tokens_are_estimated(tmp_path: Path) -> None:
    """A tokenizer.json that is none: the network is not needed to see it."""
    tokenizer = words(tmp_path)
    (tmp_path / ".huggingface/owner_model/tokenizer.json").write_text("{}")
    config = config_for("http://127.0.0.1:1")
    async with running(config) as service:
        estimated = await count(service, "hello " * 50)
    async with running(counted_by(config, tokenizer)) as service:
        assert [await count(service, "hello " * 50) for _ in range(3)] == [estimated] * 3
        told = [entry for entry in service.log if "a tokenizer does not count" in entry.getMessage()]
        assert len(told) == 1
        assert "tokenizer.json" in told[0].__dict__["fields"]["reason"]
        assert told[0].levelno == logging.WARNING


async def test_a_service_that_counts_and_its_fallback(tmp_path: Path) -> None:
    answers = iter(['{"usage": {"tokens": 41}}'])

    async def play(exchange: Exchange) -> None:
        text = next(answers, None)
        await exchange.answer(text or "{}", 200 if text else 503)

    async with raw_upstream(play) as raw:
        api = TokenizerApi(url=f"{raw.url}/count", key=Secret("canary"), field=("usage", "tokens"))
        tokenizer = Tokenizer(kind="api", api=api, fallback=words(tmp_path))
        async with running(counted_by(config_for("http://127.0.0.1:1"), tokenizer)) as service:
            assert await count(service, "hello world") == 41
            assert await count(service, "hello world") == 41, "the same content is asked once"
            assert await count(service, "hello hello") == 2
            assert await count(service, "world hello") == 2
        assert len(raw.got) == 2, "one that fails rests"
        assert json.loads(raw.got[0].body) == {"messages": [{"role": "user", "content": "hello world"}]}


@pytest.mark.parametrize("make", [config_for, native_config])
async def test_the_rule_for_long_contexts_counts_by_it(make: Callable[..., Config], tmp_path: Path) -> None:
    """500 words are more tokens to the estimate than to the tokenizer, and short ones fewer."""
    router = Router(
        default=f"databricks,{MODEL}",
        scenarios={"longContext": f"databricks,{OTHER_MODEL}"},
        long_context_threshold=600,
    )
    models = (MODEL, OTHER_MODEL)
    tokenizer = words(tmp_path)
    texts = {"long words " * 250: MODEL, "a b " * 400: OTHER_MODEL}
    async with Workspace() as workspace:
        estimating = make(workspace.url, token=TOKEN, models=models, router=router)
        for config, expected in (
            (counted_by(estimating, tokenizer), list(texts.values())),
            (estimating, [OTHER_MODEL, MODEL]),
        ):
            async with running(config) as service:
                for text in texts:
                    await post(service, model=MODEL, messages=[{"role": "user", "content": text}])
                await service.idle()
                found = [record["upstream_model"] for record in service.records]
            assert found == expected


async def test_an_openai_client_and_a_custom_router_get_it_as_well(tmp_path: Path) -> None:
    router = tmp_path / "router.py"
    router.write_text(
        "def route(request, config):\n"
        f"    return 'databricks,{OTHER_MODEL}' if request['tokenCount'] == 3 else None"
    )
    router.chmod(0o600)
    async with raw_upstream(good_completion) as raw:
        config = config_for(raw.url, models=(MODEL, OTHER_MODEL), custom_router=router)
        async with running(counted_by(config, words(tmp_path))) as service:
            for path in ("/v1/chat/completions", "/v1/messages"):
                for text in ("hello hello world", "hello"):
                    values = {
                        "model": MODEL,
                        "max_tokens": 5,
                        "messages": [{"role": "user", "content": text}],
                    }
                    body = json.dumps(values).encode()
                    answered = await ask(service.port, request(service.port, path, body))
                    assert answered.status == 200, answered.body
            await service.idle()
            found = [record["upstream_model"] for record in service.records]
            assert found == [OTHER_MODEL, MODEL] * 2


async def test_a_slow_vocabulary_does_not_hold_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It hangs on the network: every count is answered all the same, and it is fetched once."""

    async def hang(exchange: Exchange) -> None:
        await exchange.until_closed()

    async with raw_upstream(hang) as raw:
        monkeypatch.setattr(
            "ccr.upstream.tokenizers.vocabulary.huggingface_count.__kwdefaults__", {"hub": raw.url}
        )
        tokenizer = Tokenizer(kind="huggingface", name="owner/model", folder=tmp_path)
        config = config_for("http://127.0.0.1:1")
        async with running(config) as service:
            estimated = await count(service, "hello")
        async with running(counted_by(config, tokenizer)) as service, asyncio.timeout(30):
            assert [await count(service, "hello") for _ in range(5)] == [estimated] * 5
            assert len(raw.got) == 1


async def test_another_configuration_counts_otherwise(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:1")
    async with running(config) as service:
        upstream = service.app.live.current.shared
        estimated = await count(service, "hello " * 50)
        assert service.app.live.adopt(counted_by(config, words(tmp_path)))
        assert await count(service, "hello " * 50) == 50
        assert service.app.live.adopt(config)
        assert await count(service, "hello " * 50) == estimated
        assert service.app.live.current.shared is upstream, "the connections stay"
