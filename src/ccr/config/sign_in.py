"""Who a provider's requests come from: a key of its own, or an identity that is found for its workspace.

Only what the file says is judged here: which keys are there, and which of them contradict each other. Where
an identity is found is decided by ``ccr.upstream.auth``, in the order of the Databricks tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ccr.config.address import is_loopback, workspace_url
from ccr.config.api import is_workspace_url
from ccr.config.findings import shape
from ccr.config.model import SignIn
from ccr.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Secret
    from ccr.config.section import Section

AUTO: Final = "auto"
PAT: Final = "pat"
ON_BEHALF_OF_USER: Final = "on-behalf-of-user"
KEYS: Final = ("host", "profile", "client_id", "client_secret", "auth_type", "cli_path", "on_behalf_of_user")
NO_WAYS: Final = frozenset({"host", "cli_path"})
"""Those that are no way to sign in."""
HOST_FORM: Final = "the workspace's host, like https://dbc-….cloud.databricks.com"
KEY_FORM: Final = 'the key of the endpoint, or $VARIABLE; "auto" for a Databricks workspace'


def host_from(section: Section) -> str | None:
    """Return the workspace's URL that ``host`` means; it is not quoted when it is wrong."""
    text = section.text("host", allowed=HOST_FORM)
    if text is None:
        return None
    try:
        return workspace_url(text)
    except ValueError as error:
        section.problem("host", str(error), HOST_FORM)
        return None


def host_of_profile(section: Section, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the workspace that ``profile`` belongs to, by ``~/.databrickscfg``."""
    name = section.text("profile")
    if name is None:
        return None
    from ccr.config.profiles import read_profiles, read_text  # imported here: few need it, and it costs 5 ms

    try:
        return workspace_url(read_profiles(environ, read_text).get(name).get("host", ""))
    except ConfigError as error:
        fault = error.problems[0]
        section.problem("profile", f"in {fault.file} {fault.key} {fault.found}", fault.allowed)
    except ValueError:
        section.problem("profile", "a profile that names no host", "a profile that does, or `host` beside it")
    return None


def sign_in_from(section: Section, url: str) -> tuple[Secret | None, SignIn | None]:
    """Return the key, or how to sign in without one; neither for an upstream on this machine that asks none.

    url: the provider's, empty when it has a problem already.
    """
    written = section.values.get("api_key")
    is_auto = isinstance(written, str) and written.strip().lower() == AUTO
    said = _said(section)
    if written is not None and not is_auto:
        return _own_key(section, said), None
    is_workspace = not url or "host" in said or is_workspace_url(url)
    if is_workspace:
        return None, _sign_in(section, said)
    for key in said:
        section.problem(
            key, "a setting of a Databricks workspace, and an api_base_url that is none", "`host` beside it"
        )
    if is_auto:
        section.problem("api_key", "auto, and an api_base_url that is no Databricks workspace's", KEY_FORM)
    elif not is_loopback(urlsplit(url).hostname or ""):
        section.problem("api_key", shape(written), KEY_FORM)
    return None, None


def _said(section: Section) -> list[str]:
    """Return the keys of an identity that say something."""
    empty = (None, "", False, "false")
    return [key for key in KEYS if section.values.get(key) not in empty]


def _own_key(section: Section, said: list[str]) -> Secret | None:
    """Return the written key; another way to sign in beside it is a problem."""
    if isinstance(section.values["api_key"], str) and not section.values["api_key"].strip():
        section.problem("api_key", shape(section.values["api_key"]), KEY_FORM)
    kind = (section.text("auth_type") or PAT).lower()
    others = [key for key in said if key not in NO_WAYS and not (key == "auth_type" and kind == PAT)]
    if others:
        section.problem(
            "api_key",
            f"a key beside {', '.join(others)}: two ways to sign in",
            f'one of them; "auto" takes {others[0]}',
        )
    elif section.values.get("api_base_url"):
        for key in (key for key in said if key in NO_WAYS):
            section.findings.warn(section.at(key), "has no effect beside api_key and api_base_url")
    return section.secret("api_key")


def _sign_in(section: Section, said: list[str]) -> SignIn:
    auth_type = section.text("auth_type")
    is_user = section.boolean("on_behalf_of_user", default=False)
    if auth_type is not None and auth_type.lower() == ON_BEHALF_OF_USER:
        is_user, auth_type = True, None
    principal = [key for key in said if key in ("client_id", "client_secret")]
    others = [*principal, *(key for key in said if key == "profile"), *(["auth_type"] if auth_type else [])]
    if is_user and others:
        found = f"the user of each request beside {', '.join(others)}: two ways to sign in"
        key = "on_behalf_of_user" if "on_behalf_of_user" in said else "auth_type"
        section.problem(key, found, "one of them")
    elif principal and "profile" in said and auth_type is None:
        found = f"a profile beside {', '.join(principal)}: two ways to sign in"
        section.problem("profile", found, "one of them, or auth_type saying which")
    return SignIn(
        file=section.findings.file,
        path=section.path,
        host=host_from(section),
        profile=section.text("profile"),
        client_id=section.text("client_id"),
        client_secret=section.secret("client_secret"),
        auth_type=auth_type,
        cli_path=section.text("cli_path"),
        on_behalf_of_user=is_user,
    )
