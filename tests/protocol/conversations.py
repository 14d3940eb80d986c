"""The tables of test_chat_history: the client's messages, the chat messages sent, the rules applied."""

from __future__ import annotations

from tests.protocol.chat_requests import (
    EPHEMERAL,
    Json,
    assistant,
    document,
    image,
    system,
    text,
    thinking,
    tool_result,
    tool_use,
    user,
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
        "images are lifted behind the person's text, each announced, in the order of the calls",
        [
            user("a"),
            assistant(tool_use("t1"), tool_use("t2")),
            user(tool_result("t2", [text("z"), image(), text("y")]), tool_result("t1", [image()]), "look"),
        ],
        [
            user("a"),
            calls("t1", "t2"),
            tool("t1", "[image: see the user message below]"),
            tool("t2", [text("z"), text("[image: see the user message below]"), text("y")]),
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
