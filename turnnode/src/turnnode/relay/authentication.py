"""Find out who sends a request, and keep no memory of those who do not prove it.

    proved a moment ago from here, with the same name, realm and nonce ▶ only the proof itself is new
    no proof ▶ 401 with a nonce     proof without name, realm or nonce ▶ 400
    nonce of another address, or too old ▶ 438     other realm, unknown, expired or wrong ▶ 401

For: the long-term credential mechanism over stateless nonces.
Not for: what the sender may do (requests.py).

Source: RFC 8489 section 9.2.4.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from turnnode.errors import RequestRefusedError
from turnnode.relay.credentials import Credential, possible_keys, read_expiry
from turnnode.relay.nonce import OFFERING_BYTES, FiveTuple, NonceMint, expiry_of, is_offering
from turnnode.relay.password_algorithms import OFFERED, choose_algorithm
from turnnode.relay.policy import RelayPolicy
from turnnode.stun.attributes import AttributeType
from turnnode.stun.message import HEADER_BYTES, Attributes, Message

MAX_AMPLIFICATION: Final = 1.8
WIRE_BYTES: Final = 28  # headers of IPv4 and UDP; of IPv6 it is more, which favours us
FINGERPRINT_BYTES: Final = 8
MAX_PROVED: Final = 4096  # clients; with one more, all prove everything again
_USERNAME, _REALM, _NONCE = AttributeType.USERNAME, AttributeType.REALM, AttributeType.NONCE


@dataclass(slots=True)
class _Proved:
    """What a client has shown with its last proof, and what that was compared with."""

    username: bytes
    realm: bytes
    nonce: bytes
    policy: RelayPolicy
    nonce_ends_at: int
    name: str
    expires_at: int
    key: bytes = field(repr=False)

    def is_live(self, now: float, unix_seconds: float) -> bool:
        """Tell whether nothing has ended since: what is compared is the same."""
        latest = unix_seconds + self.policy.max_credential_lifetime_seconds
        return self.nonce_ends_at > now and unix_seconds + 1 <= self.expires_at <= latest


class Gate:
    """Authenticates the requests of a relay; `nonces` makes and checks what it sends with a 401.

    `room` is how many clients are remembered that have proved who they are.
    """

    def __init__(self, nonces: NonceMint, room: int = MAX_PROVED) -> None:
        self._nonces = nonces
        self._room = room
        self._proved: dict[FiveTuple, _Proved] = {}

    def authenticate(
        self,
        message: Message,
        five_tuple: FiveTuple,
        policy: RelayPolicy,
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
        username, realm, nonce = message.find(_USERNAME), message.find(_REALM), message.find(_NONCE)
        if username is None or realm is None or nonce is None:
            raise RequestRefusedError(400)
        known = self._proved.get(five_tuple)
        if (
            known is not None
            and known.nonce == nonce
            and known.username == username
            and known.realm == realm
            and known.policy is policy
            and known.is_live(now, unix_seconds)
            and integrity.is_proved_by(known.key)
        ):
            return Credential(known.name, known.expires_at - unix_seconds, known.key)
        if not self._nonces.is_valid(nonce, five_tuple, now):
            raise RequestRefusedError(438)
        expires_at = read_expiry(username, unix_seconds, policy.max_credential_lifetime_seconds)
        if expires_at is None or realm != policy.realm.encode():
            raise RequestRefusedError(401)
        name = username.decode()
        algorithm = choose_algorithm(message, is_offered=is_offering(nonce))
        for key in possible_keys(name, policy.realm, policy.secrets, algorithm):
            if integrity.is_proved_by(key):
                if not is_offering(nonce):  # else the key goes by what each request says of algorithms
                    ends_at = expiry_of(nonce)
                    proved = _Proved(username, realm, nonce, policy, ends_at, name, expires_at, key)
                    self._remember(five_tuple, proved)
                return Credential(name, expires_at - unix_seconds, key)
        raise RequestRefusedError(401)

    def challenge(
        self, request: Message, five_tuple: FiveTuple, policy: RelayPolicy, now: float
    ) -> Attributes:
        """Return the attributes that go with a 401 or 438: with the password algorithms, where they fit."""
        realm = policy.realm.encode()
        offers = five_tuple.protocol != "udp" or _leaves_room(request, len(realm))
        nonce = self._nonces.mint(five_tuple, now, offers_algorithms=offers)
        challenge: Attributes = ((_REALM, realm), (_NONCE, nonce))
        return (*challenge, (AttributeType.PASSWORD_ALGORITHMS, OFFERED)) if offers else challenge

    @property
    def remembered(self) -> int:
        """How many clients are remembered."""
        return len(self._proved)

    def _remember(self, five_tuple: FiveTuple, proved: _Proved) -> None:
        if len(self._proved) >= self._room:
            self._proved.clear()
        self._proved[five_tuple] = proved


def _leaves_room(request: Message, realm_bytes: int) -> bool:
    """Tell whether the longer challenge is less than 1.8 times the request, on the wire."""
    more_bytes = WIRE_BYTES + FINGERPRINT_BYTES * request.has_fingerprint
    return _size_of_challenge(realm_bytes) + more_bytes < MAX_AMPLIFICATION * (
        request.covered_bytes + more_bytes
    )


@lru_cache(maxsize=16)
def _size_of_challenge(realm_bytes: int) -> int:
    """Return how long an answer with a challenge and the password algorithms is, without a fingerprint."""
    return HEADER_BYTES + sum(
        4 + size + (-size & 3) for size in (4, realm_bytes, OFFERING_BYTES, len(OFFERED))
    )
