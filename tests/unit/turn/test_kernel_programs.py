"""The programs in this kernel, run on frames that no interface has received, beside a model in Python."""

import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.kernel_programs import FOREVER_NS, PORT, Loaded, load
from turnnode.errors import ProgramProofError
from turnnode.kernel.layout import (
    DROPPED_WORD,
    EXPIRES_WORD,
    RELAYED_WORD,
    STATE_WORDS,
    Ends,
    fold,
    pack_bucket,
    pack_control,
    pack_flow,
    pack_host,
    split_relayed,
    sum_words,
)
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.proof import (
    CLIENT,
    PEER,
    RELAY,
    SERVER,
    VERDICT_LEAVE,
    VERDICT_REDIRECT,
    Vector,
    build_frame,
    expected_frame,
    list_tagged_vectors,
    list_vectors,
    prove,
    trial_flow,
)
from turnnode.kernel.rungs import Rung
from turnnode.kernel.system_call import run_program

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="programs in the kernel need root")
CHANNEL = 0x4001
HERE = (SERVER[0], PORT)
UP = Vector(Ends(CLIENT, HERE, CHANNEL), Ends(RELAY, PEER))
TICK_NS = 20_000_000  # the clock of programs is as much behind
ACROSS = Vector(Ends(CLIENT, HERE, CHANNEL), Ends(HERE, ("192.0.2.3", 40_009), CHANNEL + 1))
VERDICT_DROP = {Rung.XDP: 1, Rung.TC: 2}


@pytest.fixture(scope="module", params=[Rung.XDP, Rung.TC])
def loaded(request: pytest.FixtureRequest) -> Iterator[Loaded]:
    with load(request.param) as loaded:
        yield loaded


def test_programs_prove_themselves(loaded: Loaded) -> None:
    prove(loaded.maps, loaded.program, loaded.rung, PORT)


def test_program_that_is_told_another_port_fails_its_proof(loaded: Loaded) -> None:
    with pytest.raises(ProgramProofError):
        prove(loaded.maps, loaded.program, loaded.rung, PORT + 1)


def is_sum_of_pseudo_header(ends: Ends, frame: bytes) -> bool:
    udp = frame[54 if ":" in ends.source[0] else 34 :]
    pseudo = pack_host(ends.source[0]) + pack_host(ends.destination[0]) + udp[4:6] + b"\0\x11"
    return int.from_bytes(udp[6:8], sys.byteorder) == fold(sum_words(pseudo))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(vector=st.sampled_from(list_vectors(PORT)), data=st.binary(max_size=1300))
def test_any_data_leaves_as_the_model_says(loaded: Loaded, vector: Vector, data: bytes) -> None:
    with trial_flow(loaded.maps, vector):
        run = run_program(loaded.program, build_frame(vector.before, data))
    if run.verdict == VERDICT_LEAVE[loaded.rung]:
        # One datagram in 65,536 looks as if its sum were still to be made, and goes the slow way.
        assert is_sum_of_pseudo_header(vector.before, build_frame(vector.before, data))
        return
    assert (run.verdict, run.frame) == (VERDICT_REDIRECT[loaded.rung], expected_frame(vector, data))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    place=st.integers(0, 80),
    patch=st.binary(min_size=1, max_size=4),
    cut=st.integers(min_value=40, max_value=200),
)
def test_any_frame_is_survived(loaded: Loaded, place: int, patch: bytes, cut: int) -> None:
    frame = build_frame(UP.before, bytes(100))
    frame = (frame[:place] + patch + frame[place + len(patch) :])[:cut]
    with trial_flow(loaded.maps, UP):
        assert loaded.verdict_of(frame) in {VERDICT_LEAVE[loaded.rung], VERDICT_REDIRECT[loaded.rung]}


def changed(frame: bytes, place: int, patch: bytes) -> bytes:
    return frame[:place] + patch + frame[place + len(patch) :]


FRAME = build_frame(UP.before, b"data")
LEFT = {
    "another channel": build_frame(Ends(CLIENT, HERE, CHANNEL + 1), b"data"),
    "a number that is no channel's": build_frame(Ends(CLIENT, HERE, 0x5000), b"data"),
    "another client": build_frame(Ends(("192.0.2.9", CLIENT[1]), HERE, CHANNEL), b"data"),
    "another port of the client": build_frame(Ends((CLIENT[0], 1), HERE, CHANNEL), b"data"),
    "STUN": build_frame(Ends(CLIENT, HERE), struct.pack("!HH", 1, 0) + bytes(16)),
    "padding": build_frame(Ends(CLIENT, HERE), struct.pack("!HH", CHANNEL, 3) + b"abc\0"),
    "a length beyond the end": build_frame(Ends(CLIENT, HERE), struct.pack("!HH", CHANNEL, 9) + b"data"),
    "nothing but a number": build_frame(Ends(CLIENT, HERE), struct.pack("!H", CHANNEL)),
    "the last hop": build_frame(UP.before, b"data", hop_limit=1),
    "options": changed(FRAME, 14, b"\x46"),
    "the first fragment": changed(FRAME, 20, b"\x20\0"),
    "a later fragment": changed(FRAME, 20, b"\0\x01"),
    "a tag of a provider": FRAME[:12] + b"\x88\xa8\x00\x07" + FRAME[12:],
    "two tags": FRAME[:12] + 2 * b"\x81\x00\x00\x07" + FRAME[12:],
    "nothing but a tag": FRAME[:12] + b"\x81\x00\x00\x07",
    "TCP": changed(FRAME, 23, b"\x06"),
    "a frame that is cut": FRAME[:-1],
}


@pytest.mark.parametrize("frame", LEFT.values(), ids=LEFT.keys())
def test_what_is_not_clearly_data_is_left_to_userspace(loaded: Loaded, frame: bytes) -> None:
    with trial_flow(loaded.maps, UP):
        assert loaded.verdict_of(FRAME) == VERDICT_REDIRECT[loaded.rung]
        assert loaded.verdict_of(frame) == VERDICT_LEAVE[loaded.rung]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(vector=st.sampled_from(list_tagged_vectors(PORT)), data=st.binary(max_size=1300))
def test_tags_of_vlans_are_read_and_written_before_the_kernel_does_it(
    loaded: Loaded, vector: Vector, data: bytes
) -> None:
    frame = build_frame(vector.before, data, tag=vector.tags[0])
    with trial_flow(loaded.maps, vector):
        run = run_program(loaded.program, frame)
    if loaded.rung is Rung.TC and vector.tags[0]:
        assert run.verdict == VERDICT_LEAVE[loaded.rung]  # its interface's own program sees it without
    elif loaded.rung is Rung.XDP and run.verdict == VERDICT_LEAVE[loaded.rung]:
        assert is_sum_of_pseudo_header(vector.before, build_frame(vector.before, data))
    elif loaded.rung is Rung.XDP:
        assert (run.verdict, run.frame) == (VERDICT_REDIRECT[loaded.rung], expected_frame(vector, data))


def test_datagram_without_a_sum_has_none_afterwards(loaded: Loaded) -> None:
    with trial_flow(loaded.maps, UP):
        run = run_program(loaded.program, build_frame(UP.before, b"data", is_summed=False))
    assert run.verdict == VERDICT_REDIRECT[loaded.rung]
    assert run.frame[40:42] == b"\0\0"


def test_datagram_without_a_sum_does_not_become_one_of_ipv6(loaded: Loaded) -> None:
    vector = Vector(UP.before, Ends(("2001:db8::5", 1), ("2001:db8::6", 2)))
    with trial_flow(loaded.maps, vector):
        frame = build_frame(vector.before, b"data", is_summed=False)
        assert loaded.verdict_of(frame) == VERDICT_LEAVE[loaded.rung]


@pytest.mark.parametrize(("size", "is_relayed"), [(1471, True), (1472, True), (1473, False)])
def test_datagram_larger_than_the_next_link_takes_is_left(
    loaded: Loaded, size: int, is_relayed: bool
) -> None:
    with trial_flow(loaded.maps, UP):
        verdict = loaded.verdict_of(build_frame(UP.before, bytes(size)))
    assert verdict == (VERDICT_REDIRECT if is_relayed else VERDICT_LEAVE)[loaded.rung]


def test_flow_ends_when_its_time_is_over(loaded: Loaded) -> None:
    with trial_flow(loaded.maps, UP):
        loaded.maps.states.words[loaded.state + EXPIRES_WORD] = time.monotonic_ns() - TICK_NS
        assert loaded.verdict_of(FRAME) == VERDICT_LEAVE[loaded.rung]
        loaded.maps.states.words[loaded.state + EXPIRES_WORD] = time.monotonic_ns() + 10**10
        assert loaded.verdict_of(FRAME) == VERDICT_REDIRECT[loaded.rung]


def test_no_flow_outlives_the_lease(loaded: Loaded) -> None:
    with trial_flow(loaded.maps, UP):
        loaded.set_lease(time.monotonic_ns() - TICK_NS)
        assert loaded.verdict_of(FRAME) == VERDICT_LEAVE[loaded.rung]
        loaded.set_lease(FOREVER_NS)
        assert loaded.verdict_of(FRAME) == VERDICT_REDIRECT[loaded.rung]


def test_packets_and_bytes_are_counted(loaded: Loaded) -> None:
    with trial_flow(loaded.maps, UP):
        loaded.verdict_of(build_frame(UP.before, bytes(100)))
        loaded.verdict_of(build_frame(UP.before, bytes(23)))
        assert loaded.read_relayed() == (2, 123)


SECOND = pack_bucket(bytes_per_second=1024, tolerance_ns=10**9)  # room for 1,024 bytes at once
NO_LIMIT = pack_bucket(bytes_per_second=0, tolerance_ns=10**9)


@pytest.mark.parametrize(
    ("vector", "limits", "room_bytes"),
    [
        (UP, (SECOND, NO_LIMIT, NO_LIMIT), 1024),
        (UP, (NO_LIMIT, NO_LIMIT, SECOND), 1024),
        (ACROSS, (SECOND, NO_LIMIT, NO_LIMIT), 1024),
        (ACROSS, (NO_LIMIT, SECOND, NO_LIMIT), 1024),  # the receiver pays, too
        (ACROSS, (NO_LIMIT, NO_LIMIT, SECOND), 512),  # and the node twice
        (ACROSS, (NO_LIMIT, NO_LIMIT, NO_LIMIT), None),
    ],
    ids=["sender", "node", "sender to a client", "receiver", "node, for two clients", "no limit"],
)
@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_data_beyond_a_rate_is_dropped(
    loaded: Loaded, vector: Vector, limits: tuple[bytes, bytes, bytes], room_bytes: int | None, excess: int
) -> None:
    size = (room_bytes or 1024) + excess
    with ExitStack() as stack:
        maps = RelayMaps.create(stack, entries=4)
        program = maps.load(loaded.rung)
        stack.callback(os.close, program)
        control = pack_control(lease_until_ns=FOREVER_NS, ports=(PORT,), every=limits[2])
        maps.control.write(0, control)
        maps.buckets.write(1, limits[0])
        maps.buckets.write(2, limits[1])
        with trial_flow(maps, vector):
            element = pack_flow(vector.before, vector.after, slot=3, hop=0, buckets=(1, 2))
            maps.flows.put(vector.before.pack(), element)
            verdict = run_program(program, build_frame(vector.before, bytes(size))).verdict
            dropped = maps.states.words[3 * STATE_WORDS + DROPPED_WORD]
            relayed = split_relayed(maps.states.words[3 * STATE_WORDS + RELAYED_WORD])
    if room_bytes is not None and excess > 0:
        assert (verdict, dropped, relayed) == (VERDICT_DROP[loaded.rung], 1, (0, 0))
    else:
        assert (verdict, dropped, relayed) == (VERDICT_REDIRECT[loaded.rung], 0, (1, size))


@pytest.mark.parametrize(
    ("ports", "is_relayed"),
    [((PORT,), True), ((443, PORT), True), ((1, 2, 3, PORT), True), ((1, 2, 3, 4, PORT), False), ((), False)],
)
def test_clients_are_served_on_up_to_four_ports(
    loaded: Loaded, ports: tuple[int, ...], is_relayed: bool
) -> None:
    with trial_flow(loaded.maps, UP):
        loaded.maps.control.write(0, pack_control(lease_until_ns=FOREVER_NS, ports=ports))
        verdict = loaded.verdict_of(FRAME)
        loaded.set_lease(FOREVER_NS)
    assert verdict == (VERDICT_REDIRECT if is_relayed else VERDICT_LEAVE)[loaded.rung]


def test_flow_of_the_maps_is_what_the_program_reads(loaded: Loaded) -> None:
    key = UP.before.pack()
    value = pack_flow(UP.before, UP.after, slot=3, hop=0)
    loaded.maps.flows.put(key, value)
    assert loaded.maps.flows.get(key) == value
    assert (loaded.maps.flows.remove(key), loaded.maps.flows.remove(key)) == (True, False)
    assert loaded.maps.flows.get(key) is None
