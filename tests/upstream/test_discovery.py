"""Discovery against the sandbox's workspace, with each list failing alone."""

from __future__ import annotations

import socket
import ssl
import stat
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from ccr.config.address import workspace_url
from ccr.config.model import Secret
from ccr.config.paths import Paths
from ccr.errors import UpstreamError
from ccr.upstream.discovered import models_file, read_discovered, write_discovered
from ccr.upstream.discovery import ServedModel, discover
from ccr.upstream.ways import Reach
from ccr.upstream.workspace_api import WorkspaceApi, clock_of
from tests.setup.workspaces import (
    FOUNDATION_MODELS,
    ME,
    MODEL_SERVICES,
    ApiWorkspace,
    foundation_model,
    login_page,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ccr.sandbox import Workspace

SONNET = "databricks-claude-sonnet-4-5"
ENDPOINTS = "/api/2.0/serving-endpoints"


def api_of(workspace: Workspace, *, token: str | None = None, **options: Any) -> WorkspaceApi:
    return WorkspaceApi(workspace.url, Secret(token or workspace.token), **options)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://dbc-1.cloud.databricks.com", "https://dbc-1.cloud.databricks.com"),
        ("dbc-1.cloud.databricks.com", "https://dbc-1.cloud.databricks.com"),
        (" adb-1.2.azuredatabricks.net/?o=12#x ", "https://adb-1.2.azuredatabricks.net"),
        ("HTTPS://Dbc-1.Example.com/ml/endpoints", "https://dbc-1.example.com"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("https://[::1]:8443/x", "https://[::1]:8443"),
        ("dbc-1.example.com:8443", "https://dbc-1.example.com:8443"),
    ],
)
def test_the_url_of_a_workspace_is_found_in_what_people_paste(written: str, url: str) -> None:
    assert workspace_url(written) == url


@pytest.mark.parametrize(
    "written",
    [
        *("", "https://", "ftp://x.example.com", "https://a:secret@x.example.com", "http://x.example.com"),
        *(
            "a b.c",
            "https://x:99999",
            "https://<workspace>.cloud.databricks.com",
            "https://wörkspace.example.com",
        ),
    ],
)
def test_what_is_no_workspace_is_refused_without_being_quoted(written: str) -> None:
    with pytest.raises(ValueError, match=r"URL|clear") as caught:
        workspace_url(written)
    assert "secret" not in str(caught.value)


async def test_the_three_lists_become_one() -> None:
    async with ApiWorkspace(models=(SONNET, "databricks-claude-opus-4-8")) as workspace:
        workspace.answers[FOUNDATION_MODELS] = (
            {
                "endpoints": [
                    foundation_model(SONNET, "anthropic/v1/messages", "mlflow/v1/chat/completions"),
                    foundation_model("databricks-bge", "mlflow/v1/embeddings") | {"task": ""},
                    {"name": "two words"},
                    {"name": 7},
                    "nothing",
                ]
            },
        )
        workspace.answers[MODEL_SERVICES] = (
            {
                "model_services": [
                    {"name": "model-services/system.ai.claude-opus-4-8", "supported_api_types": ["a/b", 1]},
                    {"name": "system.ai.gpt", "supported_api_types": ["openai/v1/responses"]},
                ]
            },
        )
        async with api_of(workspace) as api:
            found = await discover(api)
    assert found.problems == ()
    assert {model.name: model for model in found.models} == {
        SONNET: ServedModel(
            name=SONNET,
            state="READY",
            task="llm/v1/chat",
            api_types=("anthropic/v1/messages", "mlflow/v1/chat/completions"),
        ),
        "databricks-claude-opus-4-8": ServedModel(
            name="databricks-claude-opus-4-8", state="READY", task="llm/v1/chat"
        ),
        "databricks-bge": ServedModel(name="databricks-bge", api_types=("mlflow/v1/embeddings",)),
        "system.ai.claude-opus-4-8": ServedModel(
            name="system.ai.claude-opus-4-8", source="gateway", api_types=("a/b",)
        ),
        "system.ai.gpt": ServedModel(
            name="system.ai.gpt", source="gateway", api_types=("openai/v1/responses",)
        ),
    }
    asked = [record for record in workspace.requests if record.path.startswith(MODEL_SERVICES)]
    assert "parent=schemas/system.ai" in asked[0].path.replace("%2F", "/")
    assert all("authorization" in record.headers for record in workspace.requests)


@pytest.mark.parametrize(
    ("model", "is_chat", "takes_messages"),
    [
        (ServedModel(name="x", task="llm/v1/chat"), True, False),
        (ServedModel(name="claude", task="llm/v1/embeddings"), False, False),
        (ServedModel(name="x", api_types=("anthropic/v1/messages",)), True, True),
        (ServedModel(name="x", api_types=("gemini/v1/generateContent",)), True, False),
        (ServedModel(name="x", api_types=("mlflow/v1/embeddings",)), False, False),
        (ServedModel(name="system.ai.claude-x"), True, False),
        (ServedModel(name="my-forecast"), False, False),
    ],
)
def test_what_holds_conversations(model: ServedModel, is_chat: bool, takes_messages: bool) -> None:
    assert (model.is_chat, model.takes_messages) == (is_chat, takes_messages)


async def test_pages_are_followed_and_a_repeated_token_ends_them() -> None:
    asked: list[str] = []

    class Pages(dict[str, Any]):
        """Each request for the list gets the next page; the second one names itself as the next."""

        def __getitem__(self, path: str) -> Any:
            if path == MODEL_SERVICES:
                asked.append(path)
                return (
                    {"model_services": [{"name": f"system.ai.claude-{len(asked)}"}], "next_page_token": "2"},
                )
            return super().__getitem__(path)

    async with ApiWorkspace(models=()) as workspace, api_of(workspace) as api:
        workspace.answers = Pages({MODEL_SERVICES: ()})
        found = await discover(api)
    assert [model.name for model in found.models] == ["system.ai.claude-1", "system.ai.claude-2"]


@pytest.mark.parametrize("closed", [ENDPOINTS, FOUNDATION_MODELS, MODEL_SERVICES])
async def test_each_list_fails_alone(closed: str) -> None:
    async with ApiWorkspace(models=(SONNET,)) as workspace:
        workspace.answers |= {
            FOUNDATION_MODELS: ({"endpoints": [foundation_model(SONNET)]},),
            MODEL_SERVICES: ({"model_services": [{"name": SONNET}]},),
        }
        workspace.answers[closed] = (
            {"error_code": "PERMISSION_DENIED", "message": "no right to dapi0123456789ab"},
            403,
        )
        async with api_of(workspace) as api:
            found = await discover(api)
    assert [model.name for model in found.models] == [SONNET]
    assert len(found.problems) == 1
    assert "refused this identity" in found.problems[0]
    assert "dapi0123" not in found.problems[0]


async def test_a_wrong_token_is_a_refused_identity() -> None:
    async with ApiWorkspace() as workspace, api_of(workspace, token="wrong") as api:
        with pytest.raises(UpstreamError, match="refused this identity") as caught:
            await discover(api)
    assert caught.value.status == 401


@pytest.mark.parametrize("status", [200, 303, 403])
async def test_a_login_page_says_that_the_url_is_wrong(status: int) -> None:
    async with ApiWorkspace() as workspace:
        for path in (ENDPOINTS, FOUNDATION_MODELS, MODEL_SERVICES):
            workspace.answers[path] = login_page(status)
        async with api_of(workspace) as api:
            with pytest.raises(UpstreamError, match="not the workspace's own URL"):
                await discover(api)


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (("[1]", 200), 502, "no JSON object"),
        (({"message": "later"}, 429), 429, "429: later"),
        (("<html><title>Bad Gateway</title></html>", 502), 502, "502: Bad Gateway"),
        (({}, 404), 404, "has no API"),
    ],
)
async def test_other_answers_are_named(answer: tuple[Any, ...], status: int, words: str) -> None:
    async with ApiWorkspace() as workspace:
        workspace.answers[ME] = answer
        async with api_of(workspace) as api:
            with pytest.raises(UpstreamError, match=words) as caught:
                await api.get(ME)
    assert caught.value.status == status


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccr.upstream.workspace_api.MAX_BODY_BYTES", 10)
    async with ApiWorkspace() as workspace, api_of(workspace) as api:
        with pytest.raises(UpstreamError, match="more than 10 bytes"):
            await api.get(ME)


async def test_an_answer_that_does_not_come_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with WorkspaceApi(url, Secret("t"), deadline_s=0.05) as api:
            with pytest.raises(UpstreamError, match="did not answer within") as caught:
                await discover(api)
            assert caught.value.status == 504
        async with WorkspaceApi(url, Secret("t")) as api:
            with pytest.raises(UpstreamError, match="did not come within"):
                await discover(api, deadline_s=0.05)


async def test_a_closed_port_and_a_bad_certificate_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    async with WorkspaceApi(url, Secret("t")) as api:
        with pytest.raises(UpstreamError, match="refused the connection"):
            await api.get(ME)

        async def fail(*_: Any, **__: Any) -> Any:
            raise ssl.SSLCertVerificationError("self-signed certificate in certificate chain")

        monkeypatch.setattr(aiohttp.ClientSession, "get", fail)
        with pytest.raises(UpstreamError, match="SSL_CERT_FILE"):
            await api.get(ME)


async def test_a_proxy_is_not_used_for_this_machine_and_is_for_others() -> None:
    async with (
        ApiWorkspace() as workspace,
        api_of(workspace, reach=Reach(Secret("http://127.0.0.1:9"))) as api,
    ):
        answer = await api.get(ME)
    assert answer.values["userName"] == "ada@example.com"
    assert answer.clock_s is not None
    with socket.create_server(("127.0.0.1", 0)) as gone:
        proxy = f"http://127.0.0.1:{gone.getsockname()[1]}"
    async with WorkspaceApi("https://x.example.com", Secret("t"), reach=Reach(Secret(proxy))) as api:
        with pytest.raises(UpstreamError, match="PROXY_URL"):
            await api.get(ME)


async def test_the_api_is_used_in_its_context() -> None:
    api = WorkspaceApi("https://x.example.com", Secret("t"))
    with pytest.raises(RuntimeError):
        await api.get(ME)
    await api.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("written", "seconds"), [("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0), ("", None), ("yesterday", None)]
)
def test_the_clock_of_an_answer(written: str, seconds: float | None) -> None:
    assert clock_of({"Date": written}) == seconds


def test_what_was_found_is_remembered_for_its_owner_alone(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    assert read_discovered(paths) == {}
    first, second = ServedModel(name="a"), ServedModel(name="b", source="gateway", api_types=("x",))
    write_discovered(paths, "https://one", (first,), at=1.0)
    write_discovered(paths, "https://two", (second,), at=2.0)
    found = read_discovered(paths)
    assert found["https://one"].models == (first,)
    assert (found["https://two"].at, found["https://two"].models) == (2.0, (second,))
    assert stat.S_IMODE(models_file(paths).stat().st_mode) == 0o600
    models_file(paths).write_text("{damaged")
    assert read_discovered(paths) == {}
