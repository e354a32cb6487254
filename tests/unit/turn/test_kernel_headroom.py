"""Frames before which the driver has left little room: a longer header fits, or userspace gets them whole.

The kernel runs the program on frames whose room is taken by metadata (BPF_PROG_TEST_RUN with a context).
Of the program of TC, the kernel itself makes room (bpf_skb_adjust_room copies what is too small).
"""

import errno
import os
from collections.abc import Iterator

import pytest

from support.kernel_programs import PORT, Loaded, load
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
from turnnode.kernel.system_call import run_program

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="programs in the kernel need root")
DATA = bytes(range(160))
ROOM_BYTES = 216  # what the kernel leaves before a frame, less its own notes
METADATA_BYTES = 4  # metadata are whole words
VECTORS = [*list_vectors(PORT), *list_tagged_vectors(PORT)]


def run(loaded: Loaded, frame: bytes, room_bytes: int) -> tuple[int, bytes]:
    """Run the program on a frame with so much room before it; return the verdict and the frame."""
    result = run_program(loaded.program, frame, metadata_bytes=ROOM_BYTES - room_bytes)
    return result.verdict, result.frame


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    with load(Rung.XDP) as loaded:
        try:
            run(loaded, bytes(64), 0)
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
        verdict, sent = run(loaded, frame, max(0, growth_of(vector)))

        assert (verdict, sent) == (VERDICT_REDIRECT[Rung.XDP], expected_frame(vector, DATA))
        assert loaded.read_relayed() == (1, len(DATA))


@pytest.mark.parametrize("vector", [one for one in VECTORS if growth_of(one) > 0], ids=str)
def test_frame_without_room_is_left_whole_to_userspace_which_counts_it(
    loaded: Loaded, vector: Vector
) -> None:
    with trial_flow(loaded.maps, vector):
        frame = build_frame(vector.before, DATA, tag=vector.tags[0])
        for room_bytes in {0, growth_of(vector) - METADATA_BYTES}:
            assert run(loaded, frame, room_bytes) == (VERDICT_LEAVE[Rung.XDP], frame)

        assert loaded.read_relayed() == (0, 0)
