"""What people do with relays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast, get_args

from service.errors import InUse, Missing, Stale
from service.index import Index
from service.inventory.acting import Acting
from service.inventory.consumers import relay
from service.inventory.enrolment import enroll, revoke
from service.inventory.fit import binding_impacts, refuse_misfit, relay_need
from service.inventory.impact import Impact
from service.inventory.recording import bindable, present, remove, write
from service.inventory.staleness import check_version
from service.records import (
    Relay,
    TlsMode,
    is_name,
    read_choice,
    read_comment,
    read_display_name,
    read_host,
    read_name,
    read_port,
    refusal,
    relay_path,
)
from vault.consumers import Enrollment
from vault.journal import Kind
from vault.session import Vault


class Relays:
    """The relays, in one person's hands. Every method may raise Unavailable, NotAllowed and Throttled."""

    def __init__(self, vault: Vault, index: Index, who: str, clock: Callable[[], datetime]) -> None:
        self._acting = Acting(vault, index, who, clock)

    def list(self) -> tuple[Relay, ...]:
        """Every relay by name, from memory."""
        return tuple(self._acting.index.snapshot().relays.values())

    def get(self, name: str) -> Relay:
        """A relay, from memory.

        Raises:
            Missing.
        """
        found = self._acting.index.snapshot().relays.get(name)
        if found is None and is_name(name):
            found = self._acting.index.refresh().relays.get(name)
        if found is None:
            raise Missing(f"There is no relay {name[:80]}.", code="relay.missing")
        return found

    def create(
        self,
        *,
        name: str,
        host: str,
        port: int,
        tls_mode: str = "tls",
        certificate: str | None = None,
        provider: str | None = None,
        enabled: bool = True,
        comment: str = "",
        accept: Sequence[str] = (),
    ) -> Relay:
        """Register a relay, and bind it when a certificate is given.

        Raises:
            Refused: a field (`name.illegal`, `host.illegal`, `port.illegal`, `choice.unknown`,
                `relay.unknown-provider`, `binding.unknown-certificate`), or a certificate that does not fit
                (`binding.does-not-fit`, with findings).
            InUse: `relay.exists`.
        """
        read, display_name = read_name(name)
        record = Relay(
            name=read,
            display_name=display_name,
            host=read_host(host),
            port=read_port(port),
            tls_mode=_tls_mode(tls_mode),
            certificate=certificate or None,
            provider=self._provider(provider),
            enabled=enabled,
            comment=read_comment(comment),
        )
        taken = InUse(f"There is a relay {read} already.", code="relay.exists", conflicts=(read,))
        if read in self._acting.index.refresh().relays:
            raise taken
        self._refuse_misfit(None, record, accept)
        with self._acting.telling_of_trouble("relay", read, "created", relay_path(read)):
            try:
                stored = write(self._acting, None, record)
            except Stale:
                raise taken from None
        self._acting.tell("relay", read, "created", stored.version, relay_path(read))
        return stored

    def update(
        self,
        name: str,
        *,
        expect_version: int | None = None,
        display_name: str | None = None,
        host: str | None = None,
        port: int | None = None,
        tls_mode: str | None = None,
        certificate: str | None = None,
        provider: str | None = None,
        enabled: bool | None = None,
        comment: str | None = None,
        accept: Sequence[str] = (),
    ) -> Relay:
        """Change a relay. None keeps a field; an empty `certificate` or `provider` removes it.

        Args:
            expect_version: the version the person saw; None takes the relay as it is.
            accept: findings about the certificate that are accepted, by code.

        Raises:
            Missing; Stale; Refused as `create`.
        """
        former = self._stored(name, expect_version)
        changes: dict[str, Any] = {
            "display_name": None if display_name is None else read_display_name(display_name, name),
            "host": None if host is None else read_host(host),
            "port": None if port is None else read_port(port),
            "tls_mode": None if tls_mode is None else _tls_mode(tls_mode),
            "enabled": enabled,
            "comment": None if comment is None else read_comment(comment),
        }
        record = replace(former, **{field: value for field, value in changes.items() if value is not None})
        if certificate is not None:
            record = replace(record, certificate=certificate or None)
        if provider is not None:
            record = replace(record, provider=self._provider(provider))
        return self._replace(former, record, accept)

    def delete(self, name: str, expect_version: int | None = None) -> None:
        """Remove a relay for ever: its credentials and tokens are dead first, then its record is gone.

        Raises:
            Missing; Stale.
        """
        record = self._stored(name, expect_version)
        with self._acting.telling_of_trouble("relay", name, "deleted", relay_path(name)):
            remove(self._acting, record)
        self._acting.tell("relay", name, "deleted", None, relay_path(name))

    def bind(
        self, name: str, certificate: str | None, *, expect_version: int | None = None, accept: Sequence[str] = ()
    ) -> Relay:
        """Bind a relay to a certificate; None unbinds. A disabled relay may be bound.

        Raises:
            Missing; Stale.
            Refused: `binding.unknown-certificate`, `binding.does-not-fit` with findings, or `impact.not-accepted`
                (mTLS clients of the present certificate's CA would be refused).
        """
        former = self._stored(name, expect_version)
        return self._replace(former, replace(former, certificate=certificate or None), accept)

    def binding_impacts(self, name: str, certificate: str) -> tuple[Impact, ...]:
        """What would change for a relay if it were bound to a certificate. Changes nothing.

        Raises:
            Missing; Refused: `binding.unknown-certificate`, `binding.unreadable-certificate`.
        """
        record = self.get(name)
        chosen = bindable(self._acting, certificate)
        return binding_impacts(
            relay_need(record), present(self._acting, record.certificate), chosen, self._acting.now()
        )

    def enroll(self, name: str, ttl_s: int = 3600) -> Enrollment:
        """Hand out credentials for one more agent: a wrapped SecretID, to be unwrapped once within `ttl_s` seconds.

        The answer holds a token: it is shown once, and kept nowhere.

        Raises:
            Missing; Malformed `enrollment.ttl`: not 60 to 86,400 seconds.
        """
        self._stored(name, None)
        return enroll(self._acting, relay(name), ttl_s)

    def revoke(self, name: str) -> None:
        """End every credential and token of a relay at once. It stays bound, and has to be enrolled anew.

        Raises:
            Missing.
        """
        self._stored(name, None)
        revoke(self._acting, relay(name))

    def _stored(self, name: str, expect_version: int | None) -> Relay:
        """The relay as it is stored at this moment, at the version the person saw."""
        self.get(name)
        found = self._acting.index.refresh((relay_path(name),)).relays.get(name)
        if found is None:
            raise Missing(f"There is no relay {name} any more.", code="relay.missing")
        check_version(self._acting, relay_path(name), expected=expect_version, current=found.version)
        return found

    def _replace(self, former: Relay, record: Relay, accept: Sequence[str]) -> Relay:
        if record == former:
            return former
        self._refuse_misfit(former, record, accept)
        path = relay_path(record.name)
        kind: Kind = "relay" if record.certificate == former.certificate else "binding"
        name = record.name if kind == "relay" else record.consumer
        action = "updated" if kind == "relay" else "bound" if record.certificate else "unbound"
        with self._acting.telling_of_trouble(kind, name, action, path):
            stored = write(self._acting, former, record)
        self._acting.tell(kind, name, action, stored.version, path)
        return stored

    def _refuse_misfit(self, former: Relay | None, record: Relay, accept: Sequence[str]) -> None:
        """Check a certificate that is new for the relay, or a relay that asks for something new of its certificate."""
        asks_the_same = former is not None and relay_need(former) == relay_need(record)
        if record.certificate is None or (former and asks_the_same and former.certificate == record.certificate):
            return
        now = present(self._acting, former.certificate) if former and asks_the_same else None
        facts = bindable(self._acting, record.certificate)
        refuse_misfit(facts, relay_need(record), accept, self._acting.now(), present=now)

    def _provider(self, name: str | None) -> str | None:
        if not name:
            return None
        if name not in self._acting.index.snapshot().providers and name not in self._acting.index.refresh().providers:
            message = f"There is no container provider {name[:80]}."
            raise refusal("relay.unknown-provider", message, "Create it first, or leave this empty.", field="provider")
        return name


def _tls_mode(value: str) -> TlsMode:
    return cast("TlsMode", read_choice(value, get_args(TlsMode), field="tls_mode"))
