"""What the gateway asks: a header, what to do when it was refused, a description; for every identity."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from ccr.config.model import Secret
from ccr.config.profiles import read_text
from ccr.errors import ConfigError, RequestError
from ccr.upstream.auth.credentials import Credentials, credentials_for, credentials_of
from ccr.upstream.auth.identity import DatabricksCli, IdentitySettings, SdkIdentity, StaticToken
from ccr.upstream.auth.renewing import RenewingCredentials
from tests.upstream.auth.fakes import Clock, FakeHttp, calls_of, fake_cli, web_token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOST = "https://dbc-1.cloud.databricks.com"
URL = f"{HOST}/serving-endpoints/x/invocations"


def made(settings: IdentitySettings, environ: Mapping[str, str], clock: Clock | None = None) -> Credentials:
    return credentials_for(settings, environ, http=FakeHttp(), clock=clock or Clock())


async def test_a_literal_key_is_sent_and_never_renewed() -> None:
    credentials = made(IdentitySettings(url=URL, api_key=Secret("dapi0")), {})
    used = await credentials.authorization("forwarded")
    assert used.reveal() == "Bearer dapi0"
    assert await credentials.rejected(used) is False
    assert credentials.describe() == {
        "method": "pat",
        "host": HOST,
        "source": "config.json",
        "expires_at": "unknown",
    }
    await credentials.close()


async def test_a_web_token_tells_its_end() -> None:
    identity = StaticToken(token=Secret(web_token(exp=1_800_000_000)), host=None, source="environment")
    credentials = credentials_of(identity, {}, http=FakeHttp(), read_file=read_text)
    assert credentials.describe()["expires_at"] == "2027-01-15T08:00:00Z"
    assert credentials.describe()["host"] == ""


async def test_a_token_from_a_profile_is_read_again_when_it_was_refused(tmp_path: Path) -> None:
    file = tmp_path / ".databrickscfg"
    file.write_text(f"[DEFAULT]\nhost = {HOST}\ntoken = old")
    clock = Clock()
    credentials = made(IdentitySettings(url=URL), {"HOME": str(tmp_path)}, clock)
    used = await credentials.authorization()
    assert await credentials.rejected(used) is False

    file.write_text(f"[DEFAULT]\nhost = {HOST}\ntoken = new")
    assert await credentials.rejected(used) is False, "not read at every refusal"
    clock.pass_s(5)
    assert await credentials.rejected(used) is True
    assert (await credentials.authorization()).reveal() == "Bearer new"
    assert await credentials.rejected(used) is True, "there is another one already"


@pytest.mark.parametrize(
    "text", ["[DEFAULT]\ntoken = a b", "[DEFAULT]\nhost = h", "[other]\ntoken = x", "no ini"]
)
async def test_a_profile_that_is_being_edited_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / ".databrickscfg"
    file.write_text(f"[DEFAULT]\nhost = {HOST}\ntoken = old")
    credentials = made(IdentitySettings(url=URL), {"HOME": str(tmp_path)})
    file.write_text(text)
    used = await credentials.authorization()
    assert await credentials.rejected(used) is False
    assert await credentials.authorization() == used


async def test_the_users_own_token_is_passed_on() -> None:
    credentials = made(IdentitySettings(url=URL, auth_type="on-behalf-of-user"), {})
    used = await credentials.authorization("users-token")
    assert used.reveal() == "Bearer users-token"
    assert await credentials.rejected(used) is False
    assert credentials.describe() == {
        "method": "on-behalf-of-user",
        "host": HOST,
        "source": "x-forwarded-access-token",
        "expires_at": "unknown",
    }
    await credentials.close()


@pytest.mark.parametrize("forwarded", [None, "", "a b", "a\r\nx-api-key: b"])
async def test_a_request_without_the_users_token_is_refused(forwarded: str | None) -> None:
    credentials = made(IdentitySettings(auth_type="on-behalf-of-user"), {})
    with pytest.raises(RequestError, match="x-forwarded-access-token held") as caught:
        await credentials.authorization(forwarded)
    assert caught.value.status == 403
    assert "x-api-key" not in caught.value.message


async def test_the_login_of_the_cli_serves_requests(tmp_path: Path) -> None:
    fake_cli(tmp_path, "token(f'u2m-{len(log)}')")
    credentials = made(IdentitySettings(url=URL), {"PATH": str(tmp_path)})
    used = await credentials.authorization()
    assert used.reveal() == "Bearer u2m-1"
    assert await credentials.rejected(used)
    assert (await credentials.authorization()).reveal() == "Bearer u2m-2"
    assert credentials.describe()["method"] == "databricks-cli"
    assert len(calls_of(tmp_path)) == 2


@pytest.mark.parametrize(
    "identity",
    [
        DatabricksCli(host=HOST, profile=None, program="/x", source="environment"),
        SdkIdentity(host=HOST, profile=None, auth_type="azure-cli", source="environment"),
    ],
)
def test_what_is_renewed_is_shared(identity: DatabricksCli | SdkIdentity) -> None:
    log = logging.getLogger("test.auth")
    made_of = credentials_of(identity, {}, http=FakeHttp(), read_file=read_text, log=log)
    assert isinstance(made_of, RenewingCredentials)


def test_no_identity_is_a_problem_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccr.upstream.auth.credentials.has_sdk", lambda: False)
    with pytest.raises(ConfigError, match="databricks auth login"):
        made(IdentitySettings(url=URL), {"HOME": str(tmp_path), "PATH": str(tmp_path)})


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbf[a]")
    assert read_text(str(tmp_path / "f")) == "[a]"
