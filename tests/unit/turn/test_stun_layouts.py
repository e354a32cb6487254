"""Layouts of requests are learnt from those who are known, and there is an end to them."""

import pytest

from support.turn_client import UDP, RequestWriter, TurnCredential
from support.turn_machine import Node
from turnnode.stun.layouts import KnownLayouts
from turnnode.stun.message import Message, MessageClass, Method, decode, encode


def signed(size: int, transaction_id: bytes = bytes(12)) -> bytes:
    """Write a request with an attribute of so many octets."""
    message = Message(Method.REFRESH, MessageClass.REQUEST, transaction_id, ((0x8022, bytes(size)),))
    return encode(message, b"key")


@pytest.mark.parametrize(("learnt", "known"), [(1, 1), (3, 3), (4, 3)])
def test_there_is_room_for_so_many_layouts(learnt: int, known: int) -> None:
    layouts = KnownLayouts(room=3)
    for number in range(learnt):
        layouts.learn(decode(signed(4 * number)))

    assert len(layouts) == known
    assert [layouts.read(signed(4 * number)) is not None for number in range(learnt)] == [
        number < known for number in range(learnt)
    ]


def test_first_layout_of_a_type_and_length_stays() -> None:
    layouts = KnownLayouts()
    layouts.learn(decode(signed(3)))
    layouts.learn(decode(signed(4)))  # as long, with the padding

    assert len(layouts) == 1
    assert layouts.read(signed(3, b"another one.")) == decode(signed(3, b"another one."))
    assert layouts.read(signed(4)) is None


def test_message_without_a_proof_is_not_learnt() -> None:
    layouts = KnownLayouts()
    layouts.learn(decode(encode(Message(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), (UDP,)))))

    assert len(layouts) == 0


def test_node_learns_from_those_who_are_known_and_from_nobody_else() -> None:
    node = Node()
    stranger = RequestWriter(TurnCredential("1700086400", "a wrong password"))
    stranger.realm, stranger.nonce = b"example.org", bytes(16)
    node.from_client(stranger.write(Method.ALLOCATE, UDP))
    node.client(secret="another one").ask(Method.ALLOCATE, UDP)
    assert len(node.machine.layouts) == 0

    for place in range(3):
        node.client(("5.5.5.1", 40_001 + place)).allocate()
    assert len(node.machine.layouts) == 1
