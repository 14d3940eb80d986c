"""Script modules: the person's own JavaScript or Python files, each given the variables and asked for a text.

All files of one language run in one child process, under one deadline; what answered in time counts, what did
not is "". A file that others can write is not run, nor is any of the folder the person stands in.

JavaScript: ``module.exports = (variables, options) => text`` (a promise too, or a plain text), as with the
npm router. Python: ``def status_line(variables, options): return text``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEADLINE_S: Final = 1.0
MAX_CHARS: Final = 500
IN_NODE: Final = """
const {pathToFileURL} = require("node:url");
const write = process.stdout.write.bind(process.stdout);
console.log = console.info = console.debug = console.error;
let given = "";
process.stdin.on("data", (chunk) => { given += chunk; });
process.stdin.on("end", async () => {
  const {variables, scripts} = JSON.parse(given);
  await Promise.all(scripts.map(async ({index, path, options}) => {
    let text = "";
    try {
      const loaded = await import(pathToFileURL(path).href);
      let value = loaded.default ?? loaded;
      if (value && typeof value !== "function" && value.default !== undefined) value = value.default;
      text = typeof value === "function" ? await value({...variables}, options) : value;
    } catch (error) { console.error(`${path}: ${error}`); }
    write(JSON.stringify([index, typeof text === "string" ? text : ""]) + "\\n");
  }));
  process.exit(0);
});
"""
IN_PYTHON: Final = """
import json, runpy, sys
answers, sys.stdout = sys.stdout, sys.stderr
given = json.load(sys.stdin)
for script in given["scripts"]:
    text = ""
    try:
        found = runpy.run_path(script["path"])
        text = found["status_line"](dict(given["variables"]), script["options"])
    except Exception as error:
        print(f"{script['path']}: {error!r}", file=sys.stderr)
    print(json.dumps([script["index"], text if isinstance(text, str) else ""]), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Script:
    """A script module. index: which of the modules it is."""

    index: int
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_python(self) -> bool:
        """Whether the file is Python; anything else is JavaScript."""
        return self.path.endswith(".py")


def scripts_of(modules: Sequence[Mapping[str, Any]], folder: Path) -> list[Script]:
    """Return the script modules; relative paths are below ``folder``, ``~`` is the person's home."""
    scripts = []
    for index, module in enumerate(modules):
        path = module.get("scriptPath")
        if module.get("type") == "script" and isinstance(path, str) and path.strip():
            options = module.get("options")
            whole = folder / Path(path.strip()).expanduser()
            scripts.append(Script(index, str(whole), options if isinstance(options, dict) else {}))
    return scripts


def texts_of(
    scripts: Sequence[Script], variables: Mapping[str, str], *, deadline_s: float = DEADLINE_S
) -> dict[int, str]:
    """Return index -> text of the scripts that answered in time; faults go to stderr and never further."""
    own = [script for script in scripts if _is_own(script)]
    groups = (
        (["node", "-e", IN_NODE], [script for script in own if not script.is_python]),
        # -P: else a json.py in the folder the person stands in would be run as ours.
        ([sys.executable, "-P", "-c", IN_PYTHON], [script for script in own if script.is_python]),
    )
    texts: dict[int, str] = {}
    for command, group in groups:
        if group:
            texts |= _answers(_run(command, group, variables, deadline_s))
    return texts


def _is_own(script: Script) -> bool:
    """Tell whether a file may be run, as for plugins; else say why not."""
    from ccr.plugins.errors import PluginError
    from ccr.plugins.files import check_plugin_file  # imported here: only script modules need it

    try:
        check_plugin_file(script.path)
    except PluginError as error:
        print(f"ccr statusline: {error.reason}", file=sys.stderr)
        return False
    return True


def _run(
    command: Sequence[str], scripts: Sequence[Script], variables: Mapping[str, str], deadline_s: float
) -> bytes:
    import subprocess  # imported here: only script modules need it

    asked = {
        "variables": dict(variables),
        "scripts": [{"index": each.index, "path": each.path, "options": each.options} for each in scripts],
    }
    try:
        done = subprocess.run(  # noqa: S603 - the person's own files, by a fixed command
            command,
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        print(f"ccr statusline: a script took longer than {deadline_s:g} s", file=sys.stderr)
        return late.stdout or b""
    except OSError as error:
        print(f"ccr statusline: {command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        return b""
    return done.stdout


def _answers(output: bytes) -> dict[int, str]:
    texts = {}
    for line in output.splitlines():
        try:
            index, text = json.loads(line)
        except (ValueError, TypeError):
            continue
        if isinstance(index, int) and isinstance(text, str):
            texts[index] = text[:MAX_CHARS]
    return texts
