"""One round: fetch, check, install, report. A loop of rounds is in `loop.py`.

(1) Say to the delivery plane what every target holds, complete and untouched. `304`: nothing to do.
(2) Check the bundle for each target. A finding that is an error: nothing of it is installed.
(3) Install it where it is not installed yet. An older version than what is there is left out.
(4) Report: `installed`, `serving` where each target was seen to be, or `failed` with the reason. What could not be
    reported is reported next time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from service.agent.config import FilesTarget
from service.agent.direct import DirectVault
from service.agent.errors import AgentError, NotBound, RefusedHere, Unreached
from service.agent.session import ConsumerSession
from service.agent.source import NOTHING_HELD, Bundle, etag_of
from service.agent.state import State
from service.agent.targets.files import Files, Installed
from service.pki.bundle import Checked, check_bundle
from service.pki.finding import Finding, Severity

MAX_DETAIL_CHARACTERS = 400
"""The delivery plane takes 500."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round came to.

    Attributes:
        changed: whether files were written.
        findings: warnings about what is installed.
        report_failed: why the report did not arrive; empty when it did, or none was due.
        held: whether the delivery plane held its answer back: the next round may follow at once.
        waits_next: whether the next round lets it.
        directly: whether Vault itself was asked: the delivery plane could not be reached.
    """

    consumer: str
    certificate_name: str
    version: int
    fingerprint_sha256: str
    changed: bool
    findings: tuple[Finding, ...] = ()
    report_failed: str = ""
    held: bool = False
    waits_next: bool = False
    directly: bool = False


class Round:
    """What every round of one agent needs.

    Args:
        wait_s: how long the delivery plane may hold an answer back after a round that left nothing to do; 0 never.
        direct: Vault itself, for when the delivery plane cannot be reached.
    """

    def __init__(
        self,
        session: ConsumerSession,
        state: State,
        targets: Sequence[FilesTarget],
        *,
        wait_s: int = 0,
        direct: DirectVault | None = None,
    ) -> None:
        self._session = session
        self._direct = direct
        self._wait_s = wait_s
        self._settled = False
        self._refused: str | None = None
        self._state = state
        self._targets = tuple(Files(target) for target in targets)

    def run(self, now: datetime) -> Outcome:
        """Carry out one round.

        Raises:
            AgentError: the kind that fits; what was installed before still is.
        """
        held = [target.installed() for target in self._targets]
        common = held[0] if held[0] is not None and all(one == held[0] for one in held) else None
        etag = etag_of(common.certificate_name, common.version) if common else None
        try:
            bundle = self._fetch(etag)
        except Unreached as unreached:
            return self._without_delivery(unreached, held, now)
        if bundle is not None:
            outcome = self._install(bundle, held, now)
        elif common is None:
            raise RefusedHere("the delivery plane answered 304 to a fetch without condition")
        else:
            outcome = self._finish(common, changed=False)
        self._settled = not outcome.report_failed
        return replace(outcome, waits_next=self._settled and self._wait_s > 0)

    def _without_delivery(self, unreached: Unreached, held: Sequence[Installed | None], now: datetime) -> Outcome:
        """Ask Vault itself; when it cannot be reached either, what is installed stays in use, and its age is told."""
        if self._direct is not None:
            try:
                bundle = self._direct.fetch()
            except Unreached as also:
                unreached = Unreached(f"{unreached}; {also}", code=unreached.code)
            else:
                return replace(self._install(bundle, held, now, report=False), directly=True)
        raise Unreached(f"{unreached}; {self._last_known_good(held, now)}", code=unreached.code)

    def _last_known_good(self, held: Sequence[Installed | None], now: datetime) -> str:
        """What is in use meanwhile, in words."""
        ages = [
            f"{one.certificate_name} version {one.version}, installed {_ago(now - target.installed_at())},"
            for one, target in zip(held, self._targets, strict=True)
            if one is not None
        ]
        return f"{' and '.join(dict.fromkeys(ages))} stays in use" if ages else "nothing is installed yet"

    def _fetch(self, etag: str | None) -> Bundle | None:
        """What is new. After a round that left nothing to do the answer may be held back until there is something."""
        refused, self._refused = self._refused, None
        wait_s = self._wait_s if self._settled or refused else 0
        self._settled = False
        try:
            bundle = self._session.fetch(refused or etag or (NOTHING_HELD if wait_s else None), wait_s=wait_s)
        except NotBound:
            self._settled = True
            raise
        return self._session.fetch(etag) if refused and bundle is None else bundle

    def _install(
        self, bundle: Bundle, held: Sequence[Installed | None], now: datetime, *, report: bool = True
    ) -> Outcome:
        findings: tuple[Finding, ...] = ()
        new = Installed(bundle.certificate_name, bundle.version, "")
        changed = False
        try:
            for target, present in zip(self._targets, held, strict=True):
                checked = _check(bundle, target.target, now)
                facts, key = checked.facts, checked.private_key
                if facts is None or key is None or checked.blocked:
                    self._refused = bundle.etag
                    raise RefusedHere(_refusal(bundle, checked), code="bundle.refused")
                new = Installed(bundle.certificate_name, bundle.version, facts.leaf.fingerprint_sha256)
                findings = tuple(finding for finding in checked.findings if finding.severity is Severity.WARNING)
                if present == new or _is_newer(present, new):
                    continue
                target.install(new, private_key=key.pem(), certificate=checked.certificate, ca=checked.ca)
                changed = True
        except AgentError as error:
            if error.code.startswith("hook."):
                self._refused = bundle.etag
            if report:
                self._report(new, "failed", str(error))
            raise
        if not report:
            fingerprint = new.fingerprint_sha256
            return Outcome(bundle.consumer, new.certificate_name, new.version, fingerprint, changed, findings)
        return self._finish(new, changed=changed, findings=findings)

    def _finish(self, what: Installed, *, changed: bool, findings: tuple[Finding, ...] = ()) -> Outcome:
        held = self._session.was_held
        return Outcome(
            consumer=self._session.consumer(),
            certificate_name=what.certificate_name,
            version=what.version,
            fingerprint_sha256=what.fingerprint_sha256,
            changed=changed,
            findings=findings,
            report_failed=self._report(what, "serving" if self._is_verified else "installed", ""),
            held=held,
        )

    @property
    def _is_verified(self) -> bool:
        return all(target.is_verified for target in self._targets)

    def _report(self, what: Installed, state: Literal["installed", "serving", "failed"], detail: str) -> str:
        """Report once per change; why it failed, or empty."""
        report: dict[str, object] = {
            "certificate_name": what.certificate_name,
            "version": what.version,
            "fingerprint_sha256": what.fingerprint_sha256,
            "state": state,
            "detail": detail[:MAX_DETAIL_CHARACTERS],
        }
        if self._state.reported() == report:
            return ""
        try:
            self._session.report(report)
            self._state.note_reported(report)
        except AgentError as error:
            return str(error)
        except OSError as error:
            return f"{self._state.directory} cannot be written: {error.strerror}"
        return ""


def _check(bundle: Bundle, target: FilesTarget, now: datetime) -> Checked:
    return check_bundle(
        private_key=bundle.reveal_private_key(),
        certificate=bundle.certificate,
        ca=bundle.ca or None,
        hosts=target.hosts,
        purpose=target.purpose,
        now=now,
    )


def _ago(age: timedelta) -> str:
    """`3 days ago`, `12 minutes ago`."""
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def _is_newer(present: Installed | None, new: Installed) -> bool:
    """Whether what is there is a later version of the same certificate: an answer was overtaken by another."""
    return present is not None and present.certificate_name == new.certificate_name and present.version > new.version


def _refusal(bundle: Bundle, checked: Checked) -> str:
    errors = [finding for finding in checked.findings if finding.severity is Severity.ERROR]
    said = "; ".join(f"{finding.code}: {finding.message}" for finding in errors) or "it cannot be read"
    return f"{bundle.certificate_name} version {bundle.version} would not work here and was not installed: {said}"
