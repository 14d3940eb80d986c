"""``databricks-sdk`` on demand, with a module in its place: imported late, in a thread, given up in time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ccr.config.model import Secret
from ccr.errors import UpstreamError
from ccr.upstream.auth.identity import SdkIdentity
from ccr.upstream.auth.sdk import SdkSource, has_sdk
from ccr.upstream.auth.tokens import Token
from tests.upstream.auth.fakes import web_token

HOST = "https://adb-1.2.azuredatabricks.net"
AZURE = SdkIdentity(host=HOST, profile=None, auth_type="azure-cli", source="environment")

Sdk = Callable[[Callable[[dict[str, Any]], Any]], None]


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Sdk:
    """Install a databricks.sdk.core whose Config.authenticate is the given function of its options."""

    def install(authenticate: Callable[[dict[str, Any]], Any]) -> None:
        class Config:
            def __init__(self, **options: Any) -> None:
                self.options = options

            def authenticate(self) -> Any:
                return authenticate(self.options)

        core = ModuleType("databricks.sdk.core")
        vars(core)["Config"] = Config
        for name in ("databricks", "databricks.sdk"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "databricks.sdk.core", core)

    return install


async def test_the_sdk_is_asked_with_what_was_chosen(sdk: Sdk) -> None:
    seen: list[dict[str, Any]] = []
    text = web_token(exp=1_800_003_600)

    def authenticate(options: dict[str, Any]) -> dict[str, str]:
        seen.append({**options, "thread": threading.current_thread().name})
        return {"Authorization": f"Bearer {text}"}

    sdk(authenticate)
    source = SdkSource(AZURE)
    assert await source.fetch(None) == Token(Secret(text), 1_800_003_600.0)
    await source.fetch(Secret(text))
    assert seen[0] == {
        "host": HOST,
        "auth_type": "azure-cli",
        "http_timeout_seconds": 10,
        "retry_timeout_seconds": 20,
        "thread": "databricks-sdk",
    }
    assert len(seen) == 2, "each renewal sets it up anew"


@pytest.mark.parametrize(
    ("identity", "description"),
    [
        (AZURE, {"method": "sdk (azure-cli)", "host": HOST, "profile": "", "source": "environment"}),
        (
            SdkIdentity(host=None, profile="x", auth_type=None, source="profile x"),
            {"method": "sdk (its own choice)", "host": "", "profile": "x", "source": "profile x"},
        ),
    ],
)
def test_what_is_said_of_it(identity: SdkIdentity, description: dict[str, str]) -> None:
    assert SdkSource(identity).describe() == description


async def until_free() -> None:
    """Wait for the SDK's thread to end."""
    for thread in threading.enumerate():
        if thread.name == "databricks-sdk":
            await asyncio.to_thread(thread.join)


def raising(error: Exception) -> Callable[[dict[str, Any]], Any]:
    def authenticate(_options: dict[str, Any]) -> Any:
        raise error

    return authenticate


@pytest.mark.parametrize(
    ("authenticate", "expected", "words"),
    [
        (
            raising(ValueError("default auth: cannot configure\nConfig: token=dapi0123456789")),
            (403, False),
            "configure",
        ),
        (raising(ValueError("dapi0123456789abcdef")), (403, False), r"\*\*\*"),
        (raising(ConnectionError("no route")), (503, None), "ConnectionError: no route"),
        (raising(ImportError("no module")), (403, False), r"ccr-proxy\[sdk\]"),
        (lambda _options: {"Authorization": "Basic abc"}, (403, False), "without a bearer token"),
        (lambda _options: {}, (403, False), "without a bearer token"),
        (lambda _options: {"Authorization": "Bearer a b"}, (403, False), "without a bearer token"),
    ],
)
async def test_what_is_said_when_there_is_no_token(
    sdk: Sdk, authenticate: Callable[[dict[str, Any]], Any], expected: tuple[int, bool | None], words: str
) -> None:
    sdk(authenticate)
    with pytest.raises(UpstreamError, match=words) as caught:
        await SdkSource(AZURE).fetch(None)
    assert (caught.value.status, caught.value.should_retry) == expected
    assert "dapi0" not in caught.value.message


async def test_an_sdk_that_blocks_is_given_up_and_not_asked_twice_at_once(sdk: Sdk) -> None:
    release = threading.Event()

    def authenticate(_options: dict[str, Any]) -> dict[str, str]:
        release.wait(30)
        return {"Authorization": "Bearer late"}

    sdk(authenticate)
    source = SdkSource(AZURE, timeout_s=0.05)
    with pytest.raises(UpstreamError, match="gave no token within"):
        await source.fetch(None)
    with pytest.raises(UpstreamError, match="still busy"):
        await source.fetch(None)
    release.set()
    await until_free()
    source._timeout_s = 30.0
    assert (await source.fetch(None)).secret == Secret("late")


async def test_what_comes_after_the_loop_has_ended_is_dropped(sdk: Sdk) -> None:
    release = threading.Event()

    def authenticate(_options: dict[str, Any]) -> dict[str, str]:
        release.wait(30)
        return {}

    sdk(authenticate)
    source = SdkSource(AZURE, timeout_s=0.01)

    def run_in_another_loop() -> None:
        with pytest.raises(UpstreamError, match="gave no token"):
            asyncio.run(source.fetch(None))

    await asyncio.to_thread(run_in_another_loop)
    release.set()
    await until_free()


async def test_it_is_not_imported_unless_asked() -> None:
    code = "import sys, ccr.upstream.auth.credentials, ccr.upstream.auth.sdk as sdk; sdk.has_sdk()"
    code += "; print('databricks.sdk' in sys.modules)"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_whether_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("databricks")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "databricks", package)
    monkeypatch.delitem(sys.modules, "databricks.sdk", raising=False)
    assert not has_sdk()
    monkeypatch.setattr("ccr.upstream.auth.sdk.find_spec", raising(ModuleNotFoundError("databricks")))
    assert not has_sdk()
    monkeypatch.setattr("ccr.upstream.auth.sdk.find_spec", lambda _name: object())
    assert has_sdk()
