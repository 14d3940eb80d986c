"""The listening socket, and a sentence that helps when its port is taken."""

from __future__ import annotations

import errno
import socket

from ccr.config.address import address_from
from ccr.daemon.process import command_of, holder_of_port
from ccr.errors import StartError

BACKLOG = 512
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised here, not bound by default


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port`` (0: any free one).

    ``localhost`` is the IPv4 loopback: one name, one socket. Raises StartError naming port and holder.
    """
    name = "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"HOST {host!r} is no address of this machine: {error.strerror}.") from error
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise StartError(_sentence(error, host, port)) from error
    return listening


def client_address(listening: socket.socket) -> str:
    """Return the URL under which clients on this machine reach a listening socket."""
    host, port = listening.getsockname()[:2]
    return address_from(WILDCARDS.get(host, host), port)


def _sentence(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken{_holder(port)}. Stop that process, or set another PORT in config.json."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this user has; set PORT to 1024 or above."
    return f"Cannot listen on {host} port {port}: {error.strerror}."


def _holder(port: int) -> str:
    pid = holder_of_port(port)
    if pid is None:
        return " by another process (which one cannot be seen by this user)"
    command = command_of(pid)
    return f" by process {pid} ({command})" if command else f" by process {pid}"


def fits(listening: socket.socket, host: str, port: int) -> bool:
    """Tell whether a socket listens where ``listen(host, port)`` would (port 0: on any)."""
    name = "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")
    own_host, own_port = listening.getsockname()[:2]
    try:
        found = socket.getaddrinfo(name, own_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    return port in (0, own_port) and found[0][4][0] == own_host
