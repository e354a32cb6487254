"""What is put off until an answer goes out: once for many grants, and before the answer."""

import socket
import time
from pathlib import Path

from support.turn_machine import ALICE, BOB, Node
from turnnode.relay.counters import RelayCounters
from turnnode.relay.dues import Dues
from turnnode.relay.journal import Journal
from turnnode.relay.machine import Send
from turnnode.relay.readers import build_reader
from turnnode.relay.sockets import DatagramOutlet
from turnnode.stun.attributes import Address


def test_step_is_taken_once_for_all_that_owe_it() -> None:
    taken: list[str] = []
    dues = Dues()
    step = lambda: taken.append("step")  # noqa: E731 - one object, owed twice
    dues.owe(step)
    dues.owe(step)
    assert taken == []

    dues.settle()
    dues.settle()
    assert taken == ["step"]


def test_step_that_owes_another_one_is_followed_by_it() -> None:
    taken: list[str] = []
    dues = Dues()

    def first() -> None:
        taken.append("first")
        dues.owe(second)

    def second() -> None:
        taken.append("second")

    dues.owe(first)
    dues.settle()
    assert (taken, dues.waiting) == (["first", "second"], {})


def test_answers_wait_for_what_is_due_and_other_datagrams_do_not() -> None:
    order: list[bytes] = []
    dues = Dues()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target,
    ):
        for sock in (receiver, target):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)  # noqa: FBT003 - its only parameter, which has no name

        class Outlet(DatagramOutlet):
            def send(self, data: bytes, address: Address) -> None:
                order.append(data)
                super().send(data, address)

        outlet = Outlet(sender, RelayCounters())

        def decide(datagram: bytes, _: Address, __: float) -> Send:
            if datagram == b"grant":
                dues.owe(lambda: order.append(b"settled"))
            return Send(outlet, datagram, target.getsockname())

        read = build_reader(receiver, decide, time.monotonic, dues)
        for datagram in (b"data", b"grant", b"grant"):
            sender.sendto(datagram, receiver.getsockname())
        read()
        assert order == [b"data", b"settled", b"settled", b"grant", b"grant"]
        assert [target.recv(10) for _ in range(3)] == [b"data", b"grant", b"grant"]


def test_journal_writes_one_line_for_each_client_when_it_is_due(tmp_path: Path) -> None:
    path, dues = tmp_path / "journal", Dues()
    journal = Journal(path, dues)
    journal.begin(b"k" * 32, [])
    node = Node(memory=journal)
    began_with = path.read_bytes()
    alice, bob = node.client(ALICE), node.client(BOB)
    alice.allocate()
    alice.permit(("8.8.8.8", 1))
    alice.permit(("8.8.4.4", 1))
    bob.allocate()
    assert path.read_bytes() == began_with

    dues.settle()
    assert len(path.read_bytes()[len(began_with) :].splitlines()) == 2
    recalled = Journal(path).recall().allocations
    assert {key.client: set(record.permissions) for key, record in recalled.items()} == {
        ALICE: {"8.8.8.8", "8.8.4.4"},
        BOB: set(),
    }
