"""The node's signing keys, and how one pair follows another without a gap.

        made, told ─▶ NEXT ── seen in the DNS for an hour ─▶ CURRENT ── another ─▶ FORMER ── 7 days ─▶ gone

At each moment one pair (RSA and Ed25519) signs. Its successor is told to the operator first and signs only
when everybody can find it; the former one stays published while mail that it has signed may be under way.

For: the daemon, which keeps the ring in a file (key_files.py) and asks the DNS.
Not for: files, clocks or look-ups: pure functions on an unchanging value.
"""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailnode.dkim.signature import Algorithm
from mailnode.dkim.signing import SigningKey

RSA_BITS = 2048
SETTLED_SECONDS = 3_600
"""So long a name that was looked up too early may be remembered as missing."""
FORMER_SECONDS = 7 * 86_400


class Stage(StrEnum):
    """Where a pair stands."""

    NEXT = "next"
    CURRENT = "current"
    FORMER = "former"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Keys that are used together. `since_seconds` is when the stage began, or when all were first seen."""

    number: int
    stage: Stage
    since_seconds: int
    keys: tuple[SigningKey, ...]
    is_seen: bool = False


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All pairs that are published, the oldest first."""

    pairs: tuple[KeyPair, ...]

    @property
    def signing_keys(self) -> tuple[SigningKey, ...]:
        """The keys that sign now."""
        return next(pair.keys for pair in self.pairs if pair.stage is Stage.CURRENT)

    @property
    def next_pair(self) -> KeyPair | None:
        """The pair that will sign, if one was announced."""
        return next((pair for pair in self.pairs if pair.stage is Stage.NEXT), None)


def make_ring(now_seconds: int) -> KeyRing:
    """Make the first pair, which signs at once. Takes some tenths of a second."""
    return KeyRing((_make_pair(1, Stage.CURRENT, now_seconds),))


def announce_next(ring: KeyRing, now_seconds: int) -> KeyRing:
    """Make the pair that will follow; one that was announced already stays the next."""
    if ring.next_pair is not None:
        return ring
    number = max(pair.number for pair in ring.pairs) + 1
    return KeyRing((*ring.pairs, _make_pair(number, Stage.NEXT, now_seconds)))


def take_step(ring: KeyRing, now_seconds: int, *, is_next_published: bool) -> KeyRing:
    """Bring a rotation on as far as it may go.

    Args:
        ring: The ring.
        now_seconds: Unix time.
        is_next_published: Whether all records of the next pair were found just now.
    """
    pairs = [
        pair
        for pair in ring.pairs
        if pair.stage is not Stage.FORMER or now_seconds - pair.since_seconds < FORMER_SECONDS
    ]
    upcoming = ring.next_pair
    if upcoming is None:
        return KeyRing(tuple(pairs))
    if not is_next_published:
        return KeyRing(tuple(_change(pairs, upcoming, replace(upcoming, is_seen=False))))
    if not upcoming.is_seen:
        seen = replace(upcoming, is_seen=True, since_seconds=now_seconds)
        return KeyRing(tuple(_change(pairs, upcoming, seen)))
    if now_seconds - upcoming.since_seconds < SETTLED_SECONDS:
        return KeyRing(tuple(pairs))
    stages = {Stage.CURRENT: Stage.FORMER, Stage.NEXT: Stage.CURRENT}
    return KeyRing(
        tuple(
            replace(pair, stage=stages[pair.stage], since_seconds=now_seconds)
            if pair.stage in stages
            else pair
            for pair in pairs
        )
    )


def write_key_record(key: SigningKey) -> str:
    """Write the TXT record that publishes a key. Source: RFC 6376 section 3.6.1, RFC 8463 section 4."""
    public = key.private_key.public_key()
    if key.algorithm is Algorithm.RSA:
        data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={b64encode(data).decode()}"
    data = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={b64encode(data).decode()}"


def _make_pair(number: int, stage: Stage, now_seconds: int) -> KeyPair:
    rsa = generate_private_key(65_537, RSA_BITS)
    return KeyPair(
        number,
        stage,
        now_seconds,
        (SigningKey(f"rsa{number}", rsa), SigningKey(f"ed{number}", Ed25519PrivateKey.generate())),
    )


def _change(pairs: Iterable[KeyPair], old: KeyPair, new: KeyPair) -> list[KeyPair]:
    return [new if pair is old else pair for pair in pairs]
