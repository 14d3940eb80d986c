"""The headers of a request, from an allow-list: nothing of the client's own goes upstream unless asked. Pure.

Routes and transformers may add headers, and take one away by None. A route or a transformer that says
anything about ``authorization`` signs the request itself, or wants it unsigned: the provider's key stays out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import KeyHeader, Secret

USER_AGENT: Final = f"ccr/{__version__}"
OF_THE_CONNECTION: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""What only the one who writes to the connection knows; nobody else's word for it is taken."""


def signs_itself(headers: Mapping[str, str | None] | None) -> bool:
    """Tell whether the request goes without the provider's key."""
    return bool(headers) and any(name.lower() == "authorization" for name in headers or ())


def request_headers(
    extra: Mapping[str, str | None],
    key: Secret | None,
    *,
    stream: bool,
    key_header: KeyHeader = "authorization",
) -> dict[str, str]:
    """Return the headers of a request. extra: None takes a header away. key: None leaves it unsigned."""
    headers = {
        "Accept": "text/event-stream" if stream else "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
    }
    if extra:
        _put(headers, extra)
    if key is not None:
        _put(headers, {key_header: None, **_signed(key, key_header)})
    return headers


def _signed(key: Secret, key_header: KeyHeader) -> dict[str, str]:
    if key_header == "x-api-key":
        return {"x-api-key": key.reveal()}
    return {"Authorization": f"Bearer {key.reveal()}"}


def _put(headers: dict[str, str], extra: Mapping[str, str | None]) -> None:
    """Put headers in place of those of the same name, in whatever case that is written."""
    written = {name.lower(): name for name in headers}
    for name, value in extra.items():
        lower = name.lower()
        if lower in OF_THE_CONNECTION:
            continue
        headers.pop(written.pop(lower, ""), None)
        if value is not None:
            written[lower] = name
            headers[name] = value
