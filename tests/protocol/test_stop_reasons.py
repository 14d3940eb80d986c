from __future__ import annotations

import pytest

from ccr.protocol.stop_reasons import is_known_finish_reason, stop_reason_from_finish_reason


@pytest.mark.parametrize(
    ("finish_reason", "has_tool_use", "stop_reason"),
    [
        ("stop", False, "end_turn"),
        ("stop", True, "tool_use"),
        ("tool_calls", True, "tool_use"),
        ("tool_calls", False, "end_turn"),
        ("function_call", True, "tool_use"),
        ("function_call", False, "end_turn"),
        ("length", False, "max_tokens"),
        ("length", True, "max_tokens"),
        ("content_filter", False, "refusal"),
        ("content_filter", True, "refusal"),
        ("end_turn", False, "end_turn"),
        ("end_turn", True, "tool_use"),
        ("tool_use", True, "tool_use"),
        ("tool_use", False, "end_turn"),
        ("max_tokens", False, "max_tokens"),
        ("stop_sequence", False, "stop_sequence"),
        ("refusal", False, "refusal"),
        ("pause_turn", False, "pause_turn"),
        ("model_context_window_exceeded", False, "model_context_window_exceeded"),
        ("something_new", True, "something_new"),
    ],
)
def test_stop_reason(finish_reason: str, has_tool_use: bool, stop_reason: str) -> None:
    assert stop_reason_from_finish_reason(finish_reason, has_tool_use=has_tool_use) == stop_reason


def test_words_that_are_in_no_table_are_told_apart() -> None:
    assert is_known_finish_reason("stop")
    assert not is_known_finish_reason("something_new")
