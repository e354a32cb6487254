"""Decide what an Allocate request of a known client gets.

For: relayed transport addresses: of one family or both, on any port, an even one, or a reserved one.
Not for: what the client does with them (requests.py).

    malformed, or attributes that exclude each other ▶ 400       not UDP to the peer ▶ 442
    has one already ▶ 437 (the same request again: the same answer)       no address of the family ▶ 440
    the port was moved ▶ 300, with where to
    credential's quota or volume ▶ 486       the node's, no such port or token, draining ▶ 508

TCP relays (RFC 6062) get 442. DONT-FRAGMENT is taken: it holds for Send indications (machine.py).

Source: RFC 8656 section 7.2.
"""

from dataclasses import dataclass, field
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
from turnnode.relay.peer_policy import PeerPolicy
from turnnode.relay.policy import Quotas
from turnnode.relay.reservations import TOKEN_BYTES, Reservations
from turnnode.relay.table import AllocationTable
from turnnode.stun.attributes import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    Address,
    AttributeType,
    decode_first_octet,
    decode_lifetime,
    encode_error_code,
    encode_lifetime,
    encode_xor_address,
    family_of,
)
from turnnode.stun.message import Attributes, Message

UNDERSTOOD: Final[frozenset[int]] = frozenset(AttributeType)

_LIFETIME, _RELAYED, _MAPPED = (
    AttributeType.LIFETIME,
    AttributeType.XOR_RELAYED_ADDRESS,
    AttributeType.XOR_MAPPED_ADDRESS,
)
_TRANSPORT, _FAMILY = AttributeType.REQUESTED_TRANSPORT, AttributeType.REQUESTED_ADDRESS_FAMILY
_ADDITIONAL = AttributeType.ADDITIONAL_ADDRESS_FAMILY
_TOKEN, _EVEN_PORT = AttributeType.RESERVATION_TOKEN, AttributeType.EVEN_PORT
_UDP = 17
_FAMILIES = (FAMILY_IPV4, FAMILY_IPV6)
_RESERVE_NEXT = 0x80
# Whoever sends one of these knows path MTU discovery or RFC 8656. To others an ICMP error is a Data
# indication without data, and some cannot bear one: the client of pion/turn stops reading for good.
_OF_RFC_8656: Final[frozenset[int]] = frozenset(
    {
        AttributeType.DONT_FRAGMENT,
        AttributeType.ADDITIONAL_ADDRESS_FAMILY,
        AttributeType.PASSWORD_ALGORITHM,
    }
)
_OF_OTHER_WISHES: Final[frozenset[int]] = frozenset({_FAMILY, _ADDITIONAL, _TOKEN, _EVEN_PORT})


@dataclass(slots=True)
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


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an Allocate request asks for, checked in the order of RFC 8656 section 7.2."""

    family: int
    wants_both: bool
    wants_even: bool
    wants_next: bool
    token: bytes | None = field(repr=False)


_USUAL_WISH: Final = _Wish(FAMILY_IPV4, wants_both=False, wants_even=False, wants_next=False, token=None)


def allocate(
    request: Request, table: AllocationTable, ports: PortProvider, reservations: Reservations
) -> Attributes:
    """Open relayed transport addresses for a client.

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
    wish = _read_wish(message)
    lifetime_seconds = granted_lifetime(request)
    if request.quotas.is_draining:
        raise RequestRefusedError(508)  # RFC 8656 has no other way to say: go to another server
    if existing is not None:
        table.remove(existing)  # its end has come, and only the sweep has not
    port, token = _open_port(request, wish, table, ports, reservations)
    second, refusal = _open_second(request, wish, table, ports)
    answer = _answer_of(request, (port, second), lifetime_seconds, token=token, refusal=refusal)
    table.add(
        Allocation(
            side=request.side,
            client=request.client,
            username=request.credential.username,
            port=port,
            family=family_of(port.published[0]),
            expires_at=request.now + lifetime_seconds,
            transaction_id=message.transaction_id,
            answer=answer,
            second=second,
            hears_errors=message.has_any(_OF_RFC_8656),
        )
    )
    return answer


def granted_lifetime(request: Request) -> int:
    """Return the lifetime in seconds: at least the default, at most an hour, never beyond the credential.

    Raises:
        StunFormatError: The client's wish is malformed.
    """
    value = request.message.find(_LIFETIME)
    asked_seconds = DEFAULT_LIFETIME_SECONDS if value is None else decode_lifetime(value)
    granted_seconds = max(DEFAULT_LIFETIME_SECONDS, min(asked_seconds, MAX_LIFETIME_SECONDS))
    # Shorter than RFC 8656 section 7.2 wishes, near the credential's end: data must stop there.
    return min(granted_seconds, int(request.credential.valid_for_seconds))


def _read_wish(message: Message) -> _Wish:
    transport = message.find(_TRANSPORT)
    if transport is None:
        raise RequestRefusedError(400)
    if decode_first_octet(transport) != _UDP:
        raise RequestRefusedError(442)
    if not message.has_any(_OF_OTHER_WISHES):
        return _USUAL_WISH
    family = message.find(_FAMILY)
    additional = message.find(_ADDITIONAL)
    token = message.find(_TOKEN)
    even_port = message.find(_EVEN_PORT)
    if even_port is not None and len(even_port) != 1:
        raise RequestRefusedError(400)
    wants_next = even_port is not None and bool(even_port[0] & _RESERVE_NEXT)
    if additional is not None and (
        decode_first_octet(additional) != FAMILY_IPV6 or family is not None or token is not None or wants_next
    ):
        raise RequestRefusedError(400)
    if token is not None and (len(token) != TOKEN_BYTES or even_port is not None or family is not None):
        raise RequestRefusedError(400)
    number = FAMILY_IPV4 if family is None else decode_first_octet(family)
    if number not in _FAMILIES:
        raise RequestRefusedError(440)
    return _Wish(number, additional is not None, even_port is not None, wants_next, token)


def _open_port(
    request: Request, wish: _Wish, table: AllocationTable, ports: PortProvider, reservations: Reservations
) -> tuple[RelayPort, bytes | None]:
    """Open the first port; the token is that of the next one, if it was asked for."""
    username = request.credential.username
    if wish.token is not None:
        reserved = reservations.take(wish.token, username, request.now)
        if reserved is None:
            raise RequestRefusedError(508)
        return reserved, None
    if not ports.supports(wish.family):
        raise RequestRefusedError(440)
    if table.usages.is_used_up(username):
        raise RequestRefusedError(486)
    needed = 1 + wish.wants_next
    held = table.held_by(username) + (reservations.held_by(username) if reservations else 0)
    if held + needed > request.quotas.allocations_per_credential:
        raise RequestRefusedError(486)
    if len(table.by_relay) + len(reservations) + needed > request.quotas.allocations:
        raise RequestRefusedError(508)
    if wish.wants_even:
        opened = ports.open_even(wish.family, with_next=wish.wants_next)
    else:
        port = ports.open(wish.family)
        opened = () if port is None else (port,)
    match opened:
        case (port,):
            return port, None
        case (port, following):
            return port, reservations.add(following, username, request.now)
        case _:
            raise RequestRefusedError(508)


def _open_second(
    request: Request, wish: _Wish, table: AllocationTable, ports: PortProvider
) -> tuple[RelayPort | None, int | None]:
    """Open the port of the other family, if it was asked for; else, or in vain, `None` and why."""
    if not wish.wants_both:
        return None, None
    if not ports.supports(FAMILY_IPV6):
        return None, 440
    if len(table.by_relay) + 2 > request.quotas.allocations:
        return None, 508
    second = ports.open(FAMILY_IPV6)
    return second, 508 if second is None else None


def _answer_of(
    request: Request,
    opened: tuple[RelayPort, RelayPort | None],
    lifetime_seconds: int,
    *,
    token: bytes | None,
    refusal: int | None,
) -> Attributes:
    transaction_id = request.message.transaction_id
    answer: Attributes = tuple(
        (_RELAYED, encode_xor_address(port.published, transaction_id)) for port in opened if port is not None
    )
    answer += (
        (_LIFETIME, encode_lifetime(lifetime_seconds)),
        (_MAPPED, encode_xor_address(request.client, transaction_id)),
    )
    if token is not None:
        answer += ((_TOKEN, token),)
    if refusal is not None:
        value = bytes((FAMILY_IPV6,)) + encode_error_code(refusal)[1:]  # RFC 8656 section 18.12
        answer += ((AttributeType.ADDRESS_ERROR_CODE, value),)
    return answer
