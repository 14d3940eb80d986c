"""A plugin with a route of its own (``endPoint``), asked by the published client of its form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import openai
import pytest

from tests.dropin.person import ask, message
from tests.dropin.providers import Answer, Got, Providers, Said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dropin.conftest import Live, Serve

CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":'}}
REST = {"index": 0, "function": {"arguments": '"me"}'}}
TOOL = {
    "type": "function",
    "name": "look",
    "description": "",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    "strict": False,
}


def of_its_own_kind(got: Got) -> Said:
    """Answer as a provider that speaks the Responses API itself."""
    content = [{"type": "output_text", "text": f"as {got.body['model']}", "annotations": []}]
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    about = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": "completed"}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5"}
    return Said(json.dumps({**head, **about, "output": [item]}).encode())


@pytest.fixture
def live(serve: Serve) -> Live:
    providers = Providers(talks={"api.responses.example/v1/responses": of_its_own_kind})
    found = serve("responses", providers=providers)
    found.providers.got.clear()
    found.providers.answers.clear()
    return found


@pytest.fixture
def client(live: Live) -> Iterator[openai.OpenAI]:
    key = live.client.auth_token
    with openai.OpenAI(base_url=f"{live.person.address}/v1", api_key=key, max_retries=0) as made:
        yield made


def test_a_whole_answer(live: Live, client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model="deepseek-chat", input="hi", instructions="Be brief.", max_output_tokens=9000
    )
    assert answer.output_text == "hello"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (120, 7)
    got = live.providers.last()
    assert got.headers["authorization"] == "Bearer sk-deepseek-example"
    assert got.body["max_tokens"] == 4000  # the provider's own steps have been passed
    assert [each["role"] for each in got.body["messages"]] == ["system", "user"]


def test_a_stream(client: openai.OpenAI) -> None:
    with client.responses.stream(model="deepseek-chat", input="hi") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        answer = stream.get_final_response()
    assert deltas == ["hel", "lo"]
    assert answer.output_text == "hello"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_calls_there_and_back(live: Live, client: openai.OpenAI, *, stream: bool) -> None:
    live.providers.answers["api.deepseek.example"] = Answer(
        ({"tool_calls": [CALL]}, {"tool_calls": [REST]}), finish="tool_calls"
    )
    asked = {"model": "deepseek-chat", "input": "look", "tools": [TOOL]}
    if stream:
        events = list(client.responses.create(**asked, stream=True))  # type: ignore[call-overload] # one dict
        answer = events[-1].response
    else:
        answer = client.responses.create(**asked)  # type: ignore[call-overload] # one dict
    (call,) = answer.output
    assert (call.name, json.loads(call.arguments)) == ("look", {"at": "me"})
    live.providers.answers.clear()
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "seen"}
    history = [{"role": "user", "content": "look"}, call.model_dump(exclude_none=True), result]
    after = client.responses.create(model="deepseek-chat", input=history, tools=[TOOL])  # type: ignore[list-item] # plain dicts
    assert after.output_text == "hello"
    assert live.providers.last().body["messages"][-1] == {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": "seen",
    }


def test_a_provider_that_speaks_the_form_is_passed_requests(live: Live, client: openai.OpenAI) -> None:
    answer = client.responses.create(model="responses,gpt-5", input="hi", metadata={"as": "it is"})
    assert answer.output_text == "as gpt-5"
    got = live.providers.last()
    assert got.body == {"model": "gpt-5", "input": "hi", "metadata": {"as": "it is"}}
    assert got.headers["authorization"] == "Bearer sk-responses-example"
    assert str(live.client.auth_token) not in json.dumps(got.headers)


def test_errors_are_those_of_the_client(live: Live, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="there is no provider `nobody` in ccr"):
        client.responses.create(model="nobody,nothing", input="hi")
    wrong = client.with_options(api_key="wrong")
    with pytest.raises(openai.PermissionDeniedError, match="local key"):
        wrong.responses.create(model="deepseek-chat", input="hi")
    assert not live.providers.got


def test_claude_code_goes_on_beside_it(live: Live) -> None:
    answer = ask(live.client, stream=True, **message())
    assert [block.type for block in answer.content] == ["text"]


def test_the_route_is_shown(live: Live) -> None:
    assert "POST /v1/responses (responses-front)" in live.person.run("status").stdout
