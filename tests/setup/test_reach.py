"""A workspace that only its provider's own proxy reaches, and only its own authority vouches for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from ccr.config.load import config_from_bytes
from ccr.config.paths import Paths
from ccr.errors import UpstreamError
from ccr.setup.check_workspace import workspace_findings
from ccr.setup.refresh import refreshed
from ccr.setup.session import Session, look
from ccr.setup.workspaces import signed_in, workspaces_of
from tests.setup.workspaces import TOKENS, ApiWorkspace
from tests.upstream.proxy_servers import ConnectProxy, listening, tunnel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ccr.config.model import Config

HOST = "adb-1.azuredatabricks.net"
URL = f"https://{HOST}"
MODEL = "databricks-claude-sonnet-4-5"


class Company(ConnectProxy):
    """The one proxy that knows the way: all it is asked for is the workspace, at its port for TLS."""

    workspace_port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line, _, _ = (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")
            self.asked.append(line.split(" ")[1])
            writer.write(b"HTTP/1.1 200 Go on\r\n\r\n")
            await tunnel(reader, writer, self.workspace_port)
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def behind_tls(certificate: trustme.LeafCert, port: int) -> AsyncIterator[int]:
    """Give a port that takes TLS off what goes to another port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    tasks: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await tunnel(reader, writer, port)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(forward(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def company(tmp_path: Path) -> AsyncIterator[tuple[ApiWorkspace, Company, dict[str, Any]]]:
    """Give the workspace, the proxy before it, and the keys of a provider that is told of both."""
    authority = trustme.CA()
    ca_file = tmp_path / "company.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    async with (
        ApiWorkspace(models=(MODEL,)) as workspace,
        behind_tls(authority.issue_cert(HOST), int(workspace.url.rpartition(":")[2])) as port,
        listening(Company()) as proxy,
    ):
        proxy.workspace_port = port
        entry = {
            "name": "databricks",
            "api_base_url": f"{URL}/serving-endpoints/{MODEL}/invocations",
            "models": [MODEL],
            "proxy": f"http://127.0.0.1:{proxy.port}",
            "ca_file": str(ca_file),
        }
        yield workspace, proxy, entry


def principal(workspace: ApiWorkspace) -> dict[str, str]:
    workspace.answers[TOKENS] = (
        {"access_token": workspace.token, "token_type": "Bearer", "expires_in": 3600},
    )
    return {
        "DATABRICKS_HOST": URL,
        "DATABRICKS_CLIENT_ID": "an-id",
        "DATABRICKS_CLIENT_SECRET": "a-secret",
    }


def config_of(entry: dict[str, Any], **keys: Any) -> Config:
    values = {"Providers": [entry], "Router": {"default": f"databricks,{MODEL}"}, **keys}
    return config_from_bytes(json.dumps(values).encode(), {})


async def test_ccr_models(tmp_path: Path) -> None:
    async with company(tmp_path) as (workspace, proxy, entry):
        environ = principal(workspace)
        found, problems = await refreshed(
            Paths(tmp_path), config_of(entry), environ, is_forced=True, clock=lambda: 0.0
        )
    assert MODEL in [model.name for model in found[URL].models], problems
    assert set(proxy.asked) == {f"{HOST}:443"}


async def test_ccr_doctor(tmp_path: Path) -> None:
    async with company(tmp_path) as (workspace, proxy, entry):
        environ = principal(workspace)
        config = config_of(entry)
        ((url, provider),) = workspaces_of(config).items()
        found = {each.check: each for each in await workspace_findings(config, url, provider, environ, float)}
        assert (found["host"].status, found["identity"].status) == ("ok", "ok")
        signed = await signed_in(config, environ)
        assert signed.providers[0].api_key is not None
    assert set(proxy.asked) == {f"{HOST}:443"}


async def test_ccr_doctor_names_what_is_missing(tmp_path: Path) -> None:
    async with company(tmp_path) as (workspace, _, entry):
        del entry["ca_file"]
        config = config_of({**entry, "api_key": workspace.token})
        ((url, provider),) = workspaces_of(config).items()
        (found,) = await workspace_findings(config, url, provider, {}, float)
    assert (found.check, found.status) == ("host", "failed")
    assert found.remedy is not None
    assert "as ca_file of this provider" in found.remedy


@pytest.mark.parametrize("place", ["provider", "file"])
async def test_ccr_setup(tmp_path: Path, place: str) -> None:
    """What the file in place says of a provider, or of all, holds for looking at its workspace."""
    async with company(tmp_path) as (workspace, proxy, entry):
        ways = {"proxy": entry.pop("proxy"), "ca_file": entry.pop("ca_file")}
        entry.update(ways if place == "provider" else {})
        written: dict[str, Any] = {"Providers": [entry], "Router": {"default": f"databricks,{MODEL}"}}
        if place == "file":
            written |= {"PROXY_URL": ways["proxy"], "CA_FILE": ways["ca_file"]}
        session = Session(
            path=tmp_path / "config.json",
            old=json.dumps(written).encode(),
            written=written,
            environ=principal(workspace),
            name="databricks",
            url=URL,
            identity={},
        )
        sight = await look(session)
        assert sight.person == "ada@example.com"
        assert MODEL in [model.name for model in sight.discovery.models]
    assert set(proxy.asked) == {f"{HOST}:443"}


async def test_ccr_setup_without_the_way(tmp_path: Path) -> None:
    async with company(tmp_path) as (workspace, _, entry):
        session = Session(
            path=tmp_path / "config.json",
            old=None,
            written={"Providers": [{**entry, "ca_file": None}]},
            environ=principal(workspace),
            name="databricks",
            url=URL,
            identity={},
        )
        with pytest.raises(UpstreamError, match="ca_file"):
            await look(session)
