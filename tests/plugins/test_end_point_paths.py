"""Which paths a plugin may have for a route of its own, and what is said of the others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from ccr.config.model import Config, TransformerFile
from ccr.errors import ConfigError, RequestError
from ccr.plugins.end_points import fault_of_end_point, nothing_is_built_in, shown_path
from ccr.plugins.loading import Plugins, load_plugins
from ccr.plugins.node.values import LoadedPlugin
from ccr.server.guard import Endpoint, Guard, Hosts
from ccr.server.routes import END_POINT, REPLACEABLE, ROUTES, Served, is_built_in, served_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.plugins.node_steps import Host


@pytest.mark.parametrize(
    "path", ["/v1/responses", "/my/end-point", "/a", "/v2/a_b.c~d", "/v1/messages2", "/v1/model", "/.well"]
)
def test_may_have(path: str) -> None:
    assert fault_of_end_point(path, is_built_in) is None


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        *(
            (path.replace("{id}", "x"), "ccr answers there itself")
            for path in ROUTES
            if path not in {"/", *REPLACEABLE}
        ),
        ("/v1/models/x/y", "ccr answers there itself"),
        ("/v1beta/models/:modelAndAction", "without `:name`"),
        ("/files/*", "`*`"),
        ("", "begins with /"),
        ("/", "begins with /"),
        ("responses", "begins with /"),
        ("/a/", "begins with /"),
        ("//a", "begins with /"),
        ("/a//b", "begins with /"),
        ("/a/../status", "begins with /"),
        ("/a/..", "begins with /"),
        ("/./a", "begins with /"),
        ("/a%2fb", "begins with /"),
        ("/a?b", "begins with /"),
        ("/a#b", "begins with /"),
        ("/a b", "begins with /"),
        ("/a\\b", "begins with /"),
        ("/a\n", "begins with /"),
        ("/\u00e9", "begins with /"),
        ("http://h/a", "without `:name`"),
        ("/" + "a" * 200, "at most 200"),
    ],
)
def test_may_not_have(path: str, fault: str) -> None:
    assert fault in str(fault_of_end_point(path, is_built_in))


def test_every_route_of_a_plugin_is_asked_by_post_and_with_the_key() -> None:
    assert Served("end_point", Endpoint(("POST",), is_open=False), None) == END_POINT
    assert all(is_built_in(path) for path in ROUTES if path not in REPLACEABLE)
    guard = Guard(Hosts.of("127.0.0.1", [80]), None, {path: each.endpoint for path, each in ROUTES.items()})
    assert guard.path_of("/mine?a=b", {"/mine"}) == "/mine"
    for target in ("/mine", "/mine/", "//mine", "/Mine", "/%6dine", "/./mine"):
        with pytest.raises(RequestError, match="there is no"):
            guard.path_of(target, {"/other"} if target == "/mine" else {"/mine"})


def test_a_plugin_goes_before_ccr_at_one_path_of_the_table_and_no_other() -> None:
    assert set(REPLACEABLE) == {"/v1/responses"}
    assert all(ROUTES[path].endpoint == END_POINT.endpoint for path in REPLACEABLE)
    everywhere = {*ROUTES, "/mine"}
    for path, served in ROUTES.items():
        assert served_at(path, set()) is served
        assert served_at(path, everywhere) is (END_POINT if path in REPLACEABLE else served)
    assert served_at("/mine", everywhere) is END_POINT


def test_a_path_in_a_message_is_short_and_printable() -> None:
    assert shown_path("/a\x1b\n" + "b" * 100) == "/a??" + "b" * 76
    assert not nothing_is_built_in("/status")


class FakeHost:
    """Stands for the Node process; each file is named like the plugin in it."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.paths = paths
        self.made: list[str] = []

    async def load(self, path: str, _options: Mapping[str, Any]) -> LoadedPlugin:
        name = Path(path).stem
        return LoadedPlugin(name, self.paths.get(name), frozenset())

    async def instance(self, plugin_name: str, _options: Mapping[str, Any]) -> int:
        self.made.append(plugin_name)
        return len(self.made)

    async def close(self) -> None:
        pass


async def loaded(**paths: str) -> Plugins:
    files = tuple(TransformerFile(path=f"/x/{name}.js") for name in paths)
    host = cast("Host", FakeHost(paths))
    config = dataclasses.replace(Config(), transformers=files)
    return await load_plugins(config, new_host=lambda: host, is_built_in=is_built_in)


async def test_each_has_its_own() -> None:
    plugins = await loaded(one="/v1/responses", two="/two")
    assert {path: each.name for path, each in plugins.end_points.items()} == {
        "/v1/responses": "one",
        "/two": "two",
    }
    assert plugins.warnings == ()


async def test_what_cannot_be_served_is_a_warning() -> None:
    plugins = await loaded(one="/v1/messages", two="/v1beta/models/:model", three="/three")
    assert list(plugins.end_points) == ["/three"]
    ending = "The plugin's hooks for providers work."
    assert list(plugins.warnings) == [
        f"/x/{name}.js: the endPoint {path} of {name} is not served: {fault}. {ending}"
        for name, path, fault in (
            ("one", "/v1/messages", "ccr answers there itself"),
            (
                "two",
                "/v1beta/models/:model",
                "only a path that stands for itself is served, without `:name` and `*`",
            ),
        )
    ]


async def test_two_cannot_have_the_same() -> None:
    with pytest.raises(ConfigError) as caught:
        await loaded(one="/x", two="/x")
    (problem,) = caught.value.problems
    assert problem.key == "transformers[1].path"
    assert problem.found == "the endPoint /x, which one has as well"
