"""Pairs of our mail nodes: two of one fleet, and two that know nothing of each other.

    siblings   each is told of the other and its key, as by a control plane; a request is signed by the node
    foreign    each finds the other by its MX record; a message is signed by DKIM

For: the bench. Both deliver by HTTPS, and verify certificates by name.
"""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from federation.places import Place, add_address, write_hosts, write_records
from mail.closed_loop import Target
from mail.node import IMAP_PORT, SMTP_PORT, STATE, install_node, start_node
from mail.tree import Tree
from mail.wire import BenchError
from mailnode.dkim.key_files import read_ring
from mailnode.dkim.key_ring import write_key_record
from nodelink.contract.federation import FederationMode, FederationState
from nodelink.contract.states import SiblingNode
from support.cut_off_node import enrol, make_identity
from support.name_server import HOST, running_name_server

HOME, FAR = Place("home", "198.51.100.1"), Place("far", "198.51.100.2")
FIRST, SECOND = Place("mail1", "198.51.100.5"), Place("mail2", "198.51.100.6")
PEERS = "/etc/bench/peers.pem"
DNS_PORT = 29053
HTTPS_PORT = 443
OPEN = FederationState(is_enabled=True, mode=FederationMode.ACCEPT)
"""Of a control plane that is away: who exchanges mail with others is its to say."""


def start_siblings(home: Tree, far: Tree) -> tuple[Target, Target]:
    """Start two nodes of one fleet; return the way between them, and that within the first.

    Raises:
        BenchError: One does not start.
    """
    trees = {FIRST: home, SECOND: far}
    _install(trees, {"SIBLINGS_CA_FILE": PEERS})
    told = {place: _describe(place, tree) for place, tree in trees.items()}
    for place, tree in trees.items():
        tree.write("/etc/hosts", f"127.0.0.1 localhost\n{write_hosts(*trees)}")
        others = [sibling for other, sibling in told.items() if other is not place]
        enrol(_state_of(tree), OPEN, node=place.label, siblings=others)
        start_node(tree, opens_registration=False)
    return _find_ways(trees, "siblings")


def start_foreign(home: Tree, far: Tree, stack: ExitStack) -> tuple[Target, Target]:
    """Start two nodes of nobody's fleet, and a name server; return as `start_siblings`.

    Raises:
        BenchError: One does not start.
    """
    trees = {HOME: home, FAR: far}
    _install(trees, {"DNS_SERVERS": HOST, "DNS_PORT": DNS_PORT})
    for tree in trees.values():
        enrol(_state_of(tree), OPEN)
        start_node(tree, opens_registration=False)
    records = "".join(write_records(place, _read_keys(tree)) for place, tree in trees.items())
    stack.enter_context(running_name_server(home.home.parent / "names", records, DNS_PORT))
    return _find_ways(trees, "foreign")


def _install(trees: Mapping[Place, Tree], settings: Mapping[str, object]) -> None:
    """Install both, each with the certificate of the other."""
    for place, tree in trees.items():
        add_address(place)
        install_node(
            tree,
            place.domain,
            MAIL_DOMAIN=place.domain,
            PUBLIC_HOST=place.domain,
            LISTEN_ADDRESSES=place.host,
            OUTBOUND_ADDRESS=place.host,
            HTTPS_PORT=HTTPS_PORT,
            INBOUND_SMTP_PORT=25,
            PEER_MESSAGES_PER_MINUTE=0,
            PEERS_CA_FILE=PEERS,
            # It is away here, and a node that looks for it would read all CAs of the system each time.
            CONTROLPLANE_CA_FILE=PEERS,
            **settings,
        )
    first, second = trees.values()
    for tree, other in ((first, second), (second, first)):
        shutil.copy(other.home / "tls.crt", tree.root / PEERS.lstrip("/"))


def _find_ways(trees: Mapping[Place, Tree], name: str) -> tuple[Target, Target]:
    (place, home), (far_place, far) = trees.items()
    local = Target(
        name=name,
        host=place.host,
        domain=place.domain,
        smtp_port=SMTP_PORT,
        imap_port=IMAP_PORT,
        read_cpu_seconds=home.group.read_cpu_seconds,
    )
    return local.to(far_place.host, far_place.domain, far.group.read_cpu_seconds), local


def _describe(place: Place, tree: Tree) -> SiblingNode:
    return SiblingNode(
        name=place.label,
        mail_domain=place.domain,
        host=place.domain,
        port=HTTPS_PORT,
        public_key=make_identity(_state_of(tree)),
        tls_pin=None,
    )


def _state_of(tree: Tree) -> Path:
    return Path(f"{tree.root}{STATE}")


def _read_keys(tree: Tree) -> list[tuple[str, str]]:
    ring = read_ring(_state_of(tree) / "dkim-keys.json")
    if ring is None:
        raise BenchError("a node has no keys to sign with")
    return [(key.selector, write_key_record(key)) for key in ring.signing_keys]
