"""The relay's TLS: one front context that never changes hands, and behind it a context for each bundle.

A context whose key was replaced in place breaks when the new pair does not match, and a CA can only be added to one. So
each bundle gets a context of its own, and each handshake takes the current one: a rotation is one assignment.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from weakref import WeakKeyDictionary

from service.agent.errors import RefusedHere
from service.agent.source import Bundle, TlsMode
from service.pki.bundle import check_bundle
from service.pki.finding import Severity


@dataclass(frozen=True, slots=True)
class Serving:
    """What new connections get."""

    certificate_name: str
    version: int
    fingerprint_sha256: str
    tls_mode: TlsMode
    context: ssl.SSLContext = field(repr=False)


def prepare(bundle: Bundle, now: datetime) -> Serving:
    """Check a bundle and make its context. Nothing that is served changes yet.

    Raises:
        RefusedHere: it would not work.
    """
    key = bundle.reveal_private_key()
    checked = check_bundle(
        private_key=key, certificate=bundle.certificate, ca=bundle.ca or None, purpose="server", now=now
    )
    problems = [
        f"{finding.code}: {finding.message}" for finding in checked.findings if finding.severity is Severity.ERROR
    ]
    if bundle.tls_mode == "mtls" and not checked.ca:
        problems.append("ca.missing: mTLS needs the CA of its clients")
    if problems or checked.facts is None or checked.private_key is None:
        name = f"{bundle.certificate_name} version {bundle.version}"
        raise RefusedHere(f"{name} would not work here and is not served: {'; '.join(problems)}", code="bundle.refused")
    context = _new_context()
    _load_pair(context, checked.certificate + checked.private_key.pem())
    if bundle.tls_mode == "mtls":
        context.load_verify_locations(cadata=checked.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return Serving(
        certificate_name=bundle.certificate_name,
        version=bundle.version,
        fingerprint_sha256=checked.facts.leaf.fingerprint_sha256,
        tls_mode=bundle.tls_mode,
        context=context,
    )


class Front:
    """The listener's context."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.context = _new_context()
        self._versions: WeakKeyDictionary[ssl.SSLContext, int] = WeakKeyDictionary()
        self.context.sni_callback = self._choose
        self.switch_to(serving)

    def switch_to(self, serving: Serving) -> None:
        """Serve this from the next handshake on.

        Whether a client certificate is asked for comes from the front context alone, taken when a connection is
        accepted. A handshake under way while that changes is caught by `admits`.
        """
        if serving.tls_mode == "mtls":
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.serving = serving
        self._versions[serving.context] = serving.version
        if serving.tls_mode == "tls":
            self.context.verify_mode = ssl.CERT_NONE

    def admits(self, connection: ssl.SSLObject) -> bool:
        """Whether a connection that finished its handshake may stay: with mTLS it has shown a certificate."""
        return self.serving.tls_mode == "tls" or bool(connection.getpeercert(binary_form=True))

    def version_of(self, connection: ssl.SSLObject) -> int:
        """The version that a connection was shown in its handshake."""
        return self._versions.get(connection.context, self.serving.version)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _front: ssl.SSLContext) -> None:
        """Called in each handshake, with and without SNI."""
        connection.context = self.serving.context


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0  # a resumed session would be let in by the CA of a former bundle
    context.options |= ssl.OP_NO_TICKET
    return context


def _load_pair(context: ssl.SSLContext, pem: str) -> None:
    """Load certificate and key from memory: OpenSSL wants a file, and this one is on no disk."""
    handle = os.memfd_create("bundle", os.MFD_CLOEXEC)
    try:
        content = pem.encode()
        while content:
            content = content[os.write(handle, content) :]
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
