"""The system call bpf(2), as far as a relay needs it.

For: maps.py, loader.py, attachment.py and proof.py.
Not for: knowing what a program does.

Source: include/uapi/linux/bpf.h, of which `union bpf_attr` is what each function packs.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

_NUMBERS: Final = {"x86_64": 321, "aarch64": 280}
_LOG_BYTES: Final = 1 << 20
_NAME_BYTES: Final = 15
_MAX_OUTPUT_BYTES: Final = 4096
_XDP_MD_BYTES: Final = 24

_libc = ctypes.CDLL(None, use_errno=True)


class Command(IntEnum):
    """What bpf(2) is asked for."""

    MAP_CREATE = 0
    MAP_LOOKUP = 1
    MAP_UPDATE = 2
    MAP_DELETE = 3
    PROG_LOAD = 5
    OBJ_PIN = 6
    OBJ_GET = 7
    PROG_TEST_RUN = 10
    MAP_UPDATE_BATCH = 26
    MAP_DELETE_BATCH = 27
    LINK_CREATE = 28
    LINK_UPDATE = 29
    LINK_DETACH = 34


class MapKind(IntEnum):
    """Kinds of maps."""

    HASH = 1
    ARRAY = 2
    PERCPU_ARRAY = 6


class ProgramKind(IntEnum):
    """Kinds of programs."""

    TC = 3
    XDP = 6


class AttachKind(IntEnum):
    """Where a link puts a program."""

    XDP = 37
    TCX_INGRESS = 46


MMAPABLE: Final = 1 << 10


@dataclass(frozen=True, slots=True)
class TestRun:
    """What a program made of one frame."""

    verdict: int
    frame: bytes
    nanoseconds: int


def create_map(  # noqa: PLR0913 - they are the kernel's
    kind: MapKind, *, key_bytes: int, value_bytes: int, entries: int, flags: int, name: str
) -> int:
    """Return a descriptor of a new map. Raises: OSError."""
    head = struct.pack("=6I", kind, key_bytes, value_bytes, entries, flags, 0)
    return _call(Command.MAP_CREATE, head + _name(name))


def update_element(descriptor: int, key: bytes, value: bytes) -> None:
    """Put an element into a map. Raises: OSError."""
    _element(Command.MAP_UPDATE, descriptor, key, ctypes.create_string_buffer(value, len(value)))


def lookup_element(descriptor: int, key: bytes, value_bytes: int) -> bytes | None:
    """Read an element of a map; `None` if there is none. Raises: OSError."""
    value = ctypes.create_string_buffer(value_bytes)
    try:
        _element(Command.MAP_LOOKUP, descriptor, key, value)
    except FileNotFoundError:
        return None
    return value.raw


def delete_element(descriptor: int, key: bytes) -> bool:
    """Take an element out of a map; tell whether it was there. Raises: OSError."""
    try:
        _element(Command.MAP_DELETE, descriptor, key, None)
    except FileNotFoundError:
        return False
    return True


def update_elements(descriptor: int, keys: bytes, values: bytes, count: int) -> int:
    """Put elements into a map, whose keys and values stand in a row; return how many the kernel took."""
    return _batch(Command.MAP_UPDATE_BATCH, descriptor, keys, values, count)


def delete_elements(descriptor: int, keys: bytes, count: int) -> int:
    """Take elements out of a map; return how many came before one that was not there."""
    return _batch(Command.MAP_DELETE_BATCH, descriptor, keys, b"", count)


def load_program(kind: ProgramKind, instructions: bytes, *, licence: str, name: str) -> int:
    """Return a descriptor of a program that the kernel has verified.

    Raises:
        OSError: It is refused; the text ends with the verifier's last words.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence_text = ctypes.create_string_buffer(licence.encode())

    def attributes(log: ctypes.Array[ctypes.c_char] | None) -> bytes:
        return struct.pack(
            "=IIQQIIQII",
            kind,
            len(instructions) // 8,
            ctypes.addressof(code),
            ctypes.addressof(licence_text),
            0 if log is None else 1,
            0 if log is None else len(log),
            0 if log is None else ctypes.addressof(log),
            0,
            0,
        ) + _name(name)

    try:
        return _call(Command.PROG_LOAD, attributes(None))
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EINVAL}:
            raise
        log = ctypes.create_string_buffer(_LOG_BYTES)
        try:
            return _call(Command.PROG_LOAD, attributes(log))
        except OSError as again:
            words = log.value.decode(errors="replace").strip().splitlines()[-3:]
            raise OSError(again.errno, f"{again.strerror}: {' / '.join(words)}") from error


def run_program(descriptor: int, frame: bytes, repeat: int = 1, *, metadata_bytes: int = 0) -> TestRun:
    """Run a program on a frame that no interface has received. Raises: OSError.

    metadata_bytes, whole words, are taken of the room before the frame; only the kernel's XDP knows them.
    """
    received = ctypes.create_string_buffer(bytes(metadata_bytes) + frame, metadata_bytes + len(frame))
    sent = ctypes.create_string_buffer(_MAX_OUTPUT_BYTES)
    # struct xdp_md: where metadata end and the frame begins, and where that ends.
    context = ctypes.create_string_buffer(struct.pack("=II", metadata_bytes, len(received)), _XDP_MD_BYTES)
    at = ctypes.addressof(context)
    attributes = struct.pack(
        "=IIIIQQIIIIQQ16x",
        *(descriptor, 0, len(received), len(sent), ctypes.addressof(received), ctypes.addressof(sent)),
        *(repeat, 0, *((_XDP_MD_BYTES, _XDP_MD_BYTES, at, at) if metadata_bytes else (0, 0, 0, 0))),
    )
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    _call_with(Command.PROG_TEST_RUN, buffer)
    _, verdict, _, size = struct.unpack_from("=IIII", buffer)
    (nanoseconds,) = struct.unpack_from("=I", buffer, 36)
    start, end = struct.unpack_from("=II", context) if metadata_bytes else (0, size)
    return TestRun(verdict, sent.raw[start:end], nanoseconds)


def create_link(program: int, interface: int, kind: AttachKind, flags: int = 0) -> int:
    """Return a descriptor of a link of a program to an interface. Raises: OSError."""
    return _call(Command.LINK_CREATE, struct.pack("=IIII", program, interface, kind, flags) + bytes(48))


def update_link(link: int, program: int) -> None:
    """Put another program in the place of a link's, without a gap between the two. Raises: OSError."""
    _call(Command.LINK_UPDATE, struct.pack("=IIII", link, program, 0, 0))


def detach_link(link: int) -> None:
    """Detach a link's program at once; closing it would do so some time later. Raises: OSError."""
    _call(Command.LINK_DETACH, struct.pack("=I", link))


def pin(descriptor: int, path: Path) -> None:
    """Let the BPF file system keep an object beyond the process. Raises: OSError."""
    text = ctypes.create_string_buffer(os.fsencode(path))
    _call(Command.OBJ_PIN, struct.pack("=QII", ctypes.addressof(text), descriptor, 0))


def open_pinned(path: Path) -> int:
    """Return a descriptor of what the BPF file system keeps. Raises: OSError."""
    text = ctypes.create_string_buffer(os.fsencode(path))
    return _call(Command.OBJ_GET, struct.pack("=QII", ctypes.addressof(text), 0, 0))


def _element(
    command: Command, descriptor: int, key: bytes, value: "ctypes.Array[ctypes.c_char] | None"
) -> None:
    key_buffer = ctypes.create_string_buffer(key, len(key))
    # The kernel refuses a deletion that points to a value.
    place = 0 if value is None else ctypes.addressof(value)
    _call(command, struct.pack("=IIQQQ", descriptor, 0, ctypes.addressof(key_buffer), place, 0))


def _batch(command: Command, descriptor: int, keys: bytes, values: bytes, count: int) -> int:
    key_buffer = ctypes.create_string_buffer(keys, len(keys))
    value_buffer = ctypes.create_string_buffer(values, len(values)) if values else None
    attributes = struct.pack(
        "=QQQQIIQQ",
        *(0, 0, ctypes.addressof(key_buffer), 0 if value_buffer is None else ctypes.addressof(value_buffer)),
        *(count, descriptor, 0, 0),
    )
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    try:
        _call_with(command, buffer)
    except OSError:
        (done,) = struct.unpack_from("=I", buffer, 32)  # the kernel writes it in any case
        return int(done) if done < count else 0
    return count


def _name(name: str) -> bytes:
    return name.encode()[:_NAME_BYTES].ljust(_NAME_BYTES + 1, b"\0")


def _call(command: Command, attributes: bytes) -> int:
    return _call_with(command, ctypes.create_string_buffer(attributes, len(attributes)))


def _call_with(command: Command, attributes: "ctypes.Array[ctypes.c_char]") -> int:
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"bpf(2) is not known on {platform.machine()}")
    result = _libc.syscall(number, int(command), attributes, len(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"bpf {command.name}: {os.strerror(code)}")
    return int(result)
