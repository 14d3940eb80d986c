"""config.json to `Config`: read, parse, interpolate, validate; every problem at once, or none and a value.

This file and its parts (providers, transformer_files, section) are the only ones that know the documented
spelling. Source of the keys and their defaults: the npm router's documentation, and docs/configuration.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ccr.config.address import is_loopback
from ccr.config.findings import Findings, shape
from ccr.config.interpolate import Interpolation, joined
from ccr.config.model import Auth, Config, LogLevel, Secret
from ccr.config.network import GLOBAL_KEYS, ca_files_from, no_proxy_from, proxy_url_from
from ccr.config.own_prompt import system_prompt_from
from ccr.config.parse import MalformedError, Table, values_from_bytes
from ccr.config.providers import providers_from
from ccr.config.router import router_from
from ccr.config.section import Section
from ccr.config.transformer_files import (
    check_before_loading,
    check_that_files_exist,
    options_by_step,
    transformer_files_from,
)
from ccr.config.usage_kept import KEYS as USAGE_KEYS
from ccr.config.usage_kept import usage_kept_from
from ccr.errors import ConfigError, Problem, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Router, Step, TransformerFile
    from ccr.config.paths import Paths
    from ccr.config.speed import TokenSpeed

KEYS = (
    *(
        "$schema",
        "LOG",
        "LOG_LEVEL",
        "CLAUDE_PATH",
        "NODE_COMMAND",
        "HOST",
        "ALLOW_REMOTE",
        "PORT",
        "APIKEY",
        "AUTH",
        "API_TIMEOUT_MS",
        "STOP_TIMEOUT_MS",
    ),
    *GLOBAL_KEYS,
    *("transformers", "Providers", "providers", "Router", "fallback", "CUSTOM_ROUTER_PATH"),
    *("REWRITE_SYSTEM_PROMPT", "plugins", "Plugins"),
    *USAGE_KEYS,
    *("forceUseImageAgent", "StatusLine", "NON_INTERACTIVE_MODE", "ANTHROPIC_SMALL_FAST_MODEL"),
)
CUSTOM_ROUTER_SUFFIXES = (".py", ".js", ".cjs", ".mjs")
LOOPBACK = "127.0.0.1"
REMOTE_KEY_CHARACTERS = 24
DAY_MS = 24 * 3600 * 1000
MISSING = """\
There is no configuration at {path}.
`ccr setup` makes one for Databricks, `ccr import` one from another router's; or write it, for example:

  {{
    "Providers": [
      {{
        "name": "databricks",
        "api_base_url": "https://<workspace>/serving-endpoints/databricks-claude-sonnet-4-6/invocations",
        "api_key": "$DATABRICKS_TOKEN",
        "models": ["databricks-claude-sonnet-4-6"],
        "transformer": {{ "use": ["databricks-custom"] }}
      }}
    ],
    "Router": {{ "default": "databricks,databricks-claude-sonnet-4-6" }}
  }}

`ccr demo` shows everything at work and needs no configuration."""


def load_config(
    paths: Paths, environ: Mapping[str, str], *, check_step: Callable[[Step], object] | None = None
) -> Config:
    """Return the configuration of ``paths.config_file``.

    environ: for ``$VAR``, for ``SERVICE_PORT``, which overrides ``PORT``, and for ``~/.databrickscfg``.
    check_step: raises ValueError on a transformer that cannot be built; None leaves the steps unchecked
    (for commands that only show or hand over, and must be quick).
    Raises ConfigError with every problem, StartError (exit code 2) when there is no file.
    """
    path = paths.config_file
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise StartError(MISSING.format(path=path), exit_code=2) from error
    except OSError as error:
        problem = Problem(str(path), "", f"a file that cannot be read ({error.strerror})", "a readable file")
        raise ConfigError(problem) from error
    return config_from_bytes(data, environ, file=str(path), check_step=check_step, mode=_mode_of(path))


def config_from_bytes(
    data: bytes,
    environ: Mapping[str, str],
    *,
    file: str = "config.json",
    check_step: Callable[[Step], object] | None = None,
    mode: int = 0o600,
) -> Config:
    """Return the configuration that ``data`` describes; ``mode`` is the file's, for the warning about it."""
    try:
        written = values_from_bytes(data)
    except MalformedError as error:
        raise ConfigError(Problem(file, "", str(error), "JSON; comments are allowed")) from error
    if not isinstance(written, dict):
        raise ConfigError(Problem(file, "", shape(written), "an object with Providers and Router"))
    interpolation = Interpolation(environ)
    values = interpolation.walk(written)
    findings = Findings(file, interpolation.unset, interpolation.replaced)
    if mode & 0o077:
        what = "read and changed" if mode & 0o022 else "read"
        findings.warnings.append(f"{file} can be {what} by other users (mode {mode:o}); chmod 600 closes it.")
    _warn_of_repeated(written, "", findings)
    config = _config(Section(values, "", findings), environ, check_step)
    if findings.problems:
        raise ConfigError(*findings.problems, warnings=tuple(findings.warnings))
    return config


def _config(root: Section, environ: Mapping[str, str], check_step: Callable[[Step], object] | None) -> Config:
    root.warn_of_unknown(KEYS)
    files_by_key = transformer_files_from(root)
    files: tuple[TransformerFile, ...] = tuple(files_by_key.values())
    check = check_before_loading(check_step, files)
    providers = providers_from(root, check, options_by_step(files), environ)
    check_that_files_exist(files_by_key, providers, root)
    router = router_from(root, providers)
    api_key = root.secret("APIKEY")
    auth: Auth = root.choice("AUTH", "key", get_args(Auth))
    return Config(
        log=root.boolean("LOG", default=True),
        log_level=root.choice("LOG_LEVEL", "info", get_args(LogLevel)),
        claude_path=root.text("CLAUDE_PATH", allowed="the path of claude"),
        node_command=root.text("NODE_COMMAND", allowed="the path of node"),
        host=_host(root, api_key, auth),
        port=_port(root, environ),
        api_key=api_key,
        auth=auth,
        api_timeout_s=root.integer("API_TIMEOUT_MS", 600_000, 1, DAY_MS) / 1000,
        stop_timeout_s=root.integer("STOP_TIMEOUT_MS", 30_000, 0, DAY_MS) / 1000,
        proxy_url=proxy_url_from(root, environ),
        no_proxy=no_proxy_from(root, environ),
        ca_files=ca_files_from(root, environ),
        transformers=files,
        providers=providers,
        router=router,
        custom_router=_custom_router(root),
        system_prompt=system_prompt_from(root),
        speed=_speed(root),
        status_line=_status_line(root),
        non_interactive=root.boolean("NON_INTERACTIVE_MODE", default=False),
        small_fast_model=root.text("ANTHROPIC_SMALL_FAST_MODEL", allowed="the name of a model"),
        force_image_agent=_forces_image_agent(root, router),
        usage=usage_kept_from(root),
        warnings=tuple(root.findings.warnings),
        notes=tuple(root.findings.notes),
    )


def _host(root: Section, api_key: Secret | None, auth: Auth) -> str:
    host = root.text("HOST", allowed="a host name or an address") or LOOPBACK
    is_remote_allowed = root.boolean("ALLOW_REMOTE", default=False)
    if is_loopback(host):
        if auth == "none":
            root.findings.warn("AUTH", "is none: every program on this machine can use the providers' keys")
        elif api_key is not None and len(api_key.reveal()) < REMOTE_KEY_CHARACTERS:
            root.findings.notes.append(
                f"APIKEY has fewer than {REMOTE_KEY_CHARACTERS} characters: other users of this machine "
                "might guess it; without APIKEY ccr makes a key that nobody guesses."
            )
        return host
    if api_key is None and not is_remote_allowed and auth != "none":
        root.findings.warn(
            "HOST",
            "has no effect: only this machine is let in (127.0.0.1). Others are with an APIKEY of at least "
            f'{REMOTE_KEY_CHARACTERS} characters and "ALLOW_REMOTE": true beside it',
        )
        return LOOPBACK
    if auth == "none":
        root.problem(
            "AUTH", f"none, with HOST {root.quoted('HOST')}", "none only where HOST is 127.0.0.1 or localhost"
        )
    elif api_key is None or len(api_key.reveal()) < REMOTE_KEY_CHARACTERS:
        length = f"an APIKEY of at least {REMOTE_KEY_CHARACTERS} characters"
        root.problem(
            "HOST", f"{root.quoted('HOST')}, open to other machines", f"127.0.0.1, or {length} with it"
        )
    if not is_remote_allowed:
        root.problem(
            "HOST",
            f"{root.quoted('HOST')}, open to other machines",
            '127.0.0.1, or "ALLOW_REMOTE": true beside it',
        )
    root.findings.warn("HOST", "lets other machines reach this service; its key is all that keeps them out")
    return host


def _port(root: Section, environ: Mapping[str, str]) -> int:
    port = root.integer("PORT", 3456, 0, 65535)
    if not environ.get("SERVICE_PORT", "").strip():
        return port
    service = Section({"SERVICE_PORT": environ["SERVICE_PORT"]}, "environment", root.findings)
    return service.integer("SERVICE_PORT", port, 0, 65535)


def _custom_router(root: Section) -> Path | None:
    """Return the file of ``CUSTOM_ROUTER_PATH``; a relative one lies beside the configuration."""
    allowed = "the path of a file that ends in .py or .js"
    text = root.text("CUSTOM_ROUTER_PATH", allowed=allowed)
    if text is None:
        return None
    path = Path(root.findings.file).absolute().parent / Path(text).expanduser()
    if path.suffix.lower() not in CUSTOM_ROUTER_SUFFIXES or not os.path.isfile(path):  # noqa: PTH113 - never raises
        root.problem("CUSTOM_ROUTER_PATH", root.quoted("CUSTOM_ROUTER_PATH"), allowed)
    return path


def _speed(root: Section) -> TokenSpeed | None:
    if not (root.values.get("plugins") or root.values.get("Plugins")):
        return None
    from ccr.config.speed import speed_from  # imported late: few have it

    return speed_from(root)


def _forces_image_agent(root: Section, router: Router) -> bool:
    is_forced = root.boolean("forceUseImageAgent", default=False)
    if is_forced and "image" not in router.scenarios:
        root.findings.warn(
            "forceUseImageAgent",
            "has no effect without Router.image: it names the model that looks at images for the others",
        )
    return is_forced


def _status_line(root: Section) -> Mapping[str, Any] | None:
    status_line = root.table("StatusLine")
    Section(status_line, "StatusLine", root.findings).boolean("enabled", default=False)
    return status_line or None


def _warn_of_repeated(value: Any, path: str, findings: Findings) -> None:
    if isinstance(value, Table):
        for key in value.repeated:
            findings.warn(joined(path, key), "is written more than once; the last one counts")
    entries = value.items() if isinstance(value, dict) else ()
    for key, entry in entries:
        _warn_of_repeated(entry, joined(path, key), findings)
    if isinstance(value, list):
        for index, entry in enumerate(value):
            _warn_of_repeated(entry, f"{path}[{index}]", findings)


def _mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777
