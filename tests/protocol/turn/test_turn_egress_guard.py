"""The peer policy as nftables rules, in a network namespace of its own, with real datagrams."""

import json
import os
import subprocess
import sys
from ipaddress import ip_network

import pytest

from turnnode.relay.egress_guard import EgressFacts, write_rules
from turnnode.relay.peer_policy import ISATAP, is_globally_routable, list_refused_networks

RELAY_PORT = 50_000
OTHER_PORT = 40_000
FACTS = EgressFacts(
    user="nobody",
    first_port=49_152,
    last_port=65_535,
    own_hosts=frozenset({"9.9.9.9", "2a00:9::9"}),
    allow=(ip_network("10.1.0.0/16"),),
)

SENDER = """
import json, os, socket, subprocess, sys
rules, cases = sys.stdin.read().split("\\0")
def run(*command): subprocess.run(command, check=True)
run("ip", "link", "set", "lo", "up")
run("ip", "link", "add", "out", "type", "veth", "peer", "name", "in")
run("ip", "link", "set", "out", "up"); run("ip", "link", "set", "in", "up")
run("ip", "addr", "add", "9.9.9.9/32", "dev", "out")
run("ip", "addr", "add", "2a00:9::9/128", "dev", "out", "nodad")
run("ip", "route", "add", "default", "dev", "out")
run("ip", "-6", "route", "add", "default", "dev", "out")
subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)  # it replaces itself
os.setresuid(65534, 65534, 65534)
said = []
for source, host, port in json.loads(cases):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(("2a00:9::9" if ":" in host else "9.9.9.9", source))
        try:
            sock.sendto(b"x", (host, port))
            said.append("sent")
        except PermissionError:
            said.append("stopped")
        except OSError as error:
            said.append(str(error))
print(json.dumps(said))
"""

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace"),
]


def send(cases: list[tuple[int, str, int]]) -> list[str]:
    """Send one datagram for each case, in a namespace with the rules, and tell what became of it."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", SENDER],
        input=write_rules(FACTS) + "\0" + json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def test_only_what_the_policy_permits_leaves_from_relay_ports() -> None:
    wanted = {
        (RELAY_PORT, "8.8.8.8", 5000): "sent",
        (RELAY_PORT, "8.8.8.8", 1024): "sent",
        (RELAY_PORT, "8.8.8.8", 1023): "stopped",
        (RELAY_PORT, "8.8.8.8", 53): "stopped",
        (RELAY_PORT, "10.1.2.3", 5000): "sent",
        (RELAY_PORT, "10.1.2.3", 53): "stopped",
        (RELAY_PORT, "10.2.2.3", 5000): "stopped",
        (RELAY_PORT, "169.254.169.254", 5000): "stopped",
        (RELAY_PORT, "100.64.0.1", 5000): "stopped",
        (RELAY_PORT, "127.0.0.1", 5000): "stopped",
        (RELAY_PORT, "9.9.9.9", 3478): "stopped",
        (RELAY_PORT, "9.9.9.9", 50_001): "sent",
        (RELAY_PORT, "2a00:8::8", 5000): "sent",
        (RELAY_PORT, "2a00:9::9", 3478): "stopped",
        (RELAY_PORT, "fd00::1", 5000): "stopped",
        (RELAY_PORT, "64:ff9b::7f00:1", 5000): "stopped",
        (RELAY_PORT, "2002:7f00:1::1", 5000): "stopped",
        (RELAY_PORT, "2001::1", 5000): "stopped",
        (RELAY_PORT, "2a00:8::5efe:a00:1", 5000): "stopped",
        (RELAY_PORT, "2a00:8::200:5efe:a00:1", 5000): "stopped",
        (OTHER_PORT, "10.2.2.3", 5000): "sent",  # to clients and the control plane it may speak anywhere
        (OTHER_PORT, "127.0.0.1", 53): "sent",
    }

    assert dict(zip(wanted, send(list(wanted)), strict=True)) == wanted


def test_rules_refuse_what_the_policy_refuses_network_by_network() -> None:
    for network in list_refused_networks():
        for address in (network.network_address, network.broadcast_address):
            assert not is_globally_routable(str(address))
    assert all(f"{pattern:#010x}" in write_rules(FACTS) for pattern in ISATAP)
