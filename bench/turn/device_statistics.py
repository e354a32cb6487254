"""What a network device of this thread's network has counted, as its driver calls it.

Source: ethtool(8) `--statistics`; include/uapi/linux/ethtool.h.
"""

import ctypes
import fcntl
import socket
import struct
from typing import Final

_SIOCETHTOOL: Final = 0x8946
_DRIVER, _STRINGS, _STATISTICS = 0x03, 0x1B, 0x1D
_STATISTICS_SET: Final = 1
_NAME_BYTES: Final = 32
_DRIVER_BYTES, _COUNT_PLACE = 196, 180


def read_device_statistics(device: str) -> dict[str, int]:
    """Read every counter of a device."""
    count = struct.unpack_from("=I", _ask(device, struct.pack("=I", _DRIVER), _DRIVER_BYTES), _COUNT_PLACE)[0]
    asked = struct.pack("=III", _STRINGS, _STATISTICS_SET, count)
    names = _ask(device, asked, len(asked) + count * _NAME_BYTES)[len(asked) :]
    asked = struct.pack("=II", _STATISTICS, count)
    values = struct.unpack_from(f"={count}Q", _ask(device, asked, len(asked) + count * 8), len(asked))
    return {
        names[place * _NAME_BYTES : (place + 1) * _NAME_BYTES].rstrip(b"\0").decode(): value
        for place, value in enumerate(values)
    }


def _ask(device: str, question: bytes, size: int) -> bytes:
    buffer = ctypes.create_string_buffer(question, size)
    request = struct.pack("16sQ16x", device.encode(), ctypes.addressof(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SIOCETHTOOL, request)
    return buffer.raw
