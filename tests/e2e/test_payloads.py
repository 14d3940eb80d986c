"""Sessions whose requests are larger than the provider takes: 400 KB here, for the 4 MB of Databricks."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from ccr.sandbox import Script, ToolCall, Turn
from tests.e2e.conftest import BUILT_IN, DEVBOX_JS
from tests.e2e.material import pdf, png

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e

LIMIT = 400_000
ROUTES = pytest.mark.parametrize(
    ("api", "steps"), [("chat", BUILT_IN), ("chat", DEVBOX_JS), ("anthropic", BUILT_IN)]
)


def read(path: Path) -> Turn:
    return Turn(tools=[ToolCall("Read", {"file_path": str(path)})])


@ROUTES
def test_pictures_are_made_smaller(serve: Callable[..., Service], tmp_path: Path, api: str) -> None:
    picture = tmp_path / "noise.png"
    noise = random.Random(7).randbytes(600 * 400 * 3)  # noqa: S311 - pixels, no secret
    picture.write_bytes(png(600, 400, noise))
    script = Script(turns=[read(picture), Turn(text="I see noise.")])
    service = serve(script, provider={"max_payload_bytes": 300_000, "api": api})
    session = service.claude("look at the picture")
    assert (session.exit_code, session.text) == (0, "I see noise.")
    log = [json.loads(line) for line in (service.home / "logs/ccr.log").read_text().splitlines()]
    [entry] = [entry for entry in log if entry["message"] == "images made smaller"]
    assert entry["images"] == 1
    assert entry["bytes"] > 300_000 >= entry["fitted_bytes"]
    assert len(service.chats()) == 2


@ROUTES
def test_a_document_that_is_too_large_is_named(
    serve: Callable[..., Service], tmp_path: Path, api: str
) -> None:
    document = tmp_path / "large.pdf"
    document.write_bytes(pdf() + b"\n" + b"%" * 400_000)
    service = serve(
        Script(turns=[read(document), Turn(text="<summary>s</summary>"), Turn(text="We go on.")]),
        provider={"max_payload_bytes": LIMIT, "api": api},
    )
    session = service.claude("read the document", CLAUDE_CODE_MAX_RETRIES="10")
    assert session.exit_code == 1
    assert "databricks takes requests of at most 0.4 MB; this one has" in session.text
    assert "Its largest parts: a document of 0.5 MB in a tool's result in message" in session.text
    assert "/rewind" in session.text
    assert len(service.chats()) == 1
    service.claude("/compact", arguments=("--continue",))
    assert service.claude("go on", arguments=("--continue",)).text == "We go on."


@ROUTES
def test_texts_that_are_too_large_make_the_client_compact(serve: Callable[..., Service], api: str) -> None:
    options: dict[str, Any] = {"max_payload_bytes": 20_000, "api": api}
    session = serve(Script(turns=[Turn(text="never")]), provider=options).claude("talk")
    assert session.exit_code == 1
    assert session.result["terminal_reason"] == "prompt_too_long"
