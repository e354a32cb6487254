"""TURN nodes that probe one another by real calls, each in a process of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodelink.channel.probing import ProbeError
from nodelink.contract.states import TurnNodeState, TurnPeer
from support.turn_server import SECRET, LoopbackServer, running
from turnnode.probe.peers import TurnPeers, read_connect_seconds

pytestmark = pytest.mark.anyio


def name_peer(port: int, secret: str = SECRET) -> TurnPeers:
    peers = TurnPeers()
    state = TurnNodeState(
        realm="example.org",
        secrets=(secret,),
        credential_lifetime_seconds=86_400 * 2,
        allocations_per_credential=10,
        allocations=10,
        peers=(TurnPeer(name="turn2", host="127.0.0.1", port=port),),
    )
    peers.replace(state)
    return peers


async def test_call_through_a_peer_is_measured() -> None:
    async with running(LoopbackServer()) as node:
        peers = name_peer(int(node.url.rpartition(":")[2]))

        assert 0 < await peers.probe("turn2") < 10


async def test_peer_with_another_secret_is_told() -> None:
    async with running(LoopbackServer()) as node:
        peers = name_peer(int(node.url.rpartition(":")[2]), "another secret of the fleet")

        with pytest.raises(ProbeError, match=r"\w+"):
            await peers.probe("turn2")


@given(st.binary(max_size=200))
def test_whatever_a_process_says_is_read_or_refused(output: bytes) -> None:
    try:
        assert isinstance(read_connect_seconds(output), float)
    except ProbeError:
        return


def test_result_is_read() -> None:
    assert read_connect_seconds(b'{"type": "addresses"}\n{"connect_ms": 250}\n') == 0.25
