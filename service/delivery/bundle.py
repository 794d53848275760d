"""`GET /v1/bundle`: the bound bundle, or 304 from memory, at once or when something has changed.

(0) The caller names a token; the index names what its consumer is bound to, and that bundle's version.
(1) If the caller names the ETag of exactly that, Vault vouched for the token a moment ago, and the index is fresh: 304.
(2) Everything else asks Vault, as the caller: Vault decides, and its audit log has the read.
(3) Where Vault contradicts the index (403, 404), Vault is right: the consumer's own record says what it is bound to,
    and the version in the answer is always that of the read itself.
(4) `Prefer: wait=N` holds 304 and "not bound" back until something concerns the caller, or N seconds are over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from service.delivery.binding import Binding, binding_of
from service.delivery.callers import VOUCHED_FOR_S, WAITING_FOR_S, Callers
from service.delivery.exchange import Answer, ClientGone, Header, as_token, json_answer, not_modified
from service.delivery.status import Reports
from service.delivery.waiting import State, Turns, Waiters, state_of
from service.errors import Missing, NotAllowed, NotSignedIn, Unavailable
from service.index import Index, Snapshot
from service.pki.facts import BundleFacts, read_facts
from service.records import bundle_path
from vault.aio import AsyncVault
from vault.documents import Document
from vault.errors import Denied, NotFound

MAX_IF_NONE_MATCH_BYTES = 1024


class Bundles:
    """Hands each consumer its own bundle. For one event loop.

    Args:
        is_fresh: whether the index has heard of Vault lately.
    """

    def __init__(
        self,
        vault: AsyncVault,
        index: Index,
        callers: Callers,
        reports: Reports,
        is_fresh: Callable[[], bool],
    ) -> None:
        self._vault = vault
        self._index = index
        self._callers = callers
        self._reports = reports
        self._is_fresh = is_fresh
        self._refreshing: asyncio.Task[Snapshot] | None = None
        self._turns = Turns()
        self.waiters = Waiters()

    async def get(self, token: bytes, if_none_match: bytes | None) -> Answer:
        """Answer one fetch.

        Raises:
            service.errors.Problem, vault.errors.VaultError.
        """
        return await self._get(token, if_none_match, self._index.snapshot(), VOUCHED_FOR_S)

    async def wait(
        self,
        token: bytes,
        if_none_match: bytes | None,
        tls_mode: bytes | None,
        wait_s: float,
        gone: Callable[[], Awaitable[None]],
    ) -> Answer:
        """Answer a fetch when there is something else than the caller has, or when its time is over.

        Args:
            tls_mode: the mode that the caller has, if it says so: that can change without a new version.
            gone: returns when the caller has gone away.

        Raises:
            ClientGone; as `get`.
        """
        clock = asyncio.get_running_loop().time
        ends, change = clock() + wait_s, None
        mode = tls_mode.decode("latin-1") if tls_mode is not None else ""
        while True:
            seen = self._index.snapshot()
            answer = await self._look(token, if_none_match, seen, change)
            over, first = ends <= clock(), change is None
            if isinstance(answer, Missing) and (over or not first):
                raise answer
            if isinstance(answer, Answer) and (over or answer.status != HTTPStatus.NOT_MODIFIED):
                return answer
            consumer = self._callers.consumer_of(token, seen, WAITING_FOR_S) or await self.identify(token)
            state = state_of(seen, consumer)
            if isinstance(answer, Answer) and mode and state[2] not in {"", mode}:
                return answer
            mode = state[2] or mode
            change = await self._until_changed(consumer, state, seen, ends - clock(), gone)
            if change is None:
                ends = clock()
            else:
                name, version, _ = state_of(self._index.snapshot(), consumer)
                if name:
                    self._reports.told(consumer, name, version)

    async def _look(
        self, token: bytes, if_none_match: bytes | None, seen: Snapshot, change: int | None
    ) -> Answer | Missing:
        """One look: at first from memory as far as may be, after a change in Vault, when it is this caller's turn."""
        try:
            if change is None:
                return await self._get(token, if_none_match, seen, WAITING_FOR_S)
            async with self._turns.turn(change):
                consumer = self._callers.consumer_of(token, seen, WAITING_FOR_S)
                if consumer is None:
                    return await self._get(token, if_none_match, seen, VOUCHED_FOR_S)
                return await self._fetch(token, consumer, seen, if_none_match)
        except Missing as missing:
            return missing

    async def _until_changed(
        self, consumer: str, state: State, seen: Snapshot, left_s: float, gone: Callable[[], Awaitable[None]]
    ) -> int | None:
        """Wait; the journal's number when it changed, None when the time is over or the server stops."""
        waiter = self.waiters.add(consumer, state, seen, self._index.snapshot())
        leaving = asyncio.ensure_future(gone())
        either: set[asyncio.Future[Any]] = {waiter.woken, leaving}
        try:
            await asyncio.wait(either, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                raise ClientGone
            return waiter.woken.result() if waiter.woken.done() else None
        finally:
            leaving.cancel()
            self.waiters.remove(waiter)

    async def _get(self, token: bytes, if_none_match: bytes | None, snapshot: Snapshot, within_s: float) -> Answer:
        consumer = self._callers.consumer_of(token, snapshot, within_s)
        if if_none_match is not None and self._is_fresh():
            vouched = consumer is not None
            if consumer is None:
                consumer = await self.identify(token)
                vouched = await self._vouch(token, consumer, snapshot)
            binding = binding_of(snapshot, consumer)
            etag = _current_etag(snapshot, binding)
            if vouched and binding and etag is not None and _names(if_none_match, etag):
                return not_modified(etag, _mode_header(binding))
        if consumer is None:
            consumer = await self.identify(token)
        return await self._fetch(token, consumer, snapshot, if_none_match)

    async def identify(self, token: bytes) -> str:
        """The consumer whose token it is, by Vault's word.

        Raises:
            NotSignedIn: it is not valid. NotAllowed: it is somebody else's than a consumer's.
        """
        refused = False
        name: str | None = None
        try:
            signed_in = await self._vault.lookup_self(as_token(token))
            name = signed_in.entity_name
        except Denied:
            refused = True
        if refused:
            self._callers.forget(token)
            raise NotSignedIn("Vault does not accept this token: log in again", code="token.invalid")
        if name is None or not name.startswith(("relay-", "provider-")):
            raise NotAllowed("this is not a consumer's token", code="token.not-a-consumer")
        return name

    async def _vouch(self, token: bytes, consumer: str, snapshot: Snapshot) -> bool:
        """Whether Vault lets the token read its consumer's record; remembered when it does."""
        binding = binding_of(snapshot, consumer)
        if binding is None:
            return False
        try:
            await self._vault.read_document(as_token(token), binding.record_path)
        except (Denied, NotFound):
            return False
        self._callers.remember(token, consumer, snapshot)
        return True

    async def _fetch(self, token: bytes, consumer: str, snapshot: Snapshot, if_none_match: bytes | None) -> Answer:
        binding = binding_of(snapshot, consumer) or await self._binding_after_refresh(consumer)
        document: Document | None = None
        if binding.certificate is not None:
            try:
                path = bundle_path(binding.certificate)
                document = await self._vault.read_document(as_token(token), path, binding.held_at)
            except (Denied, NotFound):
                document = None
        if document is None:
            binding, document = await self._fetch_by_record(token, consumer, binding)
        self._callers.remember(token, consumer, snapshot)
        name = binding.certificate or ""
        etag = f'"{name}:{document.version}"'.encode()
        if if_none_match is not None and _names(if_none_match, etag):
            return not_modified(etag, _mode_header(binding))
        self._reports.fetched(token, consumer, name, document.version)
        return _bundle_answer(consumer, binding, document, snapshot, (b"etag", etag), _mode_header(binding))

    async def _fetch_by_record(self, token: bytes, consumer: str, binding: Binding) -> tuple[Binding, Document]:
        """The index did not help: read the consumer's own record, then what it names.

        Raises:
            Missing: `not-bound`, or `certificate.gone`. NotSignedIn, NotAllowed.
        """
        vault_token = as_token(token)
        refused = False
        try:
            record = await self._vault.read_document(vault_token, binding.record_path)
            binding = binding.as_in(record.data)
        except (Denied, NotFound):
            refused = True
        if refused:
            # A policy that names nothing grants nothing: a consumer that was never bound, or revoked, is told so.
            self._callers.forget(token)
            await self.identify(token)
            raise Missing(f"{consumer} is not bound to a certificate", code="not-bound")
        if binding.certificate is None:
            raise Missing(f"{consumer} is not bound to a certificate", code="not-bound")
        denied = False
        try:
            path = bundle_path(binding.certificate)
            return binding, await self._vault.read_document(vault_token, path, binding.held_at)
        except Denied:
            denied = True
        except NotFound:
            pass
        if denied:
            raise NotAllowed(
                f"Vault does not let {consumer} read {binding.certificate} (yet): try again in a second",
                code="binding.pending",
            )
        raise Missing(f"the certificate {binding.certificate} of {consumer} is deleted", code="certificate.gone")

    async def _binding_after_refresh(self, consumer: str) -> Binding:
        """The binding of a consumer that the index has not heard of yet."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(asyncio.to_thread(self._index.refresh))
        snapshot = await asyncio.shield(self._refreshing)
        binding = binding_of(snapshot, consumer)
        if binding is None:
            raise Missing(f"there is no consumer {consumer}", code="not-bound")
        return binding


def _mode_header(binding: Binding) -> Header:
    """The one thing in a bundle that changes without a new version of the certificate."""
    return (b"keystead-tls-mode", binding.tls_mode.encode())


def _current_etag(snapshot: Snapshot, binding: Binding | None) -> bytes | None:
    """The ETag of what a consumer is bound to; None when there is nothing, or it is deleted."""
    if binding is None or binding.certificate is None:
        return None
    view = snapshot.certificates.get(binding.certificate)
    if view is None or view.deleted:
        return None
    return f'"{view.name}:{binding.held_at or view.version}"'.encode()


def _names(if_none_match: bytes, etag: bytes) -> bool:
    """Whether If-None-Match holds this ETag (RFC 9110 §13.1.2: weak comparison, a list, or `*`)."""
    if if_none_match == etag:
        return True
    if len(if_none_match) > MAX_IF_NONE_MATCH_BYTES:
        return False
    return any(part.strip().removeprefix(b"W/") in {etag, b"*"} for part in if_none_match.split(b","))


def _bundle_answer(consumer: str, binding: Binding, document: Document, snapshot: Snapshot, *extra: Header) -> Answer:
    certificate, ca = str(document.data.get("certificate", "")), str(document.data.get("ca", ""))
    view = snapshot.certificates.get(binding.certificate or "")
    facts = view.facts if view is not None and view.version == document.version else None
    if facts is None:
        facts = _read_facts(binding, certificate, ca)
    return json_answer(
        {
            "consumer": consumer,
            "certificate_name": binding.certificate,
            "version": document.version,
            "private_key": document.data.get("private_key", ""),
            "certificate": certificate,
            "ca": ca,
            "fingerprint_sha256": facts.leaf.fingerprint_sha256,
            "not_after": facts.not_after,
            "tls_mode": binding.tls_mode,
        },
        *extra,
    )


def _read_facts(binding: Binding, certificate: str, ca: str) -> BundleFacts:
    """The facts of a version that the index has not read (yet)."""
    try:
        return read_facts(certificate, ca)
    except ValueError:
        message = f"the certificate {binding.certificate} in Vault cannot be read"
    raise Unavailable(message, code="certificate.unreadable")
