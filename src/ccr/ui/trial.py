"""One tiny request to a model, through the running service: what Claude Code would meet."""

from __future__ import annotations

import json
import time
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccr.daemon.control import known_key
from ccr.daemon.identity import find_service
from ccr.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.paths import Paths

DEADLINE_S: Final = 75.0
"""An endpoint that was scaled to zero needs most of a minute for its first answer."""


def tried(paths: Paths, environ: Mapping[str, str], route: str) -> dict[str, Any]:
    """Ask ``provider,model`` for one token; return ``ok``, ``ms``, ``status`` and the sentence of an error.

    The key goes only to a service that has proved to be ours. Raises RequestError (409) when none runs.
    """
    key = known_key(paths, environ)
    found = find_service(paths, key)
    if found.condition != "running" or found.state is None or key is None:
        raise RequestError("ccr is not running: start it on the overview, then try again", status=409)
    headers = {"content-type": "application/json", "x-api-key": key.reveal(), "user-agent": "ccr-ui"}
    body = {"model": route, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
    connection = HTTPConnection(urlsplit(found.state.address).netloc, timeout=DEADLINE_S)
    began = time.monotonic()
    try:
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        answer = connection.getresponse()
        status, data = answer.status, answer.read()
    except TimeoutError:
        return _outcome(began, None, f"no answer within {DEADLINE_S:.0f} s")
    except (OSError, HTTPException) as error:
        return _outcome(began, None, f"the service did not answer: {error}")
    finally:
        connection.close()
    return _outcome(began, status, None if status == 200 else sentence_of(data))


def sentence_of(data: bytes) -> str:
    """Return the message of an error's body."""
    try:
        message = json.loads(data)["error"]["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return "an answer that cannot be read"
    return str(message)


def _outcome(began: float, status: int | None, error: str | None) -> dict[str, Any]:
    ms = round((time.monotonic() - began) * 1000)
    return {"ok": error is None, "ms": ms, "status": status, "error": error}
