"""What a client asked of thinking, for transformers; thinking in the form of the npm router's plugins."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.anthropic import decode_messages_request
from ccr.protocol.message_from_chat import message_from_chat
from ccr.protocol.stream import MessageStream
from ccr.protocol.thinking_wish import ThinkingWish, wish_from_request
from ccr.protocol.traits import ModelTraits
from tests.protocol.chat_requests import converted, with_messages
from tests.protocol.message_oracle import DONE, Json, accumulated, call, check_grammar, chunk, events_of

WISH = frozenset({"wish"})
HISTORY = frozenset({"history"})
PLAIN = ModelTraits(family="glm", takes_cache_control=False)
EFFORT = ModelTraits(family="deepseek", takes_reasoning_effort=True)
CLAUDE = ModelTraits(thinking=frozenset({"budget"}))


def traits(base: ModelTraits, handled: frozenset[Any]) -> ModelTraits:
    return ModelTraits(
        family=base.family,
        thinking=base.thinking,
        takes_reasoning_effort=base.takes_reasoning_effort,
        takes_cache_control=base.takes_cache_control,
        handled=handled,
    )


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, None),
        ({"output_config": {"effort": "high"}}, None),
        ({"thinking": {"type": "dreaming"}}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, ThinkingWish(False)),
        ({"thinking": {"type": "adaptive"}}, ThinkingWish(True)),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            ThinkingWish(True, None, "low"),
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, ThinkingWish(True, 4000)),
    ],
)
def test_wishes(keys: Json, expected: ThinkingWish | None) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **keys}
    assert wish_from_request(decode_messages_request(json.dumps(body).encode())) == expected


HIGH: Json = {"output_config": {"effort": "high"}}
ON: Json = {"thinking": {"type": "enabled", "budget_tokens": 4000}}


@pytest.mark.parametrize(
    ("base", "handled", "keys", "sent", "rules"),
    [
        (PLAIN, frozenset(), ON | HIGH, {}, ("thinking_dropped", "effort_dropped")),
        (PLAIN, WISH, ON | HIGH, {}, ()),
        (PLAIN, WISH, HIGH, {}, ("effort_dropped",)),
        (PLAIN, WISH, {"thinking": {"type": "dreaming"}}, {}, ("thinking_dropped",)),
        (EFFORT, frozenset(), ON, {"reasoning_effort": "low"}, ("thinking_as_reasoning_effort",)),
        (EFFORT, WISH, ON | HIGH, {}, ()),
        (EFFORT, WISH, HIGH, {"reasoning_effort": "high"}, ()),
        (CLAUDE, WISH, ON, ON, ()),
    ],
)
def test_a_wish_that_a_transformer_writes_is_left_to_it(
    base: ModelTraits, handled: frozenset[Any], keys: Json, sent: Json, rules: tuple[str, ...]
) -> None:
    messages = [{"role": "user", "content": "hi"}]
    made = converted(with_messages(*messages, max_tokens=8000, **keys), traits(base, handled))
    found = {
        key: made.chat[key] for key in ("thinking", "reasoning_effort", "output_config") if key in made.chat
    }
    assert (found, made.rules) == (sent, rules)


def thought(text: str, signature: str = "s") -> Json:
    return {"type": "thinking", "thinking": text, "signature": signature}


TEXT: Json = {"type": "text", "text": "answer"}


@pytest.mark.parametrize(
    ("base", "handled", "blocks", "message", "rules"),
    [
        (
            PLAIN,
            HISTORY,
            [thought("a"), thought("b", ""), TEXT],
            {"content": "answer", "thinking": {"content": "a\n\nb", "signature": ""}},
            (),
        ),
        (PLAIN, HISTORY, [TEXT], {"content": "answer"}, ()),
        (PLAIN, HISTORY, [thought(""), TEXT], {"content": "answer"}, ("thinking_history_dropped",)),
        (
            PLAIN,
            HISTORY,
            [{"type": "redacted_thinking", "data": "x"}, TEXT],
            {"content": "answer"},
            ("thinking_history_dropped",),
        ),
        (PLAIN, frozenset(), [thought("a"), TEXT], {"content": "answer"}, ("thinking_history_dropped",)),
        (
            CLAUDE,
            HISTORY,
            [thought("a"), TEXT],
            {
                "content": [
                    {
                        "type": "reasoning",
                        "summary": [{"type": "summary_text", "text": "a", "signature": "s"}],
                    },
                    TEXT,
                ]
            },
            (),
        ),
    ],
)
def test_the_historys_thinking_is_written_for_a_transformer(
    base: ModelTraits, handled: frozenset[Any], blocks: list[Json], message: Json, rules: tuple[str, ...]
) -> None:
    user = {"role": "user", "content": "hi"}
    made = converted(
        with_messages(user, {"role": "assistant", "content": blocks}, user), traits(base, handled)
    )
    assert made.chat["messages"][1] == {"role": "assistant", **message}
    assert made.rules == rules


def streamed(*deltas: Json) -> tuple[list[Json], tuple[str, ...]]:
    stream = MessageStream(message_id="msg_1", model="m")
    data = stream.feed(b"".join([*map(chunk, deltas), chunk({}, "stop"), DONE])) + stream.close()
    check_grammar(events_of(data))
    return accumulated(data)["content"], stream.rules


@pytest.mark.parametrize(
    ("deltas", "blocks", "rules"),
    [
        ([{"thinking": {"content": "de"}}, {"thinking": {"content": "ep"}}], [thought("deep", "")], ()),
        ([{"thinking": "deep"}], [thought("deep", "")], ()),
        # the whole thinking once more beside its signature, as the npm router's own steps send it
        (
            [
                {"thinking": {"content": "de"}},
                {"thinking": {"content": "ep"}},
                {"content": None, "thinking": {"content": "deep", "signature": "sig"}},
                {"content": "answer"},
            ],
            [thought("deep", "sig"), TEXT],
            (),
        ),
        ([{"thinking": {"content": "deep", "signature": "sig"}}], [thought("deep", "sig")], ()),
        (
            [{"reasoning": "deep"}, {"reasoning": "er", "thinking": {"signature": "sig"}}],
            [thought("deeper", "sig")],
            (),
        ),
        ([{"reasoning": "deep", "thinking": {"content": "deep"}}], [thought("deep", "")], ()),
        (
            [{"thinking": {"content": [], "signature": None}}, {"thinking": 3}, {"content": "answer"}],
            [TEXT],
            (),
        ),
        (
            [
                {"thinking": {"content": "deep"}},
                {"thinking": {"content": "deep", "signature": "1795383276555"}},
            ],
            [thought("deep", "")],
            ("signature_made_up_dropped",),
        ),
        (
            [
                {"thinking": {"content": "a", "signature": "s"}},
                {"content": "answer"},
                {"thinking": {"content": "b"}},
            ],
            [thought("a"), TEXT, thought("b", "")],
            (),
        ),
        (
            [call(0, "{}", id="call_1", name="f"), {"thinking": {"content": "a", "signature": "s"}}],
            [{"type": "tool_use", "id": "call_1", "name": "f", "input": {}}, thought("a")],
            (),
        ),
    ],
)
def test_unified_thinking_in_streams(deltas: list[Json], blocks: list[Json], rules: tuple[str, ...]) -> None:
    assert streamed(*deltas) == (blocks, rules)


def test_unified_thinking_in_a_whole_answer() -> None:
    message = {"content": "answer", "thinking": {"content": "deep", "signature": "sig"}}
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    made = message_from_chat(json.dumps(body).encode(), message_id="msg_1", model="m")
    assert made.content == [thought("deep", "sig"), TEXT]
