"""How a relay gets its bundle: a ready snippet for each tool that somebody may have."""

from __future__ import annotations

from typing import Final

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Missing
from service.web import identity
from service.web.pages import frame
from service.web.pages.blueprint import pages
from service.web.snippets import Place, snippets_of

UNKNOWN: Final = "https://keystead.example:8444"
UNKNOWN_VAULT: Final = "https://vault.example:8200"


@pages.get("/relays/<name>/connect")
@identity.required
def relay_connect(name: str) -> ResponseReturnValue:
    """The snippets, one at a time."""
    relay = frame.snapshot().relays.get(name)
    if relay is None:
        raise Missing(f"There is no relay named {name}.")
    ports = frame.ports()
    place = Place(
        consumer=relay.consumer,
        host=relay.host,
        port=relay.port,
        mtls=relay.tls_mode == "mtls",
        certificate=relay.certificate or "CERTIFICATE",
        delivery_url=ports.delivery_url or UNKNOWN,
        vault_url=ports.vault_url or UNKNOWN_VAULT,
    )
    found = snippets_of(place)
    shown = next((one for one in found if one.key == request.args.get("by")), found[0])
    tabs = [(one.key, one.title, url_for("pages.relay_connect", name=name, by=one.key), None) for one in found]
    return render_template("relays/connect.html", section="relays", relay=relay, snippet=shown, ways=tabs)
