"""Find out who sends a request, and keep no memory of those who do not prove it.

    no proof ▶ 401 with a nonce     proof without name, realm or nonce ▶ 400
    nonce of another address, or too old ▶ 438     other realm, unknown, expired or wrong ▶ 401

For: the long-term credential mechanism over stateless nonces.
Not for: what the sender may do (requests.py).

Source: RFC 8489 section 9.2.4.
"""

from turnnode.errors import RequestRefusedError
from turnnode.relay.credentials import Credential, possible_keys, read_expiry
from turnnode.relay.nonce import FiveTuple, NonceMint
from turnnode.relay.policy import RelayPolicy
from turnnode.stun.attributes import AttributeType
from turnnode.stun.message import Attributes, Message


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
    for key in possible_keys(name, policy.realm, policy.secrets):
        if integrity.is_proved_by(key):
            return Credential(name, expires_at - unix_seconds, key)
    raise RequestRefusedError(401)


def challenge_of(five_tuple: FiveTuple, policy: RelayPolicy, nonces: NonceMint, now: float) -> Attributes:
    """Return the attributes that go with a 401 or 438."""
    nonce = nonces.mint(five_tuple, now)
    return ((AttributeType.REALM, policy.realm.encode()), (AttributeType.NONCE, nonce))
