"""What runs on one machine: each with an environment, credentials and a log of its own. Little is inherited."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from service.embedded.data_dir import DataDir
from service.embedded.http import Origin
from service.embedded.leftovers import MARK
from service.embedded.local_ca import server_names
from service.embedded.openbao import OpenBao, binary
from service.embedded.ports import Addresses
from service.embedded.setup_state import credentials_file
from service.embedded.supervisor import Program

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "COVERAGE_PROCESS_START")
_SETTINGS_PASSED_ON = ("KEYSTEAD_INSTANCE_NAME", "KEYSTEAD_DELIVERY_URL", "KEYSTEAD_TRUSTED_HOSTS")
"""What an administrator may set for the console and the delivery plane."""

KEYSTEAD = (sys.executable, "-P", "-m", "service.cli")
"""This very installation, whatever folder it is called from (`-P`)."""

Programs = Callable[[DataDir, Addresses, Mapping[str, str]], Sequence[Program]]
"""Makes the programs that run beside OpenBao, from the data directory, the addresses and `up`'s own environment."""


def openbao_program(data: DataDir, addresses: Addresses, environment: Mapping[str, str]) -> Program:
    """OpenBao's server. Its configuration is written before each start (`openbao.write_configuration`)."""
    return Program(
        name="openbao",
        command=(str(binary()), "server", "-config=openbao.hcl"),
        environment=basic_environment(data, environment),
        folder=data.root,
        log=data.logs / "openbao.log",
        healthy=OpenBao(data, addresses.reach, addresses.ports["vault"]).ready,
        reload=signal.SIGHUP,
    )


def service_programs(data: DataDir, addresses: Addresses, environment: Mapping[str, str]) -> Sequence[Program]:
    """The console, the delivery plane and the worker."""
    return [_service(name, data, addresses, environment) for name in ("web", "delivery", "worker")]


def _service(name: str, data: DataDir, addresses: Addresses, environment: Mapping[str, str]) -> Program:
    settings = {
        "KEYSTEAD_VAULT_ADDR": addresses.url("vault"),
        "KEYSTEAD_VAULT_CACERT": str(data.ca_file),
        "KEYSTEAD_CREDENTIALS_FILE": str(credentials_file(data, name)),
        "KEYSTEAD_DELIVERY_URL": addresses.url("delivery"),
        "KEYSTEAD_RUN_DIR": str(data.root / "run"),
    }
    if ":" not in addresses.host:  # werkzeug compares up to the first colon: no IPv6 address would ever be trusted
        settings["KEYSTEAD_TRUSTED_HOSTS"] = ",".join(server_names(addresses.host))
    listens = name in addresses.ports
    if listens:
        settings |= {
            "KEYSTEAD_LISTEN": addresses.listen(name),
            "KEYSTEAD_TLS_CERT_FILE": str(data.tls / f"{name}.pem"),
            "KEYSTEAD_TLS_KEY_FILE": str(data.tls / f"{name}-key.pem"),
        }
    if name == "web":
        settings["KEYSTEAD_SESSION_KEY_FILE"] = str(data.session_key)
    settings |= {variable: environment[variable] for variable in _SETTINGS_PASSED_ON if environment.get(variable)}
    return Program(
        name=name,
        command=(*KEYSTEAD, name),
        environment=basic_environment(data, environment) | settings,
        folder=data.root,
        log=data.logs / f"{name}.log",
        healthy=_answers(data, addresses, name, "/healthz") if listens else None,
        ready=_answers(data, addresses, name, "/readyz") if listens else None,
    )


def _answers(data: DataDir, addresses: Addresses, server: str, path: str) -> Callable[[], bool]:
    origin = Origin(addresses.reach, addresses.ports[server], ca_file=data.ca_file)
    return lambda: origin.status(path) == 200


def basic_environment(data: DataDir, environment: Mapping[str, str]) -> dict[str, str]:
    """What every process gets. The mark is how the next start tells a leftover of this one (`leftovers.py`)."""
    passed_on = {variable: environment[variable] for variable in _PASSED_ON if environment.get(variable)}
    return passed_on | {"HOME": str(data.root), MARK: data.identity, "PYTHONUNBUFFERED": "1"}
