"""The whole line against the strict workspace: what it would refuse for its size fits or is told."""

from __future__ import annotations

import io
import json
import random
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from ccr.config.limits import WORKSPACE_BYTES
from ccr.config.model import Provider, Secret
from ccr.sandbox import Script, Turn, Workspace
from tests.e2e.material import pdf
from tests.gateway.native_service import SERVING
from tests.server.raw_client import Answered, ask, request
from tests.server.service import MODEL, Service, config_for, message_body, running

if TYPE_CHECKING:
    from ccr.config.model import Api, Config

LIMIT = WORKSPACE_BYTES
ROUTES = pytest.mark.parametrize("api", ["chat", "anthropic"])


def config(workspace: Workspace, api: Api, **limits: Any) -> Config:
    url = workspace.url + (SERVING if api == "anthropic" else "/serving-endpoints/chat/completions")
    provider = Provider(
        name="databricks",
        url=url,
        api_key=Secret(workspace.token),
        models=(MODEL,),
        api=api,
        **{"max_payload_bytes": LIMIT, **limits},
    )
    return config_for(workspace.url, providers=(provider,))


def picture(seed: int) -> str:
    """Return a PNG in base64 that cannot be compressed: 1000 x 500 pixels, 2 MB."""
    data = random.Random(seed).randbytes(1000 * 500 * 3)  # noqa: S311 - pixels, no secret
    out = io.BytesIO()
    Image.frombytes("RGB", (1000, 500), data).save(out, "PNG")
    return b64encode(out.getvalue()).decode()


def image(seed: int) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture(seed)}}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


ASSISTANT = {"role": "assistant", "content": "I see."}
ANY = Script(turns=[Turn(text="hello")])
SEEN = [user(text("one"), image(1)), ASSISTANT, user(text("two"), image(2), image(3))]


async def post(service: Service, target: str = "/v1/messages", **changes: Any) -> Answered:
    return await ask(service.port, request(service.port, target, message_body(**changes)))


def images_in(body: Any) -> list[str]:
    """Return the images in a body of either dialect, in base64, in its order."""
    if isinstance(body, list):
        return [found for each in body for found in images_in(each)]
    if not isinstance(body, dict):
        return []
    if body.get("type") == "image":
        return [body["source"]["data"]]
    if body.get("type") == "image_url":
        return [body["image_url"]["url"].partition("base64,")[2]]
    return images_in(list(body.values()))


@ROUTES
async def test_images_are_made_smaller_and_stay_the_same(api: Api) -> None:
    script = Script(turns=[Turn(text="first"), Turn(text="second")])
    async with Workspace(script) as workspace, running(config(workspace, api)) as service:
        for turns in (SEEN, [*SEEN, ASSISTANT, user(text("three"))]):
            answered = await post(service, messages=turns)
            assert answered.status == 200, answered.body
        first, second = [images_in(record.body) for record in workspace.requests]
        assert first == second
        originals = [picture(seed) for seed in (1, 2, 3)]
        assert [sent == given for sent, given in zip(first, originals, strict=True)] == [False, False, True]
        small = Image.open(io.BytesIO(b64decode(first[0])))
        assert (small.format, small.size) == ("JPEG", (1000, 500))
        assert [record["rules"] for record in service.records] == [["image_reencoded"]] * 2
        assert service.app.gateway.metrics.snapshot()["rules"]["image_reencoded"] == 2
        assert [entry.getMessage() for entry in service.log].count("images made smaller") == 2


@ROUTES
async def test_what_stays_too_large_is_told_and_not_sent(api: Api) -> None:
    data = b64encode(pdf() + bytes(3_300_000)).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    messages = [user(text("u")), ASSISTANT, user(text("read"), {"type": "document", "source": source})]
    async with Workspace(ANY) as workspace, running(config(workspace, api)) as service:
        answered = await post(service, messages=messages)
        assert answered.status == 400
        assert answered.json["error"]["type"] == "invalid_request_error"
        said = answered.json["error"]["message"]
        assert "databricks takes requests of at most 4.0 MB; this one has 4.4 MB." in said
        assert "a document of 4.4 MB in message 3 (messages.2.content.1)" in said
        assert answered.headers["x-should-retry"] == "false"
        answered = await post(service, messages=[user(text("t" * LIMIT))])
        assert answered.json["error"]["message"].startswith("prompt is too long: 4.0 MB")
        assert "x-should-retry" not in answered.headers
        assert not workspace.requests


@ROUTES
async def test_an_address_becomes_a_note(api: Api) -> None:
    url = "https://127.0.0.1/a.png"
    block = {"type": "image", "source": {"type": "url", "url": url}}
    for fetch_images, reason in ((False, "the endpoint takes no addresses"), (True, "its address is not")):
        async with (
            Workspace(ANY) as workspace,
            running(config(workspace, api, fetch_images=fetch_images)) as service,
        ):
            answered = await post(service, messages=[user(text("look"), block)])
            assert answered.status == 200, answered.body
            assert f"[image left out, {reason}" in json.dumps(workspace.requests[0].body)
            assert service.records[0]["rules"] == ["image_url_as_note"]


@ROUTES
async def test_max_tokens_are_capped(api: Api) -> None:
    thinking = {"type": "enabled", "budget_tokens": 9000}
    async with (
        Workspace(ANY) as workspace,
        running(config(workspace, api, max_tokens={MODEL: 8192})) as service,
    ):
        answered = await post(service, max_tokens=32_000, thinking=thinking)
        assert answered.status == 200, answered.body
        body = workspace.requests[0].body
        assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (8192, 8191)
        assert service.records[0]["rules"] == ["max_tokens_capped", "thinking_budget_clamped"]


async def test_an_openai_client_has_the_same_limits() -> None:
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture(1)}"}}
    async with (
        Workspace(ANY) as workspace,
        running(config(workspace, "chat", max_tokens={MODEL: 100})) as service,
    ):
        answered = await post(service, "/v1/chat/completions", max_tokens=200, messages=[user(url, url, url)])
        assert answered.status == 200, answered.body
        assert workspace.requests[0].body["max_tokens"] == 100
        assert service.records[0]["rules"] == ["max_tokens_capped", "image_reencoded"]
