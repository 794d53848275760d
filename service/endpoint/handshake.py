"""One handshake with an endpoint, to see what it shows: its chain, and whether it insists on a client certificate.

Nothing is trusted and nothing is told: the chain is kept as it came, also when the server ends the handshake because
the client has no certificate. It is judged in `diagnosis`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from OpenSSL import SSL

LIMIT_S: Final = 5.0
"""For the whole look: name, connection, handshake, question."""
MAX_CERTIFICATES: Final = 20
MAX_ANSWER_BYTES: Final = 16 * 1024
_READ_BYTES: Final = 16 * 1024
_REFUSALS: Final = frozenset({b"400", b"401", b"403", b"495", b"496"})
"""How servers that ask for the certificate in TLS and insist on it in HTTP say no (nginx answers 400)."""

Stage = Literal["resolve", "connect", "handshake"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Where a look ended before its time, and why, in a few words."""

    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What one connection was shown.

    Attributes:
        address: the IP address that was connected to; empty when none answered.
        chain: DER, leaf first, as sent; empty when none was.
        fingerprint_sha256: of the leaf, lower hex; empty when there is none.
        protocol: for example `TLSv1.3`; empty before the handshake's end.
        asks_client: whether a client certificate was asked for.
        authorities: DER names of the CAs whose client certificates it says it takes; often empty.
        refuses_without: whether a client without a certificate was refused; None when that was not seen.
        trouble: None when the handshake came to its end, or was refused for want of a client certificate.
    """

    address: str = ""
    chain: tuple[bytes, ...] = ()
    fingerprint_sha256: str = ""
    protocol: str = ""
    asks_client: bool = False
    authorities: tuple[bytes, ...] = ()
    refuses_without: bool | None = None
    trouble: Trouble | None = None


async def look(host: str, port: int, *, server_name: str = "", limit_s: float = LIMIT_S) -> Seen:
    """Connect, shake hands, and when a client certificate is asked for see whether one is needed. Never raises.

    Args:
        host: a name or an IP address.
        server_name: what is asked for (SNI), and as the HTTP host; empty: `host`.
    """
    seen = Seen()
    try:
        async with asyncio.timeout(limit_s):
            addresses = await _addresses(host, port)
            if isinstance(addresses, Trouble):
                return Seen(trouble=addresses)
            connected = await _connect(addresses, port)
            if isinstance(connected, Trouble):
                return Seen(trouble=connected)
            reader, writer, address = connected
            seen = Seen(address=address)
            shake = _Handshake(reader, writer, server_name or host)
            try:
                seen = replace(await shake.run(), address=address)
            except TimeoutError:
                seen = replace(shake.seen(), address=address)
                raise
            finally:
                shake.close()
    except TimeoutError:
        stage: Stage = "handshake" if seen.address else "connect"
        return replace(seen, trouble=Trouble(stage, f"no answer within {limit_s:g} s"))
    return seen


def is_allowed(address: str) -> bool:
    """Whether an address may be looked at: link-local ones (cloud metadata), multicast and nobody's may not."""
    one = ipaddress.ip_address(address.partition("%")[0])
    inner = one.ipv4_mapped if isinstance(one, ipaddress.IPv6Address) else None
    one = inner or one
    nobodys = one.is_reserved and one.version == 4  # of IPv6, the loopback address would be among them
    return not (one.is_link_local or one.is_multicast or one.is_unspecified or nobodys)


async def _addresses(host: str, port: int) -> Sequence[str] | Trouble:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Trouble("resolve", "the name has no address")
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    allowed = [one for one in addresses if is_allowed(one)]
    if not allowed:
        return Trouble("connect", f"{addresses[0]} is an address that is never connected to")
    return allowed


async def _connect(
    addresses: Sequence[str], port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str] | Trouble:
    trouble = Trouble("connect", "no answer")
    for address in addresses:
        try:
            reader, writer = await asyncio.open_connection(address, port)
        except OSError as error:
            reason = "the connection is refused" if isinstance(error, ConnectionRefusedError) else _plain(error)
            trouble = Trouble("connect", reason)
            continue
        return reader, writer, address
    return trouble


def _plain(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class _Handshake:
    """One TLS client over memory: bytes come and go by a stream, OpenSSL sees neither socket nor clock."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        self._reader, self._writer, self._name = reader, writer, name
        self._asked = self._finished = False
        self._seen = Seen()
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_verify(SSL.VERIFY_NONE)  # which certificate is there is the question; trust is judged afterwards
        context.set_info_callback(self._note)
        context.set_cipher_list(b"ALL:!aNULL:!eNULL:@SECLEVEL=0")
        self._tls = SSL.Connection(context, None)
        if not _is_address(name):
            with suppress(UnicodeError):
                self._tls.set_tlsext_host_name(name.encode("idna"))
        self._tls.set_connect_state()

    async def run(self) -> Seen:
        """Shake hands; with a server that asks for a certificate, see whether it does without."""
        problem = await self._shake()
        seen = self.seen()
        if problem:
            refused = self._asked and bool(seen.chain)
            if refused:
                return replace(seen, refuses_without=True)
            return replace(seen, trouble=Trouble("handshake", problem))
        self._finished = True
        seen = self.seen()
        return replace(seen, refuses_without=await self._is_refused()) if self._asked else seen

    def seen(self) -> Seen:
        """What was shown so far."""
        chain = [one.public_bytes(Encoding.DER) for one in self._chain()]
        return Seen(
            chain=tuple(chain[:MAX_CERTIFICATES]),
            fingerprint_sha256=self._chain()[0].fingerprint(SHA256()).hex() if chain else "",
            protocol=self._tls.get_protocol_version_name() if self._finished else "",
            asks_client=self._asked,
            authorities=tuple(name.der() for name in self._tls.get_client_ca_list()) if self._asked else (),
        )

    def close(self) -> None:
        """End the connection, without the politeness that a server could make us wait for."""
        self._writer.transport.abort()

    def _chain(self) -> list[Certificate]:
        return self._tls.get_peer_cert_chain(as_cryptography=True) or []

    def _note(self, connection: SSL.Connection, _where: int, _result: int) -> None:
        if b"certificate request" in connection.get_state_string():
            self._asked = True

    async def _shake(self) -> str:
        """The handshake; why it failed, or empty."""
        while True:
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                if not await self._exchange():
                    return "the connection was closed in the middle of the handshake"
            except SSL.Error as error:
                await self._send()
                return _said(error)
            else:
                await self._send()
                return ""

    async def _is_refused(self) -> bool | None:
        """Ask for a page: refused by an alert, a closed connection or an HTTP answer that says so; None: no answer."""
        request = f"GET / HTTP/1.1\r\nHost: {self._name}\r\nConnection: close\r\n\r\n"
        answer = b""
        try:
            self._tls.send(request.encode("ascii", "ignore"))
            while len(answer) < MAX_ANSWER_BYTES and b"\r\n" not in answer:
                try:
                    answer += self._tls.recv(_READ_BYTES)
                except SSL.WantReadError:
                    if not await self._exchange():
                        break
        except (SSL.Error, OSError):
            return True
        words = answer.split(None, 2)
        if not words:
            return True
        return words[0].startswith(b"HTTP/") and len(words) > 1 and words[1] in _REFUSALS

    async def _exchange(self) -> bool:
        """Send what is ready, and read more; False at the end of the stream."""
        try:
            await self._send()
            content = await self._reader.read(_READ_BYTES)
        except OSError:
            return False
        if content:
            self._tls.bio_write(content)
        return bool(content)

    async def _send(self) -> None:
        with suppress(SSL.WantReadError):
            while True:
                self._writer.write(self._tls.bio_read(_READ_BYTES))
        with suppress(OSError):
            await self._writer.drain()


def _said(error: SSL.Error) -> str:
    """OpenSSL's words for the failure; a server that speaks no TLS is said so."""
    reasons = [str(one[-1]) for one in (error.args[0] if error.args else ()) if one]
    reason = reasons[-1] if reasons else "the handshake failed"
    if reason in {"wrong version number", "packet length too long", "http request", "record layer failure"}:
        return "what answers there does not speak TLS"
    return reason.removeprefix("ssl/tls ").removeprefix("tlsv1 ").removeprefix("sslv3 ")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
