"""Which of its two dialects a provider is spoken to in: by ``api``, or by what its URL is.

    chat        chat completions, translated
    anthropic   the Messages API itself (docs/native-route.md)
    auto        the Messages API where the workspace has it, else chat; Databricks only

A Databricks URL is one whose path leads through ``/serving-endpoints/`` or ``/ai-gateway/``. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

from ccr.config.model import Api

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccr.config.model import KeyHeader, Secret, Step
    from ccr.config.section import Section

WORKSPACE = re.compile(r"(?P<base>https?://[^?#]*?)/(?P<part>serving-endpoints|ai-gateway)/[^?#]*")
"""A Databricks URL without its query: what stands before the API's path, and which of the two APIs it is."""

_MESSAGES_PATH = re.compile(r".*/v1/messages/?|.*/(?:serving-endpoints|ai-gateway)/anthropic(?:/v1)?/?")
_CHAT_PATH = re.compile(r".*/(?:completions|invocations)/?")
_ANTHROPIC = "Anthropic"
_UNMISSED = frozenset({"OpenAI", "databricks-custom"})
"""What they mend does not occur in the Messages API, so that nobody misses them there."""
_LOGIN_TOKEN = "sk-ant-oat"  # noqa: S105 - how Anthropic's tokens of a login begin; they go as bearer tokens


def is_messages_url(url: str) -> bool:
    """Tell whether a URL is that of a Messages API, or of a workspace's API that has only this one."""
    return _MESSAGES_PATH.fullmatch(urlsplit(url).path) is not None


def is_workspace_url(url: str) -> bool:
    """Tell whether a URL is one of a Databricks workspace's model APIs."""
    return WORKSPACE.match(url) is not None


def api_from(section: Section, url: str, steps: Iterable[Step]) -> Api:
    """Read ``api``. url: the provider's, empty after a problem. steps: all of its transformers.

    ``Anthropic`` as the only one says that the URL is one of a Messages API, whatever its path.
    """
    steps = tuple(steps)
    speaks_messages = bool(url) and is_messages_url(url)
    if url and [step.name for step in steps] == [_ANTHROPIC]:
        speaks_messages = speaks_messages or not _CHAT_PATH.fullmatch(urlsplit(url).path)
    api: Api = section.choice("api", "anthropic" if speaks_messages else "chat", get_args(Api))
    if url and api == "chat" and speaks_messages:
        section.problem("api", "chat, with the URL of a Messages API", "anthropic, or a chat endpoint's URL")
    elif url and api == "auto" and not is_workspace_url(url):
        section.problem(
            "api", "auto, with a URL that is not Databricks'", "chat or anthropic, or a workspace's URL"
        )
    elif url and api == "anthropic" and not speaks_messages and not is_workspace_url(url):
        section.problem(
            "api", "anthropic, with the URL of a chat endpoint", "chat, or a URL that ends in /v1/messages"
        )
    if api != "chat":
        _warn_of_steps(section, api, steps)
    return api


def key_header_from(url: str, api: Api, api_key: Secret | None, steps: Iterable[Step]) -> KeyHeader:
    """Return the header that a provider's key goes in: ``x-api-key`` is the Messages API's own."""
    uses_bearer = any(step.name == _ANTHROPIC and step.options.get("UseBearer") for step in steps)
    is_login = api_key is not None and api_key.reveal().startswith(_LOGIN_TOKEN)
    is_relayed = api == "anthropic" and not is_workspace_url(url)
    return "x-api-key" if is_relayed and not uses_bearer and not is_login else "authorization"


def _warn_of_steps(section: Section, api: Api, steps: Iterable[Step]) -> None:
    where = "anywhere" if api == "anthropic" else "where the native route is taken"
    missed = (step.name for step in steps if step.options or step.name not in _UNMISSED)
    for name in dict.fromkeys(name for name in missed if name != _ANTHROPIC):
        section.findings.warn(
            section.at("transformer"),
            f"names {name}, which works on chat requests: with api {api} it has no effect {where}",
        )
