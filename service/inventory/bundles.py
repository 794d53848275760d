"""Storing a certificate, and taking it away when nobody uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.errors import InUse, Problem
from service.index import CertificateView, Snapshot
from service.index.scan import CA_OVERLAP, CHANGED_BY
from service.index.translation import translated
from service.inventory.acting import Acting
from service.inventory.overlap import Overlap, overlap_of
from service.inventory.staleness import stale
from service.pki.bundle import Checked
from service.pki.facts import BundleFacts
from service.records import Annotations, bundle_path
from vault.errors import Conflict

MAX_NAMES_SHOWN: Final = 10
"""In a sentence; all of them are in `conflicts`."""


def store(
    acting: Acting,
    name: str,
    checked: Checked,
    *,
    expect_version: int,
    stored: CertificateView | None = None,
    overlap: Overlap | None = None,
) -> int:
    """Store a bundle as one version, and return its number: a merge patch without the key when that is kept.

    Args:
        expect_version: 0 for a new certificate.
        stored: what it replaces.
        overlap: the authorities that are kept until a date.

    Raises:
        Stale; InUse `certificate.exists`.
    """
    documents = acting.vault.documents
    public = public_half(checked.certificate, checked.ca, acting.who, overlap.stored() if overlap else "")
    fields = {"certificate": checked.certificate, "ca": checked.ca}
    conflict = False
    version = 0
    with translated():
        try:
            if checked.private_key is not None:
                fields["private_key"] = checked.private_key.pem()
                version = documents.write(bundle_path(name), fields, expect_version=expect_version, public=public)
            else:
                former = (
                    public_half(stored.certificate, stored.ca, stored.changed_by, stored.ca_overlap) if stored else {}
                )
                version = documents.patch(
                    bundle_path(name), fields, expect_version=expect_version, public=public, former_public=former
                )
        except Conflict:
            conflict = True
    if conflict:
        raise stale(acting, bundle_path(name), expect_version) if expect_version else taken(acting, name)
    return version


def annotate(acting: Acting, name: str, said: Annotations, *, always: bool = False) -> None:
    """Replace display name, comment and labels; nothing is written when there are none, unless `always`."""
    custom_metadata = said.to_custom_metadata()
    if custom_metadata or always:
        with translated():
            acting.vault.documents.annotate(bundle_path(name), custom_metadata)


def taken(acting: Acting, name: str) -> InUse:
    """The problem that a name is not free."""
    view = acting.index.refresh((bundle_path(name),)).certificates.get(name)
    if view is not None and view.deleted:
        detail = f"{name} was deleted and can be restored. To use the name for another certificate, destroy it first."
    else:
        detail = f"There is a certificate {name} already. Rotate it, or choose another name."
    return InUse(detail, code="certificate.exists", conflicts=(name,))


def delete(acting: Acting, view: CertificateView) -> None:
    """Delete a certificate that nobody uses. Looked at again afterwards: somebody may be binding it right now.

    Raises:
        InUse `certificate.in-use`; Stale.
    """
    name, documents = view.name, acting.vault.documents
    path = bundle_path(name)
    refuse_used(name, acting.index.refresh((path,)))
    rotated = False
    in_use: Problem | None = None
    with translated():
        documents.delete(path, view.version)
        rotated = documents.metadata(path).current_version != view.version
        try:
            refuse_used(name, acting.index.recheck_users())
        except Problem as problem:
            in_use = problem
        if rotated or in_use:
            documents.undelete(path, view.version)
    if in_use:
        acting.index.refresh((path,))
        raise in_use
    if rotated:
        raise stale(acting, path, view.version)
    acting.tell("certificate", name, "deleted", view.version, path)


def refuse_used(name: str, snapshot: Snapshot) -> None:
    """Refuse to go on while somebody is bound to a certificate.

    Raises:
        InUse: `certificate.in-use`, with the consumers in `conflicts`.
    """
    consumers = snapshot.used_by(name).consumers
    if consumers:
        what = "it" if len(consumers) == 1 else "them"
        detail = f"{name} is used by {listed(consumers)}. Bind {what} elsewhere first."
        raise InUse(detail, code="certificate.in-use", conflicts=consumers)


def public_half(certificate: str, ca: str, changed_by: str, ca_overlap: str = "") -> dict[str, str]:
    """The public half of a bundle."""
    return {"certificate": certificate, "ca": ca, CHANGED_BY: changed_by, CA_OVERLAP: ca_overlap}


def is_same(stored: CertificateView, checked: Checked, overlap: Overlap | None) -> bool:
    """Whether nothing would change. A key with the same public key is the same key; authorities have no order."""
    return (
        stored.facts is not None
        and checked.facts is not None
        and overlap == overlap_of(stored)
        and checked.certificate == stored.certificate
        and _authorities(checked.facts) == _authorities(stored.facts)
        and (checked.private_key is None or checked.private_key.spki_sha256 == stored.facts.leaf.spki_sha256)
    )


def _authorities(facts: BundleFacts) -> set[str]:
    return {one.fingerprint_sha256 for one in facts.ca}


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    shown = ", ".join(names[:MAX_NAMES_SHOWN])
    return shown if len(names) <= MAX_NAMES_SHOWN else f"{shown} and {len(names) - MAX_NAMES_SHOWN} more"
