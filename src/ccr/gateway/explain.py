"""What would be done with a request: the decision, the rules tried, and the exact request to the upstream.

The request goes the way of every request, up to an upstream that sends nothing: it notes what it was given
and breaks off. Nothing is counted, logged or learnt.
"""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, cast
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ccr.config.masking import Mask, secrets_of_config
from ccr.config.model import MASK, Secret
from ccr.config.show import SECRET_NAME
from ccr.errors import ApiError
from ccr.gateway.metrics import Metrics
from ccr.gateway.record import Recorder
from ccr.gateway.replies import Reply
from ccr.protocol.redaction import redacted
from ccr.upstream.headers import request_headers, signs_itself

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ccr.config.model import Config, Provider
    from ccr.gateway.lines import Lines
    from ccr.gateway.record import Record
    from ccr.gateway.replies import Client
    from ccr.gateway.routes import Found, Route
    from ccr.upstream.client import Upstream
    from ccr.upstream.retry import Effort

    Line = Callable[[bytes, Record], Awaitable[object]]

SHORTEST_IN_A_BODY: Final = 12
"""A shorter secret (``ollama``) may be a word of the conversation."""
_QUERY_SECRET: Final = re.compile(r"(?P<name>[^&=]*(?:key|token|secret|sig)[^&=]*)=[^&]*", re.IGNORECASE)


class _NothingIsSent(Exception):  # noqa: N818 - the end of an explanation, no error
    """The request has reached the upstream."""


class Sent(NamedTuple):
    """A request as it would be sent, without secrets. body_bytes: how large it really is."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    body_bytes: int


class _UpstreamInMind:
    """Stands where `Upstream` stands, and sends nothing."""

    def __init__(self) -> None:
        self.sent: Sent | None = None

    async def open(
        self,
        provider: Provider,
        url: str,
        body: bytes,
        headers: Mapping[str, str | None] | None = None,
        *,
        stream: bool,
        user_token: Secret | None = None,  # noqa: ARG002 - the upstream's signature
        model: str = "",  # noqa: ARG002 - the same
        effort: Effort | None = None,  # noqa: ARG002 - the same
    ) -> NoReturn:
        """Note the request and break off."""
        is_signed = provider.api_key is not None or provider.sign_in is not None
        key = Secret(MASK) if is_signed and not signs_itself(headers) else None
        written = request_headers(headers or {}, key, stream=stream, key_header=provider.key_header)
        headers_shown = {name: _shown(name, written[name]) for name in written}
        self.sent = Sent(_without_secrets(url), headers_shown, body, len(body))
        raise _NothingIsSent

    async def token_of(self, provider: Provider, user_token: Secret | None = None) -> Secret | None:  # noqa: ARG002 - the upstream's signature
        """Return what stands for the token: none is fetched."""
        return Secret(MASK) if provider.api_key is None and provider.sign_in is not None else None

    def load(self, provider: Provider) -> float:  # noqa: ARG002 - the upstream's signature
        """Return that there is nothing to do: the session alone decides between equals."""
        return 0.0


class Explaining:
    """Explains requests by the lines that answer them. config: whose secrets must not be shown."""

    def __init__(self, lines: Lines, config: Config) -> None:
        self._lines = lines
        secrets = secrets_of_config(config)
        self._masked = Mask(each for each in secrets if len(each.reveal()) >= SHORTEST_IN_A_BODY).by_value

    async def messages(self, body: bytes, client: Client) -> Reply:
        """Explain a Messages request. Raises RequestError (400) for one that is refused before a route."""
        return await self._explained(body, client, "messages", lambda lines: lines.messages)

    async def chat_completions(self, body: bytes, client: Client) -> Reply:
        """Explain a chat request; errors as for `messages`."""
        return await self._explained(body, client, "chat_completions", lambda lines: lines.chat_completions)

    async def responses(self, body: bytes, client: Client) -> Reply:
        """Explain a request of the Responses API; errors as for `messages`."""
        return await self._explained(body, client, "responses", lambda lines: lines.responses)

    async def end_point(self, path: str, body: bytes, client: Client) -> Reply:
        """Explain a request at the route of a plugin's own; errors as for `messages`."""
        return await self._explained(body, client, path, lambda lines: partial(lines.end_point, path))

    async def _explained(
        self, body: bytes, client: Client, route: str, line: Callable[[Lines], Line]
    ) -> Reply:
        upstream = _UpstreamInMind()
        silent = logging.Logger("ccr.explain", logging.CRITICAL + 1)  # noqa: LOG001 - nobody listens to it
        recorder = Recorder(Metrics(), silent)
        record = recorder.begin(client, route, body)
        lines = self._lines.beside(cast("Upstream", upstream), recorder)
        problem = None
        try:
            await line(lines)(body, record)
        except _NothingIsSent:
            pass
        except ApiError as error:
            if record.found is None:
                raise
            problem = error.message
        # a transformer may write a key into the body
        sent = upstream.sent
        if sent is not None:
            shown = self._masked(sent.body.decode("utf-8", "surrogateescape"))
            sent = sent._replace(url=self._masked(sent.url), body=shown.encode("utf-8", "surrogateescape"))
        values = explanation(record, sent, problem)
        return Reply(200, msgspec.json.format(msgspec.json.encode(values), indent=2))


def explanation(record: Record, sent: Sent | None, problem: str | None) -> dict[str, Any]:
    """Return an explanation as JSON values; the body of the request stays the bytes that would be sent."""
    found = cast("Found", record.found)
    limits = found.route.limits
    values: dict[str, Any] = {
        "model": record.model,
        "route": _name(found.route),
        "rule": found.rule,
        "router": found.router or "config",
        "alternatives": [_name(route) for route in found.alternatives],
        "tried": [tried._asdict() for tried in found.tried],
        "api": record.api or "chat",
        "image_agent": record.image_agent or None,
        "changed": [*record.routing_rules, *record.rules],
        "limits": {"max_payload_bytes": limits.max_bytes, "max_tokens": limits.max_tokens},
        "request": None,
    }
    if sent is not None:
        values["request"] = {
            "method": "POST",
            "url": sent.url,
            "headers": sent.headers,
            "body_bytes": sent.body_bytes,
            "body": _json(sent.body),
        }
    if problem is not None:
        values["problem"] = problem
    return values


def _name(route: Route) -> str:
    return f"{route.provider.name},{route.model}"


def _json(body: bytes) -> object:
    """Return a body as it is; one that a transformer has made something else of as a text."""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace")
    return msgspec.Raw(body)


def _shown(name: str, value: str) -> str:
    return MASK if SECRET_NAME.search(name) else redacted(value)


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    query = _QUERY_SECRET.sub(rf"\g<name>={MASK}", parts.query)
    host = parts.netloc.rpartition("@")[2]
    return redacted(urlunsplit(parts._replace(netloc=host, query=query)))
