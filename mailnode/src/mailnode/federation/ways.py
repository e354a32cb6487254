"""Choose the way of a message that leaves the node: to a node of the fleet, or to a peer.

For: lanes.
Not for: the ways themselves (transport.py, mailnode.peering.courier).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mailnode.federation.delivery import Delivery
from mailnode.federation.retry import (
    LONGEST_NODE_PAUSE_SECONDS,
    LONGEST_PEER_PAUSE_SECONDS,
    Failed,
    Outcome,
)
from mailnode.federation.siblings import Siblings
from mailnode.federation.transport import Transport
from mailnode.peering.courier import Courier
from mailnode.store.mail_store import Outgoing

NOBODY = "no node of the fleet serves this domain now"


@dataclass(slots=True, kw_only=True)
class Ways:
    """Both ways. `courier` is `None` where there are no peers."""

    siblings: Siblings
    transport: Transport
    courier: Courier | None = None

    async def send(self, row: Outgoing, message: bytes) -> Outcome:
        """Try once."""
        envelope = row.envelope
        sibling = self.siblings.find_domain(envelope.destination)
        if sibling is not None:
            return await self.transport.send(sibling, _deliver(row), message)
        if self.courier is None:
            return Failed(NOBODY, is_of_node=True)
        return await self.courier.send(row, message)

    def takes_batches(self, destination: str) -> bool:
        """Tell whether messages for a domain may go together: to nodes of the fleet that understand that."""
        sibling = self.siblings.find_domain(destination)
        return sibling is not None and self.transport.takes_batches(sibling)

    async def send_batch(
        self, destination: str, messages: Sequence[tuple[Outgoing, bytes]]
    ) -> Sequence[Outcome]:
        """Try once to hand over all of it; return what became of each."""
        sibling = self.siblings.find_domain(destination)
        if sibling is None:
            return [await self.send(row, message) for row, message in messages]
        return await self.transport.send_batch(
            sibling, [(_deliver(row), message) for row, message in messages]
        )

    def find_longest_pause(self, destination: str) -> float:
        """Tell how long to wait at most for a destination that was not reached."""
        if self.courier is None or self.siblings.find_domain(destination) is not None:
            return LONGEST_NODE_PAUSE_SECONDS
        return LONGEST_PEER_PAUSE_SECONDS

    async def close(self) -> None:
        """Close all connections."""
        await self.transport.close()
        if self.courier is not None:
            await self.courier.close()


def _deliver(row: Outgoing) -> Delivery:
    envelope = row.envelope
    return Delivery(envelope.delivery_id, envelope.sender, envelope.recipients)
