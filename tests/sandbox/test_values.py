"""Signatures, token figures, views, the script file, the player: everything that needs no server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.errors import StartError
from ccr.sandbox.answer import answer_of, output_tokens_of_turn
from ccr.sandbox.default_script import COMMAND, respond
from ccr.sandbox.models import DEFAULT_MODELS, rules_of
from ccr.sandbox.player import Player
from ccr.sandbox.refusals import Refused
from ccr.sandbox.script import Fault, Script, ToolCall, Turn, Usage, load_script
from ccr.sandbox.signatures import is_redacted_data, is_signature, redacted_data_of, signature_of
from ccr.sandbox.tokens import PromptCache, output_tokens_of, prompt_tokens
from ccr.sandbox.view import RequestView, instance_of, view_of_chat, view_of_messages
from tests.sandbox.bodies import NEW, OLD, chat_body, chat_loop, function_tool, native_body, native_loop

if TYPE_CHECKING:
    from pathlib import Path


class TestSignatures:
    @given(st.text(), st.sampled_from(DEFAULT_MODELS))
    def test_what_was_issued_is_known(self, text: str, model: str) -> None:
        assert is_signature(signature_of(model, text), text, model)
        assert is_signature(signature_of(model, text), text)
        assert is_redacted_data(redacted_data_of(model, text), model)

    @given(st.text(), st.text(), st.integers(min_value=0))
    def test_what_was_changed_is_not(self, text: str, other: str, place: int) -> None:
        signature = signature_of(OLD, text)
        index = place % len(signature)
        forged = signature[:index] + ("A" if signature[index] != "A" else "B") + signature[index + 1 :]
        assert not is_signature(forged, text)
        assert is_signature(signature, other) == (text == other)

    @pytest.mark.parametrize("signature", ["", "sig", "QUJD", "é", "c2FuZGJveC10aGlua2luZy0x"])
    def test_foreign_ones_are_not(self, signature: str) -> None:
        assert not is_signature(signature, "text")
        assert not is_redacted_data(signature)
        assert not is_redacted_data(f"{signature}.%%")

    def test_they_belong_to_a_model(self) -> None:
        assert not is_signature(signature_of(OLD, "x"), "x", NEW)
        assert not is_redacted_data(redacted_data_of(OLD, "x"), NEW)


class TestTokens:
    def test_the_first_request_writes_the_cache_the_next_reads_it(self) -> None:
        cache = PromptCache()
        first = chat_body(messages=[self.cached("x" * 8000), {"role": "user", "content": "hi"}])
        one = cache.usage_of(first, OLD, 1024, 5)
        again = cache.usage_of(first, OLD, 1024, 5)
        assert one.cache_read == 0
        assert one.cache_creation > 2000
        assert again == Usage(one.input, 5, one.cache_creation, 0)
        assert one.input + one.cache_creation == prompt_tokens(first)

    def test_a_breakpoint_that_moved_on_reads_the_prefix_it_left(self) -> None:
        cache = PromptCache()
        first = [self.cached("x" * 8000)]
        one = cache.usage_of(chat_body(messages=first), OLD, 1024, 5)
        bare = {"role": "user", "content": [{"type": "text", "text": "x" * 8000}]}
        longer = [bare, {"role": "assistant", "content": "ok"}, self.cached("y" * 400)]
        two = cache.usage_of(chat_body(messages=longer), OLD, 1024, 5)
        assert two.cache_read == one.cache_creation
        assert 0 < two.cache_creation < 200

    def test_short_prefixes_and_other_models_are_not_cached(self) -> None:
        cache = PromptCache()
        body = chat_body(messages=[self.cached("x" * 800)])
        assert cache.usage_of(body, OLD, 1024, 5).cache_creation == 0
        assert cache.usage_of(body, OLD, 10, 5).cache_creation > 0
        assert cache.usage_of(body, NEW, 10, 5).cache_read == 0

    def test_a_changed_prefix_is_read_up_to_no_breakpoint(self) -> None:
        cache = PromptCache()
        cache.usage_of(chat_body(messages=[self.cached("x" * 8000)]), OLD, 10, 5)
        assert cache.usage_of(chat_body(messages=[self.cached("y" * 8000)]), OLD, 10, 5).cache_read == 0

    def test_images_have_a_price_of_their_own(self) -> None:
        assert prompt_tokens(chat_loop()) > 2 * 1600
        assert prompt_tokens(native_loop()) > 3 * 1600

    def test_both_dialects_are_estimated(self) -> None:
        assert prompt_tokens(native_body(system="x" * 400)) > prompt_tokens(native_body()) + 99
        assert output_tokens_of(None, "", "abcd") == 2

    @staticmethod
    def cached(text: str) -> dict[str, Any]:
        part = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
        return {"role": "user", "content": [part]}


def chat_view(**fields: Any) -> RequestView:
    return view_of_chat(chat_body(**fields), OLD)


def native_view(**fields: Any) -> RequestView:
    return view_of_messages(native_body(**fields))


class TestViews:
    def test_both_dialects_give_the_same_view_of_a_loop(self) -> None:
        chat, native = view_of_chat(chat_loop(), OLD), view_of_messages(native_loop())
        assert chat.user_texts == native.user_texts == ("look", "go on")
        assert chat.results == ("b", "a")
        assert native.results == ("", "a")
        assert (chat.thinking, chat.max_tokens, chat.is_stream) == (native.thinking, native.max_tokens, True)
        assert chat.tools == ("Bash", "Read")
        assert native.tools == ("Bash",)
        assert chat.thinks
        assert not chat_view().thinks

    def test_no_tool_spoke_last(self) -> None:
        assert chat_view().results == native_view().results == ()
        assert (
            chat_view(messages=[*chat_loop()["messages"], {"role": "assistant", "content": "ok"}]).results
            == ()
        )

    def test_system_messages_are_not_the_last_word(self) -> None:
        messages = [*native_loop()["messages"], {"role": "system", "content": "note"}]
        assert native_view(messages=messages).results == ("", "a")

    @pytest.mark.parametrize(
        ("view", "is_side"),
        [
            (chat_view(), False),
            (chat_view(max_tokens=1), True),
            (chat_view(messages=[{"role": "user", "content": "<session>do it</session>"}]), True),
            (
                native_view(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}),
                True,
            ),
            (native_view(output_config={"effort": "high"}), False),
            (
                chat_view(
                    tools=[function_tool("json")],
                    tool_choice={"type": "function", "function": {"name": "json"}},
                ),
                True,
            ),
            (chat_view(tools=[function_tool("Bash")]), False),
        ],
    )
    def test_side_requests(self, view: RequestView, is_side: bool) -> None:
        assert view.is_side is is_side

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            (
                {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
                {"title": "T"},
            ),
            ({"type": "object", "properties": {"n": {"type": "integer"}}}, {"n": 0}),
            ({"enum": ["a", "b"]}, "a"),
            ({"const": 5}, 5),
            ({"type": "array"}, []),
            ({"type": "boolean"}, False),
            ({}, "T"),
        ],
    )
    def test_instances(self, schema: dict[str, Any], value: object) -> None:
        assert instance_of(schema, "T") == value


class TestAnswers:
    @pytest.mark.parametrize(
        ("thinking", "model", "turn", "shown"),
        [
            ({"type": "enabled", "budget_tokens": 1024}, OLD, Turn(thinking="t"), "t"),
            (None, OLD, Turn(thinking="t"), None),
            ({"type": "disabled"}, OLD, Turn(thinking="t"), None),
            ({"type": "adaptive"}, NEW, Turn(thinking="t"), ""),
            ({"type": "adaptive", "display": "summarized"}, NEW, Turn(thinking="t"), "t"),
            (
                {"type": "adaptive", "display": "omitted"},
                "databricks-claude-opus-4-6",
                Turn(thinking="t"),
                "",
            ),
            ({"type": "adaptive"}, NEW, Turn(thinking="t", display="summarized"), "t"),
            ({"type": "adaptive"}, NEW, Turn(), None),
        ],
    )
    def test_thinking_is_shown_as_asked(
        self, thinking: dict[str, Any] | None, model: str, turn: Turn, shown: str | None
    ) -> None:
        view = view_of_chat(chat_body(thinking=thinking), model)
        answer = answer_of(turn, view, rules_of(model), serial=1, answer_id="m", created=0, usage=Usage())
        assert answer.thinking == shown
        if shown is not None:
            assert is_signature(answer.signature, shown, model)

    def test_thinking_counts_although_it_is_not_shown(self) -> None:
        view = view_of_chat(chat_body(thinking={"type": "adaptive"}), NEW)
        long, short = Turn(thinking="t" * 400, text="x"), Turn(text="x", tools=[ToolCall("Bash", {"a": 1})])
        assert output_tokens_of_turn(long, view) > 100
        assert output_tokens_of_turn(short, view) > 2
        assert output_tokens_of_turn(Turn(), view) == 1


class TestPlayer:
    def test_turns_come_in_order_and_once(self) -> None:
        player = Player(Script(turns=[Turn(text="a"), Turn(text="b")]))
        assert [player.next(chat_view()).turn.text for _ in range(2)] == ["a", "b"]
        assert player.remaining == 0
        with pytest.raises(Refused, match="no turn for this request"):
            player.next(chat_view())

    def test_turns_wait_for_their_conversation(self) -> None:
        first, second = (
            Turn(text="first", match="alpha"),
            Turn(text="second", when=lambda view: not view.tools),
        )
        player = Player(Script(turns=[first, second]))
        assert player.next(chat_view()).turn is second
        alpha = chat_view(messages=[{"role": "user", "content": "do alpha"}], tools=[function_tool()])
        assert player.next(alpha).turn is first

    def test_the_last_turn_can_be_repeated_under_new_ids(self) -> None:
        player = Player(Script(turns=[Turn(text="a")], repeat_last=True))
        cues = [player.next(chat_view()) for _ in range(3)]
        assert {cue.turn.text for cue in cues} == {"a"}
        assert [cue.serial for cue in cues] == [1, 2, 3]

    def test_side_requests_take_no_turn(self) -> None:
        player = Player(Script(turns=[Turn(text="a")], side_answer="T"))
        schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
        direct = player.next(native_view(output_config={"format": {"type": "json_schema", "schema": schema}}))
        assert json.loads(direct.turn.text or "") == {"title": "T"}
        tool = function_tool("json", parameters=schema)
        choice = {"type": "function", "function": {"name": "json"}}
        through = player.next(chat_view(tools=[tool], tool_choice=choice))
        assert through.turn.tools[0] == ToolCall("json", '{"title": "T"}')
        assert player.next(chat_view(max_tokens=1)).turn.text == "T"
        assert player.remaining == 1
        assert not direct.is_turn

    def test_a_forced_tool_that_the_script_calls_is_no_side_request(self) -> None:
        turn = Turn(tools=[ToolCall("Bash", {})])
        choice = {"type": "function", "function": {"name": "Bash"}}
        cue = Player(Script(turns=[turn])).next(chat_view(tools=[function_tool()], tool_choice=choice))
        assert cue.turn is turn

    def test_a_fault_is_played_so_many_times_and_then_the_turn(self) -> None:
        player = Player(Script(turns=[Turn(text="a", fault=Fault(kind="status", times=2))]))
        faults = [player.next(chat_view()).fault for _ in range(3)]
        assert [fault is not None for fault in faults] == [True, True, False]
        assert player.remaining == 0

    def test_a_fault_can_take_its_turn(self) -> None:
        player = Player(Script(turns=[Turn(fault=Fault(kind="cut", consumes_turn=True)), Turn(text="b")]))
        player.next(chat_view())
        assert player.next(chat_view()).turn.text == "b"

    def test_a_slow_answer_that_ended_took_its_turn(self) -> None:
        player = Player(Script(turns=[Turn(fault=Fault(kind="slow")), Turn(text="b")]))
        player.completed(player.next(chat_view()))
        assert player.next(chat_view()).turn.text == "b"


class TestDefaultScript:
    def test_it_echoes(self) -> None:
        messages = [
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            {"role": "user", "content": "<system-reminder>no</system-reminder>"},
        ]
        assert "You wrote: hello" in (respond(chat_view(messages=messages)).text or "")
        assert "nothing" in (respond(chat_view(messages=messages[1:])).text or "")

    def test_it_calls_one_tool_and_shows_what_came_of_it(self) -> None:
        assert respond(chat_view(tools=[function_tool("Bash")])).tools[0].input["command"] == COMMAND  # type: ignore[index]  # an object, in this script
        assert respond(chat_view(tools=[function_tool("Read")])).tools[0].name == "Read"
        assert respond(view_of_chat(chat_loop(), OLD)).text == "The tool answered: a"


class TestScriptFile:
    def test_a_script_in_json(self, tmp_path: Path) -> None:
        path = tmp_path / "script.json"
        path.write_text(
            '{"turns": [{"text": "Hi", "tools": [{"name": "Bash", "input": {"command": "ls"}}]}]}'
        )
        script = load_script(path)
        assert script.turns[0].tools[0] == ToolCall("Bash", {"command": "ls"})

    @pytest.mark.parametrize(
        ("text", "expected"),
        [('{"turns": [{"txt": "Hi"}]}', "$.turns[0]"), ("{", "truncated"), ('{"turns": 5}', "$.turns")],
    )
    def test_a_mistake_is_named(self, tmp_path: Path, text: str, expected: str) -> None:
        path = tmp_path / "script.json"
        path.write_text(text)
        with pytest.raises(StartError) as caught:
            load_script(path)
        assert expected in str(caught.value)
        assert "script.json" in str(caught.value)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(StartError, match=r"nowhere\.json"):
            load_script(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("model", "context", "max_output", "thinking"),
    [
        ("databricks-claude-opus-4-1", 200_000, 32_000, {"enabled", "disabled"}),
        ("databricks-claude-sonnet-4-5", 200_000, 64_000, {"enabled", "disabled"}),
        ("databricks-claude-opus-4-6", 1_000_000, 128_000, {"enabled", "adaptive", "disabled"}),
        ("databricks-claude-sonnet-4-6", 1_000_000, 64_000, {"enabled", "adaptive", "disabled"}),
        ("databricks-claude-sonnet-5", 1_000_000, 128_000, {"adaptive"}),
        ("databricks-claude-unheard-of", 1_000_000, 128_000, {"adaptive"}),
    ],
)
def test_model_rules(model: str, context: int, max_output: int, thinking: set[str]) -> None:
    rules = rules_of(model)
    assert (rules.context, rules.max_output, set(rules.thinking)) == (context, max_output, thinking)
