"""A token that is given: nothing renews it, but a person may have put a new one into ``~/.databrickscfg``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ccr.config.profiles import read_profiles
from ccr.errors import ConfigError
from ccr.upstream.auth.expiry import expiry_text
from ccr.upstream.auth.identity import PAT
from ccr.upstream.auth.tokens import (
    header_from_token,
    moment_now,
    token_from_header,
    token_from_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.config.model import Secret
    from ccr.config.profiles import ReadFile
    from ccr.upstream.auth.identity import StaticToken
    from ccr.upstream.auth.tokens import Moment

REREAD_PAUSE_S: Final = 5.0


class StaticCredentials:
    """Always the same token; one from a profile is read again when it was refused, at most every 5 s."""

    def __init__(
        self,
        identity: StaticToken,
        environ: Mapping[str, str],
        read_file: ReadFile,
        *,
        clock: Callable[[], Moment] = moment_now,
    ) -> None:
        self._identity = identity
        self._token = identity.token
        self._environ = environ
        self._read_file = read_file
        self._clock = clock
        self._read_at_s = -math.inf

    async def authorization(self, forwarded: str | None = None) -> Secret:
        """Return the Authorization header."""
        del forwarded
        return header_from_token(self._token)

    async def rejected(self, used: Secret) -> bool:
        """Return whether the profile holds another token by now."""
        if token_from_header(used) != self._token:
            return True
        now_s = self._clock().steady_s
        if self._identity.profile is None or now_s - self._read_at_s < REREAD_PAUSE_S:
            return False
        self._read_at_s = now_s
        try:
            keys = read_profiles(self._environ, self._read_file).get(self._identity.profile)
            token = token_from_text(keys.get("token")).secret
        except (ConfigError, ValueError):
            return False  # the file is being edited: the refusal of the token is what the person must see
        is_new = token != self._token
        self._token = token
        return is_new

    def describe(self) -> dict[str, str]:
        """Return where the token is from."""
        return {
            "method": PAT,
            "host": self._identity.host or "",
            "source": self._identity.source,
            "expires_at": expiry_text(token_from_text(self._token.reveal()).expires_at),
        }

    async def close(self) -> None:
        """Do nothing: it holds nothing."""
