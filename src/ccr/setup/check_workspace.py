"""Doctor's checks of a workspace: can it be reached, who are we there, is the clock right."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from ccr.errors import UpstreamError
from ccr.setup.finding import Finding
from ccr.setup.workspaces import identity_of
from ccr.upstream.ways import Reach
from ccr.upstream.workspace_api import WorkspaceApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Config, Provider
    from ccr.setup.workspaces import Identity

ME: Final = "/api/2.0/preview/scim/v2/Me"
SKEW_WARNING_S: Final = 60.0
SKEW_FAILED_S: Final = 300.0
SOON_S: Final = 600.0
RENEW_BY_HAND: Final = (
    "put a valid token of this workspace in place (`ccr setup` finds one), then `ccr restart`"
)


async def workspace_findings(
    config: Config, url: str, provider: Provider, environ: Mapping[str, str], clock: Callable[[], float]
) -> list[Finding]:
    """Ask one workspace who we are. clock: seconds since 1970."""
    reach = Reach.of(config, provider)
    try:
        identity = await identity_of(provider, environ, reach=reach)
    except UpstreamError as error:
        if error.status == 403:  # the user of each request, and there is none now
            return [Finding("identity", "warning", error.message)]
        return [Finding("identity", "failed", error.message, "`ccr setup` finds an identity")]
    try:
        async with WorkspaceApi(url, identity.token, reach=reach) as api:
            answer = await api.get(ME)
    except UpstreamError as error:
        return _failure(error, url, identity, clock())
    now = clock()
    found = [Finding("host", "ok", f"{url} answers"), _identity(identity, answer.values, now)]
    if answer.clock_s is not None:
        found.append(_clock(now - answer.clock_s))
    return found


def _failure(error: UpstreamError, url: str, identity: Identity, now: float) -> list[Finding]:
    if error.status not in {401, 403, 404}:
        return [Finding("host", "failed", error.message, _remedy_of_host(error))]
    reached = Finding("host", "ok", f"{url} answers")
    if error.status != 401:  # such a token may still call models, which the calls prove
        text = f"{identity.method}; the workspace does not say who that is ({error.message})"
        return [reached, Finding("identity", "warning", text)]
    text = f"{identity.method}: {error.message}{_ending(identity, now)}"
    return [reached, Finding("identity", "failed", text, RENEW_BY_HAND)]


def _remedy_of_host(error: UpstreamError) -> str:
    message = error.message.lower()
    if "certificate" in message or "tls" in message:
        return "give the company's CA bundle (PEM) as CA_FILE in config.json, or as ca_file of this provider"
    if "web page" in message:
        return "correct the host in api_base_url; `ccr setup --host https://<workspace>` rewrites it"
    if "proxy" in message:
        return "correct PROXY_URL in config.json, or the provider's own proxy"
    return "check the host name in api_base_url, the network, and PROXY_URL if there is a company proxy"


def _identity(identity: Identity, me: Mapping[str, Any], now: float) -> Finding:
    names = (me.get("userName"), me.get("displayName"), me.get("id"))
    name = next((text for text in names if isinstance(text, str) and text), "somebody without a name")
    text = f"{name} by {identity.method}{_ending(identity, now)}"
    if identity.expires_at is not None and not identity.renews and identity.expires_at - now < SOON_S:
        return Finding("identity", "warning", text, RENEW_BY_HAND)
    return Finding("identity", "ok", text)


def _ending(identity: Identity, now: float) -> str:
    if identity.expires_at is None:
        return ""
    when = dt.datetime.fromtimestamp(identity.expires_at, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    if identity.expires_at <= now:
        return f"; the token ended {when}"
    return f"; the token ends {when}" + (" and is renewed by itself" if identity.renews else "")


def _clock(skew_s: float) -> Finding:
    size = abs(skew_s)
    if size <= SKEW_WARNING_S:
        return Finding("clock", "ok", "agrees with the workspace's within a minute")
    direction = "ahead of" if skew_s > 0 else "behind"
    text = f"this machine's clock is {size:.0f} s {direction} the workspace's: token renewal goes wrong"
    status: Any = "failed" if size > SKEW_FAILED_S else "warning"
    return Finding("clock", status, text, "set the clock, or turn its synchronisation (NTP) on")
