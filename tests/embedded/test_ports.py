"""Where to listen: checked before anything starts, in one sentence that names the option."""

from __future__ import annotations

import socket

import pytest

from service.embedded.errors import CannotStart
from service.embedded.ports import find_addresses

FREE = {"web": 0, "delivery": 0, "vault": 0}


def test_port_0_takes_three_different_free_ports():
    addresses = find_addresses("127.0.0.1", FREE)
    assert len(set(addresses.ports.values())) == 3
    assert all(port > 0 for port in addresses.ports.values())


def test_a_port_in_use_is_named_with_the_option_that_chooses_another():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=rf"port {port} on 127\.0\.0\.1 is in use.*--delivery-port"):
            find_addresses("127.0.0.1", FREE | {"delivery": port})


def test_one_port_for_two_servers_is_refused():
    with pytest.raises(CannotStart, match="three different ports"):
        find_addresses("127.0.0.1", {"web": 8443, "delivery": 8443, "vault": 8200})


@pytest.mark.parametrize("host", ["192.0.2.77", "no-such-host.invalid", "a" * 70 + ".example"])
def test_an_address_of_another_machine_is_refused(host: str):
    with pytest.raises(CannotStart, match="no address of this machine"):
        find_addresses(host, FREE)


def test_a_wildcard_is_reached_over_loopback():
    addresses = find_addresses("0.0.0.0", FREE)
    assert addresses.listen("web") == f"0.0.0.0:{addresses.ports['web']}"
    assert addresses.url("web") == f"https://127.0.0.1:{addresses.ports['web']}"


def test_an_ipv6_address_is_bracketed():
    try:
        addresses = find_addresses("::1", FREE)
    except CannotStart:
        pytest.skip("this machine has no IPv6 loopback")
    assert addresses.url("vault") == f"https://[::1]:{addresses.ports['vault']}"
