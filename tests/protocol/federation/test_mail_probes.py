"""Mail nodes that probe one another: an encrypted message there and back, and nothing stored."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia import decrypt

from mailnode.encryption.gate import check_incoming
from mailnode.federation.probe_message import encrypt_with_passphrase, write_probe_message
from mailnode.federation.probes import MailProbes
from nodelink.channel.probing import ProbeError, ProbeRounds
from support.federation_site import MailStation, open_stations
from support.openpgp_messages import ALICE, encrypted_mail

pytestmark = pytest.mark.anyio

Probers = tuple[tuple[MailStation, MailProbes], tuple[MailStation, MailProbes]]


@pytest.fixture
async def probers(tmp_path: Path) -> AsyncIterator[Probers]:
    async with open_stations(tmp_path) as (one, two), AsyncExitStack() as stack:
        probes = []
        for station in (one, two):
            each = MailProbes(
                domain=station.domain, siblings=station.siblings, transport=station.outbound.transport
            )
            await each.start(stack)
            station.inbound.probes = each
            probes.append(each)
        yield (one, probes[0]), (two, probes[1])


async def test_message_comes_back_and_nothing_is_stored(probers: Probers) -> None:
    (one, probes), (two, _) = probers

    assert 0 < await probes.probe("two") < 5
    assert await one.store.count_accounts() == await two.store.count_accounts() == 0
    assert one.inbound.received_count == two.inbound.received_count == 0


async def test_node_that_does_not_listen_is_told(probers: Probers) -> None:
    (_, probes), (two, _) = probers
    await two.close()

    with pytest.raises(ProbeError, match="Not reached"):
        await probes.probe("two")


async def test_round_tells_what_came_of_each_peer(probers: Probers) -> None:
    (_, probes), (two, _) = probers
    rounds = ProbeRounds(list_peers=probes.list_names, probe=probes.probe)
    await rounds.run_round()
    (result,) = rounds.read_results()
    assert (result.peer, result.problem) == ("two", None)
    await two.close()
    await rounds.run_round()
    (result,) = rounds.read_results()
    assert result.seconds is None
    assert result.problem is not None


async def test_stranger_is_no_peer(probers: Probers) -> None:
    with pytest.raises(ProbeError):
        await probers[0][1].probe("three")


@given(st.binary(max_size=2000), st.binary(min_size=1, max_size=64))
def test_openpgp_reads_what_a_probe_is(text: bytes, passphrase: bytes) -> None:
    word = passphrase.hex()
    decrypted = decrypt(encrypt_with_passphrase(text, word.encode()), passwords=[word])
    assert decrypted.bytes == text


def test_gate_takes_the_message_of_a_probe() -> None:
    check_incoming(write_probe_message("=probe@one.example", "=echo@[192.0.2.1]", b"text"))
    check_incoming(bytes(encrypted_mail()).replace(ALICE.encode(), b"=probe@one.example"))
