"""An edited config.json: new requests get it, running ones keep theirs, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ccr.config.model import Config, Provider, Router, Secret, SignIn, Step, SystemPrompt, TransformerFile
from ccr.config.transformer_files import own_files
from ccr.errors import ConfigError, Problem
from ccr.plugins.hosting import plugin_loader
from ccr.server.live import Live
from ccr.server.reload import Reloader, Source
from ccr.server.sign_ins import Lease, SignIns
from tests.server.raw_client import ask, raw_client, request
from tests.server.service import MODEL, OTHER_MODEL, Service, config_for, message_body, running
from tests.upstream.raw import DONE, FINISH, Exchange, good_completion, raw_upstream, text_chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PROBLEM = Problem("config.json", "PORT", "a text", "a number")


def with_models(config: Config, *models: str) -> Config:
    provider = dataclasses.replace(config.providers[0], models=models)
    return dataclasses.replace(
        config, providers=(provider,), router=Router(default=f"databricks,{models[0]}")
    )


async def models_of(service: Service) -> list[str]:
    answered = await ask(service.port, request(service.port, "/v1/models", method="GET"))
    return [each["id"] for each in answered.json["data"]]


async def configuration_of(service: Service) -> dict[str, object]:
    answered = await ask(service.port, request(service.port, "/status", method="GET"))
    return dict(answered.json["configuration"])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the product needs no event for it
            await asyncio.sleep(0.002)


class TestAdopting:
    @pytest.mark.fault("L119", outcome="running streams end with the configuration they began with")
    async def test_a_running_stream_keeps_its_configuration(self) -> None:
        go_on = asyncio.Event()

        async def play(exchange: Exchange) -> None:
            await exchange.stream_head()
            await exchange.chunk(text_chunk("hel"))
            await go_on.wait()
            await exchange.chunk(text_chunk("lo") + FINISH + DONE)
            await exchange.end()

        async with (
            raw_upstream(play) as first,
            raw_upstream(good_completion) as second,
            running(config_for(first.url)) as service,
            raw_client(service.port) as client,
        ):
            await client.send(request(service.port, body=message_body(stream=True)))
            await client.reader.readuntil(b'"hel"')
            assert service.app.live.adopt(config_for(second.url))
            answered = await ask(service.port, request(service.port, body=message_body()))
            assert (answered.status, len(second.got)) == (200, 1)
            report = await configuration_of(service)
            assert (report["generation"], report["earlier_generations_running"]) == (2, 1)
            go_on.set()
            async with asyncio.timeout(5):
                await client.reader.readuntil(b"message_stop")
            await until(lambda: not service.app.live._retired)
            counts = service.app.gateway.metrics.snapshot()
            assert counts["requests"] == {"ok": 2}, "counters outlive a configuration"

    async def test_new_requests_get_the_new_models(self) -> None:
        config = config_for("http://127.0.0.1:1")
        async with running(config) as service:
            assert not service.app.live.adopt(config), "nothing has changed"
            upstream = service.app.upstream
            assert service.app.live.adopt(dataclasses.replace(config, log_level="debug"))
            assert service.app.upstream is upstream, "its connections stay"
            assert service.app.live.adopt(with_models(config, OTHER_MODEL))
            assert service.app.upstream is not upstream
            assert [OTHER_MODEL in each for each in await models_of(service)] == [True]

    async def test_what_needs_a_restart_says_so(self) -> None:
        config = config_for("http://127.0.0.1:1")
        async with running(config) as service:
            edited = dataclasses.replace(
                config, port=1, host="localhost", api_key=Secret("x" * 30), auth="none"
            )
            assert not service.app.live.adopt(edited)
            assert not service.app.live.adopt(edited)
            said = [entry.getMessage() for entry in service.log if "restart" in entry.getMessage()]
            assert said == ["HOST and PORT and APIKEY and AUTH changed: `ccr restart` makes it count"]
            report = await configuration_of(service)
            assert report["restart_needed_for"] == ["HOST", "PORT", "APIKEY", "AUTH"]
            assert not service.app.live.adopt(config)
            assert (await configuration_of(service))["restart_needed_for"] == []
            assert service.app.live.current.config == config

    async def test_one_that_cannot_be_built_changes_nothing(self) -> None:
        config = config_for("http://127.0.0.1:1")
        broken = dataclasses.replace(config.providers[0], steps=(Step(name="nobody-knows"),))
        async with running(config) as service:
            before = service.app.live.current
            with pytest.raises(ValueError, match="nobody-knows"):
                service.app.live.adopt(dataclasses.replace(config, providers=(broken,)))
            assert service.app.live.current is before


class TestSignIns:
    """Leases of identities; the identity here is a token of the environment."""

    ENVIRON: ClassVar = {"DATABRICKS_TOKEN": "dapi-1", "DATABRICKS_HOST": "https://adb-1.azuredatabricks.net"}

    def config(self, **changes: Any) -> Config:
        provider = Provider(
            name="databricks",
            url="https://adb-1.azuredatabricks.net/serving-endpoints/m/invocations",
            api_key=None,
            models=("m",),
            sign_in=SignIn(),
        )
        return Config(
            providers=(dataclasses.replace(provider, **changes),), router=Router(default="databricks,m")
        )

    async def test_an_identity_outlives_a_configuration(self) -> None:
        sign_ins = SignIns(self.ENVIRON, logging.getLogger("ccr.test"))
        first = sign_ins.lease(self.config())["databricks"]
        second = sign_ins.lease(self.config(models=("n",)))["databricks"]
        assert isinstance(first, Lease)
        assert first.is_of_same(second)
        assert not first.is_of_same(None)
        shared = first.shared.credentials
        assert first.describe() == shared.describe()
        assert (await second.authorization()).reveal() == "Bearer dapi-1"
        await first.close()
        await first.close()
        assert sign_ins._shared, "the second configuration still has it"
        assert not await second.rejected(await second.authorization())
        await second.close()
        assert not sign_ins._shared

    async def test_an_identity_that_is_not_found_changes_nothing(self) -> None:
        log = logging.getLogger("ccr.test")
        live = Live(self.config(), SignIns(self.ENVIRON, log).lease, log=log)
        lost = self.config(sign_in=SignIn(profile="nobody"))
        with pytest.raises(ConfigError):
            live.adopt(lost)
        assert not live.adopt(self.config())
        assert live.adopt(self.config(models=("m", "n")))
        await live.close()


@dataclasses.dataclass
class Edited:
    """A file whose content stands for a configuration."""

    file: Path
    texts: dict[str, Config]
    adopted: list[Config] = dataclasses.field(default_factory=list)

    def load(self) -> Config:
        text = self.file.read_text()
        if text not in self.texts:
            raise ConfigError(PROBLEM)
        return self.texts[text]


@contextlib.asynccontextmanager
async def watched(service: Service, edited: Edited, poll_s: float = 0.005) -> AsyncIterator[Reloader]:
    source = Source(edited.file, edited.load, edited.adopted.append)
    async with watching(service, source, poll_s) as reloader:
        yield reloader


@contextlib.asynccontextmanager
async def watching(service: Service, source: Source, poll_s: float = 0.005) -> AsyncIterator[Reloader]:
    reloader = Reloader(service.app.live, source, poll_s=poll_s)
    task = asyncio.create_task(reloader.run())
    try:
        yield reloader
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    config = config_for("http://127.0.0.1:1")
    file = tmp_path / "config.json"
    file.write_text("first")
    return Edited(file, {"first": config, "second one": with_models(config, OTHER_MODEL, MODEL)})


class TestWatching:
    async def test_an_edit_is_taken_over(self, edited: Edited) -> None:
        async with running(edited.texts["first"]) as service, watched(service, edited):
            edited.file.write_text("second one")
            await until(lambda: service.app.live.report()["generation"] == 2)
            assert len(await models_of(service)) == 2
            assert edited.adopted == [edited.texts["second one"]]

    @pytest.mark.fault(
        "L118", outcome="a bad edit keeps the last good configuration, told once and in status"
    )
    async def test_a_bad_edit_is_told_once_and_repaired_by_the_next(self, edited: Edited) -> None:
        async with running(edited.texts["first"]) as service, watched(service, edited):
            edited.file.write_text("nonsense")
            await until(lambda: bool(service.app.live.report()["problems"]))
            await asyncio.sleep(0.05)
            report = await configuration_of(service)
            assert (report["problems"], report["generation"]) == ([str(PROBLEM)], 1)
            told = [entry for entry in service.log if "not used" in entry.getMessage()]
            assert [entry.__dict__["fields"]["problem"] for entry in told] == [str(PROBLEM)]
            edited.file.write_text("first")
            await until(lambda: not service.app.live.report()["problems"])
            assert service.app.live.report()["generation"] == 1

    async def test_a_file_that_vanishes_changes_nothing(self, edited: Edited) -> None:
        async with running(edited.texts["first"]) as service, watched(service, edited):
            edited.file.unlink()
            await until(lambda: bool(service.app.live.report()["problems"]))
            assert len(await models_of(service)) == 1

    async def test_a_file_written_in_pieces_is_no_mistake(self, edited: Edited) -> None:
        async with running(edited.texts["first"]) as service, watched(service, edited, 0.05):
            for length in range(1, len("second one") + 1):
                edited.file.write_text("second one"[:length])
                await asyncio.sleep(0.01)
            await until(lambda: service.app.live.report()["generation"] == 2)
            assert not [entry for entry in service.log if "not used" in entry.getMessage()]

    async def test_a_signal_reads_it_now(self, edited: Edited) -> None:
        async with running(edited.texts["first"]) as service, watched(service, edited, 1000) as reloader:
            edited.texts["first"] = edited.texts["second one"]
            reloader.ask()
            await until(lambda: service.app.live.report()["generation"] == 2)
            edited.file.write_text("nonsense")
            reloader.ask()
            await until(lambda: bool(service.app.live.report()["problems"]))


def is_generation(service: Service, number: int) -> bool:
    return bool(service.app.live.report()["generation"] == number)


MINE = """
from ccr import Transformer
class Mine(Transformer):
    name = "mine"
    def request(self, chat, context):
        return {{**chat, "user": "{0}"}}
"""


class TestOwnFiles:
    """Files of code that the configuration names."""

    @pytest.fixture
    def mine(self, tmp_path: Path) -> Path:
        file = tmp_path / "mine.py"
        file.write_text(MINE.format("first"))
        file.chmod(0o600)
        return file

    @contextlib.asynccontextmanager
    async def serving(self, tmp_path: Path, config: Config) -> AsyncIterator[Service]:
        file = tmp_path / "config.json"
        file.write_text("it")
        edited = Edited(file, {"it": config})
        load = plugin_loader(tmp_path, {}, secrets=lambda _: ())
        source = Source(file, edited.load, edited.adopted.append, load_plugins=load)
        async with running(config, plugins=await load(config)) as service, watching(service, source):
            yield service

    @staticmethod
    def config_of(url: str, mine: Path) -> Config:
        config = config_for(url)
        provider = dataclasses.replace(config.providers[0], steps=(Step(name="mine"),))
        files = (TransformerFile(path=str(mine)),)
        return dataclasses.replace(config, providers=(provider,), transformers=files)

    async def test_an_edited_transformer_counts(self, tmp_path: Path, mine: Path) -> None:
        async with (
            raw_upstream(good_completion) as raw,
            self.serving(tmp_path, self.config_of(raw.url, mine)) as service,
        ):
            users = []
            for word, generation in (("first", 1), ("second", 2), ("second, too", 3)):
                if generation > 1:  # the first is there already: writing it again could count as an edit
                    mine.write_text(MINE.format(word))
                    await until(partial(is_generation, service, generation))
                await ask(service.port, request(service.port, body=message_body()))
                users.append(json.loads(raw.got[-1].body)["user"])
        assert users == ["first", "second", "second, too"]

    async def test_one_with_a_mistake_does_not_until_it_is_corrected(
        self, tmp_path: Path, mine: Path
    ) -> None:
        config = self.config_of("http://127.0.0.1:1", mine)
        async with self.serving(tmp_path, config) as service:
            mine.write_text("1 / 0")
            await until(lambda: bool(service.app.live.report()["problems"]))
            (problem,) = service.app.live.report()["problems"]
            assert "ZeroDivisionError" in problem
            assert service.app.live.report()["generation"] == 1
            mine.write_text(MINE.format("third"))
            await until(lambda: service.app.live.report()["generation"] == 2)
            assert service.app.live.report()["problems"] == []

    async def test_whatever_it_raises_the_next_edit_counts(self, tmp_path: Path, mine: Path) -> None:
        config = self.config_of("http://127.0.0.1:1", mine)
        async with self.serving(tmp_path, config) as service:
            odd = "options = property(lambda self: 1 / 0, lambda self, value: None)"
            mine.write_text(f"{MINE.format('x')}\n    {odd}\n")
            await until(lambda: bool(service.app.live.report()["problems"]))
            (problem,) = service.app.live.report()["problems"]
            assert problem == "it cannot be used: ZeroDivisionError: division by zero"
            assert any(entry.exc_info for entry in service.log)
            mine.write_text(MINE.format("third"))
            await until(lambda: service.app.live.report()["generation"] == 2)

    async def test_an_edited_custom_router_counts(self, tmp_path: Path) -> None:
        router = tmp_path / "router.py"
        router.write_text("def route(request, config): return None")
        router.chmod(0o600)
        config = dataclasses.replace(config_for("http://127.0.0.1:1"), custom_router=router)
        async with self.serving(tmp_path, config) as service:
            router.write_text(f"def route(request, config): return 'databricks,{MODEL}'")
            await until(lambda: service.app.live.report()["generation"] == 2)
            explain = request(service.port, "/v1/messages", message_body(), "x-ccr-explain: 1")
            assert (await ask(service.port, explain)).json["rule"] == "custom"
            router.unlink()
            await until(lambda: bool(service.app.live.report()["problems"]))

    async def test_an_edited_system_prompt_counts(self, tmp_path: Path) -> None:
        file, prompt = tmp_path / "config.json", tmp_path / "prompt.md"
        file.write_text("it")
        prompt.write_text("First.")

        def load() -> Config:
            own = SystemPrompt(path=prompt, text=prompt.read_text())
            return dataclasses.replace(config_for("http://127.0.0.1:1"), system_prompt=own)

        async def sent(service: Service) -> str:
            body = message_body(system="Theirs.\n# Environment\n")
            explain = request(service.port, "/v1/messages", body, "x-ccr-explain: 1")
            return (await ask(service.port, explain)).body.decode()

        source = Source(file, load, lambda _: None)
        async with running(load()) as service, watching(service, source):
            assert "First." in await sent(service)
            upstream = service.app.live.current.shared
            prompt.write_text("Second, and longer.")
            await until(lambda: service.app.live.report()["generation"] == 2)
            assert "Second" in await sent(service)
            assert service.app.live.current.shared is upstream, "the connections stay"
            prompt.unlink()
            await until(lambda: bool(service.app.live.report()["problems"]))
            assert "Second" in await sent(service)

    async def test_a_file_that_the_built_in_step_stands_for_is_not_looked_at(self, tmp_path: Path) -> None:
        file = tmp_path / "databricks.js"
        config = config_for("http://127.0.0.1:1")
        config = dataclasses.replace(
            config, transformers=(TransformerFile(path=str(file), is_built_in=True),)
        )
        assert own_files(config) == ()
        forced = dataclasses.replace(
            config.providers[0], steps=(Step(name="databricks-custom", options={"forceJs": True}),)
        )
        assert own_files(dataclasses.replace(config, providers=(forced,))) == (file,)
