"""Tokens of everything else that ``databricks-sdk`` knows: Azure, Google, OIDC federation, notebooks.

The SDK costs 1.7 s and 80 MB to import and asks the network while it is set up (an unreachable host: 300 s),
so it is imported only here, only when this identity was chosen, in a thread of its own, and given up after a
minute. Each renewal sets it up anew: its own cache would give back the token that is to be replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from ccr.upstream.auth.sources import excerpt, sign_in_delayed, sign_in_failed
from ccr.upstream.auth.tokens import token_from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Secret
    from ccr.upstream.auth.identity import SdkIdentity
    from ccr.upstream.auth.tokens import Token

TIMEOUT_S: Final = 60.0
HTTP_TIMEOUT_S: Final = 10
RETRY_TIMEOUT_S: Final = 20
_MODULE: Final = "databricks.sdk.core"
_SCHEME: Final = "Bearer "


def has_sdk() -> bool:
    """Tell whether ``databricks-sdk`` is installed, without importing it."""
    try:
        return find_spec("databricks.sdk") is not None
    except ModuleNotFoundError:
        return False


class SdkSource:
    """The tokens that ``databricks-sdk`` finds."""

    def __init__(self, identity: SdkIdentity, *, timeout_s: float = TIMEOUT_S) -> None:
        self._identity = identity
        self._timeout_s = timeout_s
        self._is_busy = False

    async def fetch(self, replacing: Secret | None) -> Token:
        """Return a new token."""
        del replacing
        if self._is_busy:
            raise sign_in_delayed("Databricks sign-in: databricks-sdk is still busy with the last attempt")
        try:
            async with asyncio.timeout(self._timeout_s):
                header = await self._in_thread(self._header)
        except TimeoutError:
            raise sign_in_delayed(
                f"Databricks sign-in: databricks-sdk gave no token within {self._timeout_s:.0f} s"
            ) from None
        except ImportError:
            raise sign_in_failed(
                "Databricks sign-in: this way to sign in needs databricks-sdk: `pip install 'ccr-proxy[sdk]'`"
            ) from None
        except ValueError as error:
            raise sign_in_failed(
                f"Databricks sign-in: databricks-sdk found no identity ({excerpt(str(error))})"
            ) from None
        except Exception as error:  # noqa: BLE001 - foreign code, with errors of half a dozen HTTP and cloud libraries
            raise sign_in_delayed(
                f"Databricks sign-in: databricks-sdk failed ({type(error).__name__}: {excerpt(str(error))})"
            ) from None
        try:
            return token_from_text(header.removeprefix(_SCHEME) if header.startswith(_SCHEME) else None)
        except ValueError:
            raise sign_in_failed(
                "Databricks sign-in: databricks-sdk signs in without a bearer token; choose another auth_type"
            ) from None

    def describe(self) -> Mapping[str, str]:
        """Return what was left to the SDK and what was not."""
        identity = self._identity
        return {
            "method": f"sdk ({identity.auth_type or 'its own choice'})",
            "host": identity.host or "",
            "profile": identity.profile or "",
            "source": identity.source,
        }

    def _header(self) -> str:
        """Return the Authorization header. Blocks, and raises whatever the SDK raises."""
        module: Any = importlib.import_module(_MODULE)
        identity = self._identity
        chosen = {"host": identity.host, "profile": identity.profile, "auth_type": identity.auth_type}
        config = module.Config(
            http_timeout_seconds=HTTP_TIMEOUT_S,
            retry_timeout_seconds=RETRY_TIMEOUT_S,
            **{key: value for key, value in chosen.items() if value is not None},
        )
        return str(config.authenticate().get("Authorization", ""))

    async def _in_thread(self, work: Callable[[], str]) -> str:
        """Return what ``work`` returns. Its thread is a daemon: one that hangs does not keep ccr alive."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        def hand_over(result: str | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result or "")

        def run() -> None:
            result, failure = None, None
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - handed over to the loop, which decides
                failure = error
            self._is_busy = False  # before it is handed over: who gets it may ask again at once
            with contextlib.suppress(RuntimeError):  # ccr has ended meanwhile
                loop.call_soon_threadsafe(hand_over, result, failure)

        self._is_busy = True
        threading.Thread(target=run, name="databricks-sdk", daemon=True).start()
        return await future
