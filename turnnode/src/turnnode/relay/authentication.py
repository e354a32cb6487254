"""Find out who sends a request, and keep no memory of those who do not prove it.

    no proof ▶ 401 with a nonce     proof without name, realm or nonce ▶ 400
    nonce of another address, or too old ▶ 438     other realm, unknown, expired or wrong ▶ 401

For: the long-term credential mechanism over stateless nonces.
Not for: what the sender may do (requests.py).

Source: RFC 8489 section 9.2.4.
"""

from typing import Final

from turnnode.errors import RequestRefusedError
from turnnode.relay.credentials import Credential, possible_keys, read_expiry
from turnnode.relay.nonce import OFFERING_BYTES, FiveTuple, NonceMint, is_offering
from turnnode.relay.password_algorithms import OFFERED, choose_algorithm
from turnnode.relay.policy import RelayPolicy
from turnnode.stun.attributes import AttributeType
from turnnode.stun.message import HEADER_BYTES, Attributes, Message

MAX_AMPLIFICATION: Final = 1.8
WIRE_BYTES: Final = 28  # headers of IPv4 and UDP; of IPv6 it is more, which favours us
FINGERPRINT_BYTES: Final = 8


def authenticate(  # noqa: PLR0913 - two clocks, and what a request is judged by
    message: Message,
    five_tuple: FiveTuple,
    policy: RelayPolicy,
    nonces: NonceMint,
    *,
    now: float,
    unix_seconds: float,
) -> Credential:
    """Return the credential that a request proves.

    Nonces end by `now`, whose zero is the relay's own; credentials end by `unix_seconds`.

    Raises:
        RequestRefusedError: With 400, 401 or 438; the same 401 whatever is wrong with name and password.
    """
    integrity = message.integrity
    if integrity is None:
        raise RequestRefusedError(401)
    username = message.find(AttributeType.USERNAME)
    realm = message.find(AttributeType.REALM)
    nonce = message.find(AttributeType.NONCE)
    if username is None or realm is None or nonce is None:
        raise RequestRefusedError(400)
    if not nonces.is_valid(nonce, five_tuple, now):
        raise RequestRefusedError(438)
    expires_at = read_expiry(username, unix_seconds, policy.max_credential_lifetime_seconds)
    if expires_at is None or realm != policy.realm.encode():
        raise RequestRefusedError(401)
    name = username.decode()
    algorithm = choose_algorithm(message, is_offered=is_offering(nonce))
    for key in possible_keys(name, policy.realm, policy.secrets, algorithm):
        if integrity.is_proved_by(key):
            return Credential(name, expires_at - unix_seconds, key)
    raise RequestRefusedError(401)


def challenge_of(
    request: Message, five_tuple: FiveTuple, policy: RelayPolicy, nonces: NonceMint, now: float
) -> Attributes:
    """Return the attributes that go with a 401 or 438: with the password algorithms, where they fit."""
    realm = policy.realm.encode()
    offers = five_tuple.protocol != "udp" or _leaves_room(request, realm)
    nonce = nonces.mint(five_tuple, now, offers_algorithms=offers)
    challenge: Attributes = ((AttributeType.REALM, realm), (AttributeType.NONCE, nonce))
    return (*challenge, (AttributeType.PASSWORD_ALGORITHMS, OFFERED)) if offers else challenge


def _leaves_room(request: Message, realm: bytes) -> bool:
    """Tell whether the longer challenge is less than 1.8 times the request, on the wire."""
    sizes = (4, len(realm), OFFERING_BYTES, len(OFFERED))
    answer_bytes = HEADER_BYTES + FINGERPRINT_BYTES * request.has_fingerprint
    answer_bytes += sum(4 + size + (-size & 3) for size in sizes)
    asked_bytes = request.covered_bytes + FINGERPRINT_BYTES * request.has_fingerprint
    return (answer_bytes + WIRE_BYTES) < MAX_AMPLIFICATION * (asked_bytes + WIRE_BYTES)
