"""Passwords by SHA-256: who is offered it, how it is chosen, and that nobody can be talked down to MD5."""

import os

import pytest

from support.turn_client import UDP, TurnCredential, status_of
from support.turn_machine import ALICE, NOON, REALM, SECRET, SERVER, Node, policy_with
from turnnode.relay.nonce import COOKIE, FiveTuple, NonceMint, is_offering
from turnnode.relay.password_algorithms import OFFERED, PasswordAlgorithm, long_term_key
from turnnode.stun.attributes import AttributeType
from turnnode.stun.message import (
    TRANSACTION_ID_BYTES,
    Attributes,
    IntegrityKind,
    Message,
    MessageClass,
    Method,
    decode,
    encode,
)

IP_AND_UDP_BYTES = 28
SOFTWARE = (AttributeType.SOFTWARE, b"a client that says who it is")
MD5 = (AttributeType.PASSWORD_ALGORITHM, b"\0\1\0\0")
SHA256 = (AttributeType.PASSWORD_ALGORITHM, b"\0\2\0\0")
LIST = (AttributeType.PASSWORD_ALGORITHMS, OFFERED)
CREDENTIAL = TurnCredential.made(SECRET, NOON + 3600)


def asked(node: Node, *attributes: tuple[int, bytes], key: bytes | None = None) -> Message:
    message = Message(Method.ALLOCATE, MessageClass.REQUEST, os.urandom(TRANSACTION_ID_BYTES), attributes)
    send = node.from_client(encode(message, key, kind=IntegrityKind.SHA256))
    assert send is not None
    return decode(send.data)


def challenged(node: Node) -> bytes:
    """Return the nonce for a request that is long enough to be offered the list."""
    nonce = asked(node, UDP, SOFTWARE).find(AttributeType.NONCE)
    assert nonce is not None
    return nonce


def signed(node: Node, nonce: bytes, algorithm: PasswordAlgorithm, *choice: tuple[int, bytes]) -> Message:
    proof: Attributes = (
        (AttributeType.USERNAME, CREDENTIAL.username.encode()),
        (AttributeType.REALM, REALM.encode()),
        (AttributeType.NONCE, nonce),
    )
    key = long_term_key(CREDENTIAL.username, REALM, CREDENTIAL.password, algorithm)
    return asked(node, UDP, *proof, *choice, key=key)


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        (PasswordAlgorithm.MD5, "ee9ba257d504354d73fb99fd16fe78c2"),
        (PasswordAlgorithm.SHA256, "d1bee14baf99a4bef42a521482f8ed8bda76b5f2b218025e62122a1480f0c79c"),
    ],
)
def test_key_is_the_digest_of_name_realm_and_password(algorithm: PasswordAlgorithm, digest: str) -> None:
    # As md5sum and sha256sum compute it.
    assert long_term_key("1700003600", "example.org", "secret", algorithm).hex() == digest


@pytest.mark.parametrize("realm", ["r", REALM, "x" * 16])
def test_list_is_offered_only_where_the_answer_stays_below_1_8_times_the_request(realm: str) -> None:
    node = Node()
    node.policy.replace(policy_with(realm=realm))
    seen = set()
    for size in range(120):
        request = encode(
            Message(
                Method.ALLOCATE, MessageClass.REQUEST, bytes(12), (UDP, (AttributeType.SOFTWARE, b"x" * size))
            )
        )
        node.now += 1
        send = node.from_client(request)
        assert send is not None
        assert (len(send.data) + IP_AND_UDP_BYTES) / (len(request) + IP_AND_UDP_BYTES) < 1.8
        seen.add(decode(send.data).find(AttributeType.PASSWORD_ALGORITHMS))
    assert seen == {None, OFFERED}


def test_shortest_request_gets_a_plain_nonce_and_a_longer_one_the_list() -> None:
    node = Node()
    short, long = asked(node, UDP), asked(node, UDP, SOFTWARE)

    assert short.find(AttributeType.PASSWORD_ALGORITHMS) is None
    assert not (short.find(AttributeType.NONCE) or b"").startswith(COOKIE)
    assert long.find(AttributeType.PASSWORD_ALGORITHMS) == OFFERED == b"\0\2\0\0\0\1\0\0"
    assert (long.find(AttributeType.NONCE) or b"").startswith(b"obMatJos2gAAA")


@pytest.mark.parametrize(
    ("algorithm", "choice"),
    [
        (PasswordAlgorithm.SHA256, (LIST, SHA256)),
        (PasswordAlgorithm.MD5, (LIST, MD5)),
        (PasswordAlgorithm.MD5, ()),
    ],
)
def test_algorithm_is_the_one_that_was_chosen_and_md5_without_a_choice(
    algorithm: PasswordAlgorithm, choice: tuple[tuple[int, bytes], ...]
) -> None:
    node = Node()

    assert status_of(signed(node, challenged(node), algorithm, *choice)) == 200


@pytest.mark.parametrize(
    "choice",
    [
        (LIST,),
        (SHA256,),
        (LIST, (AttributeType.PASSWORD_ALGORITHM, b"\0\3\0\0")),
        (LIST, (AttributeType.PASSWORD_ALGORITHM, b"")),
        ((AttributeType.PASSWORD_ALGORITHMS, b"\0\1\0\0"), MD5),
    ],
)
def test_another_list_or_half_a_choice_gets_400(choice: tuple[tuple[int, bytes], ...]) -> None:
    node = Node()

    assert status_of(signed(node, challenged(node), PasswordAlgorithm.SHA256, *choice)) == 400


def test_key_by_the_other_algorithm_gets_401() -> None:
    node = Node()

    assert status_of(signed(node, challenged(node), PasswordAlgorithm.MD5, LIST, SHA256)) == 401
    assert status_of(signed(node, challenged(node), PasswordAlgorithm.SHA256)) == 401


def test_nonce_without_its_prefix_or_with_one_that_it_never_had_gets_438() -> None:
    node = Node()
    offering = challenged(node)
    plain = asked(node, UDP).find(AttributeType.NONCE)
    assert plain is not None

    assert status_of(signed(node, offering[13:], PasswordAlgorithm.MD5)) == 438
    assert status_of(signed(node, offering[:13] + plain, PasswordAlgorithm.MD5)) == 438


def test_user_name_in_disguise_is_no_user_name() -> None:
    node = Node()
    proof = (
        (0x001E, bytes(32)),
        (AttributeType.REALM, REALM.encode()),
        (AttributeType.NONCE, challenged(node)),
    )

    assert status_of(asked(node, UDP, *proof, key=bytes(16))) == 400


def test_nonce_of_another_protocol_is_not_valid() -> None:
    mint = NonceMint(key=bytes(32))
    nonce = mint.mint(FiveTuple(ALICE, SERVER, "tcp"), 0, offers_algorithms=True)

    assert is_offering(nonce)
    assert mint.is_valid(nonce, FiveTuple(ALICE, SERVER, "tcp"), 1)
    assert not mint.is_valid(nonce, FiveTuple(ALICE, SERVER), 1)
