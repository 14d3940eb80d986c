"""A web address that is told something: its URL, how it is asked, and what it is shown as a key."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ccr.config.findings import shape
from ccr.config.model import MASK, Secret
from ccr.config.section import Section
from ccr.config.urls import fault_of_url

if TYPE_CHECKING:
    from collections.abc import Iterable

Method = Literal["POST", "PUT", "PATCH"]
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
NOT_IN_A_VALUE: Final = re.compile(r"[^\x20-\x7e]")
OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})
URL_FORM: Final = "an https URL (http only on this machine), without credentials"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where figures are sent. url: a secret, as many such addresses are. headers: names and values.

    secrets: all that must not be shown. attempts: at most, each ``backoff_s`` times 1, 2, 4 … after the last.
    """

    url: Secret
    method: Method = "POST"
    headers: tuple[tuple[str, Secret], ...] = ()
    secrets: tuple[Secret, ...] = ()
    attempts: int = 3
    backoff_s: float = 1.0
    timeout_s: float = 30.0


def webhook_from(config: Section, *, timeout_s: float) -> Webhook | None:
    """Return the address of a ``config``, None after a problem with it."""
    config.warn_of_unknown(("url", "method", "headers", "auth", "retry", "silent"))
    config.boolean("silent", default=False)
    retry = Section(config.table("retry"), config.at("retry"), config.findings)
    retry.warn_of_unknown(("maxAttempts", "backoffMs"))
    url = url_from(config, "url")
    headers = headers_from(config, "headers")
    signed, keys = _auth(Section(config.table("auth"), config.at("auth"), config.findings))
    method: Method = config.choice("method", "POST", get_args(Method))
    attempts = retry.integer("maxAttempts", 3, 1, 10)
    backoff_ms = retry.integer("backoffMs", 1000, 0, 60_000)
    if url is None:
        return None
    return Webhook(
        url=url,
        method=method,
        headers=(*headers, *signed),
        secrets=(url, *keys, *(value for _, value in headers)),
        attempts=attempts,
        backoff_s=backoff_ms / 1000,
        timeout_s=timeout_s,
    )


def webhook_shown(webhook: Webhook) -> dict[str, Any]:
    """Return what is written of an address, without secrets."""
    return {
        "url": MASK,
        "method": webhook.method,
        "headers": {name: MASK for name, _ in webhook.headers},
        "retry": {"maxAttempts": webhook.attempts, "backoffMs": round(webhook.backoff_s * 1000)},
    }


def url_from(section: Section, key: str) -> Secret | None:
    """Return a URL that something is sent to, None after a problem; it is never quoted."""
    text = section.text(key)
    fault = shape(section.values.get(key)) if text is None else fault_of_url(text, needs_path=False)
    if fault is not None:
        section.problem(key, fault, URL_FORM)
        return None
    return Secret(text or "")


def headers_from(section: Section, key: str) -> tuple[tuple[str, Secret], ...]:
    """Return the headers of an object; their values may be keys, so none is ever shown."""
    given = Section(section.table(key), section.at(key), section.findings)
    return tuple(_one_header(given, name, given.text(name)) for name in _names(given))


def _names(given: Section) -> Iterable[str]:
    for name in given.values:
        if not HEADER_NAME.fullmatch(name) or name.lower() in OURS:
            given.problem(name, "a header that cannot be set", "the name of a header, other than " + _ours())
        elif given.text(name) is not None:
            yield name


def _one_header(given: Section, name: str, value: str | None) -> tuple[str, Secret]:
    if value is not None and NOT_IN_A_VALUE.search(value):
        given.problem(name, "a text with line ends or non-ASCII characters", "the value of a header")
    return name, Secret(value or "")


def _auth(auth: Section) -> tuple[tuple[tuple[str, Secret], ...], tuple[Secret, ...]]:
    """Return the header that signs a request, none for none, and the secrets in it."""
    auth.warn_of_unknown(("type", "token", "username", "password", "custom"))
    if not auth.values:
        return (), ()
    kind = auth.choice("type", "", ("bearer", "basic", "custom"))
    if kind == "bearer":
        token = _needed(auth, "token")
        return ((("Authorization", Secret(f"Bearer {token.reveal()}")),), (token,)) if token else ((), ())
    if kind == "basic":
        return _basic(auth)
    if kind == "custom":
        custom = Section(auth.table("custom"), auth.at("custom"), auth.findings)
        custom.warn_of_unknown(("header", "value"))
        name = custom.text("header") or ""
        if not HEADER_NAME.fullmatch(name) or name.lower() in OURS:
            custom.problem("header", custom.quoted("header"), "the name of a header, other than " + _ours())
        value = _needed(custom, "value")
        return (((name, value),), (value,)) if value else ((), ())
    auth.problem("type", auth.quoted("type"), "one of bearer, basic, custom")
    return (), ()


def _basic(auth: Section) -> tuple[tuple[tuple[str, Secret], ...], tuple[Secret, ...]]:
    user, password = auth.text("username"), auth.text("password")
    for key, text in (("username", user), ("password", password)):
        if text is None:
            auth.problem(key, shape(auth.values.get(key)), "a text")
    if user is None or password is None:
        return (), ()
    pair = b64encode(f"{user}:{password}".encode()).decode()
    return (("Authorization", Secret(f"Basic {pair}")),), (Secret(password), Secret(pair))


def _needed(section: Section, key: str) -> Secret | None:
    found = section.secret(key)
    if found is None:
        section.problem(key, shape(section.values.get(key)), "a key of one word")
    return found


def _ours() -> str:
    return ", ".join(sorted(OURS))
