"""What people do with certificates."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from service.errors import InUse, Missing, Problem, Refused, Unavailable
from service.index import CertificateView, Index, ListQuery, Page, Users, list_certificates, state_of
from service.index.translation import translated
from service.inventory.acting import UNFINISHED, Acting
from service.inventory.bundles import annotate, delete, is_same, listed, refuse_used, store, taken
from service.inventory.canary import begin, call_off, refuse_while_tried
from service.inventory.clients import refusals_of_client
from service.inventory.elsewhere import offered, offers, reused_from, seen_elsewhere
from service.inventory.fit import accepted, fit, impacts, needs_of
from service.inventory.impact import Impact
from service.inventory.jobs import Jobs
from service.inventory.overlap import findings_of, keep_dropped, overlap_of, read_until
from service.inventory.profile import CertificateProfile, CheckReport, VersionFacts, VersionState
from service.inventory.rollout import Rollout, rollout_of
from service.inventory.staging import Staged, discard, read_moment, stage, staged_of
from service.inventory.staleness import check_version
from service.pki.bundle import Checked, check_bundle
from service.pki.coverage import Coverage, Purpose
from service.pki.finding import Finding, Severity
from service.pki.reading import Given
from service.records import Canary, Job, bundle_path, is_name, read_annotations, read_name, refusal
from vault.documents import VersionInfo
from vault.session import Vault


class Certificates:
    """The certificates, in one person's hands. Every method may raise Unavailable, NotAllowed and Throttled."""

    def __init__(self, vault: Vault, index: Index, who: str, clock: Callable[[], datetime]) -> None:
        self._acting = Acting(vault, index, who, clock)

    def list(self, query: ListQuery) -> Page:
        """One page of the certificates, from memory.

        Raises:
            Malformed: the query cannot be read.
        """
        return list_certificates(self._acting.index.snapshot(), query, self._acting.now())

    def check(
        self,
        *,
        private_key: Given = None,
        certificate: Given = None,
        ca: Given = None,
        passphrase: str | None = None,
        hosts: Sequence[str] = (),
        purpose: Purpose | None = None,
        name: str | None = None,
        keep_ca_until: str | None = None,
    ) -> CheckReport:
        """What `create` (no `name`) or `rotate` (with the `name` of a certificate) would say. Stores nothing.

        Raises:
            Missing: there is no certificate of that name.
            Refused: `overlap.date`, `overlap.nothing-dropped`, `overlap.too-many`.
        """
        until = read_until(keep_ca_until, self._acting.now())
        stored = self._stored(name) if name else None
        if stored is None or stored.facts is None:
            checked = check_bundle(
                private_key=private_key,
                certificate=certificate,
                ca=ca,
                passphrase=passphrase,
                hosts=hosts,
                purpose=purpose,
                now=self._acting.now(),
            )
            return self._report(checked, (), name)
        checked = self._checked(stored, private_key, certificate, ca, passphrase, hosts=hosts, purpose=purpose)
        if not checked.blocked:
            checked, _ = keep_dropped(stored, checked, until)
        if checked.private_key is not None and checked.facts is not None:
            earlier = [(one.number, one.facts.leaf) for one in self.versions(stored.name) if one.facts]
            checked = replace(checked, findings=(*checked.findings, *reused_from(earlier, checked.facts.leaf)))
        return self._report(checked, self._impacts(stored, checked), name)

    def create(
        self,
        *,
        name: str,
        private_key: Given,
        certificate: Given,
        ca: Given = None,
        passphrase: str | None = None,
        comment: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> CertificateProfile:
        """Register a certificate. A free-text name becomes a name, and stays as the display name.

        Raises:
            Refused: with findings, by the checks (`checks.refused`) or for a field (`name.illegal`, …).
            InUse: `certificate.exists`: the name is taken, perhaps by a deleted certificate.
        """
        read, display_name = read_name(name)
        said = read_annotations(
            display_name="" if display_name == read else display_name, comment=comment, labels=labels or {}
        )
        checked = check_bundle(
            private_key=private_key, certificate=certificate, ca=ca, passphrase=passphrase, now=self._acting.now()
        )
        self._refuse_blocked(self._report(checked, (), None).checked)
        if read in self._acting.index.snapshot().certificates:
            raise taken(self._acting, read)
        with self._acting.telling_of_trouble("certificate", read, "created", bundle_path(read)):
            version = store(self._acting, read, checked, expect_version=0)
        problem: Problem | None = None
        try:
            annotate(self._acting, read, said)
        except Problem as trouble:
            problem = trouble
        self._acting.tell("certificate", read, "created", version, bundle_path(read))
        if problem is not None:
            detail = f"{read} is stored, without its display name, comment and labels: {problem.detail}"
            raise Unavailable(detail, code=UNFINISHED)
        return self.get(read)

    def get(self, name: str) -> CertificateProfile:
        """A certificate, deleted or not.

        Raises:
            Missing.
        """
        return self._profile(self._view(name))

    def rotate(
        self,
        name: str,
        *,
        expect_version: int,
        private_key: Given = None,
        certificate: Given = None,
        ca: Given = None,
        passphrase: str | None = None,
        keep_ca_until: str | None = None,
        accept: Sequence[str] = (),
        canary: str | None = None,
    ) -> CertificateProfile:
        """Replace the content by a new version. The same material makes no new version.

        Args:
            expect_version: the version the person saw.
            private_key: None keeps the key, unseen; the new leaf must carry its public key.
            certificate: None keeps it.
            ca: None keeps it; an empty text removes it.
            keep_ca_until: the last day (`2027-01-31`) of the authorities that this drops: they stay beside the new
                ones. None drops them, and an overlap of before goes on.
            accept: harmful impacts that are accepted: a code, or `consumer:code`.
            canary: the relay that gets it first; the others follow when it is seen serving, and everything returns by
                itself when it is not.

        Raises:
            Missing; InUse `certificate.deleted`, `canary.in-progress`.
            Stale: with what changed in `conflicts`.
            Refused: `checks.refused`, or `impact.not-accepted` with a finding per harmful impact; `overlap.date`,
                `overlap.nothing-dropped`, `overlap.too-many`.
        """
        until = read_until(keep_ca_until, self._acting.now())
        stored = self._stored(name)
        refuse_while_tried(self._acting.index.snapshot(), name)
        check_version(self._acting, bundle_path(name), expected=expect_version, current=stored.version)
        if stored.facts is None and (not private_key or not certificate):
            message = f"What is stored as {name} cannot be read. {stored.problem}"
            raise refusal("certificate.unreadable", message, "Paste KEY and CERT both.", field="certificate")
        checked = self._checked(stored, private_key, certificate, ca, passphrase)
        self._refuse_blocked(self._report(checked, (), name).checked)
        checked, overlap = keep_dropped(stored, checked, until)
        if is_same(stored, checked, overlap):
            return self._profile(stored)
        self._refuse_harm(self._impacts(stored, checked), accept)
        tried = begin(self._acting, stored, canary) if canary else None
        try:
            with self._acting.telling_of_trouble("certificate", name, "rotated", bundle_path(name)):
                version = store(
                    self._acting, name, checked, expect_version=expect_version, stored=stored, overlap=overlap
                )
        except Problem:
            if tried is not None:
                call_off(self._acting, tried)
            raise
        self._acting.tell("certificate", name, "rotated", version, bundle_path(name))
        return self.get(name)

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
        view = self._view(name)
        said = read_annotations(
            display_name=view.display_name if display_name is None else display_name,
            comment=view.comment if comment is None else comment,
            labels=view.labels if labels is None else labels,
        )
        if said.display_name == name:
            said = replace(said, display_name="")
        annotate(self._acting, name, said, always=True)
        self._acting.tell("certificate", name, "annotated", view.version, bundle_path(name))
        return self.get(name)

    def delete(self, name: str, expect_version: int | None = None) -> None:
        """Delete it; `restore` brings it back.

        Raises:
            Missing; Stale; InUse `certificate.in-use` with the consumers in `conflicts`.
        """
        view = self._view(name)
        check_version(self._acting, bundle_path(name), expected=expect_version, current=view.version)
        if not view.deleted:
            delete(self._acting, view)

    def restore(self, name: str) -> CertificateProfile:
        """Bring a deleted certificate back; nothing happens to one that is not deleted.

        Raises:
            Missing; InUse `certificate.destroyed`: its current version was destroyed.
        """
        view = self._view(name)
        if view.deleted:
            if view.problem:
                detail = f"The current version of {name} was destroyed. Destroy the rest of it to use its name again."
                raise InUse(detail, code="certificate.destroyed")
            with translated():
                self._acting.vault.documents.undelete(bundle_path(name), view.version)
            self._acting.tell("certificate", name, "restored", view.version, bundle_path(name))
        return self.get(name)

    def destroy(self, name: str, expect_version: int | None = None) -> None:
        """Destroy every version, for ever. The name is free again.

        Raises:
            Missing; Stale; InUse `certificate.in-use`.
        """
        view = self._view(name)
        check_version(self._acting, bundle_path(name), expected=expect_version, current=view.version)
        if view.deleted:
            refuse_used(name, self._acting.index.recheck_users())
        else:
            delete(self._acting, view)  # so that nobody is bound to it from here on
        with translated():
            self._acting.vault.documents.destroy(bundle_path(name))
        self._acting.tell("certificate", name, "destroyed", None, bundle_path(name))

    def versions(self, name: str) -> tuple[VersionFacts, ...]:
        """Every version that is still known, newest first.

        Raises:
            Missing.
        """
        metadata = self._acting.index.versions(name)
        facts = [self._version_facts(name, one, metadata.current_version) for one in metadata.versions]
        return tuple(reversed(facts))

    def stage(
        self,
        name: str,
        *,
        private_key: Given = None,
        certificate: Given = None,
        ca: Given = None,
        passphrase: str | None = None,
        activate_at: str | None = None,
        accept: Sequence[str] = (),
    ) -> Staged:
        """Prepare the next version: checked as in a rotation, and nobody is given it until it is activated.

        Args:
            activate_at: when the worker makes it current (RFC 3339); None leaves that to a person.

        Raises:
            As `rotate`; Refused: `staged.time`.
        """
        at = read_moment(activate_at, self._acting.now())
        stored = self._stored(name)
        checked = self._checked(stored, private_key, certificate, ca, passphrase)
        self._refuse_blocked(self._report(checked, (), name).checked)
        self._refuse_harm(self._impacts(stored, checked), accept)
        return stage(self._acting, name, checked, at, accept)

    def staged(self, name: str) -> Staged:
        """What stands ready.

        Raises:
            Missing: `staged.missing`.
        """
        self._view(name)
        found = staged_of(self._acting, name)
        if found is None:
            raise Missing(f"Nothing is staged for {name}.", code="staged.missing")
        return found

    def discard(self, name: str) -> None:
        """Destroy what stands ready."""
        self._view(name)
        discard(self._acting, name)

    def activate(self, name: str, *, accept: Sequence[str] = ()) -> Job:
        """Ask the worker to make current what stands ready: no person's token reads its key.

        Raises:
            Missing: `staged.missing`. InUse: `canary.in-progress`, `certificate.deleted`.
            Refused: `impact.not-accepted`: consumers were bound, or rotated, since it was staged.
        """
        refuse_while_tried(self._acting.index.snapshot(), name)
        stored, ready = self._stored(name), self.staged(name)
        users = self._acting.index.snapshot().used_by(name)
        self._refuse_harm(impacts(needs_of(users), stored.facts, ready.facts, self._acting.now()), accept)
        acting, arguments = self._acting, {"expected": str(stored.version), "accept": " ".join(sorted(set(accept)))}
        job = Job(secrets.token_hex(16), "activate", name, acting.who, acting.now(), arguments=arguments)
        return Jobs(acting.vault, acting.index, acting.who, acting.clock).begin(
            job, "asked to activate what is staged of"
        )

    def former(self, name: str, number: int) -> CheckReport:
        """What returning to a former version would be told: its findings, and what it does to each consumer.

        Raises:
            Missing: there is no such version, or it is gone. Refused: `rollback.current`, `rollback.unreadable`.
        """
        stored = self._stored(name)
        if number == stored.version:
            raise Refused(f"Version {number} of {name} is the current one.", code="rollback.current")
        version = self._acting.index.version(name, number)
        if version.facts is None:
            raise Refused(f"Version {number} of {name} cannot be read. {version.problem}", code="rollback.unreadable")
        checked = check_bundle(
            private_key=None,
            certificate=version.certificate,
            ca=version.ca,
            now=self._acting.now(),
            kept_key_spki_sha256=version.facts.leaf.spki_sha256,
            for_client=_shown_by_client(self._acting.index.snapshot().used_by(name)),
        )
        return CheckReport(checked, self._impacts(stored, checked))

    def rollback(self, name: str, number: int, *, accept: Sequence[str] = ()) -> Job:
        """Ask the worker to make a former version the newest one: no person's token reads its key.

        Raises:
            Missing; as `former`. InUse: `canary.in-progress`.
            Refused: `rollback.refused` with every finding (it has expired …), `impact.not-accepted`.
        """
        refuse_while_tried(self._acting.index.snapshot(), name)
        report = self.former(name, number)
        errors = [one for one in report.checked.findings if one.severity is Severity.ERROR]
        if errors:
            findings = report.checked.findings
            raise Refused(f"Version {number}: {errors[0].message}", code="rollback.refused", findings=findings)
        self._refuse_harm(report.impact, accept)
        arguments = {"version": str(number), "expected": str(self._view(name).version)}
        now = self._acting.now()
        job = Job(secrets.token_hex(16), "rollback", name, self._acting.who, now, arguments=arguments)
        acting = self._acting
        return Jobs(acting.vault, acting.index, acting.who, acting.clock).begin(job, "asked to return to a version of")

    def canary(self, name: str) -> Canary | None:
        """Who tries the newest version first, if somebody does."""
        return self._acting.index.snapshot().canaries.get(name)

    def rollout(self, name: str) -> Rollout:
        """How far each consumer is with the current version, as of now.

        Raises:
            Missing: there is no certificate of that name.
        """
        view = self._view(name)
        snapshot = self._acting.index.observe(self._acting.index.snapshot().used_by(name).consumers)
        return rollout_of(snapshot, snapshot.certificates.get(name, view), self._acting.now())

    def check_client(self, name: str, certificate: str) -> tuple[Finding, ...]:
        """Why an mTLS relay with this certificate would refuse a client; empty when it would accept it. Stores nothing.

        Args:
            certificate: of the client, with its intermediates.

        Raises:
            Missing; InUse `certificate.deleted`; Refused `certificate.unreadable`.
        """
        return refusals_of_client(self._view(name), certificate, self._acting.now())

    # What several of them need

    def _view(self, name: str) -> CertificateView:
        """A certificate as it is now, deleted or not."""
        found = self._acting.index.snapshot().certificates.get(name)
        if found is None and is_name(name):
            found = self._acting.index.refresh().certificates.get(name)
        if found is None:
            raise Missing(f"There is no certificate {name[:80]}.", code="certificate.missing")
        return found

    def _stored(self, name: str) -> CertificateView:
        """A certificate that is not deleted, as it is stored at this moment."""
        self._view(name)
        self._acting.index.refresh((bundle_path(name),))
        view = self._view(name)
        if view.deleted:
            raise InUse(f"{name} is deleted. Restore it first.", code="certificate.deleted")
        return view

    def _profile(self, view: CertificateView) -> CertificateProfile:
        now = self._acting.now()
        users = self._acting.index.snapshot().used_by(view.name)
        findings: tuple[Finding, ...] = ()
        coverages: dict[str, Coverage] = {}
        if view.facts is not None:
            checked = check_bundle(
                private_key=None,
                certificate=view.certificate,
                ca=view.ca,
                now=now,
                kept_key_spki_sha256=view.facts.leaf.spki_sha256,
                for_client=_shown_by_client(users),
            )
            findings = (*checked.findings, *findings_of(view, now))
            coverages = {need.consumer: fit(view.facts, need, now) for need in needs_of(users)}
        return CertificateProfile(view, state_of(view, now), findings, users, coverages, overlap_of(view))

    def _checked(
        self,
        stored: CertificateView,
        private_key: Given,
        certificate: Given,
        ca: Given,
        passphrase: str | None,
        *,
        hosts: Sequence[str] = (),
        purpose: Purpose | None = None,
    ) -> Checked:
        """What was pasted, with what is stored where nothing was."""
        keep = private_key is None and stored.facts is not None
        checked = check_bundle(
            private_key=private_key,
            certificate=stored.certificate if certificate is None else certificate,
            ca=stored.ca if ca is None else ca,
            passphrase=passphrase,
            hosts=hosts,
            purpose=purpose,
            now=self._acting.now(),
            kept_key_spki_sha256=stored.facts.leaf.spki_sha256 if keep and stored.facts else None,
            for_client=_shown_by_client(self._acting.index.snapshot().used_by(stored.name)),
        )
        kept = {field for field, given in (("certificate", certificate), ("ca", ca)) if given is None}
        return replace(checked, blocks=tuple(block for block in checked.blocks if block.field not in kept))

    def _report(self, checked: Checked, impact: tuple[Impact, ...], name: str | None) -> CheckReport:
        """With what the instance itself knows of it."""
        snapshot = self._acting.index.snapshot()
        held = offers(snapshot, checked)
        more = (*offered(held), *seen_elsewhere(snapshot, checked, name))
        return CheckReport(replace(checked, findings=(*checked.findings, *more)), impact, held)

    def _impacts(self, stored: CertificateView, checked: Checked) -> tuple[Impact, ...]:
        if checked.facts is None:
            return ()
        users = self._acting.index.snapshot().used_by(stored.name)
        return impacts(needs_of(users), stored.facts, checked.facts, self._acting.now())

    def _refuse_harm(self, found: Sequence[Impact], accept: Sequence[str]) -> None:
        harmful = [one for one in found if one.harmful and not accepted(one.consumer, one, accept)]
        if harmful:
            detail = f"This would cut off {listed(sorted({one.consumer for one in harmful}))}."
            conflicts = [one.acceptance for one in harmful]
            findings = [one.as_finding() for one in harmful]
            raise Refused(detail, code="impact.not-accepted", findings=findings, conflicts=conflicts)

    def _refuse_blocked(self, checked: Checked) -> None:
        if checked.blocked:
            errors = [finding for finding in checked.findings if finding.severity is Severity.ERROR]
            raise Refused(errors[0].message, findings=checked.findings)

    def _version_facts(self, name: str, one: VersionInfo, current: int) -> VersionFacts:
        gone = one.destroyed or one.deleted_at is not None
        state: VersionState = (
            "destroyed" if one.destroyed else "deleted" if gone else "current" if one.number == current else "kept"
        )
        facts, changed_by = None, ""
        if not gone:
            try:
                view = self._acting.index.version(name, one.number)
            except Missing:
                state = "deleted"
            else:
                facts, changed_by = view.facts, view.changed_by
        return VersionFacts(one.number, facts, changed_by, one.created_at, state)


def _shown_by_client(users: Users) -> bool:
    return any(need.purpose == "client" for need in needs_of(users))
