"""For the tests of the native route: configurations that take it, and requests of clients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ccr.config.model import Network, Provider, Secret
from tests.server.raw_client import Answered, ask, request
from tests.server.service import MODEL, UPSTREAM_KEY, Service, config_for, message_body

if TYPE_CHECKING:
    from ccr.config.model import Api, Config

SERVING = "/serving-endpoints/anthropic/v1/messages"
GATEWAY = "/ai-gateway/anthropic/v1/messages"


def native_config(
    base_url: str,
    *,
    token: str = UPSTREAM_KEY,
    models: tuple[str, ...] = (MODEL,),
    api: Api = "anthropic",
    path: str = SERVING,
    **changes: Any,
) -> Config:
    """Return the configuration of one provider, asked at ``path``."""
    provider = Provider(
        name="databricks",
        url=base_url + path,
        api_key=Secret(token),
        models=models,
        api=api,
        network=Network(retries=0),
    )
    return config_for(base_url, models=models, providers=(provider,), **changes)


async def post(
    service: Service, *, target: str = "/v1/messages", headers: dict[str, str] | None = None, **changes: Any
) -> Answered:
    data = request(service.port, target, message_body(**changes))
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head, _, body = data.partition(b"\r\n\r\n")
    return await ask(service.port, head + b"\r\n" + lines.encode() + b"\r\n" + body)


def events(answered: Answered) -> list[dict[str, Any]]:
    """Return the data of all events; each must name its own type."""
    found = []
    for block in answered.body.decode().split("\n\n")[:-1]:
        name, _, data = block.partition("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        found.append(value)
    return found
