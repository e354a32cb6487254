"""Write and read what the relay remembers of its allocations beyond its process.

    turnnode journal 1
    CHECKSUM {"kind":"nonce key",…}
    CHECKSUM {"kind":"allocation",…}    all that one client holds; a later one of the same client replaces it
    CHECKSUM {"kind":"end",…}           that client holds nothing any more

Each line stands for itself: what is cut off at the end costs only the lines that it was written on. Times are
those of the machine's monotonic clock, which all processes share until the next boot.

For: journal.py, which has the file, and adoption.py.
Not for: whether what was read still holds.
"""

import json
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from turnnode.errors import JournalFormatError
from turnnode.relay.allocation import Allocation
from turnnode.relay.nonce import FiveTuple
from turnnode.stun.attributes import MAX_CHANNEL, MIN_CHANNEL, Address

HEADER: Final = b"turnnode journal 1\n"
NONCE_KEY_BYTES: Final = 32
_CHECKSUM_DIGITS = 8
_text = json.encoder.encode_basestring_ascii


def _is_canonical(host: str) -> str:
    if str(ip_address(host)) != host:
        raise ValueError("an address is written in its one form")
    return host


def _is_unscoped(host: str) -> str:
    if "%" in host:
        raise ValueError("an address of a peer has no zone")
    return host


_Host = Annotated[str, AfterValidator(_is_canonical)]
_PeerHost = Annotated[_Host, AfterValidator(_is_unscoped)]
_Port = Annotated[int, Field(ge=0, le=65_535)]
_Address = tuple[_Host, _Port]
_Moment = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, val_json_bytes="hex")


class NonceKeyRecord(_Record):
    """The key that nonces are made with."""

    kind: Literal["nonce key"]
    key: bytes = Field(min_length=NONCE_KEY_BYTES, max_length=NONCE_KEY_BYTES, repr=False)


class ChannelRecord(_Record):
    """A bound channel."""

    number: Annotated[int, Field(ge=MIN_CHANNEL, le=MAX_CHANNEL)]
    peer: tuple[_PeerHost, _Port]
    expires_at: _Moment


class AllocationRecord(_Record):
    """All that one client holds; see `Allocation`."""

    kind: Literal["allocation"]
    client: _Address
    server: _Address
    relay: tuple[_PeerHost, _Port]
    published: tuple[_PeerHost, _Port]
    username: str
    expires_at: _Moment
    transaction_id: bytes
    answer: tuple[tuple[Annotated[int, Field(ge=0, le=65_535)], bytes], ...]
    permissions: Mapping[_PeerHost, _Moment]
    channels: tuple[ChannelRecord, ...]
    second_relay: tuple[_PeerHost, _Port] | None = None
    second_published: tuple[_PeerHost, _Port] | None = None
    hears_errors: bool = False

    @model_validator(mode="after")
    def _channels_are_one_to_one(self) -> Self:
        numbers = {channel.number for channel in self.channels}
        peers = {channel.peer for channel in self.channels}
        if not len(numbers) == len(peers) == len(self.channels):
            raise ValueError("a channel has one peer, and a peer one channel")
        return self

    @property
    def five_tuple(self) -> FiveTuple:
        """The 5-tuple that identifies the allocation."""
        return FiveTuple(self.client, self.server)


class EndRecord(_Record):
    """A client holds nothing any more."""

    kind: Literal["end"]
    client: _Address
    server: _Address


_RECORDS: Final[TypeAdapter[NonceKeyRecord | AllocationRecord | EndRecord]] = TypeAdapter(
    Annotated[NonceKeyRecord | AllocationRecord | EndRecord, Field(discriminator="kind")]
)


@dataclass(slots=True)
class Recollection:
    """What was read; `unread_bytes` stand behind the last line that could be."""

    nonce_key: bytes | None = field(default=None, repr=False)
    allocations: dict[FiveTuple, AllocationRecord] = field(default_factory=dict)
    unread_bytes: int = 0


def write_nonce_key(key: bytes) -> bytes:
    """Write the line of the nonces' key."""
    return _write_line({"kind": "nonce key", "key": key.hex()})


def write_allocation(allocation: Allocation) -> bytes:
    """Write the line of all that a client holds now."""
    # Not json.dumps, which costs as much as all the rest of a request: only texts need its care.
    head = allocation.journal_head
    if head is None:
        head = allocation.journal_head = _head_of(allocation)
    permissions = channels = ""
    if allocation.permissions:
        permissions = ",".join([f"{_text(host)}:{end!r}" for host, end in allocation.permissions.items()])
    if allocation.channels:
        channels = ",".join(
            [
                f'{{"number":{one.number},"peer":{_pair(one.peer)},"expires_at":{one.expires_at!r}}}'
                for one in allocation.channels.values()
            ]
        )
    return _frame(
        f'{head},"expires_at":{allocation.expires_at!r},'
        f'"permissions":{{{permissions}}},"channels":[{channels}]}}'.encode()
    )


def write_end(five_tuple: FiveTuple) -> bytes:
    """Write the line that says that a client holds nothing any more."""
    client, server = _pair(five_tuple.client), _pair(five_tuple.server)
    return _frame(f'{{"kind":"end","client":{client},"server":{server}}}'.encode())


def read_journal(content: bytes) -> Recollection:
    """Read a journal up to the first line that is not whole.

    Raises:
        JournalFormatError: It is no journal, or one of another version.
    """
    if not content.startswith(HEADER):
        raise JournalFormatError("It is no journal of this version.")
    recollection = Recollection()
    read_bytes = len(HEADER)
    for line in content[read_bytes:].splitlines(keepends=True):
        if not _take_line(line, recollection):
            break
        read_bytes += len(line)
    recollection.unread_bytes = len(content) - read_bytes
    return recollection


def _take_line(line: bytes, into: Recollection) -> bool:
    """Put one line in force; tell whether it is whole."""
    text = line[_CHECKSUM_DIGITS + 1 : -1]
    if line != _frame(text):
        return False
    try:
        record = _RECORDS.validate_json(text)
    except ValidationError:
        return False
    match record:
        case NonceKeyRecord():
            into.nonce_key = record.key
        case AllocationRecord():
            into.allocations[record.five_tuple] = record
        case EndRecord():
            into.allocations.pop(FiveTuple(record.client, record.server), None)
    return True


def _head_of(allocation: Allocation) -> str:
    """Write what stays the same of an allocation as long as it has the same ports."""
    answer = ",".join([f'[{number:d},"{value.hex()}"]' for number, value in allocation.answer])
    port, second = allocation.port, allocation.second
    head = (
        f'{{"kind":"allocation","client":{_pair(allocation.client)},"server":{_pair(allocation.side.address)},'
        f'"relay":{_pair(port.bound)},"published":{_pair(port.published)},'
        f'"username":{_text(allocation.username)},'
        f'"transaction_id":"{allocation.transaction_id.hex()}","answer":[{answer}]'
    )
    # What a former release does not know is written only where it is needed.
    if allocation.hears_errors:
        head += ',"hears_errors":true'
    if second is not None:
        head += f',"second_relay":{_pair(second.bound)},"second_published":{_pair(second.published)}'
    return head


def _pair(address: Address) -> str:
    return f"[{_text(address[0])},{address[1]}]"


def _write_line(record: Mapping[str, object]) -> bytes:
    return _frame(json.dumps(record, separators=(",", ":")).encode())


def _frame(text: bytes) -> bytes:
    return b"%08x %s\n" % (crc32(text), text)
