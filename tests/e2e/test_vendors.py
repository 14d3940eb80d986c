"""Sessions of the published client on models of other vendors: its real tools, on strict endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ccr.sandbox import Script, Turn, Workspace
from tests.e2e.test_sessions import DONE, bash

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Service

pytestmark = pytest.mark.e2e
MODELS = (
    "databricks-gpt-5",
    "databricks-gpt-oss-120b",
    "databricks-llama-4-maverick",
    "databricks-gemini-2-5-pro",
    "databricks-qwen3-next-80b-a3b-instruct",
)


@pytest.mark.parametrize("model", MODELS)
def test_parallel_tools_and_a_second_prompt(model: str, serve: Callable[..., Service]) -> None:
    turns = [Turn(text="Two.", tools=[bash("echo 1 > a"), bash("echo 2 > b")]), DONE, Turn(text="AGAIN")]
    service = serve(
        Workspace(Script(turns=turns), models=MODELS),
        provider={"models": list(MODELS)},
        Router={"default": f"databricks,{model}"},
    )
    session = service.claude("do it", model=model)
    assert session.text == "DONE", session.text + session.stderr
    assert (session.folder / "a").read_text() + (session.folder / "b").read_text() == "1\n2\n"
    again = service.claude("and now?", model=model, arguments=("--continue",))
    assert again.text == "AGAIN", again.text + again.stderr
    assert set(service.statuses()) == {200}
    assert service.workspace.workspace.refusals == []
