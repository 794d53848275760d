"""The console's pages, one module per subject. They read the index and call the use cases; they never speak to Vault,
decide nothing about certificates, and never put a key, a passphrase or a token into a page but the one-time token on
the one page that is made for it.
"""

from service.web.pages import (
    api_docs,
    certificate,
    certificates,
    clusters,
    dashboard,
    frame,
    providers,
    relay_connect,
    relay_test,
    relays,
    rollback,
    rollout,
    rotation,
    sign_in,
)
from service.web.pages.blueprint import pages

__all__ = [
    "api_docs",
    "certificate",
    "certificates",
    "clusters",
    "dashboard",
    "frame",
    "pages",
    "providers",
    "relay_connect",
    "relay_test",
    "relays",
    "rollback",
    "rollout",
    "rotation",
    "sign_in",
]
