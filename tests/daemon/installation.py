"""An installation of ccr in a folder of the test's own, driven through the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccr.config.paths import Paths

CCR = Path(sys.executable).with_name("ccr")
PROVIDER: dict[str, Any] = {
    "name": "databricks",
    "api_base_url": "https://adb-1.azuredatabricks.net/serving-endpoints/m/invocations",
    "api_key": "canary-provider-key",
    "models": ["m"],
    "transformer": {"use": ["databricks-custom"]},
}
CONFIG: dict[str, Any] = {"PORT": 0, "Providers": [PROVIDER], "Router": {"default": "databricks,m"}}


@dataclass(frozen=True)
class Installation:
    """A home folder with a configuration, and the commands on it."""

    paths: Paths

    def configure(self, **changes: Any) -> None:
        self.paths.home.mkdir(mode=0o700, exist_ok=True)
        self.paths.config_file.write_text(json.dumps({**CONFIG, **changes}))
        self.paths.config_file.chmod(0o600)

    def environ(self, **extra: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
        return {**inherited, "CCR_HOME": str(self.paths.home), **extra}

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(CCR), *arguments],
            env=self.environ(**extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def popen(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(CCR), *arguments],
            env=self.environ(**extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.run("status", "--json").stdout))

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.paths.state_file.read_text()))

    def with_server(self, source: str) -> dict[str, str]:
        """Return the variables under which the service finds ``source`` in place of its HTTP server."""
        folder = self.paths.home.parent / "fake-server"
        folder.mkdir(exist_ok=True)
        file = folder / "fake_server.py"
        file.write_text(source)
        (folder / "sitecustomize.py").write_text(
            "import sys, types\n"
            "class Finder:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name != 'ccr.server.app': return None\n"
            "        import importlib.util\n"
            f"        return importlib.util.spec_from_file_location(name, {str(file)!r})\n"
            "sys.meta_path.insert(0, Finder())\n"
        )
        return {"PYTHONPATH": str(folder)}
