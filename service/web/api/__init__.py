"""The admin API: one module a subject. A call reads its body, calls one use case, and answers with a typed shape."""

from service.web.api import certificates, checks, providers, relays, rollouts, session, staging
from service.web.api.openapi import openapi, openapi_document
from service.web.api.operation import blueprint

__all__ = [
    "blueprint",
    "certificates",
    "checks",
    "openapi",
    "openapi_document",
    "providers",
    "relays",
    "rollouts",
    "session",
    "staging",
]
