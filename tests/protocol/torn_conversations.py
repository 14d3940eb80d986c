"""Torn and malformed conversations, for test_chat_history: as sent by the client, as sent on, the rules."""

from __future__ import annotations

from tests.protocol.chat_requests import (
    EPHEMERAL,
    Json,
    assistant,
    image,
    text,
    tool_result,
    tool_use,
    user,
)
from tests.protocol.conversations import NO_RESULT, PNG, call, calls, tool

TORN_CONVERSATIONS: list[tuple[str, list[Json], list[Json], list[str]]] = [
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
        "a call with a name that the endpoint would refuse",
        [user("a"), assistant(tool_use("t", "functions.é ß" + "x" * 130)), user(tool_result("t"))],
        [
            user("a"),
            {"role": "assistant", "tool_calls": [call("t", "functions____" + "x" * 115)]},
            tool("t"),
        ],
        ["tool_use_name_replaced"],
    ),
]
