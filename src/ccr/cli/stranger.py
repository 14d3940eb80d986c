"""Whether what listens at ccr's address is ccr: asked before a command hands out the local key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccr.config.address import address_from
from ccr.daemon.health import ask_health
from ccr.daemon.identity import find_service
from ccr.daemon.listen import WILDCARDS
from ccr.errors import StartError

if TYPE_CHECKING:
    from ccr.config.model import Config, Secret
    from ccr.config.paths import Paths

PROVEN: Final = ("running", "unresponsive")
"""By its key, or as the holder of the lock that has no time to answer now."""


def configured_address(config: Config) -> str:
    """Return where the service will listen; without a meaning where PORT is 0."""
    return address_from(WILDCARDS.get(config.host, config.host), config.port)


def proven_address(paths: Paths, config: Config, key: Secret) -> str | None:
    """Return the address of the running service; None when nothing listens where it would.

    Raises StartError when a stranger does: whoever got the key from here would take it there.
    """
    found = find_service(paths, key)
    if found.condition in PROVEN and found.state is not None:
        return found.state.address
    address = configured_address(config)
    if config.port and ask_health(address, key).listens:
        raise StartError(
            f"What listens at {address} is not this ccr, or has another key (then: `ccr restart`). "
            "The key is not printed."
        )
    return None
