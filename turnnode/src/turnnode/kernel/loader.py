"""Make the maps, and load the programs that come with this package.

For: one set of maps, which programs of several rungs may use one after the other.
Not for: attaching programs to interfaces (attachment.py).
"""

from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Self

from turnnode.kernel.layout import (
    BUCKET_BYTES,
    CONTROL_BYTES,
    FLOW_BYTES,
    HOP_BYTES,
    KEY_BYTES,
    SCRATCH_BYTES,
    STATE_BYTES,
)
from turnnode.kernel.maps import HashMap, PerProcessorArray, SharedArray
from turnnode.kernel.object_file import read_program
from turnnode.kernel.rungs import Rung
from turnnode.kernel.system_call import ProgramKind, load_program

FLOWS: Final = 65_536
HOPS: Final = 16_384
BUCKETS: Final = 4096


@dataclass(frozen=True, slots=True)
class RelayMaps:
    """The maps of bpf/flow.h."""

    flows: HashMap
    states: SharedArray
    hops: SharedArray
    buckets: SharedArray
    control: SharedArray
    scratch: PerProcessorArray

    @classmethod
    def create(cls, stack: ExitStack, entries: int = FLOWS) -> Self:
        """Make empty maps, which `stack` closes. Raises: OSError."""
        return cls(
            flows=HashMap(stack, name="flows", key_bytes=KEY_BYTES, value_bytes=FLOW_BYTES, entries=entries),
            states=SharedArray(stack, name="states", value_bytes=STATE_BYTES, entries=entries),
            hops=SharedArray(stack, name="hops", value_bytes=HOP_BYTES, entries=min(entries, HOPS)),
            buckets=SharedArray(
                stack, name="buckets", value_bytes=BUCKET_BYTES, entries=min(entries, BUCKETS)
            ),
            control=SharedArray(stack, name="control", value_bytes=CONTROL_BYTES, entries=1),
            scratch=PerProcessorArray(stack, name="scratch", value_bytes=SCRATCH_BYTES),
        )

    def load(self, rung: Rung) -> int:
        """Return the descriptor of a rung's program.

        Raises:
            OSError: The kernel refuses it.
            ObjectFormatError: The package is damaged.
        """
        section, kind = ("tc", ProgramKind.TC) if rung is Rung.TC else ("xdp", ProgramKind.XDP)
        content = files(__package__).joinpath(f"relay_{section}.o").read_bytes()
        program = read_program(content, section)
        descriptors = {name: getattr(self, name).descriptor for name in {name for _, name in program.maps}}
        return load_program(kind, program.link(descriptors), licence=program.licence, name=f"turn_{section}")
