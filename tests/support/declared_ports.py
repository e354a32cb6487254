"""Which ports an operator has declared: by the variables in the inventory, or else by the roles' defaults.

For: tests that compare with them what is open on the machines.
"""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

import yaml

from support.deployed_fleet import ROOT, UNITS

TCP_VARIABLES = {
    "controlplane": ["controlplane_port", "controlplane_http_port"],
    "mailnode": [
        "mailnode_https_port",
        "mailnode_http_port",
        "mailnode_imap_tls_port",
        "mailnode_imap_starttls_port",
        "mailnode_smtp_tls_port",
        "mailnode_smtp_starttls_port",
        "mailnode_inbound_smtp_port",
        "mailnode_alternate_ports",
    ],
    "turnnode": ["turnnode_tcp_port", "turnnode_tls_ports"],
}
UDP_VARIABLES = {"turnnode": ["turnnode_port", "turnnode_other_udp_ports", "turnnode_alternate_ports"]}


@dataclass(frozen=True, slots=True)
class DeclaredPorts:
    """The ports of a machine; those of relays are apart, as there are thousands."""

    tcp: list[int]
    udp: list[int]
    relay: range


def read_declared_ports(host: str) -> DeclaredPorts:
    """Read what is to be open on a machine of the lab."""
    role = UNITS[host]
    variables = _read_defaults("host_firewall") | _read_defaults(role) | _read_inventory(host)
    relay = (
        range(variables["turnnode_relay_port_min"], variables["turnnode_relay_port_max"] + 1)
        if role == "turnnode"
        else range(0)
    )
    assert variables["host_firewall_extra_openings"] == []
    return DeclaredPorts(
        tcp=_collect(variables, ["host_firewall_ssh_port", *TCP_VARIABLES[role]]),
        udp=_collect(variables, UDP_VARIABLES.get(role, [])),
        relay=relay,
    )


def _collect(variables: dict[str, Any], names: list[str]) -> list[int]:
    """Collect ports from variables that hold one, several, or 0 for none."""
    values = [variables[name] for name in names]
    listed = [value if isinstance(value, list) else [value] for value in values]
    return sorted({port for ports in listed for port in ports if port})


def _read_defaults(role: str) -> dict[str, Any]:
    defaults: dict[str, Any] = yaml.safe_load((ROOT / f"ansible/roles/{role}/defaults/main.yml").read_text())
    return defaults


def _read_inventory(host: str) -> dict[str, Any]:
    answer = subprocess.run(
        [
            ROOT / ".venv-ansible/bin/ansible-inventory",
            "--inventory",
            ROOT / "inventories/lab",
            "--host",
            host,
        ],
        capture_output=True,
        check=True,
        cwd=ROOT / "ansible",
        timeout=60,
    )
    variables: dict[str, Any] = json.loads(answer.stdout)
    return variables
