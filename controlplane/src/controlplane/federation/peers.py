"""Ask nodes what passes between them and servers of others.

For: endpoints of both Admin APIs and the pages. Nothing of it is kept.
Not for: figures of the whole fleet (health), which come with the reports.
"""

from pydantic import BaseModel

from controlplane.accounts.live import LiveAccounts, Whose
from controlplane.federation.models import PeerList, PeerPublic
from nodelink.contract.federation import PeersAnswer


class NoArguments(BaseModel):
    """The question needs none."""


async def list_peers(accounts: LiveAccounts, whose: Whose) -> PeerList:
    """List the peers of nodes, those with whom something passed last first.

    Raises:
        UnknownNodeError: The node that is named is none, or out of scope.
        WrongKindError: It is no mail node.
    """
    answers, missing = await accounts.ask_all(whose, "peers", lambda _: NoArguments(), PeersAnswer)
    items = [
        PeerPublic(**dict(peer), node_name=node) for node, answer in answers.items() for peer in answer.peers
    ]
    items.sort(key=lambda peer: (-(peer.last_seen_seconds or 0), peer.domain, peer.node_name))
    return PeerList(items=items, missing_nodes=missing)
