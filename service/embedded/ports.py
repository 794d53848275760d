"""Where the processes of one machine listen, checked before anything is started."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from service.embedded.errors import CannotStart


@dataclass(frozen=True, slots=True)
class Addresses:
    """What each server binds (`host`) and how this machine reaches it (`reach`): they differ for a wildcard."""

    host: str
    reach: str
    ports: Mapping[str, int]

    def listen(self, server: str) -> str:
        """`host:port` to bind."""
        return f"{_bracketed(self.host)}:{self.ports[server]}"

    def local(self, server: str) -> str:
        """`host:port` from this machine."""
        return f"{_bracketed(self.reach)}:{self.ports[server]}"

    def url(self, server: str) -> str:
        """The server's address for this machine."""
        return f"https://{self.local(server)}"


def find_addresses(host: str, wanted: Mapping[str, int]) -> Addresses:
    """Check that every port can be bound; 0 takes a free one.

    Args:
        wanted: port by server: `web`, `delivery`, `vault`.

    Raises:
        CannotStart: names the port and the option that chooses another.
    """
    fixed = [port for port in wanted.values() if port]
    if len(set(fixed)) < len(fixed):
        raise CannotStart("the console, the delivery plane and OpenBao need three different ports")
    ports = {}
    held = []
    try:
        for server, port in wanted.items():
            probe = _bind(host, port, server)
            held.append(probe)  # until all are found, so that no free port is given twice
            ports[server] = int(probe.getsockname()[1])
    finally:
        for probe in held:
            probe.close()
    return Addresses(host, _reach(host), ports)


def free_port(wish: int, *, host: str = "127.0.0.1") -> int:
    """`wish` when it can be bound, else a free port."""
    for port in (wish, 0):
        try:
            with _bind(host, port, "demo") as probe:
                return int(probe.getsockname()[1])
        except CannotStart:
            continue
    raise CannotStart(f"{host} has no free port")


def _bind(host: str, port: int, server: str) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise CannotStart(f"--host {host} is no address of this machine") from None
    probe = socket.socket(family)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)
    except PermissionError:
        probe.close()
        raise CannotStart(f"port {port} needs privileges; choose another with --{server}-port") from None
    except OSError as error:
        probe.close()
        if port and error.errno == errno.EADDRINUSE:
            reason = f"port {port} on {host} is in use; choose another with --{server}-port"
        else:
            reason = f"--host {host} is no address of this machine"
        raise CannotStart(reason) from None
    return probe


def _reach(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
