"""What can go wrong in a TURN node, as one tree.

    TurnnodeError
    ├── StunFormatError     bytes are no STUN message, no ChannelData, or no value of their attribute
    ├── JournalFormatError  a file is no journal of allocations
    ├── RequestRefusedError a request was understood and is answered with an error response
    ├── ProbeFailedError    a probe's call did not come about, or was worse than asked for
    └── KernelPathError     the kernel does not relay
        ├── ObjectFormatError    a file is no object with a program of ours
        ├── ProgramProofError    a program does not do what it should
        └── RungUnavailableError the way that was set cannot be had

For: every package of this distribution.
Not for: faults of the operating system, which stay `OSError`.
"""

from typing import ClassVar


class TurnnodeError(Exception):
    """The root of the tree: `str()` is safe to show, `code` never changes."""

    code: ClassVar[str] = "turnnode_error"


class StunFormatError(TurnnodeError):
    """Bytes are not what RFC 8489 or RFC 8656 say; the text names no byte of them."""

    code: ClassVar[str] = "stun_format"


class JournalFormatError(TurnnodeError):
    """A file is not what the relay remembers its allocations by."""

    code: ClassVar[str] = "journal_format"


class RequestRefusedError(TurnnodeError):
    """A STUN request is answered with an error response.

    `status` is the STUN error code. `unknown_types` are the attributes that a 420 names; `alternate` is where
    a 300 sends the client.
    """

    code: ClassVar[str] = "request_refused"

    def __init__(
        self,
        status: int,
        unknown_types: tuple[int, ...] = (),
        alternate: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.unknown_types = unknown_types
        self.alternate = alternate

    def __str__(self) -> str:
        """Say it when somebody asks, which is not for each request."""
        return f"the request is refused with {self.status}"


class ProbeFailedError(TurnnodeError):
    """A probe's call failed; the text names what to look at."""

    code: ClassVar[str] = "probe_failed"


class KernelPathError(TurnnodeError):
    """The kernel cannot relay."""

    code: ClassVar[str] = "kernel_path"


class ObjectFormatError(KernelPathError):
    """A file is no object with a program of ours."""

    code: ClassVar[str] = "object_format"


class ProgramProofError(KernelPathError):
    """A program that the kernel has loaded does not do what it should."""

    code: ClassVar[str] = "program_proof"


class RungUnavailableError(KernelPathError):
    """A way to relay was set that cannot be had; the text says which, and why."""

    code: ClassVar[str] = "rung_unavailable"
