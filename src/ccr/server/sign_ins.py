"""The identities at work, shared by configurations: a token outlives an edit of config.json.

A configuration gets a lease of each identity it names. One that the next configuration names as well stays
signed in; one that nobody holds a lease of any more is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ccr.config.profiles import read_text
from ccr.upstream.auth.credentials import credentials_of
from ccr.upstream.auth.http import AiohttpTokenHttp
from ccr.upstream.identities import identities_of
from ccr.upstream.ways import Reach

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from ccr.config.model import Config, Secret
    from ccr.upstream.auth.credentials import Credentials
    from ccr.upstream.auth.identity import Identity


@dataclass
class _Shared:
    identity: Identity
    reach: Reach
    credentials: Credentials
    leases: int = 0


class SignIns:
    """The credentials of all identities that are in use. environ: where identities are looked for."""

    def __init__(self, environ: Mapping[str, str], log: logging.Logger) -> None:
        self._environ = environ
        self._log = log
        self._shared: list[_Shared] = []

    def lease(self, config: Config) -> dict[str, Credentials]:
        """Return the credentials of every provider that has no key of its own; asks no network.

        ``close`` each. Raises ConfigError with what was looked for, of all providers for which nothing was
        found.
        """
        reaches = {provider.name: Reach.of(config, provider) for provider in config.providers}
        return {
            name: Lease(self._find(identity, reaches[name]), self)
            for name, identity in identities_of(config, self._environ).items()
        }

    def _find(self, identity: Identity, reach: Reach) -> _Shared:
        for each in self._shared:
            if (each.identity, each.reach) == (identity, reach):
                return each
        http = AiohttpTokenHttp(reach=reach)
        credentials = credentials_of(identity, self._environ, http=http, read_file=read_text, log=self._log)
        self._shared.append(_Shared(identity, reach, credentials))
        return self._shared[-1]

    async def give_back(self, shared: _Shared) -> None:
        """End a lease; the last one closes the credentials."""
        shared.leases -= 1
        if shared.leases == 0:
            self._shared.remove(shared)
            await shared.credentials.close()


class Lease:
    """Credentials as one configuration holds them."""

    def __init__(self, shared: _Shared, sign_ins: SignIns) -> None:
        self.shared = shared
        self._sign_ins = sign_ins
        self._is_held = True
        shared.leases += 1

    async def authorization(self, forwarded: str | None = None) -> Secret:
        """Return the value of the Authorization header (`Credentials.authorization`)."""
        return await self.shared.credentials.authorization(forwarded)

    async def rejected(self, used: Secret) -> bool:
        """Tell that this header was refused (`Credentials.rejected`)."""
        return await self.shared.credentials.rejected(used)

    def describe(self) -> dict[str, str]:
        """Return the identity, described for a person (`Credentials.describe`)."""
        return self.shared.credentials.describe()

    def is_of_same(self, other: Credentials | None) -> bool:
        """Tell whether another lease is one of the same credentials."""
        return isinstance(other, Lease) and other.shared is self.shared

    async def close(self) -> None:
        """Give the credentials back, once."""
        if self._is_held:
            self._is_held = False
            await self._sign_ins.give_back(self.shared)
