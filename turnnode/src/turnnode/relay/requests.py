"""Decide what becomes of an allocation that a known client has.

For: Refresh, CreatePermission and ChannelBind.
Not for: Allocate (allocating.py), who asks (authentication.py), and data (machine.py).

    no allocation ▶ 437     another credential's ▶ 441     peer of a family that it has no port of ▶ 443
    peer refused ▶ 403      credential's quota ▶ 486       the node's, or the allocation's ▶ 508

Source: RFC 8656 sections 8, 10 and 12.
"""

from turnnode.errors import RequestRefusedError
from turnnode.relay.allocating import Request, granted_lifetime
from turnnode.relay.allocation import Allocation
from turnnode.relay.peer_policy import Reach
from turnnode.relay.table import AllocationTable
from turnnode.stun.attributes import (
    MAX_CHANNEL,
    MIN_CHANNEL,
    AttributeType,
    decode_channel_number,
    decode_first_octet,
    decode_lifetime,
    decode_xor_address,
    encode_lifetime,
    family_of,
)
from turnnode.stun.message import Attributes

_LIFETIME, _FAMILY = AttributeType.LIFETIME, AttributeType.REQUESTED_ADDRESS_FAMILY
_PEER, _CHANNEL = AttributeType.XOR_PEER_ADDRESS, AttributeType.CHANNEL_NUMBER


def refresh(request: Request, table: AllocationTable) -> Attributes:
    """Move the end of an allocation, or end it or one of its two families now (a lifetime of zero).

    Raises:
        RequestRefusedError: With 437, 441 or 443.
        StunFormatError: An attribute is malformed.
    """
    allocation = _own_allocation(request)
    family_value = request.message.find(_FAMILY)
    family = None if family_value is None else decode_first_octet(family_value)
    if family is not None and all(family_of(port.published[0]) != family for port in allocation.ports):
        raise RequestRefusedError(443)
    lifetime = request.message.find(_LIFETIME)
    if lifetime is not None and decode_lifetime(lifetime) == 0:
        if family is not None and allocation.second is not None:
            table.give_up_family(allocation, family)
        else:
            table.remove(allocation)
        return ((_LIFETIME, encode_lifetime(0)),)
    lifetime_seconds = granted_lifetime(request)
    table.prolong(allocation, request.now + lifetime_seconds)
    return ((_LIFETIME, encode_lifetime(lifetime_seconds)),)


def create_permission(request: Request, table: AllocationTable) -> Attributes:
    """Install or refresh the permissions for all hosts that a request names, or for none.

    Raises:
        RequestRefusedError: With 400, 403, 437, 441, 443, 486 or 508.
        StunFormatError: An address is malformed.
    """
    allocation = _own_allocation(request)
    values = request.message.find_all(_PEER)
    if not values:
        raise RequestRefusedError(400)
    hosts = {decode_xor_address(value, request.message.transaction_id)[0] for value in values}
    for host in hosts:
        _check_family(host, allocation)
        if request.peers.reach_of(host) is Reach.NOTHING:
            raise RequestRefusedError(403)
    _check_permissions(request, allocation, table, hosts)
    table.permit(allocation, hosts, request.now)
    table.remember(allocation)
    return ()


def bind_channel(request: Request, table: AllocationTable) -> Attributes:
    """Bind a channel to a peer, or refresh it, and with it the permission for the peer's host.

    Raises:
        RequestRefusedError: With 400, 403, 437, 441, 443, 486 or 508.
        StunFormatError: An attribute is malformed.
    """
    allocation = _own_allocation(request)
    number_value = request.message.find(_CHANNEL)
    peer_value = request.message.find(_PEER)
    if number_value is None or peer_value is None:
        raise RequestRefusedError(400)
    number = decode_channel_number(number_value)
    peer = decode_xor_address(peer_value, request.message.transaction_id)
    if not MIN_CHANNEL <= number <= MAX_CHANNEL:
        raise RequestRefusedError(400)
    _check_family(peer[0], allocation)
    if not request.peers.permits(peer, is_live_relay=peer in table.by_relay):
        raise RequestRefusedError(403)
    for channel in (allocation.channels.get(number), allocation.channels_by_peer.get(peer)):
        if channel is None or (channel.number, channel.peer) == (number, peer):
            continue
        if channel.expires_at > request.now:
            raise RequestRefusedError(400)
        table.unbind(allocation, channel)
    if number not in allocation.channels:
        _check_channels(request, allocation, table)
    _check_permissions(request, allocation, table, {peer[0]})
    table.permit(allocation, {peer[0]}, request.now)
    table.bind(allocation, number, peer, request.now)
    table.remember(allocation)
    return ()


def _own_allocation(request: Request) -> Allocation:
    allocation = request.side.allocations.get(request.client)
    if allocation is None or allocation.expires_at <= request.now:
        raise RequestRefusedError(437)
    if allocation.username != request.credential.username:
        raise RequestRefusedError(441)
    return allocation


def _check_family(host: str, allocation: Allocation) -> None:
    if allocation.port_to(host) is None:
        raise RequestRefusedError(443)


def _check_permissions(
    request: Request, allocation: Allocation, table: AllocationTable, hosts: set[str]
) -> None:
    new = len(hosts - allocation.permissions.keys())
    if not new:
        return
    quotas = request.quotas
    if (
        len(allocation.permissions) + new > quotas.permissions_per_allocation
        or table.holdings.permissions + new > quotas.permissions
    ):
        raise RequestRefusedError(508)
    if allocation.usage.holdings.permissions + new > quotas.permissions_per_credential:
        raise RequestRefusedError(486)


def _check_channels(request: Request, allocation: Allocation, table: AllocationTable) -> None:
    """Refuse one more channel that is too much."""
    quotas = request.quotas
    if (
        len(allocation.channels) >= quotas.channels_per_allocation
        or table.holdings.channels >= quotas.channels
    ):
        raise RequestRefusedError(508)
    if allocation.usage.holdings.channels >= quotas.channels_per_credential:
        raise RequestRefusedError(486)
