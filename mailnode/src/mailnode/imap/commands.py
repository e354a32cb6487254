"""What a client may ask for: one frozen value for each command.

For: what the parser makes and the session acts on. Mailbox names are decoded; message numbers and UIDs are
as they were written; tags are not part of a command.
Not for: bytes of the protocol (parser.py) or doing anything.

Source: RFC 3501 section 6, and the extension that is named at a class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mailnode.imap.search_keys import SearchKey
from mailnode.imap.sequence_set import SequenceSet
from mailnode.store.mail_store import FlagMode, Flags


class Verb(StrEnum):
    """The commands that have no arguments."""

    CAPABILITY = "CAPABILITY"
    CHECK = "CHECK"
    CLOSE = "CLOSE"
    EXPUNGE = "EXPUNGE"
    IDLE = "IDLE"  # RFC 2177
    LOGOUT = "LOGOUT"
    NAMESPACE = "NAMESPACE"  # RFC 2342
    NOOP = "NOOP"
    STARTTLS = "STARTTLS"
    UNSELECT = "UNSELECT"  # RFC 3691


class Attribute(StrEnum):
    """What FETCH tells of a message without its text."""

    BODY = "BODY"
    BODY_STRUCTURE = "BODYSTRUCTURE"
    ENVELOPE = "ENVELOPE"
    FLAGS = "FLAGS"
    INTERNAL_DATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    UID = "UID"


class SectionText(StrEnum):
    """Which text of a part is meant."""

    ALL = ""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    MIME = "MIME"
    TEXT = "TEXT"


class StatusItem(StrEnum):
    """What STATUS counts."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UID_NEXT = "UIDNEXT"
    UID_VALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a message. `part` is empty for the whole message; `fields` are in lower case."""

    part: tuple[int, ...] = ()
    text: SectionText = SectionText.ALL
    fields: tuple[bytes, ...] = ()

    @property
    def is_in_header(self) -> bool:
        """Whether the message's own header is enough to answer."""
        return not self.part and self.text in (
            SectionText.HEADER,
            SectionText.HEADER_FIELDS,
            SectionText.HEADER_FIELDS_NOT,
        )


@dataclass(frozen=True, slots=True)
class Partial:
    """A range of octets."""

    start: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SectionItem:
    """A piece of a message to fetch; `label` is its name in the response."""

    section: Section
    label: bytes
    partial: Partial | None = None


FetchItem = Attribute | SectionItem


@dataclass(frozen=True, slots=True)
class FetchItems:
    """What a FETCH asks for, and what must be read for it."""

    items: tuple[FetchItem, ...]
    sets_seen: bool
    needs_header: bool
    needs_body: bool
    needs_parts: bool


@dataclass(frozen=True, slots=True)
class Plain:
    """A command without arguments."""

    verb: Verb


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN."""

    user: bytes
    password: bytes


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE. `initial_response` is base64 (RFC 4959); with `None`, the client waits for `+`."""

    mechanism: bytes
    initial_response: bytes | None


@dataclass(frozen=True, slots=True)
class Identify:
    """ID (RFC 2971). What the client says of itself is of no use, and not kept."""


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE (RFC 5161)."""

    capabilities: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or EXAMINE if read-only; parameters in capitals (RFC 4466)."""

    mailbox: str
    is_read_only: bool
    parameters: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE, or UNSUBSCRIBE."""

    mailbox: str
    is_subscribed: bool


@dataclass(frozen=True, slots=True)
class List:
    """LIST, or LSUB. `pattern` is the reference and the pattern in one; empty asks for the delimiter."""

    pattern: bytes
    only_subscribed: bool


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS."""

    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND. `None` as the date means now."""

    mailbox: str
    flags: Flags
    received_at_seconds: int | None
    message: bytes


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH."""

    key: SearchKey
    is_uid: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH."""

    messages: SequenceSet
    request: FetchItems
    is_uid: bool


@dataclass(frozen=True, slots=True)
class Store:
    """STORE."""

    messages: SequenceSet
    mode: FlagMode
    flags: Flags
    is_silent: bool
    is_uid: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY, or MOVE (RFC 6851)."""

    messages: SequenceSet
    mailbox: str
    is_move: bool
    is_uid: bool


@dataclass(frozen=True, slots=True)
class UidExpunge:
    """UID EXPUNGE (RFC 4315)."""

    messages: SequenceSet


@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA (RFC 9208)."""

    root: bytes


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """GETQUOTAROOT (RFC 9208)."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA (RFC 9208). Its limits are not kept: no client may set any."""

    root: bytes


class MetadataDepth(StrEnum):
    """How far below the named entries GETMETADATA looks. Source: RFC 5464 section 4.2.2."""

    NONE = "0"
    ONE = "1"
    ALL = "infinity"


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """GETMETADATA (RFC 5464). An empty mailbox means the node; entries are in the client's spelling."""

    mailbox: str
    entries: tuple[str, ...]
    depth: MetadataDepth = MetadataDepth.NONE
    max_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """SETMETADATA (RFC 5464). `None` removes an entry; names are in lower case."""

    mailbox: str
    values: Mapping[str, str | None]


Command = (
    Plain
    | Login
    | Authenticate
    | Identify
    | Enable
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Status
    | Append
    | Search
    | Fetch
    | Store
    | Copy
    | UidExpunge
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | GetMetadata
    | SetMetadata
)
