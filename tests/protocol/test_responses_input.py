"""The items of an input as messages, and what is refused among them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccr.protocol.responses_reasoning import encrypted_content
from tests.protocol.responses_requests import Json, converted, refusal_of

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="


def text(role: str, said: str, kind: str = "input_text") -> Json:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": said}]}


def call(call_id: str = "c1", name: str = "read", **more: Any) -> Json:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}", **more}


def output(call_id: str = "c1", said: Any = "done", kind: str = "function_call_output") -> Json:
    return {"type": kind, "call_id": call_id, "output": said}


def called(*ids: str, name: str = "read", arguments: str = "{}") -> list[Json]:
    return [
        {"id": each, "type": "function", "function": {"name": name, "arguments": arguments}} for each in ids
    ]


def tool(call_id: str, content: Any = "done") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


U, HI = {"role": "user", "content": "hello"}, text("user", "hello")


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ([{"role": "user", "content": "hello"}], [U]),
        ([HI, HI], [U, U]),
        (
            [text("developer", "a"), text("system", "b"), HI, text("developer", "c")],
            [{"role": "system", "content": "a\n\nb"}, U, {"role": "system", "content": "c"}],
        ),
        ([HI, text("assistant", "yes", "output_text")], [U, {"role": "assistant", "content": "yes"}]),
        (
            [HI, {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
            [U, {"role": "assistant", "content": "no"}],
        ),
        (
            [HI, text("assistant", "a"), text("assistant", "b"), call(), output()],
            [
                U,
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                    "tool_calls": called("c1"),
                },
                tool("c1"),
            ],
        ),
        (
            [HI, call("c1"), call("c2"), output("c2"), output("c1")],
            [U, {"role": "assistant", "tool_calls": called("c1", "c2")}, tool("c1"), tool("c2")],
        ),
        (
            [HI, call("c1"), output("c1"), call("c2"), output("c2")],
            [
                U,
                {"role": "assistant", "tool_calls": called("c1")},
                tool("c1"),
                {"role": "assistant", "tool_calls": called("c2")},
                tool("c2"),
            ],
        ),
        (  # what comes between a call and its output comes behind both
            [HI, call(), HI, output()],
            [U, {"role": "assistant", "tool_calls": called("c1")}, tool("c1"), U],
        ),
        (
            [
                HI,
                {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "+ä"},
                output(kind="custom_tool_call_output"),
            ],
            [
                U,
                {
                    "role": "assistant",
                    "tool_calls": called("c1", name="patch", arguments='{"input":"+ä"}'),
                },
                tool("c1"),
            ],
        ),
        (
            [HI, call(namespace="mcp"), output()],
            [U, {"role": "assistant", "tool_calls": called("c1", name="mcp__read")}, tool("c1")],
        ),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "input_audio", "input_audio": {"data": "x", "format": "mp3"}}],
                }
            ],
            [
                {
                    "role": "user",
                    "content": [{"type": "input_audio", "input_audio": {"data": "x", "format": "mp3"}}],
                }
            ],
        ),
    ],
)
def test_conversations(items: list[Json], messages: list[Json]) -> None:
    found = converted(input=items)
    assert found.messages == messages
    assert found.rules == ()


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ({"type": "input_image", "image_url": PNG}, {"type": "image_url", "image_url": {"url": PNG}}),
        (
            {"type": "input_image", "image_url": PNG, "detail": "auto"},
            {"type": "image_url", "image_url": {"url": PNG}},
        ),
        (
            {"type": "input_image", "image_url": PNG, "detail": "low"},
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        ),
        (
            {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
        ),
        (
            {"type": "input_file", "file_data": PDF},
            {"type": "file", "file": {"filename": "document.pdf", "file_data": PDF}},
        ),
    ],
)
def test_parts(part: Json, sent: Json) -> None:
    assert converted(input=[{"role": "user", "content": [part]}]).messages[0]["content"] == [sent]


SIGNED = {"type": "summary_text", "text": "Hm.", "signature": "s1"}
SEALED = {"type": "summary_encrypted_text", "data": "d1"}


@pytest.mark.parametrize(
    ("item", "entry"),
    [
        ({"summary": [], "encrypted_content": encrypted_content("Hm.", "s1")}, SIGNED),
        ({"summary": [], "encrypted_content": encrypted_content("", "", "d1")}, SEALED),
        (
            {"summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": None},
            {"type": "summary_text", "text": "Hm.", "signature": ""},
        ),
        (
            {"summary": [], "content": [{"type": "reasoning_text", "text": "Ah."}]},
            {"type": "summary_text", "text": "Ah.", "signature": ""},
        ),
    ],
)
def test_thinking_stands_before_what_follows_it(item: Json, entry: Json) -> None:
    found = converted(input=[HI, {"type": "reasoning", "id": "rs_1", **item}, call(), output()])
    assert found.messages[1] == {
        "role": "assistant",
        "content": [{"type": "reasoning", "summary": [entry]}],
        "tool_calls": called("c1"),
    }


def test_thinking_of_somebody_else_is_dropped() -> None:
    item = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "x"}],
        "encrypted_content": "gAAA",
    }
    found = converted(input=[HI, item, HI])
    assert found.messages == [U, U]
    assert found.rules == ("foreign_reasoning_dropped",)


@pytest.mark.parametrize(
    ("said", "content", "rules"),
    [
        ("", "(no output)", ("empty_tool_result_filled",)),
        ([], "(no output)", ("empty_tool_result_filled",)),
        ([{"type": "input_text", "text": " "}], "(no output)", ("empty_tool_result_filled",)),
        ([{"type": "input_text", "text": "a"}], "a", ()),
        (
            [{"type": "input_text", "text": "a"}, {"type": "output_text", "text": "b"}],
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            (),
        ),
    ],
)
def test_outputs(said: Any, content: Any, rules: tuple[str, ...]) -> None:
    found = converted(input=[HI, call(), output(said=said)])
    assert found.messages[2] == tool("c1", content)
    assert found.rules == rules


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "input_image", "image_url": PNG}, "image"),
        ({"type": "input_file", "file_data": PDF}, "document"),
        ({"type": "input_audio", "input_audio": {}}, "audio"),
    ],
)
def test_what_is_no_text_in_an_output_follows_the_outputs(part: Json, kind: str) -> None:
    found = converted(input=[HI, call("c1"), call("c2"), output("c1", [part]), output("c2")])
    *_, first, second, lifted = found.messages
    assert first == tool("c1", f"[{kind}: see the user message below]")
    assert second == tool("c2")
    assert lifted["role"] == "user"
    assert lifted["content"][0] == {"type": "text", "text": f"[{kind} from the result of tool call c1]"}
    assert found.rules == ("tool_result_attachment_lifted",)


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("web_search_call", "assistant"),
        ("mcp_call", "assistant"),
        ("computer_call_output", "user"),
        ("mcp_approval_response", "user"),
    ],
)
def test_what_tools_of_openais_have_done_is_told(kind: str, role: str) -> None:
    item = {"type": kind, "id": "x_1", "status": "completed"}
    found = converted(input=[HI, item])
    assert found.messages[1]["role"] == role
    prefix, _, told = found.messages[1]["content"].partition("] ")
    assert (prefix, json.loads(told)) == (f"[{kind}", item)
    assert found.rules == ("server_tool_block_as_text",)


@pytest.mark.parametrize(
    ("items", "param", "why"),
    [
        ([{}], "input.0.type", "required"),
        ([{"type": "new_item"}], "input.0.type", "'new_item' is not known here"),
        ([{"type": ["x"]}], "input.0.type", "required"),
        ([{"type": "item_reference", "id": "x"}], "input.0.type", "with the item itself"),
        ([{"type": "compaction", "encrypted_content": "x"}], "input.0.type", "send the history itself"),
        ([{"type": "message", "content": "x"}], "input.0.role", "Input should be"),
        ([{"role": "tool", "content": "x"}], "input.0.role", "Input should be"),
        ([{"role": ["user"], "content": "x"}], "input.0.role", "Input should be"),
        ([{"role": "user", "content": [{"type": ["x"]}]}], "input.0.content.0.type", "required"),
        ([{"role": "user"}], "input.0.content", "a text or a list"),
        ([{"role": "user", "content": ["x"]}], "input.0.content.0", "an object"),
        ([{"role": "user", "content": [{"type": "x"}]}], "input.0.content.0.type", "'x' is not known here"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "input.0.content.0.text", "required"),
        (
            [{"role": "user", "content": [{"type": "input_text", "text": 3}]}],
            "input.0.content.0.text",
            "a text",
        ),
        (
            [{"role": "system", "content": [{"type": "input_image", "image_url": PNG}]}],
            "input.0.content",
            "texts alone",
        ),
        ([{"role": "user", "content": [{"type": "input_image"}]}], "input.0.content.0.image_url", "required"),
        (
            [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}],
            "input.0.content.0.image_url",
            "keeps no files",
        ),
        ([{"role": "user", "content": [{"type": "input_file"}]}], "input.0.content.0.file_data", "required"),
        (
            [{"role": "user", "content": [{"type": "input_file", "file_url": "https://x"}]}],
            "input.0.content.0.file_data",
            "keeps no files",
        ),
        ([HI, call()], "input.1", "no output of the call `c1`"),
        ([HI, output()], "input.1.call_id", "no call `c1`"),
        ([HI, call(), output(), output()], "input.3.call_id", "twice"),
        ([HI, call(), call()], "input.2.call_id", "twice"),
        ([HI, {"type": "function_call", "call_id": "c"}], "input.1.name", "required"),
        ([HI, {"type": "custom_tool_call", "call_id": "c", "name": "n"}], "input.1.input", "required"),
        (
            [HI, call(), {"type": "function_call_output", "call_id": "c1"}],
            "input.2.output",
            "a text or a list",
        ),
    ],
)
def test_refusals_name_the_item(items: list[Any], param: str, why: str) -> None:
    error = refusal_of(input=items)
    assert error.param == param
    assert why in error.message
