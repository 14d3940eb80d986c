"""Doctor's checks of this machine: retired models, Claude Code, proxies, certificates, the environment.

Nothing is changed, nothing goes over the network.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccr.catalog.lookup import model_facts
from ccr.config.address import workspace_url
from ccr.config.model import Secret
from ccr.setup.families import is_retired
from ccr.setup.finding import Finding

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Mapping

    from ccr.config.model import Config

INSTALL: Final = "npm install -g @anthropic-ai/claude-code, or set CLAUDE_PATH in config.json"
VERSION_WAIT_S: Final = 20.0
SOON_DAYS: Final = 60
PROXY_NAMES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
OTHER_CA_NAMES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def retired_findings(config: Config, today: dt.date) -> list[Finding]:
    """Look for configured models that are switched off, or will be soon."""
    found = []
    for provider in config.providers:
        for name in provider.models:
            facts = model_facts(name)
            if facts is None or facts.retires is None or (facts.retires - today).days > SOON_DAYS:
                continue
            words = "retired on" if is_retired(name, today) else "retires on"
            remedy = "choose another one: `ccr models` lists them, `ccr setup` configures the best"
            found.append(
                Finding("models", "warning", f"{provider.name},{name} {words} {facts.retires}", remedy)
            )
    return found or [Finding("models", "ok", "no configured model is known to be retired")]


def claude_finding(program: str | None, environ: Mapping[str, str]) -> Finding:
    """Ask Claude Code its version. program: the file `ccr code` would start, None when there is none."""
    if program is None:
        return Finding("claude", "warning", "Claude Code is not installed; `ccr code` needs it", INSTALL)
    try:
        done = subprocess.run(  # noqa: S603 - the program the person has chosen, without a shell
            [program, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_WAIT_S,
            check=False,
            env={name: environ[name] for name in ("PATH", "HOME", "LANG") if name in environ},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Finding("claude", "failed", f"{program} --version does not end", INSTALL)
    except OSError as error:
        return Finding("claude", "failed", f"{program} cannot be run: {error.strerror}", INSTALL)
    version = done.stdout.strip().splitlines()
    if done.returncode != 0 or not version:
        return Finding("claude", "failed", f"{program} --version fails ({done.returncode})", INSTALL)
    return Finding("claude", "ok", f"{version[0][:80]} ({program})")


def proxy_findings(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    """Look at proxies: ccr takes its own from config.json alone, the client takes the environment's."""
    named = [name for name in PROXY_NAMES if environ.get(name, "").strip()]
    own = "PROXY_URL is set" if config.proxy_url is not None else "no PROXY_URL"
    with_own = [each.name for each in config.providers if isinstance(each.network.proxy, Secret)]
    if with_own:
        own += f", a proxy of its own for {', '.join(with_own)}"
    if not named:
        return [Finding("proxies", "ok", f"{own}, and none in the environment")]
    hosts = {part.strip() for part in (environ.get("NO_PROXY") or environ.get("no_proxy") or "").split(",")}
    found = []
    if config.proxy_url is None and any(each.network.proxy is None for each in config.providers):
        text = f"{named[0]} is set, but ccr does not use it: only PROXY_URL in config.json counts"
        remedy = 'if the workspace is reached through it, add "PROXY_URL": "env" to config.json'
        found.append(Finding("proxies", "warning", text, remedy))
    if not hosts & {"*", config.host, "127.0.0.1", "localhost"}:
        text = f"{named[0]} is set and NO_PROXY does not name this machine: programs look for ccr there"
        remedy = "add 127.0.0.1,localhost to NO_PROXY (`ccr code` and `ccr env` do this themselves)"
        found.append(Finding("proxies", "warning", text, remedy))
    return found or [Finding("proxies", "ok", f"{own}; NO_PROXY keeps this machine off {named[0]}")]


def certificate_finding(environ: Mapping[str, str], config: Config | None = None) -> Finding:
    """Look at where further certificate authorities come from. config: None where it cannot be read."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        written = environ.get(name, "")
        if written and not Path(written).exists():
            text = f"{name} names {written}, which does not exist: no certificate can be checked"
            return Finding("certificates", "failed", text, f"correct {name} or unset it")
        if written:
            return Finding("certificates", "ok", f"{name} is {written}")
    files = [*config.ca_files, *(each.network.ca_file for each in config.providers)] if config else []
    named = [file for file in dict.fromkeys(files) if file is not None]
    if named:
        return Finding("certificates", "ok", f"the system's certificate authorities and {', '.join(named)}")
    other = next((name for name in OTHER_CA_NAMES if environ.get(name)), None)
    if other is not None:
        text = f"{other} names a certificate authority, but ccr reads CA_FILE (config.json) and SSL_CERT_FILE"
        remedy = f'if a company proxy signs certificates here, add "CA_FILE": "${other}" to config.json'
        return Finding("certificates", "warning", text, remedy)
    return Finding("certificates", "ok", "the system's certificate authorities")


def environment_findings(environ: Mapping[str, str], workspaces: Collection[str]) -> list[Finding]:
    """Look at the Databricks variables: host without scheme, of another workspace, two identities at once."""
    found = []
    host = environ.get("DATABRICKS_HOST", "").strip()
    if host:
        found.append(_host_finding(host, workspaces))
    has_secret = all(environ.get(f"DATABRICKS_CLIENT_{word}", "").strip() for word in ("ID", "SECRET"))
    has_token = bool(environ.get("DATABRICKS_TOKEN", "").strip())
    if has_secret and has_token and not environ.get("DATABRICKS_AUTH_TYPE", "").strip():
        text = "DATABRICKS_TOKEN and DATABRICKS_CLIENT_ID/SECRET are both set: two identities at once"
        remedy = "unset one of them, or set DATABRICKS_AUTH_TYPE to pat or oauth-m2m"
        found.append(Finding("environment", "warning", text, remedy))
    return found or [Finding("environment", "ok", "no Databricks variable contradicts the configuration")]


def _host_finding(host: str, workspaces: Collection[str]) -> Finding:
    try:
        url = workspace_url(host)
    except ValueError as error:
        return Finding("environment", "failed", f"DATABRICKS_HOST: {error}", "correct DATABRICKS_HOST")
    if workspaces and url not in workspaces:
        text = f"DATABRICKS_HOST is {url}, which no provider leads to: its token may be refused"
        return Finding("environment", "warning", text, "`ccr setup` configures that workspace")
    added = "" if "://" in host else ", written without https://, which ccr adds"
    return Finding("environment", "ok", f"DATABRICKS_HOST is {url}{added}")
