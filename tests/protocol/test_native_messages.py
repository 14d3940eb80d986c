"""Messages and their blocks: folded, cleaned, merged; everything else as it came."""

from __future__ import annotations

import pytest

from ccr.protocol.traits import ModelTraits
from tests.protocol.chat_requests import (
    ADAPTIVE,
    BUDGET,
    EPHEMERAL,
    PLAIN_CLAUDE,
    TEXT_ONLY,
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
from tests.protocol.native_requests import sanitized_messages


def reminder(value: str, **keys: object) -> Json:
    return text(f"<system-reminder>\n{value}\n</system-reminder>", **keys)


def blocks(*parts: Json | str) -> list[Json]:
    return [text(part) if isinstance(part, str) else part for part in parts]


def said(role: str, *parts: Json | str) -> Json:
    """Return a message with a list as content, also for a single text."""
    return {"role": role, "content": blocks(*parts)}


REFERENCE = {"type": "tool_reference", "tool_name": "Bash"}
SCOPED = {"type": "ephemeral", "scope": "global"}
FILLED = said("user", "(no content)")
REDACTED = {"type": "redacted_thinking", "data": "d"}
CALL = assistant(thinking(), tool_use("t"))

CONVERSATIONS: list[tuple[str, list[Json], list[Json], list[str]]] = [
    (
        "a system message joins the user message before it",
        [user("a"), system("s"), assistant("b"), user("c")],
        [user("a", reminder("s")), assistant("b"), user("c")],
        ["system_message_folded"],
    ),
    (
        "its breakpoint stays on it",
        [user("a"), system(text("s"), text("t", cache_control=EPHEMERAL))],
        [user("a", reminder("s"), reminder("t", cache_control=EPHEMERAL))],
        ["system_message_folded"],
    ),
    (
        "one behind results joins them",
        [user("a"), assistant(tool_use("t")), user(tool_result("t")), system("s")],
        [user("a"), assistant(tool_use("t")), user(tool_result("t"), reminder("s"))],
        ["system_message_folded"],
    ),
    (
        "one before the first message joins it",
        [system("s"), user("a")],
        [user(reminder("s"), "a")],
        ["system_message_folded"],
    ),
    (
        "one between a call and its result goes behind the result",
        [user("a"), assistant(tool_use("t")), system("s"), user(tool_result("t"), "b")],
        [user("a"), assistant(tool_use("t")), user(tool_result("t"), reminder("s"), "b")],
        ["system_message_folded"],
    ),
    (
        "one between assistant messages becomes a user message",
        [user("a"), assistant("b"), system("s"), assistant("c")],
        [user("a"), assistant("b"), said("user", reminder("s")), assistant("c")],
        ["system_message_folded"],
    ),
    (
        "one at the end, behind the assistant's, too",
        [user("a"), assistant("b"), system("s")],
        [user("a"), assistant("b"), said("user", reminder("s"))],
        ["system_message_folded"],
    ),
    (
        "user messages that only a system message parted are one",
        [user("a"), system("s"), user("b")],
        [user("a", reminder("s"), "b")],
        ["system_message_folded", "messages_merged"],
    ),
    (
        "results come first in what is merged",
        [
            user("a"),
            assistant(tool_use("t"), tool_use("u")),
            user(tool_result("t")),
            system("s"),
            user(tool_result("u")),
        ],
        [
            user("a"),
            assistant(tool_use("t"), tool_use("u")),
            user(tool_result("t"), tool_result("u"), reminder("s")),
        ],
        ["system_message_folded", "messages_merged"],
    ),
    (
        "user messages that nothing parted stay apart",
        [user("a"), user("b")],
        [user("a"), user("b")],
        [],
    ),
    (
        "an empty system message leaves no trace",
        [user("a"), system(" "), assistant("b"), user("c")],
        [user("a"), assistant("b"), user("c")],
        ["empty_text_dropped", "system_message_folded"],
    ),
    (
        "a text that is a reminder already is not marked twice",
        [user("a"), system("\n<system-reminder>\ns\n</system-reminder>")],
        [user("a", "\n<system-reminder>\ns\n</system-reminder>")],
        ["system_message_folded"],
    ),
    (
        "an image in a system message is kept",
        [user("a"), system(image())],
        [user("a", image())],
        ["system_message_folded"],
    ),
    (
        "only reminders at all",
        [system("s")],
        [said("user", reminder("s"))],
        ["system_message_folded"],
    ),
    (
        "blank texts go",
        [user("a", "", " \n\t", text("\u00a0"), {"type": "text"}), assistant("b"), user("c")],
        [said("user", "a"), assistant("b"), user("c")],
        ["empty_text_dropped"],
    ),
    (
        "texts that only begin with white space stay",
        [user("\n a", " é")],
        [user("\n a", " é")],
        [],
    ),
    (
        "a message without content goes, its neighbours are merged",
        [user("a"), assistant(""), user("b")],
        [user("a", "b")],
        ["empty_text_dropped", "empty_message_dropped", "messages_merged"],
    ),
    (
        "a last message without content is filled",
        [user("a"), assistant("b"), user()],
        [user("a"), assistant("b"), FILLED],
        ["empty_message_dropped", "user_turn_filled"],
    ),
    (
        "a first one too",
        [user(""), assistant("b"), user("c")],
        [FILLED, assistant("b"), user("c")],
        ["empty_text_dropped", "empty_message_dropped", "user_turn_filled"],
    ),
    (
        "nothing but blanks",
        [user("")],
        [FILLED],
        ["empty_text_dropped", "empty_message_dropped", "user_turn_filled"],
    ),
    (
        "an answer the client has begun stays the last message",
        [user("a"), assistant("b")],
        [user("a"), assistant("b")],
        [],
    ),
    (
        "thinking is replayed as it is, also without text",
        [user("a"), assistant(thinking("", "sig"), REDACTED, "b"), user("c")],
        [user("a"), assistant(thinking("", "sig"), REDACTED, "b"), user("c")],
        [],
    ),
    (
        "thinking without a signature goes",
        [
            user("a"),
            assistant(thinking("x", ""), thinking("y", None), {"type": "redacted_thinking"}, "b"),
            user("c"),
        ],
        [user("a"), said("assistant", "b"), user("c")],
        ["unsigned_thinking_dropped"],
    ),
    (
        "a message of nothing but thinking goes",
        [user("a"), assistant(thinking(), REDACTED, ""), user("c")],
        [user("a", "c")],
        ["empty_text_dropped", "thinking_only_message_dropped", "messages_merged"],
    ),
    (
        "a tool reference becomes a text, in a result and outside",
        [
            user("a"),
            CALL,
            user(tool_result("t", [REFERENCE, text("x")]), REFERENCE | {"cache_control": SCOPED}),
        ],
        [
            user("a"),
            assistant(tool_use("t")),
            user(
                tool_result("t", blocks("[tool loaded: Bash]", "x")),
                text("[tool loaded: Bash]", cache_control=EPHEMERAL),
            ),
        ],
        ["tool_reference_as_text", "cache_control_reduced", "thinking_history_dropped"],
    ),
    (
        "a result keeps everything else",
        [user("a"), assistant(tool_use("t")), user(tool_result("t", [image(), text("x")], is_error=True))],
        [user("a"), assistant(tool_use("t")), user(tool_result("t", [image(), text("x")], is_error=True))],
        [],
    ),
    (
        "a result that is left without content has none",
        [user("a"), assistant(tool_use("t")), user(tool_result("t", [text("")]))],
        [user("a"), assistant(tool_use("t")), user({"type": "tool_result", "tool_use_id": "t"})],
        ["empty_text_dropped"],
    ),
    (
        "results without content, with empty text, with one block",
        [
            user("a"),
            assistant(tool_use("t"), tool_use("u"), tool_use("v")),
            user(
                {"type": "tool_result", "tool_use_id": "t"},
                tool_result("u", ""),
                tool_result("v", text("x")),
            ),
        ],
        [
            user("a"),
            assistant(tool_use("t"), tool_use("u"), tool_use("v")),
            user(
                {"type": "tool_result", "tool_use_id": "t"},
                tool_result("u", ""),
                tool_result("v", text("x")),
            ),
        ],
        [],
    ),
    (
        "breakpoints are reduced to what the endpoint takes",
        [
            user(
                text("a", cache_control=SCOPED),
                text("b", cache_control={"type": "ephemeral", "ttl": "1h"}),
                text("c", cache_control={"type": "ephemeral", "ttl": "5m"}),
                text("d", cache_control=None),
                image(cache_control=SCOPED),
            )
        ],
        [
            user(
                text("a", cache_control=EPHEMERAL),
                text("b", cache_control={"type": "ephemeral", "ttl": "1h"}),
                text("c", cache_control={"type": "ephemeral", "ttl": "5m"}),
                "d",
                image(cache_control=EPHEMERAL),
            )
        ],
        ["cache_control_reduced"],
    ),
    (
        "fields the endpoint does not know go",
        [user(text("a", novel=1)), assistant(tool_use("t", caller={"type": "direct"})) | {"id": "msg_1"}],
        [user(text("a")), assistant(tool_use("t"))],
        ["block_fields_dropped", "message_fields_dropped"],
    ),
    (
        "also beside thinking, which is kept",
        [user("a"), assistant(thinking() | {"novel": 1, "cache_control": EPHEMERAL}, "b"), user("c")],
        [user("a"), assistant(thinking(), "b"), user("c")],
        ["block_fields_dropped"],
    ),
    (
        "blocks only Anthropic's service knows become texts",
        [
            user("a"),
            assistant(
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
                {"type": "web_search_tool_result", "content": [{"type": "x", "title": "T", "url": "U"}]},
                {"type": "novel", "text": "n"},
            ),
            user("b"),
        ],
        [
            user("a"),
            assistant(
                '[web_search was called with {"q": 1}]',
                "[web_search_tool_result]\nT U",
                "[content of type 'novel']\nn",
            ),
            user("b"),
        ],
        ["server_tool_block_as_text", "unknown_block_as_note"],
    ),
]


@pytest.mark.parametrize(
    ("given", "sent", "rules"), [case[1:] for case in CONVERSATIONS], ids=[case[0] for case in CONVERSATIONS]
)
def test_conversations(given: list[Json], sent: list[Json], rules: list[str]) -> None:
    assert sanitized_messages(*given) == (sent, rules)
    again, rules_again = sanitized_messages(*sent)
    assert again == sent
    assert rules_again == []


@pytest.mark.parametrize(
    ("traits", "given", "sent", "rules"),
    [
        (PLAIN_CLAUDE, [thinking(), REDACTED, text("b")], [text("b")], ["thinking_history_dropped"]),
        (TEXT_ONLY, [image()], [text("[image left out, the model takes no images]")], ["image_as_note"]),
        (
            TEXT_ONLY,
            [document(title="T")],
            [text("[document: T]\n[left out, the model takes no documents]")],
            ["document_as_note"],
        ),
        (ModelTraits(takes_images=False), [document()], [document()], []),
        (ADAPTIVE, [document(), image()], [document(), image()], []),
        (
            ModelTraits(takes_cache_control=False),
            [text("a", cache_control=EPHEMERAL)],
            [text("a")],
            ["cache_control_dropped"],
        ),
    ],
)
def test_blocks_by_model(traits: ModelTraits, given: list[Json], sent: list[Json], rules: list[str]) -> None:
    messages, applied = sanitized_messages(user("x"), said("assistant", *given), user("y"), traits=traits)
    assert messages == [user("x"), said("assistant", *sent), user("y")]
    assert applied == rules


def test_the_prefix_of_a_conversation_stays_the_same_from_turn_to_turn() -> None:
    turns = [
        user("a"),
        system("s1"),
        assistant(tool_use("t")),
        user(tool_result("t")),
        system("s2"),
        assistant("b"),
        system("s3"),
        user("c"),
        system("s4"),
    ]
    before: list[tuple[str, Json]] = []
    for length in (2, 5, 7, 9):
        messages, _ = sanitized_messages(*turns[:length], traits=BUDGET)
        now = [
            (message["role"], block)
            for message in messages
            for block in (
                [text(message["content"])] if isinstance(message["content"], str) else message["content"]
            )
        ]
        assert now[: len(before)] == before
        before = now
