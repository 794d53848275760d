"""Vault without a thread per request: what the delivery plane passes on, and the index's first reading of everything.

The same answers and errors as the rest of the room, over aiohttp. A token is an argument of each call: one connection
pool serves the requests of every consumer, each decided by Vault as that consumer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from yarl import URL

from vault.documents import (
    Document,
    Metadata,
    PublicHalf,
    document_of,
    metadata_of,
    public_half_of,
    write_body,
)
from vault.errors import Denied, NotFound, Rejected, SignInRefused, Unreachable, VaultError
from vault.session import Server, SignedIn, Token, signed_in_of_auth, signed_in_of_lookup
from vault.wire import BeforeRequest, Json, error_of, json_of, safe_path

_T = TypeVar("_T")

CONNECTIONS = 64
"""To one server. Vault answers most requests in a millisecond; more connections would only queue inside it."""


class AsyncVault:
    """One server, for any number of tokens. Make and close it inside a running event loop.

    Args:
        before_request: called with method and path before each request; for tests of what a crash there leaves.
    """

    def __init__(self, server: Server, *, before_request: BeforeRequest | None = None) -> None:
        self.server = server
        self._before_request = before_request
        trust = (
            ssl.create_default_context(cafile=str(server.ca_file)) if server.ca_file else ssl.create_default_context()
        )
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=server.timeout_s * 2, sock_connect=server.timeout_s),
            headers={"X-Vault-Request": "true"} | ({"X-Vault-Namespace": server.namespace} if server.namespace else {}),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def login_approle(self, role_id: str, secret_id: str, *, mount: str | None = None) -> SignedIn:
        """Log a consumer in; `mount` is the consumers' one unless told.

        Raises:
            SignInRefused, Unreachable, Sealed.
        """
        what = "log in with an AppRole"
        path = f"auth/{mount or self.server.consumer_mount}/login"
        refused = False
        answer: Json = {}
        try:
            answer = await self._call("POST", path, what, None, body={"role_id": role_id, "secret_id": secret_id})
        except (Denied, Rejected):
            refused = True
        if refused or not answer.get("auth"):
            raise SignInRefused(what, "Vault does not accept it")
        return signed_in_of_auth(self.server, answer["auth"])

    async def lookup_self(self, token: Token) -> SignedIn:
        """Who a token is.

        Raises:
            Denied: it is not valid.
        """
        answer = await self._call("GET", "auth/token/lookup-self", "look up the own token", token)
        return signed_in_of_lookup(self.server, token, answer["data"])

    async def renew_self(self, token: Token) -> SignedIn:
        """Make a token last longer, as far as it may."""
        answer = await self._call("POST", "auth/token/renew-self", "renew the own token", token, body={})
        return signed_in_of_auth(self.server, answer["auth"])

    async def read_document(self, token: Token, path: str, version: int | None = None) -> Document:
        """As `Documents.read`."""
        answer = await self._call("GET", self._at("data", path), f"read {path}", token, version=version)
        return document_of(path, answer)

    async def write_document(
        self,
        token: Token,
        path: str,
        data: Mapping[str, Any],
        *,
        expect_version: int,
        public: Mapping[str, str] | None = None,
    ) -> int:
        """As `Documents.write`."""
        answer = await self._call(
            "POST",
            self._at("data", path),
            f"write {path}",
            token,
            body=write_body(data, expect_version=expect_version, public=public),
            compare_and_set=(path, expect_version),
        )
        return int(answer["data"]["version"])

    async def read_public(self, token: Token, path: str, version: int | None = None) -> PublicHalf:
        """As `Documents.read_public`."""
        what = f"read the public half of {path}"
        return public_half_of(path, await self._call("GET", self._at("subkeys", path), what, token, version=version))

    async def metadata(self, token: Token, path: str) -> Metadata:
        """As `Documents.metadata`."""
        answer = await self._call("GET", self._at("metadata", path), f"read the metadata of {path}", token)
        return metadata_of(path, answer["data"])

    async def read_public_many(
        self, token: Token, paths: Iterable[str], *, concurrency: int = 16
    ) -> AsyncIterator[PublicHalf]:
        """The public halves of the current versions, in no order; those that are gone are left out.

        Raises:
            VaultError: the first one that happens; the rest is not asked for.
        """

        async def read(path: str) -> PublicHalf:
            return await self.read_public(token, path)

        async for half in _each(read, paths, concurrency):
            yield half

    async def metadata_many(
        self, token: Token, paths: Iterable[str], *, concurrency: int = 16
    ) -> AsyncIterator[Metadata]:
        """The metadata of many documents, in no order: for a server without OpenBao's detailed listing."""

        async def read(path: str) -> Metadata:
            return await self.metadata(token, path)

        async for metadata in _each(read, paths, concurrency):
            yield metadata

    def _at(self, endpoint: str, path: str) -> str:
        return f"{self.server.mount}/{endpoint}/{path}"

    async def _call(
        self,
        method: str,
        path: str,
        what: str,
        token: Token | None,
        *,
        body: Json | None = None,
        version: int | None = None,
        compare_and_set: tuple[str, int] | None = None,
    ) -> Json:
        if self._before_request is not None:
            self._before_request(method, path)
        query = "" if version is None else f"?version={version}"
        url = URL(f"{self.server.url}/v1/{safe_path(path)}{query}", encoded=True)
        headers = {"X-Vault-Token": token.reveal()} if token else {}
        problem = ""
        try:
            async with self._http.request(method, url, json=body, headers=headers, allow_redirects=False) as response:
                status, content = response.status, await response.read()
        except TimeoutError:
            problem = "no answer in time"
        except aiohttp.ClientSSLError:
            problem = "its certificate is not trusted"
        except (aiohttp.ClientError, OSError):
            problem = "no connection"
        if problem:
            raise Unreachable(what, problem)
        answer = json_of(content)
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        raise error_of(status, answer, what, compare_and_set)


async def _each(read: Callable[[str], Awaitable[_T]], paths: Iterable[str], concurrency: int) -> AsyncIterator[_T]:
    """Read many things, `concurrency` at a time; what is not found is left out."""
    pending = deque(paths)
    done: asyncio.Queue[_T | VaultError | None] = asyncio.Queue(maxsize=concurrency * 4)

    async def work() -> None:
        try:
            while pending:
                try:
                    await done.put(await read(pending.popleft()))
                except NotFound:
                    continue
        except VaultError as error:
            await done.put(error)
        else:
            await done.put(None)

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    try:
        running = len(workers)
        while running:
            item = await done.get()
            if item is None:
                running -= 1
            elif isinstance(item, VaultError):
                raise item
            else:
                yield item
    finally:
        # Requests under way come to their end: one that is cancelled while it connects leaves its socket open.
        pending.clear()
        while not done.empty():  # the queue holds four times as many as there are workers: none waits for room again
            done.get_nowait()
        await asyncio.gather(*workers, return_exceptions=True)
