"""The public view of everything, in memory: what pages and lists show, and what a waiting consumer is told.

It follows the journal, and scans everything now and then, since the journal is a hint and not a record. It reads public
halves only: this room never asks Vault for a private key, and writes nothing. Pages read a `Snapshot`, never Vault.
"""

from service.index.bell import Bell
from service.index.follow import Index
from service.index.listing import ListItem, ListQuery, Page, list_certificates
from service.index.states import CertificateState, Filter, state_of
from service.index.views import CertificateView, Change, Snapshot, Users, VersionView

__all__ = [
    "Bell",
    "CertificateState",
    "CertificateView",
    "Change",
    "Filter",
    "Index",
    "ListItem",
    "ListQuery",
    "Page",
    "Snapshot",
    "Users",
    "VersionView",
    "list_certificates",
    "state_of",
]
