"""Names, and where things of that name are stored. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_NAME_CHARACTERS: Final = 63
"""A name is also a DNS label's length: it appears in file names, role names and URLs."""
BUNDLES: Final = "bundles"
RELAYS: Final = "relays"
PROVIDERS: Final = "providers"
STATUSES: Final = "status"
PROBES: Final = "probes"
JOBS: Final = "jobs"
STAGED: Final = "staged"
CANARIES: Final = "canaries"

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")


def is_name(text: str) -> bool:
    """Whether it is a name: 1 to 63 of `a-z 0-9 . -`, starting and ending with a letter or digit."""
    return _NAME.fullmatch(text) is not None


def slug(text: str) -> str:
    """The name that a free text becomes: `Relays EU (west)` → `relays-eu-west`; empty when nothing of it can stay."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    joined = re.sub(r"[^a-z0-9.]+", "-", plain)
    joined = re.sub(r"-*\.[.-]*", ".", joined)
    return joined.strip("-.")[:MAX_NAME_CHARACTERS].rstrip("-.")


def bundle_path(name: str) -> str:
    """Where a certificate's bundle is stored."""
    return f"{BUNDLES}/{name}"


def relay_path(name: str) -> str:
    """Where a relay is stored."""
    return f"{RELAYS}/{name}"


def provider_path(name: str) -> str:
    """Where a container provider is stored, with its clusters."""
    return f"{PROVIDERS}/{name}"


def status_path(consumer: str) -> str:
    """Where a consumer says what it has installed."""
    return f"{STATUSES}/{consumer}"


def probe_path(consumer: str) -> str:
    """Where the worker says what it saw of a consumer from outside."""
    return f"{PROBES}/{consumer}"


def canary_path(certificate: str) -> str:
    """Where it stands that one consumer tries a certificate's newest version first."""
    return f"{CANARIES}/{certificate}"


def staged_path(name: str) -> str:
    """Where the next version of a certificate stands ready."""
    return f"{STAGED}/{name}"


def job_path(job: str) -> str:
    """Where a job is stored."""
    return f"{JOBS}/{job}"


def relay_consumer(relay: str) -> str:
    """The consumer that a relay is."""
    return f"relay-{relay}"


def cluster_consumer(provider: str, cluster: str) -> str:
    """The consumer that a provider's cluster is. Two pairs can give one name: `a`, `b-c` and `a-b`, `c`."""
    return f"provider-{provider}-{cluster}"
