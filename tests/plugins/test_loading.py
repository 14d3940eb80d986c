"""What a configuration's transformers become, and all that can be wrong with them at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from ccr.config.model import Config, Provider, Secret, Step, TransformerFile
from ccr.errors import ConfigError
from ccr.plugins import loading
from ccr.plugins.errors import PluginError
from ccr.plugins.loading import Plugins, load_plugins, no_plugins
from ccr.plugins.node.values import LoadedPlugin
from ccr.plugins.node_steps import NodeStep
from ccr.transformers.base import Context, Transformer
from ccr.transformers.openai import OpenAI
from ccr.transformers.remote import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.plugins.node_steps import Host

MINE = """
from ccr import Transformer
class Mine(Transformer):
    name = "mine"
    def __init__(self, options):
        super().__init__(options)
        if options.get("bad"):
            raise ValueError("mine has no option bad; allowed: good")
        if options.get("broken"):
            raise KeyError("broken")
class MyOpenAI(Transformer):
    name = "OpenAI"
"""


class FakeHost:
    """Stands for the Node process."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, Mapping[str, Any]]] = []
        self.made: list[tuple[str, Mapping[str, Any]]] = []
        self.calls: list[tuple[Any, ...]] = []
        self.closed = 0

    async def load(self, path: str, options: Mapping[str, Any]) -> LoadedPlugin:
        self.loaded.append((Path(path).name, options))
        if "broken" in path:
            raise PluginError(
                "broken.js", "it throws", hook="load", trace="Error: it throws\n    at broken.js:1"
            )
        name = "databricks-custom" if "databricks" in path else Path(path).stem
        return LoadedPlugin(name, None, frozenset({"transformResponseOut"}))

    async def instance(self, plugin_name: str, step_options: Mapping[str, Any]) -> int:
        self.made.append((plugin_name, step_options))
        return len(self.made)

    async def request(self, *arguments: Any, hook: str) -> str:
        self.calls.append((*arguments, hook))
        return "hooked"

    async def load_router(self, path: str) -> None:
        if "broken" in path:
            raise PluginError("broken.js", "it throws", trace="Error: it throws\n    at broken.js:1")

    async def response(self, *arguments: Any, is_last: bool) -> str:
        assert is_last
        self.calls.append(arguments)
        return "answered"

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def node() -> FakeHost:
    return FakeHost()


def config_with(*steps: Step, files: tuple[TransformerFile, ...] = (), **changes: Any) -> Config:
    provider = Provider(
        name="p",
        url="https://h/x",
        api_key=Secret("k"),
        models=("m",),
        steps=steps,
        model_steps={"m": steps[:1]},
    )
    return Config(providers=(provider,), transformers=files, **changes)


def python_file(folder: Path, text: str = MINE, **options: Any) -> TransformerFile:
    file = folder / "mine.py"
    file.write_text(text)
    file.chmod(0o600)
    return TransformerFile(path=str(file), options=options)


async def loaded(config: Config, node: FakeHost) -> Plugins:
    return await load_plugins(config, new_host=lambda: cast("Host", node))


async def problems(config: Config, node: FakeHost) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        await loaded(config, node)
    return {problem.key: f"{problem.found}; {problem.allowed}" for problem in caught.value.problems}


async def test_nothing_of_the_persons_own(node: FakeHost) -> None:
    step = Step(name="OpenAI")
    config = config_with(step)
    for plugins in (await loaded(config, node), await no_plugins(config), Plugins()):
        assert isinstance(plugins.build(step), OpenAI)
        assert plugins.host is None
        await plugins.close()


async def test_an_unknown_name_is_told_those_of_the_files(tmp_path: Path, node: FakeHost) -> None:
    config = config_with(Step(name="mine.py"), files=(python_file(tmp_path),))
    said = (await problems(config, node))["Providers (p).transformer.use[0]"]
    assert said.startswith("unknown transformer 'mine.py'; names in your files: mine, OpenAI; known ")


async def test_python(tmp_path: Path, node: FakeHost) -> None:
    one, two, theirs = (
        Step(name="mine", options={"a": 1}),
        Step(name="mine", options={"b": 2}),
        Step(name="OpenAI"),
    )
    config = config_with(one, two, theirs, files=(python_file(tmp_path, a=0, c=3),))
    plugins = await loaded(config, node)
    first, second = plugins.build(one), plugins.build(two)
    assert isinstance(first, Transformer)
    assert isinstance(second, Transformer)
    assert (first.options, second.options) == ({"a": 1, "c": 3}, {"a": 0, "b": 2, "c": 3})
    assert plugins.build(one) is first, "one object for each use"
    assert not isinstance(plugins.build(theirs), OpenAI), "a file stands before what is built in"
    assert plugins.host is None
    await plugins.close()


async def test_javascript(node: FakeHost) -> None:
    one, two = Step(name="headers", options={"x": 1}), Step(name="headers")
    config = config_with(one, two, files=(TransformerFile(path="/p/headers.js", options={"y": 2}),))
    plugins = await loaded(config, node)
    assert node.loaded == [("headers.js", {"y": 2})]
    assert node.made == [("headers", {"x": 1}), ("headers", {}), ("headers", {"x": 1})]
    first, second = plugins.build(one), plugins.build(two)
    assert isinstance(first, NodeStep)
    assert isinstance(second, NodeStep)
    assert first.host is second.host
    assert first.may_respond
    context = Context(provider="p", model="m", request_id="req_1", session_id="s")
    asked = Asked(b"{}", {"user-agent": "x"}, "/v1/messages")
    assert cast("Any", await first.request(b"body", context, asked)) == "hooked"
    number, body, provider, client, hook = node.calls[0]
    assert hook == "transformRequestIn"
    assert (number, body, provider["baseUrl"], provider["apiKey"]) == (
        first.number,
        b"body",
        "https://h/x",
        "k",
    )
    assert (client.id, client.url, client.session_id) == ("req_1", "/v1/messages", "s")
    answered = await first.host.response(
        [second, first], 200, {"Content-Type": "x"}, cast("Any", None), context, asked
    )
    assert cast("Any", answered) == "answered"
    assert node.calls[1][:3] == ([second.number, first.number], 200, {"content-type": "x"})
    await plugins.close()
    assert node.closed == 1


DEVBOX = TransformerFile(path="/p/databricks.js", is_built_in=True)


async def test_the_built_in_step_stands_for_its_file(node: FakeHost) -> None:
    step = Step(name="databricks-custom")
    plugins = await loaded(config_with(step, files=(DEVBOX,)), node)
    assert plugins.build(step).name == "databricks-custom"
    assert node.loaded == []


async def test_the_file_runs_where_it_is_forced(node: FakeHost) -> None:
    forced, plain = Step(name="databricks-custom", options={"forceJs": True}), Step(name="databricks-custom")
    plugins = await loaded(config_with(plain, forced, files=(DEVBOX,)), node)
    assert isinstance(plugins.build(forced), NodeStep)
    assert isinstance(plugins.build(plain), Transformer)


async def test_a_custom_router_in_javascript_needs_the_host(node: FakeHost) -> None:
    plugins = await loaded(config_with(Step(name="OpenAI"), custom_router=Path("/r.js")), node)
    assert cast("Any", plugins.host) is node
    plugins = await loaded(config_with(Step(name="OpenAI"), custom_router=Path("/r.py")), node)
    assert plugins.host is None


async def test_a_package(monkeypatch: pytest.MonkeyPatch, node: FakeHost) -> None:
    asked = []

    def offered(name: str) -> type[Transformer] | None:
        asked.append(name)
        return type("Offered", (Transformer,), {"name": name}) if name == "offered" else None

    monkeypatch.setattr(loading, "transformer_of_package", offered)
    step = Step(name="offered")
    plugins = await loaded(config_with(step, Step(name="OpenAI")), node)
    assert plugins.build(step).name == "offered"
    assert set(asked) == {"offered"}


async def test_every_problem_at_once(tmp_path: Path, node: FakeHost) -> None:
    config = config_with(
        Step(name="mine", options={"bad": True}),
        Step(name="mine", options={"broken": True}),
        files=(python_file(tmp_path), python_file(tmp_path)),
    )
    found = await problems(config, node)
    assert "a second file that defines" in found["transformers[1].path"]
    assert found["Providers (p).transformer.use[0]"] == "mine: mine has no option bad; good"
    assert found["Providers (p).transformer.m.use[0]"] == "mine: mine has no option bad; good"
    assert "it raises KeyError: 'broken'" in found["Providers (p).transformer.use[1]"]
    assert "its traceback:\nTraceback" in found["Providers (p).transformer.use[1]"]


async def test_a_file_that_fails_is_the_only_problem(tmp_path: Path, node: FakeHost) -> None:
    config = config_with(
        Step(name="mine"),
        files=(python_file(tmp_path, "1 / 0"), TransformerFile(path="/p/broken.js")),
    )
    found = await problems(config, node)
    assert list(found) == ["transformers[0].path", "transformers[1].path"]
    assert "ZeroDivisionError" in found["transformers[0].path"]
    assert "its traceback:\nError: it throws" in found["transformers[1].path"]
    assert node.closed == 1


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step(name="nothing"), "unknown transformer 'nothing'"),
        (Step(name="databricks-custom", options={"forceJs": True}), "of which there is no file"),
        (Step(name="databricks-custom", options={"x": True}), "unknown option 'x'"),
    ],
)
async def test_steps_that_cannot_be_built(step: Step, said: str, node: FakeHost) -> None:
    found = await problems(config_with(step), node)
    assert said in found["Providers (p).transformer.use[0]"]
