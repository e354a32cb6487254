"""Read a program out of an object file of clang (`-target bpf`).

For: the two objects that come with this package, which `make bpf` builds.
Not for: other objects: no calls between functions, no global variables, no CO-RE.

Source: the ELF-64 object file format; include/uapi/linux/bpf.h for `BPF_PSEUDO_MAP_FD`.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from turnnode.errors import ObjectFormatError

INSTRUCTION_BYTES: Final = 8
_PROGRAM_BITS, _SYMBOLS, _RELOCATIONS = 1, 2, 9
_EXECUTABLE = 4
_LOAD_IMMEDIATE = 0x18
_PSEUDO_MAP_FD = 1


@dataclass(frozen=True, slots=True)
class Program:
    """Instructions, and at which of their bytes which map is named."""

    instructions: bytes
    maps: tuple[tuple[int, str], ...]
    licence: str

    def link(self, descriptors: Mapping[str, int]) -> bytes:
        """Return the instructions with the descriptors of maps in place of their names."""
        linked = bytearray(self.instructions)
        for offset, name in self.maps:
            linked[offset + 1] = linked[offset + 1] & 0x0F | _PSEUDO_MAP_FD << 4
            struct.pack_into("<i", linked, offset + 4, descriptors[name])
        return bytes(linked)


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    kind: int
    flags: int
    data: bytes
    link: int
    info: int


def read_program(content: bytes, section_name: str) -> Program:
    """Read the program of one section.

    Raises:
        ObjectFormatError: The content is no such object, or has no such program.
    """
    try:
        sections = _read_sections(content)
        place = next(
            place
            for place, section in enumerate(sections)
            if section.name == section_name and section.kind == _PROGRAM_BITS and section.flags & _EXECUTABLE
        )
        licence = next(section.data for section in sections if section.name == "license")
        instructions = sections[place].data
        maps = tuple(_read_relocations(sections, place))
    except (struct.error, IndexError, OverflowError, ValueError, StopIteration) as error:
        raise ObjectFormatError(f"there is no program {section_name} in the object") from error
    if not instructions or len(instructions) % INSTRUCTION_BYTES:
        raise ObjectFormatError(f"the program {section_name} is cut off")
    for offset, _ in maps:
        if offset % INSTRUCTION_BYTES or instructions[offset : offset + 1] != bytes((_LOAD_IMMEDIATE,)):
            raise ObjectFormatError(f"the program {section_name} refers to something that is no map")
    return Program(instructions, maps, licence.rstrip(b"\0").decode(errors="replace"))


def _read_sections(content: bytes) -> list[_Section]:
    if content[:6] != b"\x7fELF\x02\x01":
        raise ValueError("this is no 64-bit little-endian ELF object")
    (table,) = struct.unpack_from("<Q", content, 0x28)
    size, count, names_place = struct.unpack_from("<HHH", content, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", content, table + place * size) for place in range(count)]

    def body(header: tuple[int, ...]) -> bytes:
        return content[header[4] : header[4] + header[5]]

    names = body(headers[names_place])
    return [
        _Section(_text_at(names, header[0]), header[1], header[2], body(header), header[6], header[7])
        for header in headers
    ]


def _read_relocations(sections: list[_Section], place: int) -> list[tuple[int, str]]:
    found = []
    for section in sections:
        if section.kind != _RELOCATIONS or section.info != place:
            continue
        symbols = sections[section.link]
        names = sections[symbols.link].data
        for offset, info in struct.iter_unpack("<QQ", section.data):
            (name_place,) = struct.unpack_from("<I", symbols.data, (info >> 32) * 24)
            found.append((offset, _text_at(names, name_place)))
    return found


def _text_at(table: bytes, place: int) -> str:
    return table[place : table.index(b"\0", place)].decode()
