"""The use cases: what people do with certificates, relays and container providers. Here pki and vault meet.

This room knows no web and no terminal; it raises `service.errors.Problem` and nothing else.
"""

from service.inventory.certificates import Certificates
from service.inventory.clusters import NewCluster
from service.inventory.impact import Impact
from service.inventory.inventory import Inventory
from service.inventory.people import People, Role, SecondFactor, SecondFactorNeeded, Session, SignInMethod
from service.inventory.profile import CertificateProfile, CheckReport, VersionFacts
from service.inventory.providers import Providers
from service.inventory.relays import Relays

__all__ = [
    "CertificateProfile",
    "Certificates",
    "CheckReport",
    "Impact",
    "Inventory",
    "NewCluster",
    "People",
    "Providers",
    "Relays",
    "Role",
    "SecondFactor",
    "SecondFactorNeeded",
    "Session",
    "SignInMethod",
    "VersionFacts",
]
