"""Vault itself, when the delivery plane cannot be reached: the consumer's own identity reads its own bundle.

The delivery plane stands between for speed and for waiting, not for permission: what a consumer may read Vault decides
either way. Its record names the certificate; nothing is reported meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.agent.errors import AgentError, LoginRefused, NotBound, RefusedHere, Unreached
from service.agent.source import Bundle
from service.agent.state import State
from service.records import Provider, Relay, TlsMode, bundle_path, is_name, provider_path, relay_path
from vault import login
from vault.errors import Denied, NotFound, SignInRefused, VaultError
from vault.session import Server, Vault


class DirectVault:
    """One consumer at Vault. For one thread."""

    def __init__(self, server: Server, state: State) -> None:
        self._server = server
        self._state = state
        self._vault: Vault | None = None
        self._consumer = ""

    def fetch(self) -> Bundle:
        """The bundle that the consumer's record names.

        Raises:
            Unreached, LoginRefused, NotBound, RefusedHere.
        """
        had_token = self._vault is not None
        problem: AgentError | None = None
        try:
            return self._fetch(self._vault or self._log_in())
        except (Denied, NotFound):
            self._vault = None
            problem = NotBound(f"Vault gives {self._consumer} no bundle: is it bound?", code="not-bound")
        except SignInRefused:
            problem = LoginRefused("Vault does not accept the credentials: enrol again", code="login.refused")
        except VaultError as error:
            problem = Unreached(f"Vault cannot be reached either: {error}", code="vault.unreachable")
        except ValueError:
            problem = RefusedHere(f"the record of {self._consumer} in Vault cannot be understood")
        if had_token and isinstance(problem, NotBound):  # the token may only have ended
            return self.fetch()
        raise problem

    def _log_in(self) -> Vault:
        credentials = self._state.credentials()
        mount = self._server.consumer_mount
        signed_in = login.service_login(self._server, credentials.role_id, credentials.secret_id.reveal(), mount)
        self._consumer = signed_in.entity_name or ""
        self._vault = Vault(self._server, signed_in.token)
        return self._vault

    def _fetch(self, vault: Vault) -> Bundle:
        certificate, tls_mode = self._binding(vault)
        if certificate is None:
            raise NotFound(f"fetch the bundle of {self._consumer}", "it is bound to nothing")
        document = vault.documents.read(bundle_path(certificate))
        return Bundle(
            consumer=self._consumer,
            certificate_name=certificate,
            version=document.version,
            private_key=str(document.data.get("private_key", "")),
            certificate=str(document.data.get("certificate", "")),
            ca=str(document.data.get("ca", "")),
            tls_mode=tls_mode,
        )

    def _binding(self, vault: Vault) -> tuple[str | None, TlsMode]:
        """The certificate's name, and the mode."""
        kind, _, rest = self._consumer.partition("-")
        if kind == "relay":
            relay = Relay.from_data(rest, vault.documents.read(relay_path(rest)).data, 0)
            return relay.certificate, relay.tls_mode
        for provider, cluster in _splits(rest):
            try:
                data = vault.documents.read(provider_path(provider)).data
            except (Denied, NotFound):
                continue
            found = Provider.from_data(provider, data, 0).cluster(cluster)
            if found is not None:
                return found.certificate, "mtls" if found.cert_auth else "tls"
        return None, "tls"


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Every provider and cluster whose consumer would have this name."""
    for position, character in enumerate(name):
        if character == "-" and is_name(name[:position]) and is_name(name[position + 1 :]):
            yield name[:position], name[position + 1 :]
