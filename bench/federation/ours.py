"""Two of our mail nodes, not of one fleet: each finds the other by its MX record, and delivers by HTTPS.

For: the bench.
"""

import shutil
from contextlib import ExitStack
from pathlib import Path

from federation.places import Place, add_address, write_records
from mail.closed_loop import Target
from mail.node import IMAP_PORT, SMTP_PORT, STATE, install_node, start_node
from mail.tree import Tree
from mail.wire import BenchError
from mailnode.dkim.key_files import read_ring
from mailnode.dkim.key_ring import write_key_record
from nodelink.contract.federation import FederationMode, FederationState
from support.cut_off_node import enrol
from support.name_server import HOST, running_name_server

HOME, FAR = Place("home", "198.51.100.1"), Place("far", "198.51.100.2")
PEERS = "/etc/bench/peers.pem"
DNS_PORT = 29053


def start_nodes(home: Tree, far: Tree, stack: ExitStack) -> tuple[Target, Target]:
    """Start both, and a name server; return the way between them, and that within the first.

    Raises:
        BenchError: One does not start.
    """
    trees = {HOME: home, FAR: far}
    for place, tree in trees.items():
        add_address(place)
        install_node(
            tree,
            place.domain,
            MAIL_DOMAIN=place.domain,
            PUBLIC_HOST=place.domain,
            LISTEN_ADDRESSES=place.host,
            OUTBOUND_ADDRESS=place.host,
            HTTPS_PORT=443,
            INBOUND_SMTP_PORT=25,
            PEER_MESSAGES_PER_MINUTE=0,
            PEERS_CA_FILE=PEERS,
            DNS_SERVERS=HOST,
            DNS_PORT=DNS_PORT,
        )
    for tree, other in ((home, far), (far, home)):
        shutil.copy(other.home / "tls.crt", tree.root / PEERS.lstrip("/"))
    for tree in trees.values():
        enrol(
            Path(f"{tree.root}{STATE}"), FederationState(is_enabled=True, mode=FederationMode.ACCEPT)
        )  # of a control plane that is away: who exchanges mail with others is its to say
        start_node(tree, opens_registration=False)
    records = "".join(write_records(place, _read_keys(tree)) for place, tree in trees.items())
    directory = home.home.parent / "names"
    stack.enter_context(running_name_server(directory, records, DNS_PORT))
    local = Target(
        name="ours within a node",
        host=HOME.host,
        domain=HOME.domain,
        smtp_port=SMTP_PORT,
        imap_port=IMAP_PORT,
        read_cpu_seconds=home.group.read_cpu_seconds,
    )
    return local.to(FAR.host, FAR.domain, far.group.read_cpu_seconds), local


def _read_keys(tree: Tree) -> list[tuple[str, str]]:
    ring = read_ring(Path(f"{tree.root}{STATE}") / "dkim-keys.json")
    if ring is None:
        raise BenchError("a node has no keys to sign with")
    return [(key.selector, write_key_record(key)) for key in ring.signing_keys]
