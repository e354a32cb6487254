"""Who is answered with what before anything is done, and that nothing is kept of strangers."""

import gc
import os
import tracemalloc

import pytest

from support.turn_client import UDP, RequestWriter, TurnCredential, status_of
from support.turn_machine import ALICE, BOB, NOON, REALM, SECRET, SERVER, Client, Node, policy_with
from turnnode.errors import RequestRefusedError
from turnnode.relay.authentication import Gate
from turnnode.relay.limiter import ReplyLimit
from turnnode.relay.nonce import FiveTuple, NonceMint
from turnnode.stun.attributes import AttributeType
from turnnode.stun.message import (
    TRANSACTION_ID_BYTES,
    IntegrityKind,
    Message,
    MessageClass,
    Method,
    decode,
    encode,
    encode_attribute,
)

IP_AND_UDP_BYTES = 28


def unsigned(method: int, *attributes: tuple[int, bytes]) -> bytes:
    transaction_id = os.urandom(TRANSACTION_ID_BYTES)
    return encode(Message(method, MessageClass.REQUEST, transaction_id, attributes))


def challenged(client: Client) -> Client:
    """Let a client see its 401, so that its next request is signed."""
    send = client.send(client.writer.write(Method.ALLOCATE, UDP))
    assert send is not None
    client.writer.learns_from(decode(send.data))
    return client


def answer_to(client: Client, datagram: bytes) -> Message:
    send = client.send(datagram)
    assert send is not None
    return decode(send.data)


def test_unsigned_request_gets_a_challenge() -> None:
    answer = answer_to(Node().client(), unsigned(Method.ALLOCATE, UDP))

    assert status_of(answer) == 401
    assert answer.find(AttributeType.REALM) == REALM.encode()
    assert answer.find(AttributeType.SOFTWARE) is None


@pytest.mark.parametrize("realm", ["madfleet", "x" * 16])
def test_challenge_is_less_than_1_8_times_the_smallest_request(realm: str) -> None:
    node = Node()
    node.policy.replace(policy_with(realm=realm))
    request = unsigned(Method.ALLOCATE, UDP)
    send = node.from_client(request)

    assert send is not None
    assert (len(send.data) + IP_AND_UDP_BYTES) / (len(request) + IP_AND_UDP_BYTES) < 1.8


@pytest.mark.parametrize("kind", list(IntegrityKind))
def test_valid_credential_is_accepted_and_the_answer_is_signed_in_kind(kind: IntegrityKind) -> None:
    client = Node().client()
    client.writer.kind = kind

    answer = client.ask(Method.ALLOCATE, UDP)

    assert answer is not None
    assert status_of(answer) == 200
    assert answer.integrity is not None
    assert answer.integrity.kind is kind
    assert client.writer.key is not None
    assert answer.integrity.is_proved_by(client.writer.key)


def test_wrong_password_gets_401_again() -> None:
    assert status_of(Node().client(secret="guessed").ask(Method.ALLOCATE, UDP)) == 401


@pytest.mark.parametrize("ends_in", [-1, 0, 7 * 86_400 + 1, 253_402_300_799 - NOON])
def test_credential_that_has_expired_or_ends_too_late_gets_401(ends_in: float) -> None:
    assert status_of(Node().client(ends_in=ends_in).ask(Method.ALLOCATE, UDP)) == 401


def test_username_that_is_no_bare_second_gets_401() -> None:
    credential = TurnCredential(f"{int(NOON) + 60}:alice", "password")

    assert status_of(Client(Node(), ALICE, credential).ask(Method.ALLOCATE, UDP)) == 401


def test_other_realm_gets_401_even_with_a_key_that_fits_it() -> None:
    client = challenged(Node().client())
    client.writer.realm = b"elsewhere"

    assert status_of(answer_to(client, client.writer.write(Method.ALLOCATE, UDP))) == 401


@pytest.mark.parametrize("missing", [AttributeType.USERNAME, AttributeType.REALM, AttributeType.NONCE])
def test_signed_request_without_name_realm_or_nonce_gets_400(missing: AttributeType) -> None:
    client = challenged(Node().client())
    whole = decode(client.writer.write(Method.ALLOCATE, UDP))
    rest = tuple(pair for pair in whole.attributes if pair[0] != missing)
    partial = Message(Method.ALLOCATE, MessageClass.REQUEST, whole.transaction_id, rest)

    assert status_of(answer_to(client, encode(partial, client.writer.key))) == 400


def test_stale_nonce_gets_438_and_a_fresh_one() -> None:
    node = Node()
    client = challenged(node.client())
    node.now += 3600

    answer = answer_to(client, client.writer.write(Method.ALLOCATE, UDP))
    assert status_of(answer) == 438
    assert client.writer.learns_from(answer)
    assert status_of(answer_to(client, client.writer.write(Method.ALLOCATE, UDP))) == 200


def test_either_of_two_live_secrets_is_accepted_until_it_is_taken_away() -> None:
    node = Node()
    node.policy.replace(policy_with(secrets=("new", SECRET)))
    old, new = node.client(ALICE), node.client(BOB, secret="new")
    old.allocate()
    new.allocate()

    node.policy.replace(policy_with(secrets=("new",)))
    assert status_of(old.ask(Method.REFRESH)) == 401
    assert status_of(new.ask(Method.REFRESH)) == 200


def test_node_without_a_secret_refuses_everybody() -> None:
    node = Node()
    node.policy.replace(policy_with(secrets=()))

    assert status_of(node.client(secret="").ask(Method.ALLOCATE, UDP)) == 401


def test_nonce_of_one_address_does_not_end_the_call_of_another() -> None:
    node = Node()
    alice = node.client(ALICE)
    alice.allocate()
    mallory = challenged(node.client(BOB, ends_in=7200))
    forged = mallory.writer.write(Method.REFRESH, (AttributeType.LIFETIME, bytes(4)))

    send = node.from_client(forged, ALICE)  # sent from Bob's address in Alice's name

    assert send is not None
    assert status_of(decode(send.data)) == 438
    assert node.counters.allocations == 1


def test_other_credential_on_the_same_address_gets_441_and_ends_nothing() -> None:
    node = Node()
    node.client(ALICE).allocate()
    other = node.client(ALICE, ends_in=7200)

    for method in (Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND):
        assert status_of(other.ask(method, (AttributeType.LIFETIME, bytes(4)))) == 441
    assert node.counters.allocations == 1


def test_attribute_that_stands_only_after_the_integrity_is_missing() -> None:
    node = Node()
    client = node.client()
    client.allocate()
    signed = client.writer.write(Method.REFRESH)
    appended = encode_attribute(AttributeType.LIFETIME, bytes(4))
    longer = signed[:2] + (len(signed) - 20 + len(appended)).to_bytes(2) + signed[4:] + appended

    assert status_of(answer_to(client, longer)) == 200
    assert node.counters.allocations == 1  # a lifetime of zero would have ended it


def test_unknown_attribute_gets_401_from_a_stranger_and_420_from_a_client() -> None:
    client = Node().client()
    unknown = (0x0002, b"")

    assert status_of(answer_to(client, unsigned(Method.ALLOCATE, UDP, unknown))) == 401
    answer = client.ask(Method.ALLOCATE, UDP, unknown, (0x7FFF, b""))
    assert answer is not None
    assert status_of(answer) == 420
    assert answer.find(AttributeType.UNKNOWN_ATTRIBUTES) == b"\x00\x02\x7f\xff"
    assert answer.integrity is not None


def test_binding_is_answered_with_the_address_and_a_fingerprint_only_if_asked() -> None:
    request = Message(Method.BINDING, MessageClass.REQUEST, b"t" * TRANSACTION_ID_BYTES)
    client = Node().client()

    for has_fingerprint in (False, True):
        answer = answer_to(client, encode(request, fingerprint=has_fingerprint))
        assert status_of(answer) == 200
        assert answer.has_fingerprint is has_fingerprint
        assert len(answer.attributes) == 1


def test_binding_with_an_unknown_attribute_gets_420() -> None:
    assert status_of(answer_to(Node().client(), unsigned(Method.BINDING, (0x0002, b"")))) == 420


@pytest.mark.parametrize("method", [0x000, 0x00A, 0x00C, Method.SEND, Method.DATA, 0xFFF])
def test_request_of_an_unknown_method_is_not_answered(method: int) -> None:
    node = Node()

    assert node.from_client(unsigned(method)) is None
    assert node.counters.dropped_garbage == 1


@pytest.mark.parametrize(
    "datagram", [b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\x80" * 40, b"\x40\x00", bytes(20)]
)
def test_garbage_is_not_answered_and_not_logged(datagram: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    node = Node()

    assert node.from_client(datagram) is None
    assert node.counters.dropped_garbage == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("message_class", [MessageClass.SUCCESS, MessageClass.ERROR])
def test_response_that_nobody_asked_for_is_not_answered(message_class: MessageClass) -> None:
    assert Node().from_client(encode(Message(Method.BINDING, message_class, b"t" * 12))) is None


@pytest.mark.parametrize("method", [Method.BINDING, Method.ALLOCATE])
def test_stranger_gets_its_burst_of_answers_and_then_none(method: Method) -> None:
    node = Node()
    node.policy.replace(policy_with(unauthenticated_replies=ReplyLimit(per_second=1, burst=3)))
    answers = [node.from_client(unsigned(method)) for _ in range(5)]

    assert [answer is not None for answer in answers] == [True] * 3 + [False] * 2
    assert node.counters.replies_withheld == 2
    assert node.from_client(unsigned(method), BOB) is not None


def test_known_client_is_answered_though_its_source_is_over_the_limit() -> None:
    node = Node()
    node.policy.replace(policy_with(unauthenticated_replies=ReplyLimit(per_second=1, burst=3)))
    client = node.client()
    client.allocate()
    for _ in range(9):
        node.from_client(unsigned(Method.BINDING))

    assert status_of(client.ask(Method.REFRESH)) == 200


def test_strangers_leave_nothing_in_memory() -> None:
    node = Node()
    sources = [(f"5.{number >> 8}.{number & 255}.1", 1000) for number in range(3000)]
    request = RequestWriter(TurnCredential("1", "x")).write(Method.ALLOCATE, UDP)
    node.from_client(request, sources[0])
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for source in sources:
            node.from_client(request, source)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert after - before < 3000  # not even one octet for each


def test_who_has_proved_it_proves_it_again_with_each_request() -> None:
    node = Node()
    client = node.client()
    client.allocate()
    thief = node.client(secret="another secret")
    thief.writer.realm, thief.writer.nonce = client.writer.realm, client.writer.nonce

    assert status_of(answer_to(client, client.writer.write(Method.REFRESH))) == 200
    assert status_of(answer_to(client, thief.writer.write(Method.REFRESH))) == 401
    assert status_of(answer_to(client, client.writer.write(Method.REFRESH))) == 200


@pytest.mark.parametrize(("passed", "status"), [(3599, 200), (3601, 438)])
def test_nonce_ends_also_for_who_has_proved_it_with_it(passed: int, status: int) -> None:
    client = Node().client()
    client.allocate()
    client.node.now += passed

    answer = answer_to(client, client.writer.write(Method.ALLOCATE, UDP))
    assert status_of(answer) == status


@pytest.mark.parametrize(("left", "status"), [(1, 200), (0, 401)])
def test_credential_ends_also_for_who_has_proved_it_with_it(left: int, status: int) -> None:
    client = Node().client(ends_in=1000)
    challenged(client)
    assert client.permit() in {400, 437}
    client.node.calendar_step += 1000 - left

    answer = answer_to(client, client.writer.write(Method.ALLOCATE, UDP))
    assert status_of(answer) == status


def test_secret_that_is_taken_back_ends_what_was_proved_by_it() -> None:
    client = Node().client()
    client.allocate()
    client.node.policy.replace(policy_with(secrets=("another secret",)))

    assert status_of(answer_to(client, client.writer.write(Method.REFRESH))) == 401


@pytest.mark.parametrize(("clients", "remembered"), [(2, 2), (3, 3), (4, 1)])
def test_memory_of_who_has_proved_it_has_an_end(clients: int, remembered: int) -> None:
    gate = Gate(NonceMint(key=bytes(32)), room=3)
    policy = policy_with()
    for port in range(clients):
        five_tuple = FiveTuple(("5.5.5.1", port), SERVER)
        writer = RequestWriter(TurnCredential.made(SECRET, NOON + 1000))
        message = decode(writer.write(Method.ALLOCATE, UDP))
        writer.realm, writer.nonce = (
            value for _, value in gate.challenge(message, five_tuple, policy, NOON)[:2]
        )
        for _ in range(2):
            request = decode(writer.write(Method.ALLOCATE, UDP))
            gate.authenticate(request, five_tuple, policy, now=NOON, unix_seconds=NOON)

    assert gate.remembered == remembered


def test_nothing_is_remembered_of_who_proves_nothing() -> None:
    gate = Gate(NonceMint(key=bytes(32)))
    message = decode(unsigned(Method.ALLOCATE, UDP))
    five_tuple = FiveTuple(ALICE, SERVER)
    gate.challenge(message, five_tuple, policy_with(), NOON)
    with pytest.raises(RequestRefusedError):
        gate.authenticate(message, five_tuple, policy_with(), now=NOON, unix_seconds=NOON)

    assert gate.remembered == 0


@pytest.mark.parametrize("fingerprint", [False, True])
@pytest.mark.parametrize("key", [None, b"key"])
def test_decoded_message_tells_how_much_of_it_its_proof_covers(
    key: bytes | None,
    fingerprint: bool,
) -> None:
    request = Message(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), (UDP, (AttributeType.SOFTWARE, b"x")))
    datagram = encode(request, key, fingerprint=fingerprint)
    expected = len(datagram) - 8 * fingerprint
    if key is not None and not fingerprint:  # what was added on the way counts for nothing
        datagram += encode_attribute(AttributeType.SOFTWARE, bytes(100))
        datagram = datagram[:2] + (len(datagram) - 20).to_bytes(2) + datagram[4:]

    assert decode(datagram).covered_bytes == expected
