"""Write the peer policy once more, as nftables rules: what should ever pass the first, the kernel stops.

    UDP, of the service's user, from a relay port ─▶ low port ▶ drop     peer_allow ▶ accept
        own address ▶ only relay ports     not globally routable ▶ drop     else ▶ accept

For: the second layer behind peer_policy.py, from the same lists; `turnnode egress-rules` prints it.
Not for: answers to clients and the control plane, which go from other ports, nor for what the kernel path
relays: that never meets nftables, and its flows are only those that the policy has admitted.

Source: nft(8).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from turnnode.relay.peer_policy import ISATAP, MIN_PEER_PORT, Network, list_refused_networks

TABLE: Final = "turnnode_egress"
_INTERFACE_IDENTIFIER = "@nh,256,32"  # octets 8 to 11 of an IPv6 packet's destination


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressFacts:
    """What the rules depend on: the user that relays, its ports and addresses, and what is allowed beside."""

    user: str
    first_port: int
    last_port: int
    own_hosts: frozenset[str]
    allow: tuple[Network, ...]


def write_rules(facts: EgressFacts) -> str:
    """Write a table that replaces itself when it is loaded again."""
    ports = f"{facts.first_port}-{facts.last_port}"
    rules = [
        f'meta skuid != "{facts.user}" accept',
        "meta l4proto != udp accept",
        f"udp sport != {ports} accept",
        f"udp dport < {MIN_PEER_PORT} counter drop",
    ]
    for version, field in ((4, "ip daddr"), (6, "ip6 daddr")):
        own = [host for host in facts.own_hosts if ip_address(host).version == version]
        allowed = [network for network in facts.allow if network.version == version]
        refused = [network for network in list_refused_networks() if network.version == version]
        if own:
            rules += [
                f"{field} {_set_of(own)} udp dport {ports} accept",
                f"{field} {_set_of(own)} counter drop",
            ]
        if allowed:
            rules.append(f"{field} {_set_of(allowed)} accept")
        rules.append(f"{field} {_set_of(refused)} counter drop")
    patterns = ", ".join(f"{pattern:#010x}" for pattern in ISATAP)
    rules.append(f"meta nfproto ipv6 {_INTERFACE_IDENTIFIER} {{ {patterns} }} counter drop")
    body = "".join(f"\t\t{rule}\n" for rule in rules)
    return (
        f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\n"
        f"table inet {TABLE} {{\n\tchain output {{\n"
        f"\t\ttype filter hook output priority filter; policy accept;\n{body}\t}}\n}}\n"
    )


def _set_of(elements: Iterable[object]) -> str:
    """Write an anonymous set, in an order that does not change from run to run."""
    return "{ " + ", ".join(sorted(str(element) for element in elements)) + " }"
