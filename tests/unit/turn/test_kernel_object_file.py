"""Objects of clang: those of the package are read, damaged ones are refused."""

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

import turnnode.kernel
from turnnode.errors import ObjectFormatError
from turnnode.kernel.object_file import INSTRUCTION_BYTES, Program, read_program

MAPS = {"control", "flows", "states", "hops", "buckets"}
XDP = files(turnnode.kernel).joinpath("relay_xdp.o").read_bytes()


@pytest.mark.parametrize(("section", "maps"), [("xdp", MAPS), ("tc", MAPS | {"scratch"})])
def test_programs_of_the_package_name_their_maps(section: str, maps: set[str]) -> None:
    content = files(turnnode.kernel).joinpath(f"relay_{section}.o").read_bytes()
    program = read_program(content, section)

    assert {name for _, name in program.maps} == maps
    assert program.licence == "Dual MIT/GPL"
    assert len(program.instructions) // INSTRUCTION_BYTES < 1200  # the kernel takes 4,096 of anybody


def test_descriptors_take_the_place_of_names() -> None:
    program = Program(bytes.fromhex("1801000000000000") + bytes(8), ((0, "flows"),), "MIT")

    assert program.link({"flows": 0x1234})[:8] == bytes.fromhex("1811000034120000")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x7fELF", XDP[:64], XDP[:-200], XDP.replace(b"license", b"licence"), b"\x7fELF\x01" + XDP[5:]],
)
def test_damaged_object_is_refused(content: bytes) -> None:
    with pytest.raises(ObjectFormatError):
        read_program(content, "xdp")


def test_section_that_is_not_there_is_refused() -> None:
    with pytest.raises(ObjectFormatError, match="no program socket"):
        read_program(XDP, "socket")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    try:
        read_program(b"\x7fELF\x02\x01" + content, "xdp")
    except ObjectFormatError:
        return


@given(st.integers(0, len(XDP) - 1), st.binary(min_size=1, max_size=8))
def test_any_change_of_an_object_is_refused_or_read(place: int, patch: bytes) -> None:
    try:
        program = read_program(XDP[:place] + patch + XDP[place + len(patch) :], "xdp")
    except ObjectFormatError:
        return
    assert len(program.instructions) % INSTRUCTION_BYTES == 0
