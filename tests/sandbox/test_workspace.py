"""The workspace over HTTP: access, routes, records, and the published clients as judges of what it writes."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import anthropic
import openai
import pytest

from ccr.sandbox import AnthropicFake, Script, ToolCall, Turn, Usage, Wire, Workspace, WorkspaceThread
from ccr.sandbox.access import MAX_BODY_BYTES
from tests.sandbox.bodies import NEW, OLD, chat_body, function_tool, native_body, reasoning, tool_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.types.chat import ChatCompletionChunk

TALK = Turn(text="Hello from the model")
LOOP = Turn(
    thinking="I should look around first.",
    redacted="hidden",
    text="Looking.",
    tools=[ToolCall("Bash", {"command": "ls é"}), ToolCall("Bash", '{"big": 12345678901234567890}')],
    usage=Usage(input=10, output=20, cache_read=30, cache_creation=40),
)
THINKING = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def post(
    http: aiohttp.ClientSession, workspace: Workspace, path: str, body: Any, **headers: str
) -> Any:
    sent = {"authorization": f"Bearer {workspace.token}", "anthropic-version": "2023-06-01"} | headers
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    sent = {"content-type": "application/json"} | {
        name.replace("_", "-"): value for name, value in sent.items()
    }
    async with http.post(workspace.url + path, data=data, headers=sent) as response:
        text = await response.text()
        return response.status, json.loads(text)


CHAT = f"/serving-endpoints/{OLD}/invocations"
NATIVE = "/serving-endpoints/anthropic/v1/messages"


class TestAccess:
    @pytest.mark.parametrize(
        ("authorization", "status", "message"),
        [
            ("", 401, "Credential was not sent"),
            ("Basic x", 401, "Credential was not sent"),
            ("bearer sandbox-token-not-a-secret", 401, "Credential was not sent"),
            ("Bearer wrong", 403, "Invalid access token"),
        ],
    )
    @pytest.mark.parametrize("path", [CHAT, NATIVE, "/elsewhere"])
    async def test_only_the_token_opens(
        self, http: aiohttp.ClientSession, authorization: str, status: int, message: str, path: str
    ) -> None:
        async with Workspace() as workspace:
            answered, body = await post(http, workspace, path, chat_body(), authorization=authorization)
        assert answered == status
        assert message in body["message"]

    async def test_bodies_have_a_limit(self, http: aiohttp.ClientSession) -> None:
        async with Workspace() as workspace:
            status, body = await post(http, workspace, CHAT, b" " * (MAX_BODY_BYTES + 1))
        assert (status, body["error_code"]) == (413, "REQUEST_TOO_LARGE")

    async def test_bodies_are_json(self, http: aiohttp.ClientSession) -> None:
        async with Workspace() as workspace:
            status, body = await post(http, workspace, CHAT, chat_body(), content_type="text/plain")
            assert (status, body["message"]) == (400, "Content-Type must be application/json.")
            status, _ = await post(http, workspace, CHAT, b"{")
            assert status == 400

    async def test_compressed_bodies_are_read(self, http: aiohttp.ClientSession) -> None:
        async with Workspace() as workspace:
            packed = gzip.compress(json.dumps(chat_body()).encode())
            status, _ = await post(http, workspace, CHAT, packed, content_encoding="gzip")
        assert status == 200

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/serving-endpoints/nothing/invocations", chat_body()),
            ("/serving-endpoints/chat/completions", chat_body()),
            (CHAT, chat_body(model=NEW)),
            (NATIVE, native_body(model="nothing")),
        ],
    )
    async def test_unknown_endpoints(
        self, http: aiohttp.ClientSession, path: str, body: dict[str, Any]
    ) -> None:
        async with Workspace() as workspace:
            status, answer = await post(http, workspace, path, body)
        assert (status, answer["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert "does not exist" in answer["message"]

    @pytest.mark.parametrize(
        ("path", "status", "message"),
        [
            (
                f"{NATIVE}/count_tokens",
                404,
                "Path must be of form /serving-endpoints/<endpoint_name>/invocations",
            ),
            ("/ai-gateway/anthropic/v1/messages/count_tokens", 404, "Path must be of form"),
            (
                "/serving-endpoints/anthropic/invocations/v1/messages",
                400,
                "Unsupported native API path '/serving-",
            ),
            ("/v1/messages", 404, "No API found"),
        ],
    )
    async def test_unknown_paths(
        self, http: aiohttp.ClientSession, path: str, status: int, message: str
    ) -> None:
        async with Workspace() as workspace:
            answered, body = await post(http, workspace, path, {})
        assert answered == status
        assert message in body["message"]

    async def test_native_headers_are_checked(self, http: aiohttp.ClientSession) -> None:
        async with Workspace() as workspace:
            status, body = await post(http, workspace, NATIVE, native_body(), anthropic_beta="odd")
        assert status == 400
        assert "anthropic-beta" in body["message"]

    async def test_endpoints_are_listed(self, http: aiohttp.ClientSession) -> None:
        async with Workspace(models=[OLD]) as workspace:
            headers = {"authorization": f"Bearer {workspace.token}"}
            async with http.get(workspace.url + "/api/2.0/serving-endpoints", headers=headers) as response:
                body = await response.json()
        assert [endpoint["name"] for endpoint in body["endpoints"]] == [OLD]


class TestRecords:
    async def test_requests_are_kept(self, http: aiohttp.ClientSession) -> None:
        async with Workspace(Script(turns=[TALK])) as workspace:
            await post(http, workspace, CHAT + "?x=1", chat_body(), x_own="Value")
            await post(http, workspace, CHAT, chat_body(seed=1))
            served, refused = workspace.requests
            assert (served.method, served.path, served.status) == ("POST", CHAT + "?x=1", 200)
            assert served.headers["x-own"] == "Value"
            assert served.body == chat_body() == json.loads(served.raw)
            assert not served.is_stream
            assert served.ended_at is not None
            assert served.ended_at >= served.at
            assert workspace.conversation == [served]
            assert refused.status == 400
            assert [refusal.sentence for refusal in workspace.refusals] == [
                "seed: Extra inputs are not permitted"
            ]
            assert workspace.remaining == 0

    async def test_another_script_can_follow(self, http: aiohttp.ClientSession) -> None:
        async with Workspace(Script()) as workspace:
            status, body = await post(http, workspace, CHAT, chat_body())
            assert status == 400
            assert "no turn for this request" in body["message"]
            workspace.play(Script(turns=[TALK]))
            status, body = await post(http, workspace, CHAT, chat_body())
            assert body["choices"][0]["message"]["content"] == TALK.text

    async def test_waiting_has_an_end(self) -> None:
        async with Workspace() as workspace:
            await workspace.until(lambda: True)
            with pytest.raises(TimeoutError):
                await workspace.until(lambda: False, timeout_s=0.01)

    async def test_two_waiters(self, http: aiohttp.ClientSession) -> None:
        async with Workspace() as workspace:
            one = asyncio.create_task(workspace.until(lambda: len(workspace.requests) == 1))
            two = asyncio.create_task(workspace.until(lambda: len(workspace.requests) == 2))
            await asyncio.sleep(0)
            await post(http, workspace, CHAT, chat_body())
            await one
            assert not two.done()
            await post(http, workspace, CHAT, chat_body())
            await two

    async def test_a_workspace_that_never_started_can_stop(self) -> None:
        await Workspace().stop()


WIRES = [
    Wire(),
    Wire(split_bytes=1),
    Wire(split_bytes=7, newline="\r\n"),
    Wire(comments=True, extra_fields=True, multi_line_data=True),
    Wire(piece_chars=1, arguments="chars"),
    Wire(arguments="whole", interleave=True),
    Wire(usage="end", role="first", done="missing"),
    Wire(empty_choices=True, empty_delta=True, calls_in_one_chunk=True),
    Wire(space_after_colon=False, id="first", content_beside_tools="absent"),
]


class TestPublishedClients:
    @pytest.mark.parametrize("wire", WIRES)
    async def test_openai_reads_every_form(self, wire: Wire) -> None:
        turn = Turn(text="Grüße aus dem Modell", tools=LOOP.tools, usage=LOOP.usage, wire=wire)
        async with Workspace(Script(turns=[turn])) as workspace:
            client = openai.AsyncOpenAI(
                base_url=f"{workspace.url}/serving-endpoints", api_key=workspace.token, max_retries=0
            )
            stream = await client.chat.completions.create(
                model=OLD,
                messages=[{"role": "user", "content": "hi"}],
                tools=[function_tool()],  # type: ignore[list-item]  # a plain dict
                stream=True,
            )
            assert isinstance(stream, openai.AsyncStream)
            chunks = [chunk async for chunk in stream]
            await client.close()
        assert text_of(chunks) == "Grüße aus dem Modell"
        assert arguments_of(chunks) == ['{"command": "ls é"}', '{"big": 12345678901234567890}']
        usage = chunks[-1].usage
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens) == (80, 20)

    async def test_openai_reads_a_whole_completion(self) -> None:
        async with Workspace(Script(turns=[TALK])) as workspace:
            client = openai.AsyncOpenAI(
                base_url=f"{workspace.url}/serving-endpoints", api_key=workspace.token, max_retries=0
            )
            answer = await client.chat.completions.create(
                model=OLD, messages=[{"role": "user", "content": "hi"}]
            )
            await client.close()
        assert answer.choices[0].message.content == TALK.text
        assert answer.choices[0].finish_reason == "stop"

    @pytest.mark.parametrize("wire", [w for w in WIRES if w.arguments != "whole"])
    @pytest.mark.parametrize("fake", [False, True])
    async def test_anthropic_reads_every_form(self, wire: Wire, fake: bool) -> None:
        turn = Turn(
            thinking=LOOP.thinking, redacted="h", text="Grüße", tools=LOOP.tools, usage=LOOP.usage, wire=wire
        )
        script = Script(turns=[turn, turn])
        async with AnthropicFake(script) if fake else Workspace(script) as workspace:
            base = workspace.url if fake else f"{workspace.url}/ai-gateway/anthropic"
            client = anthropic.AsyncAnthropic(base_url=base, auth_token=workspace.token, max_retries=0)
            question: dict[str, Any] = {
                "model": OLD,
                "max_tokens": 4000,
                "messages": [{"role": "user", "content": "hi"}],
                "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
                "thinking": THINKING,
            }
            async with client.messages.stream(**question) as stream:
                streamed = await stream.get_final_message()
            whole = await client.messages.create(**question)
            await client.close()
        for message in (streamed, whole):
            assert [block.type for block in message.content] == [
                "redacted_thinking",
                "thinking",
                "text",
                "tool_use",
                "tool_use",
            ]
            assert message.stop_reason == "tool_use"
            usage = message.usage
            assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (10, 20, 30)

    async def test_the_body_can_be_of_the_other_kind(self, http: aiohttp.ClientSession) -> None:
        script = Script(
            turns=[Turn(text="a", wire=Wire(body="json")), Turn(text="b", wire=Wire(body="stream"))]
        )
        async with Workspace(script) as workspace:
            status, body = await post(http, workspace, CHAT, chat_body(stream=True))
            assert (status, body["object"]) == (200, "chat.completion")
            headers = {"authorization": f"Bearer {workspace.token}"}
            async with http.post(workspace.url + CHAT, json=chat_body(), headers=headers) as response:
                assert response.content_type == "text/event-stream"
                assert (await response.read()).endswith(b"data: [DONE]\n\n")


async def test_a_loop_with_thinking_can_be_replayed(http: aiohttp.ClientSession) -> None:
    script = Script(turns=[Turn(thinking="I think", tools=[ToolCall("Bash", "{}")]), TALK])
    async with Workspace(script) as workspace:
        asked = chat_body(tools=[function_tool()], thinking=THINKING)
        _, first = await post(http, workspace, CHAT, asked)
        message = first["choices"][0]["message"]
        assert message["content"] == [reasoning("I think")]
        call = message["tool_calls"][0]
        assert call == tool_call("toolu_sandbox_0001_0", "Bash", "{}")
        result = {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
        _, second = await post(
            http, workspace, CHAT, asked | {"messages": [*asked["messages"], message, result]}
        )
        assert second["choices"][0]["message"]["content"] == TALK.text
        assert workspace.refusals == []


class TestAnthropicFake:
    async def test_it_counts_tokens_and_answers_the_probe(self, http: aiohttp.ClientSession) -> None:
        async with AnthropicFake() as fake:
            body = {"model": "any", "messages": [{"role": "user", "content": "x" * 400}]}
            status, answer = await post(http, fake, "/v1/messages/count_tokens?beta=true", body)
            assert (status, answer["input_tokens"] > 100) == (200, True)
            async with http.head(fake.url + "/") as response:
                assert response.status == 200

    @pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
    async def test_it_wants_a_key(self, http: aiohttp.ClientSession, path: str) -> None:
        async with AnthropicFake() as fake:
            status, body = await post(http, fake, path, native_body(), authorization="")
        assert (status, body["error"]["type"]) == (401, "authentication_error")

    async def test_it_refuses_in_the_form_of_the_api(self, http: aiohttp.ClientSession) -> None:
        async with AnthropicFake() as fake:
            status, body = await post(http, fake, "/v1/messages", native_body(messages=[]))
            assert (status, body["error"]["type"]) == (400, "invalid_request_error")
            status, body = await post(http, fake, "/v1/elsewhere", {})
            assert (status, body["error"]["type"]) == (404, "not_found_error")

    async def test_system_messages_are_taken(self, http: aiohttp.ClientSession) -> None:
        messages = [*native_body()["messages"], {"role": "system", "content": "note"}]
        async with AnthropicFake(Script(turns=[TALK])) as fake:
            status, body = await post(http, fake, "/v1/messages?beta=true", native_body(messages=messages))
        assert (status, body["content"]) == (200, [{"type": "text", "text": TALK.text}])


class TestThread:
    def test_a_workspace_for_code_that_is_not_asynchronous(self) -> None:
        with WorkspaceThread(Script(turns=[TALK])) as workspace:
            assert workspace.url == f"http://{workspace.host}:{workspace.port}"
            client = openai.OpenAI(
                base_url=f"{workspace.url}/serving-endpoints", api_key=workspace.token, max_retries=0
            )
            client.chat.completions.create(model=OLD, messages=[{"role": "user", "content": "hi"}])
            workspace.until(lambda: len(workspace.requests) == 1)
            assert workspace.remaining == 0
            workspace.play(Script(turns=[TALK]))
            client.chat.completions.create(model=OLD, messages=[{"role": "user", "content": "hi"}])
            client.close()
            assert len(workspace.conversation) == 2
            assert workspace.refusals == []

    def test_it_holds_any_workspace(self) -> None:
        with WorkspaceThread(AnthropicFake(Script(turns=[TALK]))) as fake:
            client = anthropic.Anthropic(base_url=fake.url, api_key="any", max_retries=0)
            client.messages.create(model="x", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
            client.close()
            assert fake.workspace.requests[0].headers["authorization"] == "Bearer any"

    def test_a_taken_port_is_an_error_at_the_start(self) -> None:
        with (
            WorkspaceThread() as first,
            pytest.raises(OSError, match="address already in use"),
            WorkspaceThread(Workspace(port=first.port)),
        ):
            pass


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def arguments_of(chunks: list[ChatCompletionChunk]) -> list[str]:
    found: dict[int, str] = {}
    for call in (c for chunk in chunks for choice in chunk.choices for c in choice.delta.tool_calls or ()):
        assert call.function is not None
        found[call.index] = found.get(call.index, "") + (call.function.arguments or "")
    return [found[index] for index in sorted(found)]
