"""An upstream's answer that is not a model's: the error the client gets instead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ccr.protocol.errors_from_upstream import upstream_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccr.errors import UpstreamError
    from ccr.gateway.changed_answers import Incoming
    from ccr.gateway.routes import Route

MAX_ERROR_BYTES: Final = 64 * 1024
ERROR_READ_S: Final = 10.0

_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})


def is_refusal(answer: Incoming) -> bool:
    """Tell whether the answer's head already says that no model's answer follows."""
    return answer.status != 200 or answer.content_type in _PAGES


async def refusal_body(answer: Incoming) -> bytes:
    """Return the start of the answer's body, enough to see what it says; the answer is closed."""
    try:
        return await answer.read_start(max_bytes=MAX_ERROR_BYTES, timeout_s=ERROR_READ_S)
    finally:
        answer.close()


def refusal_from_answer(
    answer: Incoming,
    body: bytes,
    route: Route,
    *,
    estimated_tokens: int | None,
    masked: Callable[[str], str],
) -> UpstreamError:
    """Return the error that a refusal stands for.

    estimated_tokens: stands in for the number of tokens when the upstream says only that there are too many.
    masked: takes keys that were sent out of what the upstream says.
    """
    return upstream_error(
        answer.status,
        body,
        answer.headers,
        provider=route.provider.name,
        model=route.model,
        now=time.time(),
        context_tokens=route.traits.context_tokens,
        estimated_tokens=estimated_tokens,
        signs_in=route.provider.api_key is None and route.provider.sign_in is not None,
        others=_others(route),
        masked=masked,
    )


def _others(route: Route) -> list[str]:
    """Return the provider's other models: those configured, then those its workspace is known to serve."""
    models = dict.fromkeys((*route.provider.models, *route.provider.discovered))
    return [name for name in models if name.lower() != route.model.lower()]
