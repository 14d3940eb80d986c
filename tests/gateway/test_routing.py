"""Routing in a whole service: what the upstream is sent, and what the record says, on both routes."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.model import Config, Router, Step, SystemPrompt
from ccr.sandbox import Workspace
from tests.gateway.native_service import native_config, post
from tests.routing.requests import ULTRATHINK, body_of
from tests.server.raw_client import Answered, ask, request
from tests.server.service import Service, config_for, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SONNET, OPUS, HAIKU = (
    "databricks-claude-sonnet-4-6",
    "databricks-claude-opus-4-8",
    "databricks-claude-haiku-4-5",
)
MODELS = (SONNET, OPUS, HAIKU)
ROUTER = Router(
    default=f"databricks,{SONNET}",
    scenarios={
        "think": f"databricks,{OPUS}",
        "longContext": f"databricks,{OPUS}",
        "image": f"databricks,{OPUS}",
    },
    long_context_threshold=30_000,
    alternatives={"default": (f"databricks,{HAIKU}",)},
)
TAG = "<CCR-SUBAGENT-MODEL>haiku</CCR-SUBAGENT-MODEL>"
BOTH = pytest.mark.parametrize("make", [config_for, native_config])


def configured(make: Callable[..., Config], url: str, router: Router = ROUTER, **changes: Any) -> Config:
    return make(url, token="sandbox-token-not-a-secret", models=MODELS, router=router, **changes)


async def sent_to(workspace: Workspace, index: int = -1) -> tuple[str, dict[str, Any]]:
    """Return the model that was asked, and the body."""
    recorded = [each for each in workspace.requests if each.method == "POST"][index]
    model = recorded.body.get("model") or recorded.path.split("/")[2]
    return model, recorded.body


async def asked(service: Service, **changes: Any) -> Answered:
    body = body_of(**changes)
    return await ask(service.port, request(service.port, "/v1/messages?beta=true", body))


@BOTH
@pytest.mark.parametrize(
    ("changes", "model", "rule"),
    [
        ({}, SONNET, "default"),
        ({"model": "claude-opus-5"}, OPUS, "family"),
        ({"model": HAIKU}, HAIKU, "model"),
        ({"model": f"DATABRICKS,{HAIKU}"}, HAIKU, "explicit"),
        ({"output_config": {"effort": "max"}}, OPUS, "think"),
        ({"messages": [{"role": "user", "content": f"a {ULTRATHINK}"}]}, OPUS, "think"),
        ({"messages": [{"role": "user", "content": "word " * 30_000}]}, OPUS, "longContext"),
    ],
)
async def test_the_upstream_is_the_one_of_the_rule(make: Any, changes: Any, model: str, rule: str) -> None:
    async with Workspace() as workspace, running(configured(make, workspace.url)) as service:
        answered = await asked(service, **{"model": "claude-sonnet-5", **changes})
        assert answered.status == 200, answered.body
        assert (await sent_to(workspace))[0] == model
        await service.idle()
        record = service.records[0]
        assert (record["rule"], record["upstream_model"]) == (rule, model)
        assert record["tried"][-1] == rule
        assert record["session_id"] == "s-1"
        assert "router" not in record


@BOTH
@pytest.mark.parametrize(
    "changes",
    [
        {"messages": [{"role": "user", "content": f"{TAG}\nsay hello"}]},
        {"system": [{"type": "text", "text": "a"}, {"type": "text", "text": f"{TAG}You review."}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": TAG}, {"type": "text", "text": "x"}]}
            ]
        },
    ],
)
async def test_the_tag_of_a_subagent_never_leaves(make: Any, changes: Any) -> None:
    async with Workspace() as workspace, running(configured(make, workspace.url)) as service:
        answered = await asked(service, **changes)
        assert answered.status == 200, answered.body
        model, body = await sent_to(workspace)
        assert model == HAIKU
        assert "CCR-SUBAGENT" not in json.dumps(body)
        await service.idle()
        record = service.records[0]
        assert record["rule"] == "subagent"
        assert record["rules"][0] == "subagent_tag_removed"
        counts = service.app.gateway.metrics.snapshot()["rules"]
        assert counts["subagent_tag_removed"] == 1


PROMPT = "Client.\n\n# Environment\n - kept"


@BOTH
async def test_the_system_prompt_of_the_person(make: Any, tmp_path: Path) -> None:
    own = SystemPrompt(path=tmp_path / "p.md", text="Mine.\n")
    async with (
        Workspace() as workspace,
        running(configured(make, workspace.url, system_prompt=own)) as service,
    ):
        block = {"type": "text", "text": PROMPT, "cache_control": {"type": "ephemeral"}}
        answered = await asked(service, system=[{"type": "text", "text": "Who."}, block])
        assert answered.status == 200, answered.body
        sent = json.dumps((await sent_to(workspace))[1])
        assert '"Mine.\\n# Environment\\n - kept", "cache_control": {"type": "ephemeral"}' in sent
        assert "Client." not in sent
        await asked(service, system=[{"type": "text", "text": "You review."}])
        assert "Mine." not in json.dumps((await sent_to(workspace))[1])
        await service.idle()
        assert service.records[0]["rules"][0] == "system_prompt_replaced"
        assert "system_prompt_replaced" not in service.records[1].get("rules", [])
        assert service.app.gateway.metrics.snapshot()["rules"]["system_prompt_replaced"] == 1
        values = await explained(service, system=PROMPT)
        assert values["changed"][0] == "system_prompt_replaced"
        half = body_of(system=PROMPT).replace(b'"hello"', b'"\\ud83d"')
        assert (await ask(service.port, request(service.port, "/v1/messages", half))).status == 200
        await service.idle()
        rules = service.records[-1]["rules"]
        assert rules[:2] == ["half_character_replaced", "system_prompt_replaced"]
        refused = await asked(service, system=[3])
        assert (refused.status, "system" in refused.json["error"]["message"]) == (400, True)


async def test_an_openai_client_is_routed_as_well() -> None:
    async with Workspace() as workspace, running(configured(config_for, workspace.url)) as service:
        for changes, model in (
            ({"messages": [{"role": "user", "content": f"{TAG}hello"}]}, HAIKU),
            ({"reasoning_effort": "high"}, OPUS),
            ({"model": "claude-sonnet-5"}, SONNET),
        ):
            chat = {"model": SONNET, "messages": [{"role": "user", "content": "hello"}], **changes}
            body = json.dumps(chat).encode()
            answered = await ask(service.port, request(service.port, "/v1/chat/completions", body))
            assert answered.status == 200, answered.body
            assert (await sent_to(workspace))[0] == model
            assert "CCR-SUBAGENT" not in json.dumps((await sent_to(workspace))[1])


@BOTH
async def test_a_session_that_was_long_stays_long(make: Any) -> None:
    async with Workspace() as workspace, running(configured(make, workspace.url)) as service:
        long = [{"role": "user", "content": "word " * 30_000}]
        middling = [{"role": "user", "content": "word " * 18_000}]
        for metadata, messages, rule in (
            (None, middling, "same_model"),
            ("s-7", long, "longContext"),
            ("s-8", middling, "same_model"),
            ("s-7", middling, "longContext"),
            ("s-7", [{"role": "user", "content": "small"}], "same_model"),
        ):
            user_id = {"user_id": json.dumps({"session_id": metadata})} if metadata else None
            await asked(service, messages=messages, metadata=user_id)
            await service.idle()
            assert service.records[-1]["rule"] == rule, (metadata, len(messages[0]["content"]))


# -- explanations --------------------------------------------------------------------------------------


async def explained(service: Service, target: str = "/v1/messages", **changes: Any) -> Any:
    answered = await post(service, target=target, headers={"x-ccr-explain": "1"}, **changes)
    assert answered.status == 200, answered.body
    return answered.json


@BOTH
async def test_an_explanation_is_what_would_be_sent(make: Any) -> None:
    async with Workspace() as workspace, running(configured(make, workspace.url)) as service:
        asked_for: dict[str, Any] = {
            "messages": [{"role": "user", "content": f"{TAG}hello"}],
            "context_management": {"edits": []},
        }
        values = await explained(service, **asked_for)
        assert not [each for each in workspace.requests if each.method == "POST"]
        assert not service.records
        assert service.app.gateway.metrics.snapshot()["requests"] == {}
        assert (values["route"], values["rule"]) == (f"databricks,{HAIKU}", "subagent")
        assert [tried["rule"] for tried in values["tried"]] == ["explicit", "subagent"]
        assert values["changed"] == ["subagent_tag_removed", "context_management_dropped"]
        assert values["request"]["headers"]["Authorization"] == "***"
        assert "sandbox-token" not in json.dumps(values)
        await post(service, **asked_for)
        recorded = next(each for each in workspace.requests if each.method == "POST")
        assert values["request"]["url"] == workspace.url + recorded.path
        assert values["request"]["body"] == recorded.body


async def test_an_explanation_shows_no_secret_that_a_step_writes_into_the_request() -> None:
    options = {"user": {"api_token": "canary-of-the-step"}, "note": "canary of nobody"}
    config = configured(config_for, "http://127.0.0.1:9")
    (provider,) = config.providers
    step = Step(name="customparams", options=options)
    config = replace(config, providers=(replace(provider, steps=(*provider.steps, step)),))
    async with running(config) as service:
        values = await explained(service)
        assert values["request"]["body"]["user"] == {"api_token": "***"}
        assert values["request"]["body"]["note"] == "canary of nobody"
        assert values["request"]["body_bytes"] > len(json.dumps(values["request"]["body"]).replace(" ", ""))


async def test_an_explanation_names_alternatives_and_limits() -> None:
    async with running(configured(config_for, "http://127.0.0.1:9")) as service:
        values = await explained(service, model="claude-sonnet-5")
        assert values["alternatives"] == [f"databricks,{HAIKU}"]
        assert values["limits"] == {"max_payload_bytes": None, "max_tokens": None}
        assert {"rule": "think", "why": "no more thinking than the client always asks for"} in values["tried"]
        chat = await explained(service, "/v1/chat/completions", model=OPUS, max_tokens=5)
        assert (chat["rule"], chat["request"]["body"]["max_tokens"]) == ("model", 5)


async def test_what_is_refused_before_a_route_is_refused_here() -> None:
    async with running(configured(config_for, "http://127.0.0.1:9")) as service:
        answered = await post(service, headers={"x-ccr-explain": "1"}, model="gpt-4o")
        assert answered.status == 400
        assert "`gpt-4o` is not configured" in answered.json["error"]["message"]


async def test_what_is_refused_behind_it_is_a_problem() -> None:
    async with running(native_config("http://127.0.0.1:9", models=MODELS, router=ROUTER)) as service:
        bad = [{"role": "user", "content": [{"type": "text", "text": 7}]}]
        values = await explained(service, messages=bad)
        assert values["request"] is None
        assert "messages.0" in values["problem"]


# -- a router of the person's own ----------------------------------------------------------------------

CUSTOM = """
import asyncio

async def route(request, config):
    body = request["body"]
    text = str(body["messages"])
    if "choose" in text:
        assert request["sessionId"] == "s-9"
        assert request["headers"]["user-agent"] == "claude-cli/2"
        assert request["headers"]["x-project"] == "shop"
        assert "x-api-key" not in request["headers"]
        assert request["tokenCount"] > 0
        assert config["Providers"][0]["api_key"] == "***"
        config["Router"] = None
        return config["Providers"][0]["name"] + ",databricks-claude-haiku-4-5"
    if "raise" in text:
        raise KeyError("mine")
    if "wrong" in text:
        return "nobody,nothing"
    if "number" in text:
        return 7
"""


@BOTH
async def test_a_custom_router(make: Any, tmp_path: Path) -> None:
    file = tmp_path / "router.py"
    file.write_text(CUSTOM)
    async with (
        Workspace() as workspace,
        running(configured(make, workspace.url, custom_router=file)) as service,
    ):
        for text, rule in (
            (f"{TAG} choose", "custom"),
            ("hello", "default"),
            ("raise", "default"),
            ("wrong", "default"),
            ("number", "default"),
        ):
            answered = await post(
                service,
                headers={
                    "user-agent": "claude-cli/2",
                    "x-claude-code-session-id": "s-9",
                    "X-Project": "shop",
                },
                model="claude-sonnet-5",
                messages=[{"role": "user", "content": text}],
            )
            assert answered.status == 200, answered.body
            await service.idle()
            assert service.records[-1]["rule"] == rule
            assert "CCR-SUBAGENT" not in json.dumps((await sent_to(workspace))[1])
        said = [entry.getMessage() for entry in service.log if "passed over" in entry.getMessage()]
        assert len(said) == 3
        assert "KeyError('mine')" in said[0]
        assert "no provider `nobody`" in said[1]
        assert "int, not a text" in said[2]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "the custom router names nothing"),
        ("raise", "passed over: it raised KeyError('mine')"),
        ("wrong", "passed over: model: there is no provider `nobody` in ccr."),
        ("number", "passed over: it returned int, not a text"),
    ],
)
async def test_an_explanation_says_why_the_custom_router_did_not_decide(
    tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "router.py"
    file.write_text(CUSTOM)
    config = configured(config_for, "http://127.0.0.1:9", custom_router=file)
    async with running(config) as service:
        messages = [{"role": "user", "content": text}]
        values = await explained(service, model="claude-sonnet-5", messages=messages)
        first, *rest = values["tried"]
        assert first["rule"] == "custom"
        assert first["why"].startswith(why)
        assert [tried["rule"] for tried in rest][-1] == values["rule"] == "default"


async def test_an_explanation_raises_no_counter() -> None:
    async with Workspace() as workspace, running(configured(config_for, workspace.url)) as service:
        gateway = service.app.gateway
        attempt = gateway.repairing.begin(f"databricks,{SONNET}", {"model": SONNET, "messages": []})
        refused = b'{"message": "top_p: Extra inputs are not permitted"}'
        attempt.request["top_p"] = 1
        assert attempt.repair(400, refused)
        attempt.accept()
        before = {**gateway.status(), "tasks": 0}
        values = await explained(service, "/v1/chat/completions", model=f"databricks,{SONNET}", top_p=1)
        assert "unknown_field_removed" in values["changed"]
        assert {**gateway.status(), "tasks": 0} == before


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
async def test_the_rules_that_were_looked_at_are_logged_where_they_say_something(level: int) -> None:
    async with Workspace() as workspace, running(configured(config_for, workspace.url)) as service:
        service.app.live._log.setLevel(level)
        await post(service)
        await post(service, messages=[{"role": "user", "content": f"{TAG}hello"}])
        plain, subagent = service.records
        assert ("tried" in plain) == (level == logging.DEBUG)
        assert plain["rule"]
        assert subagent["tried"] == ["explicit", "subagent"]
