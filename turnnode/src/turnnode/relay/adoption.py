"""Go on with the calls of a former process: match what it remembered to the sockets that were kept.

    remembered, socket kept, still fits ──▶ it goes on
    remembered, but …                   ──▶ it has ended: its client hears 437 and allocates anew
        its time is over · its listening or relay address, or its port, is no longer set · it makes no sense
    kept, but not remembered            ──▶ closed

For: a TURN server before it reads from its sockets.
Not for: what the policy forbids now; `TurnMachine.apply_policy` ends that.
"""

from collections.abc import Iterable, Mapping

import structlog

from turnnode.relay.allocation import (
    CHANNEL_SECONDS,
    MAX_LIFETIME_SECONDS,
    PERMISSION_SECONDS,
    Allocation,
    Channel,
    RelayPort,
    Side,
)
from turnnode.relay.journal_format import AllocationRecord
from turnnode.relay.machine import TurnMachine
from turnnode.relay.sockets import RelaySockets
from turnnode.stun.attributes import Address, family_of

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def adopt_allocations(
    records: Iterable[AllocationRecord],
    *,
    sides: Mapping[Address, Side],
    ports: RelaySockets,
    machine: TurnMachine,
    now: float,
) -> None:
    """Give the machine every allocation that can go on, and close the sockets of all others."""
    adopted = ended = 0
    for record in records:
        side = sides.get(record.server)
        if side is None or record.client in side.allocations or not _is_live(record, now):
            ended += 1
            continue
        port = ports.claim(record.relay, record.published)
        if port is None:
            ended += 1
            continue
        second = None
        if record.second_relay is not None and record.second_published is not None:
            second = ports.claim(record.second_relay, record.second_published)
            if second is None:  # half of what the client was promised is worth little to it
                port.close()
                ended += 1
                continue
        machine.adopt(_restore(record, side, port, second))
        adopted += 1
    closed = ports.drop_unclaimed()
    if adopted or ended or closed:
        log.info("calls taken over", adopted=adopted, ended=ended, sockets_closed=closed)


def _is_live(record: AllocationRecord, now: float) -> bool:
    """Tell whether an allocation has not ended, and none of its times is longer than was ever granted."""
    ends = [
        (record.expires_at, MAX_LIFETIME_SECONDS),
        *((expires_at, PERMISSION_SECONDS) for expires_at in record.permissions.values()),
        *((channel.expires_at, CHANNEL_SECONDS) for channel in record.channels),
    ]
    return record.expires_at > now and all(expires_at <= now + longest for expires_at, longest in ends)


def _restore(record: AllocationRecord, side: Side, port: RelayPort, second: RelayPort | None) -> Allocation:
    channels = [Channel(channel.number, channel.peer, channel.expires_at) for channel in record.channels]
    return Allocation(
        side=side,
        client=record.client,
        username=record.username,
        port=port,
        family=family_of(record.relay[0]),
        expires_at=record.expires_at,
        transaction_id=record.transaction_id,
        answer=record.answer,
        permissions=dict(record.permissions),
        channels={channel.number: channel for channel in channels},
        channels_by_peer={channel.peer: channel for channel in channels},
        second=second,
        hears_errors=record.hears_errors,
    )
