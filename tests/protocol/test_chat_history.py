"""Messages to chat messages: order, pairing, repair. Tables of conversations."""

from __future__ import annotations

import pytest

from ccr.errors import RequestError
from tests.protocol.chat_requests import (
    ADAPTIVE,
    BUDGET,
    EPHEMERAL,
    GPT,
    PLAIN_CLAUDE,
    TEXT_ONLY,
    Json,
    assistant,
    converted,
    converted_bytes,
    custom_tool,
    document,
    image,
    system,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
    with_messages,
)


def call(call_id: str, name: str = "Bash", arguments: str = '{"command": "ls"}') -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(call_id: str, content: object = "out") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def calls(*call_ids: str) -> Json:
    return {"role": "assistant", "tool_calls": [call(call_id) for call_id in call_ids]}


NO_RESULT = "[no result: the call was interrupted before it answered]"
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CONVERSATIONS: list[tuple[str, list[Json], list[Json], list[str]]] = [
    (
        "plain texts stay strings",
        [user("a"), assistant(text("b")), user(text("c"))],
        [user("a"), assistant("b"), user("c")],
        [],
    ),
    (
        "several texts become an array, in order",
        [user("a", "b")],
        [user("a", "b")],
        [],
    ),
    (
        "a breakpoint makes an array",
        [user(text("a", cache_control=EPHEMERAL))],
        [user(text("a", cache_control=EPHEMERAL))],
        [],
    ),
    (
        "text after a call is moved before it; a call alone has no content",
        [user("a"), assistant("b", tool_use("t1"), "c"), user(tool_result("t1"))],
        [user("a"), assistant("b", "c") | {"tool_calls": [call("t1")]}, tool("t1")],
        [],
    ),
    (
        "results come in the order of the calls, texts after them",
        [
            user("a"),
            assistant(tool_use("t1"), tool_use("t2")),
            user("x", tool_result("t2", "two"), "y", tool_result("t1", "one")),
        ],
        [user("a"), calls("t1", "t2"), tool("t1", "one"), tool("t2", "two"), user("x", "y")],
        [],
    ),
    (
        "results spread over several user messages belong to one turn",
        [
            user("a"),
            assistant(tool_use("t1"), tool_use("t2")),
            user(tool_result("t2")),
            user(tool_result("t1")),
        ],
        [user("a"), calls("t1", "t2"), tool("t1"), tool("t2")],
        ["messages_merged"],
    ),
    (
        "a result of several texts is an array",
        [user("a"), assistant(tool_use("t")), user(tool_result("t", [text("x"), text("y")]))],
        [user("a"), calls("t"), tool("t", [text("x"), text("y")])],
        [],
    ),
    (
        "a breakpoint on a result goes to its last text",
        [user("a"), assistant(tool_use("t")), user(tool_result("t", "x", cache_control=EPHEMERAL))],
        [user("a"), calls("t"), tool("t", [text("x", cache_control=EPHEMERAL)])],
        [],
    ),
    (
        "a failed call says so",
        [user("a"), assistant(tool_use("t")), user(tool_result("t", "x", is_error=True))],
        [user("a"), calls("t"), tool("t", "[tool error] x")],
        ["tool_error_as_text"],
    ),
    (
        "empty results are filled",
        [
            user("a"),
            assistant(tool_use("t1"), tool_use("t2"), tool_use("t3"), tool_use("t4")),
            user(
                tool_result("t1", ""),
                tool_result("t2", None),
                tool_result("t3", []),
                tool_result("t4", [text(" \n")], is_error=True),
            ),
        ],
        [
            user("a"),
            calls("t1", "t2", "t3", "t4"),
            tool("t1", "(no output)"),
            tool("t2", "(no output)"),
            tool("t3", "(no output)"),
            tool("t4", "[tool error] (no output)"),
        ],
        ["empty_tool_result_filled", "empty_text_dropped", "tool_error_as_text"],
    ),
    (
        "a result that is one block instead of a list",
        [user("a"), assistant(tool_use("t")), user(tool_result("t", text("x")))],
        [user("a"), calls("t"), tool("t", "x")],
        [],
    ),
    (
        "images are lifted behind the person's text, each announced",
        [
            user("a"),
            assistant(tool_use("t1"), tool_use("t2")),
            user(tool_result("t1", [image()]), tool_result("t2", [text("z"), image()]), "look"),
        ],
        [
            user("a"),
            calls("t1", "t2"),
            tool("t1", "[image: see the user message below]"),
            tool("t2", "z"),
            user(
                "look",
                "[image from the result of tool call t1]",
                PNG,
                "[image from the result of tool call t2]",
                PNG,
            ),
        ],
        ["tool_result_attachment_lifted"],
    ),
    (
        "documents in results are lifted too",
        [user("a"), assistant(tool_use("t")), user(tool_result("t", [document()], cache_control=EPHEMERAL))],
        [
            user("a"),
            calls("t"),
            tool("t", [text("[document: see the user message below]", cache_control=EPHEMERAL)]),
            user(
                "[document from the result of tool call t]",
                {
                    "type": "file",
                    "file": {
                        "filename": "document.pdf",
                        "file_data": "data:application/pdf;base64,JVBERi0=",
                    },
                },
            ),
        ],
        ["tool_result_attachment_lifted"],
    ),
    (
        "references to loaded tools become text",
        [
            user("a"),
            assistant(tool_use("t")),
            user(tool_result("t", [{"type": "tool_reference", "tool_name": "WebFetch"}]), "Tool loaded."),
        ],
        [user("a"), calls("t"), tool("t", "[tool loaded: WebFetch]"), user("Tool loaded.")],
        ["tool_reference_as_text"],
    ),
    (
        "a call without a result, in the middle and at the end",
        [user("a"), assistant(tool_use("t1")), user("b"), assistant(tool_use("t2"))],
        [user("a"), calls("t1"), tool("t1", NO_RESULT), user("b"), calls("t2"), tool("t2", NO_RESULT)],
        ["missing_tool_result_filled"],
    ),
    (
        "a result without a call, also of an image and with a breakpoint",
        [
            user("a", tool_result("t0", "x", cache_control=EPHEMERAL)),
            assistant("b"),
            user(tool_result("t1", [image()], is_error=True)),
            assistant("c"),
            user(tool_result(None, None)),
        ],
        [
            user(
                "a",
                "[result of tool call t0, which is not in the conversation]",
                text("x", cache_control=EPHEMERAL),
            ),
            assistant("b"),
            user(
                "[result of tool call t1, which is not in the conversation]",
                "[tool error]",
                PNG,
            ),
            assistant("c"),
            user("[result of tool call , which is not in the conversation]", "(no output)"),
        ],
        ["orphan_tool_result_as_text", "tool_error_as_text", "empty_tool_result_filled"],
    ),
    (
        "a result that comes one turn late is an orphan",
        [user("a"), assistant(tool_use("t")), user("b"), assistant("c"), user(tool_result("t"))],
        [
            user("a"),
            calls("t"),
            tool("t", NO_RESULT),
            user("b"),
            assistant("c"),
            user("[result of tool call t, which is not in the conversation]", "out"),
        ],
        ["missing_tool_result_filled", "orphan_tool_result_as_text"],
    ),
    (
        "a second result of one call",
        [user("a"), assistant(tool_use("t")), user(tool_result("t", "one"), tool_result("t", "two"))],
        [user("a"), calls("t"), tool("t", "one"), user("[another result of tool call t]", "two")],
        ["duplicate_tool_result_as_text"],
    ),
    (
        "an id used twice in a turn, and again in a later one",
        [
            user("a"),
            assistant(tool_use("t"), tool_use("t")),
            user(tool_result("t", "one"), tool_result("t", "two")),
            assistant(tool_use("t")),
            user(tool_result("t", "three")),
        ],
        [
            user("a"),
            calls("t", "t_2"),
            tool("t", "one"),
            tool("t_2", "two"),
            calls("t_3"),
            tool("t_3", "three"),
        ],
        ["tool_use_id_renamed"],
    ),
    (
        "ids the endpoint would refuse",
        [
            user("a"),
            assistant(tool_use("call_abc/é 1"), tool_use(None)),
            user(tool_result(None, "two"), tool_result("call_abc/é 1", "one")),
        ],
        [user("a"), calls("call_abc___1", "toolu"), tool("call_abc___1", "one"), tool("toolu", "two")],
        ["tool_use_id_renamed"],
    ),
    (
        "a call without a name",
        [user("a"), assistant(tool_use("t", None)), user(tool_result("t"))],
        [user("a"), {"role": "assistant", "tool_calls": [call("t", "unnamed_tool")]}, tool("t")],
        ["tool_use_name_filled"],
    ),
    (
        "reminders after a user message, before one, and between assistant messages",
        [
            system("first"),
            user("a"),
            system("second", text("third", cache_control=EPHEMERAL)),
            assistant("b"),
            system("<system-reminder>as the client marks it</system-reminder>"),
            assistant("c"),
            user("d"),
        ],
        [
            user(
                "<system-reminder>\nfirst\n</system-reminder>",
                "a",
                "<system-reminder>\nsecond\n</system-reminder>",
                text("<system-reminder>\nthird\n</system-reminder>", cache_control=EPHEMERAL),
            ),
            assistant("b"),
            user("<system-reminder>as the client marks it</system-reminder>"),
            assistant("c"),
            user("d"),
        ],
        ["system_message_folded"],
    ),
    (
        "a reminder never comes between a call and its result; one may be last",
        [
            user("a"),
            assistant(tool_use("t")),
            system("between"),
            user(tool_result("t")),
            assistant("b"),
            system(image(), "last"),
        ],
        [
            user("a"),
            calls("t"),
            tool("t"),
            user("<system-reminder>\nbetween\n</system-reminder>"),
            assistant("b"),
            user(PNG, "<system-reminder>\nlast\n</system-reminder>"),
        ],
        ["system_message_folded"],
    ),
    (
        "empty texts and messages go, the turns around them are joined",
        [user("", "a"), assistant("", " \n"), user("b"), assistant(""), system(" ")],
        [user("a", "b")],
        ["empty_text_dropped", "empty_message_dropped", "messages_merged", "system_message_folded"],
    ),
    (
        "nothing is left",
        [user("")],
        [user("(no content)")],
        ["empty_text_dropped", "empty_message_dropped", "user_turn_filled"],
    ),
    (
        "the person's last message has nothing in it",
        [user("a"), assistant("b"), user(" ")],
        [user("a"), assistant("b"), user("(no content)")],
        ["empty_text_dropped", "empty_message_dropped", "user_turn_filled"],
    ),
    (
        "the assistant begins",
        [assistant("a"), user("b")],
        [user("(no content)"), assistant("a"), user("b")],
        ["user_turn_filled"],
    ),
    (
        "a prefilled answer stays last",
        [user("a"), assistant("{")],
        [user("a"), assistant("{")],
        [],
    ),
    (
        "reasoning comes first, verbatim, also with an empty text",
        [
            user("a"),
            assistant(
                "b",
                thinking("", "long signature"),
                {"type": "redacted_thinking", "data": "cipher"},
                tool_use("t"),
            ),
            user(tool_result("t")),
        ],
        [
            user("a"),
            assistant(
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "", "signature": "long signature"}],
                },
                {"type": "reasoning", "summary": [{"type": "summary_encrypted_text", "data": "cipher"}]},
                "b",
            )
            | {"tool_calls": [call("t")]},
            tool("t"),
        ],
        [],
    ),
    (
        "unsigned thinking goes",
        [
            user("a"),
            assistant(thinking("x", ""), thinking("y", None), {"type": "redacted_thinking"}, "b"),
            user("c"),
        ],
        [user("a"), assistant("b"), user("c")],
        ["unsigned_thinking_dropped"],
    ),
    (
        "a message of nothing but thinking goes",
        [user("a"), assistant(thinking()), user("b"), assistant("c"), user("d")],
        [user("a", "b"), assistant("c"), user("d")],
        ["thinking_only_message_dropped"],
    ),
    (
        "a breakpoint on a call goes to the text before it",
        [
            user("a"),
            assistant("b", tool_use("t1", cache_control=EPHEMERAL)),
            user(tool_result("t1")),
            assistant(tool_use("t2", cache_control=EPHEMERAL)),
            user(tool_result("t2")),
        ],
        [
            user("a"),
            assistant(text("b", cache_control=EPHEMERAL)) | {"tool_calls": [call("t1")]},
            tool("t1"),
            calls("t2"),
            tool("t2"),
        ],
        ["cache_control_moved", "cache_control_dropped"],
    ),
    (
        "what an assistant message cannot hold becomes a note",
        [user("a"), assistant("b", image(), tool_result("t", "x")), user("c")],
        [
            user("a"),
            assistant(
                "b",
                "[content of type 'image in an assistant message']",
                "[content of type 'tool_result in an assistant message']\nx",
            ),
            user("c"),
        ],
        ["unknown_block_as_note"],
    ),
]


@pytest.mark.parametrize(
    ("given", "expected", "rules"),
    [pytest.param(*row[1:], id=row[0]) for row in CONVERSATIONS],
)
def test_conversations(given: list[Json], expected: list[Json], rules: list[str]) -> None:
    result = converted(with_messages(*given), ADAPTIVE)
    assert result.messages == expected
    assert list(result.rules) == rules


@pytest.mark.parametrize(
    ("traits", "rule"),
    [(PLAIN_CLAUDE, "thinking_history_dropped"), (GPT, "thinking_history_dropped")],
    ids=["a Claude that does not think", "another vendor's model"],
)
def test_thinking_of_the_history_goes_where_the_model_has_none(traits: object, rule: str) -> None:
    body = with_messages(user("a"), assistant(thinking(), "b"), user("c"))
    result = converted(body, traits)  # type: ignore[arg-type] # a table of two kinds of traits
    assert result.messages == [user("a"), assistant("b"), user("c")]
    assert result.rules == (rule,)


def test_texts_are_one_string_for_other_vendors() -> None:
    body = with_messages(user("a", "b", image()), assistant("c", "d"), user("e", "f"))
    assert converted(body, GPT).messages == [user("a", "b", PNG), assistant("c\n\nd"), user("e\n\nf")]


def test_lifted_images_become_notes_where_the_model_takes_none() -> None:
    body = with_messages(user("a"), assistant(tool_use("t")), user(tool_result("t", [image()])))
    result = converted(body, TEXT_ONLY)
    assert result.messages[-1] == tool("t", "[image left out, the model takes no images]")
    assert result.rules == ("image_as_note",)


def test_tool_ids_are_those_of_the_client_and_those_sent() -> None:
    body = with_messages(user("a"), assistant(tool_use("t"), tool_use("t"), tool_use("x/y")))
    assert converted(body).tool_ids == {"t", "t_2", "x/y", "x_y"}
    assert converted(with_messages(user("a"))).tool_ids == frozenset()


@pytest.mark.parametrize(
    "written",
    [
        '{"z": 1.10, "a": 123456789012345678901234567890, "m": 1e400, "u": "\\u00e9é😀", "n": null}',
        "{}",
        '{ "spaces" :\t1 }',
    ],
)
def test_inputs_are_passed_on_byte_for_byte(written: str) -> None:
    data = (
        '{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":'
        f'[{{"type":"tool_use","id":"t","name":"T","input":{written}}}]}}]}}'
    )
    message = converted_bytes(data.encode()).messages[1]
    assert message["tool_calls"][0]["function"]["arguments"] == written


@pytest.mark.parametrize("keys", [{}, {"input": None}])
def test_a_call_without_input_has_empty_arguments(keys: Json) -> None:
    block = {"type": "tool_use", "id": "t", "name": "T", **keys}
    message = converted(with_messages(user("a"), assistant(block))).messages[1]
    assert message["tool_calls"] == [call("t", "T", "{}")]


@pytest.mark.parametrize("value", ["text", 7, [1], True])
def test_an_input_that_is_no_object_is_refused(value: object) -> None:
    body = with_messages(user("a"), assistant({"type": "tool_use", "id": "t", "name": "T", "input": value}))
    with pytest.raises(RequestError, match="tool_use t: input: Input should be a valid object"):
        converted(body)


def test_an_input_that_is_not_utf8_is_refused() -> None:
    data = (
        b'{"model":"m","messages":[{"role":"assistant","content":'
        b'[{"type":"tool_use","id":"t","name":"T","input":{"a":"\xff"}}]}]}'
    )
    with pytest.raises(RequestError, match="invalid UTF-8"):
        converted_bytes(data)


def test_a_request_as_the_client_sends_it_in_a_tool_loop() -> None:
    body = with_messages(
        user("<system-reminder>\ndate\n</system-reminder>", "list the files"),
        assistant(thinking("I list", "sig"), "I list them.", tool_use("toolu_1")),
        user(tool_result("toolu_1", "a.txt", is_error=False, cache_control=EPHEMERAL)),
        system=[
            text("x-anthropic-billing-header: cc_version=2.1.330.12c; cc_entrypoint=cli;"),
            text("You are Claude Code.", cache_control=EPHEMERAL),
            text("Instructions.", cache_control=EPHEMERAL),
        ],
        tools=[custom_tool()],
        metadata={"user_id": "{}"},
        thinking={"type": "enabled", "budget_tokens": 7999},
        stream=True,
    )
    result = converted(body, BUDGET)
    assert result.chat == {
        "model": "the-endpoint",
        "messages": [
            system(
                text("You are Claude Code.", cache_control=EPHEMERAL),
                text("Instructions.", cache_control=EPHEMERAL),
            ),
            user("<system-reminder>\ndate\n</system-reminder>", "list the files"),
            assistant(
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "I list", "signature": "sig"}],
                },
                "I list them.",
            )
            | {"tool_calls": [call("toolu_1")]},
            tool("toolu_1", [text("a.txt", cache_control=EPHEMERAL)]),
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "Bash", "description": "d", "parameters": {"type": "object"}},
            }
        ],
        "max_tokens": 8000,
        "thinking": {"type": "enabled", "budget_tokens": 7999},
        "stream": True,
    }
    assert result.rules == ("metadata_dropped", "billing_header_dropped")
