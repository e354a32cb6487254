"""A TURN machine without sockets: fake ports and outlets, a clock that stands still, and clients of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from support.turn_client import (
    UDP,
    Attribute,
    RequestWriter,
    TurnCredential,
    channel_attribute,
    peer_attribute,
    relay_of,
    status_of,
)
from turnnode.relay.allocation import Side
from turnnode.relay.counters import RelayCounters
from turnnode.relay.data_path import Flow, Relayed
from turnnode.relay.machine import Send, TurnMachine
from turnnode.relay.memory import AllocationMemory, NoMemory
from turnnode.relay.peer_policy import OwnAddresses
from turnnode.relay.policy import Quotas, RelayPolicy, RelayPolicyHolder
from turnnode.stun.attributes import FAMILY_IPV4, FAMILY_IPV6, Address
from turnnode.stun.message import TRANSACTION_ID_BYTES, Message, Method, decode

NOON = 1_700_000_000.0
SECRET = "the fleet's secret"
REALM = "example.org"
SERVER = ("9.9.9.1", 3478)
RELAY_HOSTS = {FAMILY_IPV4: "9.9.9.1", FAMILY_IPV6: "2a00:9::1"}
ALICE = ("5.5.5.1", 40_001)
BOB = ("5.5.5.2", 40_002)
PEER = ("8.8.8.8", 50_000)
PEER_IPV6 = ("2a00:8::8", 50_000)


class FakePort:
    """A relay port that sends nowhere: what it is asked to send is in the `Send` that the test sees."""

    def __init__(self, address: Address) -> None:
        self.bound = self.published = address
        self.is_closed = False

        self.unfragmented = FakeOutlet()

    def send(self, data: bytes, address: Address) -> None:
        raise AssertionError(f"the machine decides and does not send {data!r} to {address}")

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        raise AssertionError(f"the machine decides and does not send {datagrams!r} to {address}")

    def close(self) -> None:
        self.is_closed = True


class FakeOutlet:
    def send(self, data: bytes, address: Address) -> None:
        raise AssertionError(f"the machine decides and does not send {data!r} to {address}")

    def send_together(self, datagrams: Sequence[bytes], address: Address) -> None:
        raise AssertionError(f"the machine decides and does not send {datagrams!r} to {address}")


@dataclass
class FakePorts:
    """Opens up to `free` ports, counting upwards from 50,000."""

    families: frozenset[int] = frozenset(RELAY_HOSTS)
    free: int = 1000
    opened: list[FakePort] = field(default_factory=list)

    def supports(self, family: int) -> bool:
        return family in self.families

    def open(self, family: int) -> FakePort | None:
        if len(self.opened) >= self.free:
            return None
        port = FakePort((RELAY_HOSTS[family], 50_000 + len(self.opened)))
        self.opened.append(port)
        return port

    def open_even(self, family: int, *, with_next: bool) -> tuple[FakePort, ...]:
        if len(self.opened) % 2:
            self.opened.append(FakePort(("9.9.9.9", 1)))  # so that the next one is even
            self.opened[-1].close()
        wanted = 1 + with_next
        if len(self.opened) + wanted > self.free:
            return ()
        ports = [self.open(family) for _ in range(wanted)]
        return tuple(port for port in ports if port is not None)


@dataclass
class RecordingDataPath:
    """Keeps the flows that are live, and every call; `usage` is what a test says that they have relayed."""

    live: dict[tuple[Address, Address, int], Flow] = field(default_factory=dict)
    removed: list[Flow] = field(default_factory=list)
    seen: list[tuple[Address, Address, int]] = field(default_factory=list)
    usage: dict[str, Relayed] = field(default_factory=dict)
    bytes_per_second_each: int | None = None
    bytes_per_second: int | None = None

    def flow_added(self, flow: Flow) -> None:
        self.live[flow.client, flow.server, flow.channel] = flow

    def flow_removed(self, flow: Flow) -> None:
        if self.live.pop((flow.client, flow.server, flow.channel), None) is not None:
            self.removed.append(flow)

    def data_seen(self, client: Address, server: Address, channel: int) -> None:
        self.seen.append((client, server, channel))

    def limit_rate(self, bytes_per_second_each: int, bytes_per_second: int) -> None:
        self.bytes_per_second_each, self.bytes_per_second = bytes_per_second_each, bytes_per_second

    def take_usage(self) -> dict[str, Relayed]:
        usage, self.usage = self.usage, {}
        return usage


def policy_with(**changes: object) -> RelayPolicy:
    fields: dict[str, object] = {"realm": REALM, "secrets": (SECRET,)}
    return RelayPolicy(**(fields | changes))  # type: ignore[arg-type] # tests name the fields


class Node:
    """A machine with one IPv4 listening side; `now` moves only when a test moves it.

    The calendar moves along; `calendar_step` is by how much it has been set forward or back.
    """

    def __init__(
        self,
        *,
        ports: FakePorts | None = None,
        allow: str | None = None,
        memory: AllocationMemory | None = None,
        data_path: RecordingDataPath | None = None,
        is_draining: bool = False,
        **quotas: int,
    ) -> None:
        self.now = NOON
        self.calendar_step = 0.0
        self.counters = RelayCounters()
        self.memory = memory or NoMemory()
        self.ports = ports or FakePorts()
        self.data_path = data_path or RecordingDataPath()
        networks = (ip_network(allow),) if allow else ()
        self.policy = RelayPolicyHolder(
            policy_with(quotas=Quotas(**quotas, is_draining=is_draining), peer_allow=networks)
        )
        self.machine = TurnMachine(
            policy=self.policy,
            ports=self.ports,
            own=OwnAddresses(listeners=frozenset({SERVER}), relay_hosts=frozenset(RELAY_HOSTS.values())),
            data_path=self.data_path,
            nonce_key=b"k" * 32,
            counters=self.counters,
            memory=self.memory,
            calendar=lambda: self.now + self.calendar_step,
        )
        self.policy.watch(self.machine.apply_policy)
        self.side = Side(SERVER, FakeOutlet())

    def from_client(self, datagram: bytes, client: Address = ALICE) -> Send | None:
        return self.machine.from_client(self.side, datagram, client, self.now)

    def from_peer(self, relay: Address, data: bytes, peer: Address) -> Send | None:
        return self.machine.from_peer(relay, data, peer, self.now)

    def client(self, address: Address = ALICE, *, secret: str = SECRET, ends_in: float = 86_400) -> "Client":
        return Client(self, address, TurnCredential.made(secret, self.now + self.calendar_step + ends_in))


class Client:
    """A client of a `Node`, one exchange at a time."""

    def __init__(self, node: Node, address: Address, credential: TurnCredential) -> None:
        self.node = node
        self.address = address
        self.writer = RequestWriter(credential)

    def ask(self, method: int, *attributes: Attribute, transaction_id: bytes | None = None) -> Message | None:
        """Send a request and return the answer, after answering a challenge; `None` without an answer."""
        while True:
            request = self.writer.write(method, *attributes, transaction_id=transaction_id)
            send = self.node.from_client(request, self.address)
            if send is None:
                return None
            assert send.address == self.address
            answer = decode(send.data)
            if not self.writer.learns_from(answer):
                return answer

    def allocate(self, *attributes: Attribute) -> Address:
        answer = self.ask(Method.ALLOCATE, UDP, *attributes)
        assert answer is not None
        assert status_of(answer) == 200, status_of(answer)
        return relay_of(answer)

    def permit(self, *peers: Address) -> int:
        transaction_id = os.urandom(TRANSACTION_ID_BYTES)
        attributes = [peer_attribute(peer, transaction_id) for peer in peers]
        return status_of(self.ask(Method.CREATE_PERMISSION, *attributes, transaction_id=transaction_id))

    def bind(self, number: int, peer: Address) -> int:
        transaction_id = os.urandom(TRANSACTION_ID_BYTES)
        attributes = channel_attribute(number), peer_attribute(peer, transaction_id)
        return status_of(self.ask(Method.CHANNEL_BIND, *attributes, transaction_id=transaction_id))

    def send(self, datagram: bytes) -> Send | None:
        return self.node.from_client(datagram, self.address)
