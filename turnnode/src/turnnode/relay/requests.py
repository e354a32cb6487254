"""Decide what an authenticated request gets.

For: Allocate, Refresh, CreatePermission and ChannelBind.
Not for: who asks (authentication.py), the messages around it, and data (machine.py).

    no allocation ▶ 437  another credential's ▶ 441  peer of the other family ▶ 443  port was moved ▶ 300
    peer refused ▶ 403      credential's quota ▶ 486       the node's, or the allocation's ▶ 508

What we leave out, and how it is answered: TCP relays (RFC 6062) 442; EVEN-PORT and RESERVATION-TOKEN 508,
as if no such port were free; DONT-FRAGMENT 420, since the kernel decides about fragments; a second address of
the other family (ADDITIONAL-ADDRESS-FAMILY) by ADDRESS-ERROR-CODE 440 beside the first address.

Source: RFC 8656 sections 7, 8, 10 and 12.
"""

from dataclasses import dataclass
from typing import Final

from turnnode.errors import RequestRefusedError
from turnnode.relay.allocation import (
    DEFAULT_LIFETIME_SECONDS,
    MAX_LIFETIME_SECONDS,
    Allocation,
    PortProvider,
    RelayPort,
    Side,
)
from turnnode.relay.credentials import Credential
from turnnode.relay.peer_policy import PeerPolicy, Reach
from turnnode.relay.policy import Quotas
from turnnode.relay.table import AllocationTable
from turnnode.stun.attributes import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    MAX_CHANNEL,
    MIN_CHANNEL,
    Address,
    AttributeType,
    decode_channel_number,
    decode_first_octet,
    decode_lifetime,
    decode_xor_address,
    encode_error_code,
    encode_lifetime,
    encode_xor_address,
    family_of,
)
from turnnode.stun.message import Attributes, Message

UNDERSTOOD: Final[frozenset[int]] = frozenset(AttributeType) - {AttributeType.DONT_FRAGMENT}

_UDP = 17
_FAMILIES = (FAMILY_IPV4, FAMILY_IPV6)


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose sender is known, and the rules of its moment.

    Reading an attribute that is missing or malformed raises `StunFormatError` or gives `None`; whoever asks
    answers 400.
    """

    message: Message
    side: Side
    client: Address
    credential: Credential
    peers: PeerPolicy
    quotas: Quotas
    now: float


def allocate(request: Request, table: AllocationTable, ports: PortProvider) -> Attributes:
    """Open a relayed transport address for a client.

    A repeated request (same transaction) gets the same answer again.

    Raises:
        RequestRefusedError: With 300, 400, 437, 440, 442, 486 or 508.
        StunFormatError: An attribute is malformed.
    """
    message = request.message
    existing = request.side.allocations.get(request.client)
    if existing is not None and existing.expires_at > request.now:
        if (existing.transaction_id, existing.username) == (
            message.transaction_id,
            request.credential.username,
        ):
            return existing.answer
        raise RequestRefusedError(437)
    if request.side.successor is not None:
        raise RequestRefusedError(300, alternate=request.side.successor)
    family = _requested_family(message)
    lifetime_seconds = _granted_lifetime(request)
    if existing is not None:
        table.remove(existing)  # its end has come, and only the sweep has not
    port = _open_port(request, table, ports, family)
    answer = _answer_of(request, port, lifetime_seconds)
    table.add(
        Allocation(
            side=request.side,
            client=request.client,
            username=request.credential.username,
            port=port,
            family=family,
            expires_at=request.now + lifetime_seconds,
            transaction_id=message.transaction_id,
            answer=answer,
        )
    )
    return answer


def refresh(request: Request, table: AllocationTable) -> Attributes:
    """Move the end of an allocation, or end it now (a lifetime of zero).

    Raises:
        RequestRefusedError: With 437, 441 or 443.
        StunFormatError: An attribute is malformed.
    """
    allocation = _own_allocation(request)
    family = request.message.find(AttributeType.REQUESTED_ADDRESS_FAMILY)
    if family is not None and decode_first_octet(family) != allocation.family:
        raise RequestRefusedError(443)
    lifetime = request.message.find(AttributeType.LIFETIME)
    if lifetime is not None and decode_lifetime(lifetime) == 0:
        table.remove(allocation)
        return ((AttributeType.LIFETIME, encode_lifetime(0)),)
    lifetime_seconds = _granted_lifetime(request)
    allocation.expires_at = request.now + lifetime_seconds
    for channel in allocation.channels.values():
        table.announce(allocation, channel)
    table.remember(allocation)
    return ((AttributeType.LIFETIME, encode_lifetime(lifetime_seconds)),)


def create_permission(request: Request, table: AllocationTable) -> Attributes:
    """Install or refresh the permissions for all hosts that a request names, or for none.

    Raises:
        RequestRefusedError: With 400, 403, 437, 441, 443 or 508.
        StunFormatError: An address is malformed.
    """
    allocation = _own_allocation(request)
    values = request.message.find_all(AttributeType.XOR_PEER_ADDRESS)
    if not values:
        raise RequestRefusedError(400)
    hosts = {decode_xor_address(value, request.message.transaction_id)[0] for value in values}
    for host in hosts:
        _check_family(host, allocation)
        if request.peers.reach_of(host) is Reach.NOTHING:
            raise RequestRefusedError(403)
    _check_permissions(request, allocation, hosts)
    for host in hosts:
        allocation.permit(host, request.now)
    table.remember(allocation)
    return ()


def bind_channel(request: Request, table: AllocationTable) -> Attributes:
    """Bind a channel to a peer, or refresh it, and with it the permission for the peer's host.

    Raises:
        RequestRefusedError: With 400, 403, 437, 441, 443 or 508.
        StunFormatError: An attribute is malformed.
    """
    allocation = _own_allocation(request)
    number_value = request.message.find(AttributeType.CHANNEL_NUMBER)
    peer_value = request.message.find(AttributeType.XOR_PEER_ADDRESS)
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
    is_new = number not in allocation.channels
    if is_new and len(allocation.channels) >= request.quotas.channels_per_allocation:
        raise RequestRefusedError(508)
    _check_permissions(request, allocation, {peer[0]})
    allocation.permit(peer[0], request.now)
    table.announce(allocation, allocation.bind(number, peer, request.now))
    table.remember(allocation)
    return ()


def _own_allocation(request: Request) -> Allocation:
    allocation = request.side.allocations.get(request.client)
    if allocation is None or allocation.expires_at <= request.now:
        raise RequestRefusedError(437)
    if allocation.username != request.credential.username:
        raise RequestRefusedError(441)
    return allocation


def _requested_family(message: Message) -> int:
    """Check the attributes of an Allocate request in the order of RFC 8656 section 7.2."""
    transport = message.find(AttributeType.REQUESTED_TRANSPORT)
    if transport is None:
        raise RequestRefusedError(400)
    if decode_first_octet(transport) != _UDP:
        raise RequestRefusedError(442)
    family = message.find(AttributeType.REQUESTED_ADDRESS_FAMILY)
    additional = message.find(AttributeType.ADDITIONAL_ADDRESS_FAMILY)
    token = message.find(AttributeType.RESERVATION_TOKEN)
    even_port = message.find(AttributeType.EVEN_PORT)
    if additional is not None and (
        decode_first_octet(additional) != FAMILY_IPV6 or family is not None or token is not None
    ):
        raise RequestRefusedError(400)
    if token is not None and (even_port is not None or family is not None):
        raise RequestRefusedError(400)
    if token is not None or even_port is not None:
        raise RequestRefusedError(508)
    number = FAMILY_IPV4 if family is None else decode_first_octet(family)
    if number not in _FAMILIES:
        raise RequestRefusedError(440)
    return number


def _granted_lifetime(request: Request) -> int:
    """Return the lifetime in seconds: at least the default, at most an hour, never beyond the credential."""
    value = request.message.find(AttributeType.LIFETIME)
    asked_seconds = DEFAULT_LIFETIME_SECONDS if value is None else decode_lifetime(value)
    granted_seconds = max(DEFAULT_LIFETIME_SECONDS, min(asked_seconds, MAX_LIFETIME_SECONDS))
    # Shorter than RFC 8656 section 7.2 wishes, near the credential's end: data must stop there.
    return min(granted_seconds, int(request.credential.valid_for_seconds))


def _open_port(request: Request, table: AllocationTable, ports: PortProvider, family: int) -> RelayPort:
    if not ports.supports(family):
        raise RequestRefusedError(440)
    if table.held_by(request.credential.username) >= request.quotas.allocations_per_credential:
        raise RequestRefusedError(486)
    port = ports.open(family) if len(table.by_relay) < request.quotas.allocations else None
    if port is None:
        raise RequestRefusedError(508)
    return port


def _answer_of(request: Request, port: RelayPort, lifetime_seconds: int) -> Attributes:
    transaction_id = request.message.transaction_id
    answer: Attributes = (
        (AttributeType.XOR_RELAYED_ADDRESS, encode_xor_address(port.published, transaction_id)),
        (AttributeType.LIFETIME, encode_lifetime(lifetime_seconds)),
        (AttributeType.XOR_MAPPED_ADDRESS, encode_xor_address(request.client, transaction_id)),
    )
    if request.message.find(AttributeType.ADDITIONAL_ADDRESS_FAMILY) is not None:
        refusal = bytes((FAMILY_IPV6,)) + encode_error_code(440)[1:]  # RFC 8656 section 18.12
        answer += ((AttributeType.ADDRESS_ERROR_CODE, refusal),)
    return answer


def _check_family(host: str, allocation: Allocation) -> None:
    if family_of(host) != allocation.family:
        raise RequestRefusedError(443)


def _check_permissions(request: Request, allocation: Allocation, hosts: set[str]) -> None:
    if len(allocation.permissions.keys() | hosts) > request.quotas.permissions_per_allocation:
        raise RequestRefusedError(508)
