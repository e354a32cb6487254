"""Clients, strangers and peers do anything in any order; a small model says what may come out.

The model knows only what was granted by a success response, and when. Nothing else may be relayed.
"""

import os
from collections.abc import Callable
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from support.turn_client import relay_of, send_indication
from support.turn_machine import RELAY_HOSTS, SERVER, Client, FakePort, Node, policy_with
from turnnode.relay.machine import Send
from turnnode.relay.peer_policy import is_globally_routable
from turnnode.relay.ways import Way
from turnnode.stun.attributes import FAMILY_IPV4, Address, AttributeType, decode_xor_address, encode_lifetime
from turnnode.stun.channel_data import encode_channel_data
from turnnode.stun.message import Message, MessageClass, Method, encode

CLIENTS: Final = (("5.5.5.1", 40_001), ("5.5.5.2", 40_002))
STRANGER: Final = ("5.5.5.3", 40_003)
RELAY_HOST: Final = RELAY_HOSTS[FAMILY_IPV4]
PEERS: Final = (
    ("2a00:8::8", 50_000),
    ("::ffff:8.8.8.8", 50_000),
    ("8.8.8.8", 50_000),
    ("8.8.8.8", 50_001),
    ("8.8.4.4", 53),
    ("127.0.0.1", 50_000),
    ("169.254.169.254", 50_000),
    SERVER,
    (RELAY_HOST, 50_000),
    (RELAY_HOST, 50_001),
    (RELAY_HOST, 50_002),
)
CHANNELS: Final = (0x4000, 0x4001)
MAX_STRANGERS_ANSWER_RATIO: Final = 1.8
IP_AND_UDP_BYTES: Final = 28

WISHES: Final[dict[str, tuple[tuple[int, bytes], ...]]] = {
    "any port": (),
    "both families": ((AttributeType.ADDITIONAL_ADDRESS_FAMILY, b"\x02\0\0\0"),),
    "even port": ((AttributeType.EVEN_PORT, b"\x00"),),
    "even port and the next": ((AttributeType.EVEN_PORT, b"\x80"),),
    "token": (),
}

who = st.sampled_from(range(len(CLIENTS)))
peers = st.sampled_from(PEERS)
numbers = st.sampled_from(CHANNELS)


class Clients(RuleBasedStateMachine):
    """Two clients of one node, whose relayed addresses are peers of one another."""

    def __init__(self) -> None:
        super().__init__()
        self.node = Node()
        self.clients: list[Client] = [
            self.node.client(address, ends_in=2000 + 100 * index) for index, address in enumerate(CLIENTS)
        ]
        self.relays: dict[Address, Address] = {}  # of a client
        self.held: dict[Address, set[Address]] = {}  # of both families
        self.permitted: dict[
            tuple[Address, str], float
        ] = {}  # until when; a bound channel counts for its peer
        self.tokens: list[bytes] = []
        self.bound: dict[tuple[Address, int], tuple[Address, float]] = {}
        self.ways: list[tuple[Way, Callable[[], Send | None]]] = []

    @rule(index=who, wish=st.sampled_from(sorted(WISHES)))
    def allocate(self, index: int, wish: str) -> None:
        client = self.clients[index]
        attributes = WISHES[wish]
        if wish == "token":
            attributes = ((AttributeType.RESERVATION_TOKEN, self.tokens[-1] if self.tokens else bytes(8)),)
        answer = client.ask(Method.ALLOCATE, (AttributeType.REQUESTED_TRANSPORT, b"\x11\0\0\0"), *attributes)
        if answer is not None and answer.message_class is MessageClass.SUCCESS:
            self.forget(client.address)
            self.relays[client.address] = relay_of(answer)
            values = answer.find_all(AttributeType.XOR_RELAYED_ADDRESS)
            self.held[client.address] = {decode_xor_address(value, answer.transaction_id) for value in values}
            token = answer.find(AttributeType.RESERVATION_TOKEN)
            if token is not None:
                self.tokens.append(token)

    @rule(index=who, seconds=st.sampled_from([0, 600, 3600]))
    def refresh(self, index: int, seconds: int) -> None:
        client = self.clients[index]
        answer = client.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(seconds)))
        if seconds == 0 and answer is not None and answer.message_class is MessageClass.SUCCESS:
            self.forget(client.address)

    @rule(index=who, wanted=st.lists(peers, min_size=1, max_size=3))
    def permit(self, index: int, wanted: list[Address]) -> None:
        client = self.clients[index]
        if client.permit(*wanted) == 200:
            for host, _ in wanted:
                assert host == RELAY_HOST or is_globally_routable(host)
                self.permitted[client.address, host] = self.node.now + 300

    @rule(index=who, number=numbers, peer=peers)
    def bind(self, index: int, number: int, peer: Address) -> None:
        client = self.clients[index]
        if client.bind(number, peer) == 200:
            self.permitted[client.address, peer[0]] = self.node.now + 300
            self.bound[client.address, number] = (peer, self.node.now + 600)

    @rule(index=who, number=numbers)
    def send_by_channel(self, index: int, number: int) -> None:
        address = CLIENTS[index]
        send = self.node.from_client(encode_channel_data(number, b"data"), address)
        if send is not None:
            peer, until = self.bound[address, number]
            assert until > self.node.now
            self.check_forwarded(send, address, peer)
            datagram = encode_channel_data(number, b"data")
            way = self.node.machine.ways.find_from_client(self.node.side, datagram, address)
            if way is not None:
                self.ways.append((way, lambda: self.node.from_client(datagram, address)))

    @rule(index=who, peer=peers)
    def send_by_indication(self, index: int, peer: Address) -> None:
        address = CLIENTS[index]
        send = self.node.from_client(send_indication(peer, b"data"), address)
        if send is not None:
            assert self.permitted[address, peer[0]] > self.node.now
            self.check_forwarded(send, address, peer)

    @rule(index=who, peer=peers)
    def hear_from_peer(self, index: int, peer: Address) -> None:
        address = CLIENTS[index]
        relay = self.relays.get(address)
        if relay is None:
            return
        send = self.node.from_peer(relay, b"data", peer)
        if send is not None:
            assert send.address == address
            self.check_admitted(address, peer)
            way = self.node.machine.ways.find_from_peer(relay, peer)
            if way is not None:
                self.ways.append((way, lambda: self.node.from_peer(relay, b"data", peer)))

    @rule(datagram=st.binary(max_size=60), source=st.sampled_from([*CLIENTS, STRANGER]))
    def send_garbage(self, datagram: bytes, source: Address) -> None:
        self.check_stranger(datagram, self.node.from_client(datagram, source))

    @rule(method=st.integers(0, 12), count=st.integers(0, 3))
    def ask_as_a_stranger(self, method: int, count: int) -> None:
        attributes = (
            (AttributeType.REQUESTED_TRANSPORT, b"\x11\0\0\0"),
            *((0x7000 + n, b"") for n in range(count)),
        )
        datagram = encode(Message(method, MessageClass.REQUEST, os.urandom(12), attributes))
        self.check_stranger(datagram, self.node.from_client(datagram, STRANGER))

    @rule(seconds=st.sampled_from([1, 250, 299, 300, 599]), is_swept=st.booleans())
    def wait(self, seconds: int, is_swept: bool) -> None:
        self.node.now += seconds
        if is_swept:
            self.node.machine.expire(self.node.now)

    @rule(min_port=st.sampled_from([1024, 50_001]))
    def change_policy(self, min_port: int) -> None:
        self.node.policy.replace(policy_with(min_peer_port=min_port))

    @invariant()
    def open_ports_are_those_of_live_allocations(self) -> None:
        open_ports = {port.published for port in self.node.ports.opened if not port.is_closed}
        held = {port.published for each in self.node.machine.list_allocations() for port in each.ports}
        assert held <= open_ports
        assert len(open_ports) - len(held) <= len(self.tokens)
        assert self.node.counters.allocations == len(self.node.machine.list_allocations()) <= len(CLIENTS)

    @invariant()
    def data_path_knows_no_more_than_was_bound(self) -> None:
        for client, _, channel in self.node.data_path.live:
            assert (client, channel) in self.bound

    @invariant()
    def data_goes_no_way_that_the_machine_would_not_choose(self) -> None:
        self.ways = [(way, decide) for way, decide in self.ways if way.until > self.node.now]
        for way, decide in self.ways:
            send = decide()
            assert send is not None
            assert (send.outlet, send.address) == (way.outlet, way.address)
            assert send.data == (way.header + b"\x00\x04data" if way.header else b"data")

    def forget(self, client: Address) -> None:
        self.relays.pop(client, None)
        self.held.pop(client, None)
        self.permitted = {key: until for key, until in self.permitted.items() if key[0] != client}
        self.bound = {key: value for key, value in self.bound.items() if key[0] != client}

    def check_forwarded(self, send: Send, client: Address, peer: Address) -> None:
        """Data went to the peer itself, or across to the client whose relayed address the peer is."""
        if isinstance(send.outlet, FakePort):
            assert send.outlet.published in self.held[client]
            assert send.address == peer
            assert send.data == b"data"
            assert is_globally_routable(peer[0])
            assert peer[1] >= self.node.policy.current.min_peer_port
            assert peer[0] != RELAY_HOST
        else:
            assert self.relays[send.address] == peer
            self.check_admitted(send.address, self.relays[client])

    def check_admitted(self, client: Address, peer: Address) -> None:
        """The client has a live permission for the peer's host, or a live channel to the peer."""
        by_channel = any(
            owner == client and bound == peer and until > self.node.now
            for (owner, _), (bound, until) in self.bound.items()
        )
        assert by_channel or self.permitted.get((client, peer[0]), 0) > self.node.now

    def check_stranger(self, datagram: bytes, send: Send | None) -> None:
        """Whoever proves nothing gets little."""
        if send is not None:
            assert not isinstance(send.outlet, FakePort)
            ratio = (len(send.data) + IP_AND_UDP_BYTES) / (len(datagram) + IP_AND_UDP_BYTES)
            assert ratio < MAX_STRANGERS_ANSWER_RATIO


Clients.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestClients = Clients.TestCase
