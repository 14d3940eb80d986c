"""Secrets taken out of lines for logs: by their value, and by what looks like one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from ccr.config.model import Secret
from ccr.config.transformer_files import steps_of
from ccr.protocol.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ccr.config.model import Config, Provider

SECRET_OPTION: Final = re.compile(
    r"(?:keys?|token|secrets?|passw(?:or)?ds?|passwd|auth|authorization|cookies?|credentials?)$",
    re.IGNORECASE,
)
"""Names whose texts are secrets, in options of transformers and whatever else people write."""
SHORTEST_SECRET: Final = 6
"""A shorter text is no secret, and would take harmless words out of every line."""
_FOR_URLS: Final = str.maketrans("+/", "-_")


class Mask:
    """Replaces secrets by ``***``, as they are and as they stand in JSON, in a URL and in Base64."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        texts = {secret.reveal() for secret in secrets}
        forms = {form for text in texts if len(text) >= SHORTEST_SECRET for form in _forms(text)}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, line: str) -> str:
        """Return the line without secrets, and without what looks like one."""
        return redacted(self.by_value(line))

    def by_value(self, text: str) -> str:
        """Return the text without the known secrets."""
        for form in self._forms:
            text = text.replace(form, "***")
        return text


def secrets_of_config(config: Config) -> list[Secret]:
    """Return every secret that a configuration holds."""
    providers = config.providers
    candidates = [
        config.api_key,
        config.proxy_url,
        *(provider.api_key for provider in providers),
        *(key for provider in providers for key in provider.more_keys),
        *(secret for provider in providers if provider.tokenizers for secret in _of_tokenizers(provider)),
        *(each.network.proxy for each in providers if isinstance(each.network.proxy, Secret)),
        *(config.speed.webhook.secrets if config.speed is not None and config.speed.webhook else ()),
        *(each.sign_in.client_secret for each in providers if each.sign_in is not None),
    ]
    options = (*(step.options for step in steps_of(config)), *(file.options for file in config.transformers))
    named = {text for each in options for text in _named_secrets(each, "")}
    return [*(secret for secret in candidates if secret is not None), *map(Secret, sorted(named))]


def _of_tokenizers(provider: Provider) -> list[Secret]:
    from ccr.config.tokenizers import secrets_of_tokenizers  # imported late: few have any

    return secrets_of_tokenizers(provider.tokenizers)


def _named_secrets(value: Any, name: str) -> Iterator[str]:
    """Yield the texts in the options of a transformer whose names say that they are secrets."""
    entries = value.items() if isinstance(value, Mapping) else ((name, each) for each in value)
    for key, entry in entries:
        if isinstance(entry, Mapping | list | tuple):
            yield from _named_secrets(entry, key)
        elif isinstance(entry, str) and SECRET_OPTION.search(key):
            yield entry


def _forms(text: str) -> set[str]:
    data = text.encode("utf-8", "surrogateescape")
    escaped = json.dumps(text)[1:-1]
    written = {text, escaped, json.dumps(escaped)[1:-1], quote(text, safe=""), quote(text), quote_plus(text)}
    encoded = {
        base64.b64encode(data).decode().rstrip("="),
        *(_in_base64(data, offset) for offset in range(3)),
    }
    return written | encoded | {form.translate(_FOR_URLS) for form in encoded}


def _in_base64(data: bytes, offset: int) -> str:
    """Return what of the data is the same in every Base64 text in which it begins at byte 3n + offset.

    A secret rarely stands alone: ``name:secret`` is what a proxy or a sign-in gets.
    """
    whole = base64.b64encode(bytes(offset) + data).decode().rstrip("=")
    last = len(whole) if (offset + len(data)) % 3 == 0 else -1  # the last sign depends on what follows
    return whole[(0, 2, 3)[offset] : last]
