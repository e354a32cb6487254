"""The lab's names: a zone for a real name server, which knows all of the lab and nothing else.

    control.test, _control.test …  each machine, by two names: Delta Chat takes certificates of an authority
                                   that it does not know only for names that begin with `_`
    turn.test                      all TURN nodes
    _plane.test                    both hosts of a control plane that has two

For: the machine `dns` (lab_machines.py). Because the zone is the root, no look-up waits for an outside.
"""

from dataclasses import dataclass

TURN_NAME = "turn.test"
PLANE_NAME = "_plane.test"
FOREIGN_NAME = "far.test"
"""A mail server that is not of the fleet. It is no machine: a test that runs one says where it is."""

ZONE_START = """$TTL 60
. IN SOA ns.test. admin.test. 1 3600 600 86400 60
. IN NS ns.test.
"""
NSD_SETTINGS = """server:
    ip-address: {ipv4}
    ip-address: {ipv6}
    ip-freebind: yes
    zonesdir: /etc/nsd
    hide-version: yes
remote-control:
    control-enable: no
zone:
    name: .
    zonefile: lab.zone
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine's name and addresses."""

    name: str
    ipv4: str
    ipv6: str


def write_server_settings(host: Host) -> str:
    """Write the settings of nsd. It binds before the address is up; resolved has port 53 of loopback."""
    return NSD_SETTINGS.format(ipv4=host.ipv4, ipv6=host.ipv6)


def write_zone(
    hosts: list[Host], mail_hosts: list[str], turn_hosts: list[str], plane_hosts: list[str]
) -> str:
    """Write the zone file."""
    lines = []
    for host in hosts:
        names = [f"{host.name}.test.", f"_{host.name}.test."]
        if host.name in turn_hosts:
            names.append(f"{TURN_NAME}.")
        if host.name in plane_hosts:
            names.append(f"{PLANE_NAME}.")
        if host.name == "dns":
            names.append("ns.test.")
        for name in names:
            lines += [f"{name} IN A {host.ipv4}", f"{name} IN AAAA {host.ipv6}"]
            if host.name in mail_hosts:
                lines.append(f"{name} IN MX 10 {name}")
    return ZONE_START + "\n".join(lines) + "\n"
