"""What people do with certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from service.index import Index, ListQuery, Page
from service.inventory.profile import CertificateProfile, CheckReport, VersionFacts
from service.pki.coverage import Purpose
from vault.session import Vault


class Certificates:
    """The certificates, in one person's hands. Every method may raise Unavailable, NotAllowed and Throttled."""

    def __init__(self, vault: Vault, index: Index, who: str, clock: Callable[[], datetime]) -> None:
        raise NotImplementedError

    def list(self, query: ListQuery) -> Page:
        """One page of the certificates, from memory.

        Raises:
            Malformed: the query cannot be read.
        """
        raise NotImplementedError

    def check(
        self,
        *,
        private_key: str | None = None,
        certificate: str | None = None,
        ca: str | None = None,
        passphrase: str | None = None,
        hosts: Sequence[str] = (),
        purpose: Purpose | None = None,
        name: str | None = None,
    ) -> CheckReport:
        """What `create` (no `name`) or `rotate` (with the `name` of a certificate) would say. Stores nothing.

        Raises:
            Missing: there is no certificate of that name.
        """
        raise NotImplementedError

    def create(
        self,
        *,
        name: str,
        private_key: str | None,
        certificate: str | None,
        ca: str | None = None,
        passphrase: str | None = None,
        comment: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> CertificateProfile:
        """Register a certificate. A free-text name becomes a name, and stays as the display name.

        Raises:
            Refused: with findings, by the checks (`checks.refused`) or for a field (`name.illegal`, …).
            InUse: `certificate.exists`: the name is taken, perhaps by a deleted certificate.
        """
        raise NotImplementedError

    def get(self, name: str) -> CertificateProfile:
        """A certificate, deleted or not.

        Raises:
            Missing.
        """
        raise NotImplementedError

    def rotate(
        self,
        name: str,
        *,
        expect_version: int,
        private_key: str | None = None,
        certificate: str | None = None,
        ca: str | None = None,
        passphrase: str | None = None,
        accept: Sequence[str] = (),
    ) -> CertificateProfile:
        """Replace the content by a new version. The same material makes no new version.

        Args:
            expect_version: the version the person saw.
            private_key: None keeps the key, unseen; the new leaf must carry its public key.
            certificate: None keeps it.
            ca: None keeps it; an empty text removes it.
            accept: harmful impacts that are accepted: a code, or `consumer:code`.

        Raises:
            Missing; InUse `certificate.deleted`.
            Stale: with what changed in `conflicts`.
            Refused: `checks.refused`, or `impact.not-accepted` with a finding per harmful impact.
        """
        raise NotImplementedError

    def annotate(
        self,
        name: str,
        *,
        display_name: str | None = None,
        comment: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> CertificateProfile:
        """Change what people call it. None keeps a field. No new version; the last writer wins.

        Raises:
            Missing; Refused: `text.too-long`, `text.control-character`, `labels.illegal`.
        """
        raise NotImplementedError

    def delete(self, name: str, expect_version: int | None = None) -> None:
        """Delete it; `restore` brings it back.

        Raises:
            Missing; Stale; InUse `certificate.in-use` with the consumers in `conflicts`.
        """
        raise NotImplementedError

    def restore(self, name: str) -> CertificateProfile:
        """Bring a deleted certificate back; nothing happens to one that is not deleted.

        Raises:
            Missing; InUse `certificate.destroyed`: its current version was destroyed.
        """
        raise NotImplementedError

    def destroy(self, name: str, expect_version: int | None = None) -> None:
        """Destroy every version, for ever. The name is free again.

        Raises:
            Missing; Stale; InUse `certificate.in-use`.
        """
        raise NotImplementedError

    def versions(self, name: str) -> tuple[VersionFacts, ...]:
        """Every version that is still known, newest first.

        Raises:
            Missing.
        """
        raise NotImplementedError
