"""What fails in the person's own code: one error that names the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccr.errors import TransformerError
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from pathlib import Path

REASON_CHARACTERS = 500


class PluginError(TransformerError):
    """A plugin failed: status 500, with a sentence that names the plugin, its hook and the reason.

    plugin: its name; before it is known, that of its file. hook: the method that failed, or ``load``,
    ``constructor``, ``route``. reason: one line, shortened, without what looks like a secret. trace: the
    traceback, for the person at ``ccr start`` and for logs; never sent to a client.
    should_retry: False where the same request would fail again, None where nobody knows.
    """

    def __init__(
        self,
        plugin: str,
        reason: str,
        *,
        hook: str = "load",
        trace: str = "",
        should_retry: bool | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.plugin = plugin
        self.reason = _one_line(redacted(reason))
        self.trace = redacted(trace)
        super().__init__(plugin, hook, self.reason)
        self.should_retry = should_retry
        self.retry_after_s = retry_after_s


def plugin_error_from_file(path: Path, reason: str) -> PluginError:
    """Return the error of a file that is not loaded."""
    return PluginError(path.name, f"{path} {reason}", should_retry=False)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= REASON_CHARACTERS else f"{line[:REASON_CHARACTERS]}…"
