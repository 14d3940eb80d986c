"""A strict Databricks workspace in a box: model serving in both dialects, scripted, with faults on demand.

It shares no code with the rest of ccr, because it checks what ccr sends; see docs/sandbox.md.
"""

from ccr.sandbox.anthropic_fake import AnthropicFake
from ccr.sandbox.fake_cli import CliCall, FakeCli
from ccr.sandbox.recorded import Recorded
from ccr.sandbox.script import Fault, Script, ToolCall, Turn, Usage, Wire, load_script
from ccr.sandbox.thread import WorkspaceThread
from ccr.sandbox.workspace import Workspace

__all__ = [
    "AnthropicFake",
    "CliCall",
    "FakeCli",
    "Fault",
    "Recorded",
    "Script",
    "ToolCall",
    "Turn",
    "Usage",
    "Wire",
    "Workspace",
    "WorkspaceThread",
    "load_script",
]
