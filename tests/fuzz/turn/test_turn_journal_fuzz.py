"""The journal: whatever is cut off or broken, what is read is what clients once held, and nothing raises."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.turn_machine import Client, FakePorts, Node
from turnnode.errors import JournalFormatError
from turnnode.relay.journal import Journal
from turnnode.relay.journal_format import (
    HEADER,
    NONCE_KEY_BYTES,
    AllocationRecord,
    Recollection,
    read_journal,
    write_allocation,
    write_nonce_key,
)
from turnnode.relay.nonce import FiveTuple
from turnnode.stun.attributes import AttributeType, encode_lifetime
from turnnode.stun.message import Method

CLIENTS = (("5.5.5.1", 40_001), ("5.5.5.2", 40_002), ("2a00:5::1", 40_003))
PEERS = (("8.8.8.8", 50_000), ("8.8.4.4", 50_001))
KEY = bytes(range(NONCE_KEY_BYTES))
SHORT_BYTES = 2000  # so that some examples write anew

whose = st.sampled_from(range(len(CLIENTS)))
operations = st.one_of(
    st.tuples(st.just("allocate"), whose),
    st.tuples(st.just("refresh"), whose),
    st.tuples(st.just("end"), whose),
    st.tuples(st.just("permit"), whose, st.sampled_from(PEERS)),
    st.tuples(st.just("bind"), whose, st.sampled_from(PEERS), st.sampled_from([0x4000, 0x4001])),
    st.tuples(st.just("wait"), st.sampled_from([1, 301, 601])),
)
State = dict[FiveTuple, AllocationRecord]


def carry_out(node: Node, clients: Sequence[Client], operation: tuple[object, ...]) -> None:
    match operation:
        case ("allocate", int(who)):
            clients[who].ask(Method.ALLOCATE, (AttributeType.REQUESTED_TRANSPORT, b"\x11\0\0\0"))
        case ("refresh", int(who)):
            clients[who].ask(Method.REFRESH)
        case ("end", int(who)):
            clients[who].ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
        case ("permit", int(who), (str(host), int(port))):
            clients[who].permit((host, port))
        case ("bind", int(who), (str(host), int(port)), int(number)):
            clients[who].bind(number, (host, port))
        case ("wait", int(seconds)):
            node.now += seconds
            node.machine.expire(node.now)
        case _:
            raise AssertionError(operation)


def held_by(node: Node) -> State:
    """Tell what the machine holds, as whoever reads it would: by way of no journal that has changed."""
    lines = b"".join(map(write_allocation, node.machine.list_allocations()))
    return read_journal(HEADER + lines).allocations


def recall(path: Path, content: bytes) -> Recollection:
    path.write_bytes(content)
    return Journal(path).recall()


@settings(max_examples=60, deadline=None)
@given(st.lists(operations, max_size=25), st.floats(0, 1))
def test_journal_that_ends_anywhere_tells_what_was_held_at_some_time(
    steps: list[tuple[object, ...]], share: float
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "allocations")
        memory = Journal(path, short_bytes=SHORT_BYTES)
        node = Node(memory=memory, ports=FakePorts())
        clients = [node.client(address, ends_in=86_000 + place) for place, address in enumerate(CLIENTS)]
        memory.begin(KEY, [])
        states, written_anew, whole_bytes = [held_by(node)], path.stat().st_ino, path.stat().st_size
        for step in steps:
            carry_out(node, clients, step)
            if path.stat().st_ino != written_anew:  # as a whole, which nothing interrupts
                states, written_anew, whole_bytes = [], path.stat().st_ino, path.stat().st_size
            states.append(held_by(node))
        memory.close()
        content = path.read_bytes()
        kept_bytes = whole_bytes + round(share * (len(content) - whole_bytes))

        assert in_force(Journal(path).recall(), node.now) == Recollection(KEY, held_by(node))
        cut = recall(Path(directory, "cut"), content[:kept_bytes])
        assert cut.nonce_key == KEY
        # An allocation is written in one line with each of its changes; its permissions end by themselves.
        held = [strip(state) for state in states]
        assert strip(cut.allocations) in held or any(
            after.items() <= strip(cut.allocations).items() <= before.items()
            for before, after in pairwise(held)
        )  # of several that expire at once, each has a line of its own


def in_force(recollection: Recollection, now: float) -> Recollection:
    """Leave out what has ended by its time since its line was written."""
    allocations = {
        key: record.model_copy(
            update={
                "permissions": {host: end for host, end in record.permissions.items() if end > now},
                "channels": tuple(channel for channel in record.channels if channel.expires_at > now),
            }
        )
        for key, record in recollection.allocations.items()
    }
    return replace(recollection, allocations=allocations)


def strip(state: State) -> dict[FiveTuple, tuple[object, ...]]:
    """Leave out what ends without a line: it is in the line before, with its time."""
    return {key: (record.relay, record.expires_at, record.username) for key, record in state.items()}


@given(st.binary(max_size=300), st.booleans())
def test_garbage_is_refused_or_holds_nothing(garbage: bytes, has_header: bool) -> None:
    content = HEADER + garbage if has_header else garbage
    if not content.startswith(HEADER):
        with pytest.raises(JournalFormatError):
            read_journal(content)
        return
    recollection = read_journal(content)
    assert (recollection.nonce_key, recollection.allocations) == (None, {})
    assert recollection.unread_bytes == len(content) - len(HEADER)


@given(st.data())
def test_one_changed_byte_hides_its_line_and_all_that_follow(data: st.DataObject) -> None:
    node = Node()
    for address in CLIENTS[:2]:
        node.client(address).allocate()
    lines = [write_nonce_key(KEY), *map(write_allocation, node.machine.list_allocations())]
    content = bytearray(HEADER + b"".join(lines))
    place = data.draw(st.integers(len(HEADER), len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    recollection = read_journal(bytes(content))

    whole = 0
    while len(HEADER + b"".join(lines[: whole + 1])) <= place:
        whole += 1
    assert len(recollection.allocations) == max(0, whole - 1)
    assert (recollection.nonce_key is not None) == (whole > 0)
