"""Frames before which the driver has left little room: a longer header fits, or userspace gets them whole.

The kernel runs the program on frames whose room is taken by metadata (BPF_PROG_TEST_RUN with a context).
Of the program of TC, the kernel itself makes room (bpf_skb_adjust_room copies what is too small).
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from turnnode.kernel.layout import RELAYED_WORD, STATE_WORDS, pack_control, split_relayed
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.proof import (
    VERDICT_LEAVE,
    VERDICT_REDIRECT,
    Vector,
    build_frame,
    expected_frame,
    list_tagged_vectors,
    list_vectors,
    trial_flow,
)
from turnnode.kernel.rungs import Rung

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="programs in the kernel need root")
PORT = 3478
DATA = bytes(range(160))
ROOM_BYTES = 216  # what the kernel leaves before a frame, less its own notes
METADATA_BYTES = 4  # metadata are whole words
VECTORS = [*list_vectors(PORT), *list_tagged_vectors(PORT)]
BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
TEST_RUN = 10


@dataclass(frozen=True)
class Loaded:
    maps: RelayMaps
    program: int

    def run(self, frame: bytes, room_bytes: int) -> tuple[int, bytes]:
        """Run the program on a frame with so much room before it; return the verdict and the frame."""
        taken = ROOM_BYTES - room_bytes
        received = ctypes.create_string_buffer(bytes(taken) + frame, taken + len(frame))
        sent = ctypes.create_string_buffer(4096)
        context = ctypes.create_string_buffer(struct.pack("=6I", taken, len(received), 0, 0, 0, 0), 24)
        attributes = struct.pack(
            "=IIIIQQIIIIQQIIII",
            *(self.program, 0, len(received), len(sent), ctypes.addressof(received)),
            *(ctypes.addressof(sent), 1, 0, len(context), len(context)),
            *(ctypes.addressof(context), ctypes.addressof(context), 0, 0, 0, 0),
        )
        buffer = ctypes.create_string_buffer(attributes, len(attributes))
        if ctypes.CDLL(None, use_errno=True).syscall(BPF, TEST_RUN, buffer, len(attributes)) < 0:
            raise OSError(ctypes.get_errno(), "the kernel does not run the program")
        start, end = struct.unpack_from("=II", context)
        return struct.unpack_from("=I", buffer, 4)[0], sent.raw[start:end]

    def take_count(self) -> tuple[int, int]:
        """Tell how many packets and octets the flow of the trial has relayed."""
        return split_relayed(
            self.maps.states.words[(self.maps.states.entries - 1) * STATE_WORDS + RELAYED_WORD]
        )


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    with ExitStack() as stack:
        maps = RelayMaps.create(stack, entries=16)
        loaded = Loaded(maps, maps.load(Rung.XDP))
        stack.callback(os.close, loaded.program)
        maps.control.write(0, pack_control(lease_until_ns=1 << 62, ports=(PORT,)))
        try:
            loaded.run(bytes(64), 0)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            pytest.skip("this kernel takes no more than 32 octets of metadata")
        yield loaded


def growth_of(vector: Vector) -> int:
    return len(expected_frame(vector, DATA)) - len(build_frame(vector.before, DATA, tag=vector.tags[0]))


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_frame_is_relayed_if_there_is_just_enough_room_before_it(loaded: Loaded, vector: Vector) -> None:
    with trial_flow(loaded.maps, vector):
        frame = build_frame(vector.before, DATA, tag=vector.tags[0])
        verdict, sent = loaded.run(frame, max(0, growth_of(vector)))

        assert (verdict, sent) == (VERDICT_REDIRECT[Rung.XDP], expected_frame(vector, DATA))
        assert loaded.take_count() == (1, len(DATA))


@pytest.mark.parametrize("vector", [one for one in VECTORS if growth_of(one) > 0], ids=str)
def test_frame_without_room_is_left_whole_to_userspace_which_counts_it(
    loaded: Loaded, vector: Vector
) -> None:
    with trial_flow(loaded.maps, vector):
        frame = build_frame(vector.before, DATA, tag=vector.tags[0])
        for room_bytes in {0, growth_of(vector) - METADATA_BYTES}:
            assert loaded.run(frame, room_bytes) == (VERDICT_LEAVE[Rung.XDP], frame)

        assert loaded.take_count() == (0, 0)
