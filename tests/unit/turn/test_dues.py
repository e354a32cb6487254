"""What is put off until an answer goes out: once for many grants, and before the answer."""

import socket
import time
from pathlib import Path

import pytest

from support.turn_machine import ALICE, BOB, PEER, SERVER, Node, RecordingDataPath
from turnnode.relay.allocation import ClientTransport, Side
from turnnode.relay.counters import RelayCounters
from turnnode.relay.data_path import Flow
from turnnode.relay.datagram_batch import DatagramBatch
from turnnode.relay.dues import Dues
from turnnode.relay.journal import Journal
from turnnode.relay.journal_format import NONCE_KEY_BYTES
from turnnode.relay.machine import Send
from turnnode.relay.readers import Lane, Reader
from turnnode.relay.sockets import DatagramOutlet
from turnnode.stun.attributes import Address
from turnnode.stun.message import Method


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

        lane = Lane(Node().machine.ways, lambda _, __: None, is_from_clients=True)
        batch = DatagramBatch(socket.AF_INET)
        reader = Reader(receiver, decide, clock=time.monotonic, dues=dues, batch=batch, lane=lane)
        for datagram in (b"data", b"grant", b"grant"):
            sender.sendto(datagram, receiver.getsockname())
        reader.read()
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


@pytest.mark.parametrize(
    ("transport", "steps"), [(ClientTransport.UDP, 2), (ClientTransport.TCP, 0), (ClientTransport.TLS, 0)]
)
def test_nothing_that_a_client_by_tcp_does_is_due(
    tmp_path: Path, transport: ClientTransport, steps: int
) -> None:
    dues = Dues()
    journal = Journal(tmp_path / "journal", dues)
    journal.begin(bytes(NONCE_KEY_BYTES), [])
    node = Node(memory=journal, data_path=OwingDataPath(dues))
    node.side = Side(SERVER, node.side.outlet, transport=transport)
    client = node.client()
    owed: list[int] = []

    def settle() -> None:
        owed.append(len(dues.waiting))
        dues.settle()

    client.allocate()
    settle()
    assert client.bind(0x4000, PEER) == 200
    settle()
    assert client.permit(("8.8.4.4", 5000)) == 200
    settle()
    client.ask(Method.REFRESH)
    settle()
    node.machine.client_left(node.side, ALICE)
    settle()
    assert max(owed) == steps
    assert bool(node.data_path.removed) == bool(steps)
    assert (not any(owed)) == (not steps)


class OwingDataPath(RecordingDataPath):
    """Owes a step for each change, as the kernel's does."""

    def __init__(self, dues: Dues) -> None:
        super().__init__()
        self.dues = dues

    def flow_added(self, flow: Flow) -> None:
        super().flow_added(flow)
        self.dues.owe(self.flush)

    def flow_removed(self, flow: Flow) -> None:
        super().flow_removed(flow)
        self.dues.owe(self.flush)

    def flush(self) -> None:
        """Do what is due."""
