"""Settings: read once, every mistake at once, no secret in an environment variable or a message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.settings import SettingsError, read_secret_file, read_settings


def test_the_defaults_are_those_of_one_machine():
    settings = read_settings({}, default_port=8443)
    assert (settings.vault_url, settings.host, settings.port) == ("https://127.0.0.1:8200", "127.0.0.1", 8443)


def test_every_mistake_is_reported_together(tmp_path: Path):
    environment = {
        "KEYSTEAD_VAULT_ADDR": "vault.example",
        "KEYSTEAD_LISTEN": "0.0.0.0:notaport",
        "KEYSTEAD_TLS_CERT_FILE": str(tmp_path / "missing.pem"),
    }
    with pytest.raises(SettingsError) as caught:
        read_settings(environment, default_port=8443)
    said = " ".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for name in ("KEYSTEAD_VAULT_ADDR", "KEYSTEAD_LISTEN", "KEYSTEAD_TLS_CERT_FILE", "KEYSTEAD_TLS_KEY_FILE"):
        assert name in said


def test_plain_http_to_another_machine_is_refused():
    with pytest.raises(SettingsError, match="unencrypted"):
        read_settings({"KEYSTEAD_VAULT_ADDR": "http://vault.example:8200"}, default_port=8443)


def test_an_ipv6_address_and_port_are_read():
    settings = read_settings({"KEYSTEAD_LISTEN": "[::1]:9000"}, default_port=8443)
    assert (settings.host, settings.port) == ("::1", 9000)


def test_the_number_of_proxies_is_a_small_number():
    assert read_settings({"KEYSTEAD_PROXIES": "1"}, default_port=8443).proxies == 1
    for wrong in ("-1", "many", "99"):
        with pytest.raises(SettingsError, match="KEYSTEAD_PROXIES"):
            read_settings({"KEYSTEAD_PROXIES": wrong}, default_port=8443)


def test_the_credentials_do_not_show_their_secret(tmp_path: Path):
    file = tmp_path / "index.json"
    file.write_text(json.dumps({"role_id": "role", "secret_id": "canary-secret"}))
    credentials = read_settings({"KEYSTEAD_CREDENTIALS_FILE": str(file)}, default_port=1).credentials()
    assert credentials.reveal_secret_id() == "canary-secret"
    assert "canary" not in repr(credentials) + str(credentials)


@pytest.mark.parametrize("content", ["canary-secret", "[]", '{"role_id": "canary-secret"}'])
def test_a_wrong_credentials_file_is_named_without_its_content(tmp_path: Path, content: str):
    file = tmp_path / "index.json"
    file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        read_settings({"KEYSTEAD_CREDENTIALS_FILE": str(file)}, default_port=1).credentials()
    assert str(file) in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_secret_file_that_is_too_large_is_refused(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_bytes(b"x" * 20_000)
    with pytest.raises(SettingsError, match="larger than"):
        read_secret_file(file)
