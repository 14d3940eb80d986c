"""The variables of status line texts, from what the client tells and what was read besides. Pure.

Names and forms are the npm router's; those of its later version and our own come on top. An unknown value is
"", never a made-up figure. Source of the input: the client reference §5 (captured), Claude Code's own page on
status lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccr.statusline.tail import number_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.statusline.tail import Answer, Measured

PERCENT = 100
MANY_TOKENS = 1000


def variables_from(
    told: Mapping[str, Any],
    *,
    branch: str,
    answer: Answer | None,
    measured: Measured | None,
    default_model: str,
) -> dict[str, str]:
    """Return variable -> text.

    told: the client's JSON. default_model: shown when neither transcript nor client knows one.
    """
    window, cost = _table(told, "context_window"), _table(told, "cost")
    usage = _usage(window, answer)
    added, removed = _known(cost, "total_lines_added"), _known(cost, "total_lines_removed")
    model = _table(told, "model")
    names = (answer.model if answer else "", model.get("display_name"), model.get("id"), default_model)
    return {
        "workDirName": folder_of(told).rstrip("/").rpartition("/")[2],
        "gitBranch": branch,
        "model": next((name for name in names if isinstance(name, str) and name), ""),
        "modelId": _text(model.get("id")),
        "modelName": _text(model.get("display_name")),
        "inputTokens": count(usage.get("input_tokens")),
        "outputTokens": count(usage.get("output_tokens")),
        "totalInputTokens": count(_known(window, "total_input_tokens")),
        "totalOutputTokens": count(_known(window, "total_output_tokens")),
        "contextPercent": _context_percent(window, usage),
        "contextWindowSize": _window(number_from(window.get("context_window_size"))),
        "cost": money(number_from(cost.get("total_cost_usd"))),
        "totalCost": money(number_from(cost.get("total_cost_usd"))),
        "duration": time_text(number_from(cost.get("total_duration_ms"))),
        "apiDuration": time_text(number_from(cost.get("total_api_duration_ms"))),
        "linesAdded": "" if added is None else f"{added:.0f}",
        "linesRemoved": "" if removed is None else f"{removed:.0f}",
        "netLines": "" if added is None or removed is None else f"{added - removed:.0f}",
        "tokenSpeed": f"{measured.tokens_per_s:.0f}" if measured and measured.tokens_per_s else "",
        "timeToFirstToken": time_text(measured.first_token_s * 1000)
        if measured and measured.first_token_s
        else "",
        "isStreaming": "",
        "streamingIndicator": "",
        "provider": measured.provider if measured else "",
        "upstreamModel": measured.model if measured else "",
        "rule": measured.rule if measured else "",
        "version": _text(told.get("version")),
        "sessionId": _text(told.get("session_id"))[:8],
        "outputStyle": _text(_table(told, "output_style").get("name")),
    }


def folder_of(told: Mapping[str, Any]) -> str:
    """Return the folder the client works in."""
    return _text(_table(told, "workspace").get("current_dir")) or _text(told.get("cwd"))


def count(tokens: float | None) -> str:
    """Return a number of tokens: 67, 12.3k, 1.2M; "" for one that is not known."""
    if tokens is None:
        return ""
    if tokens <= MANY_TOKENS:
        return str(int(tokens))
    if tokens < MANY_TOKENS**2:
        return f"{tokens / MANY_TOKENS:.1f}k"
    return f"{tokens / MANY_TOKENS**2:.1f}M"


def money(dollars: float) -> str:
    """Return an amount: $1.23, 0.45¢ below a cent; "" for nothing."""
    if dollars <= 0:
        return ""
    return f"${dollars:.2f}" if dollars >= 0.01 else f"{dollars * 100:.2f}¢"


def time_text(milliseconds: float) -> str:
    """Return a duration: 850ms, 4.2s, 5m3s, 1h12m; "" for none."""
    if milliseconds <= 0:
        return ""
    if milliseconds < 1000:
        return f"{milliseconds:.0f}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes}m{seconds % 60:.0f}s"
    return f"{minutes // 60}h{minutes % 60}m"


def _usage(window: Mapping[str, Any], answer: Answer | None) -> dict[str, float]:
    """Return the last answer's tokens; what the client counted goes before what its transcript has.

    ``input_tokens`` is the whole prompt: with prompt caching the uncached rest alone says nothing.
    """
    current = _table(window, "current_usage")
    cached = sum(
        number_from(current.get(name)) for name in ("cache_read_input_tokens", "cache_creation_input_tokens")
    )
    if current:
        prompt = number_from(current.get("input_tokens")) + cached
        return {"input_tokens": prompt, "output_tokens": number_from(current.get("output_tokens"))}
    if answer is not None:
        return {
            "input_tokens": answer.input_tokens + answer.cached_tokens,
            "output_tokens": answer.output_tokens,
        }
    return {}


def _context_percent(window: Mapping[str, Any], usage: Mapping[str, float]) -> str:
    given = window.get("used_percentage")
    if isinstance(given, int | float) and not isinstance(given, bool):
        return f"{given:.0f}"
    size = number_from(window.get("context_window_size"))
    prompt = usage.get("input_tokens")
    return f"{prompt * PERCENT / size:.0f}" if prompt is not None and size > 0 else ""


def _window(size: float) -> str:
    if size <= 0:
        return ""
    return f"{size / MANY_TOKENS:.0f}k" if size < MANY_TOKENS**2 else f"{size / MANY_TOKENS**2:.0f}M"


def _known(values: Mapping[str, Any], key: str) -> float | None:
    """Return a number that is there, also 0; None when it is not."""
    value = values.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
