"""What the control plane wants of a node: its desired state.

For: both sides. The control plane computes a state, signs it and sends it; the node applies it as a whole.
Not for: settings that belong to a host (addresses, paths, and which ports are open); Ansible sets those.

Fields that a node does not know are ignored, so that a newer control plane can steer an older node; what they
mean must therefore be safe to leave undone.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nodelink.contract.documents import DocumentType, open_document
from nodelink.contract.errors import MisaddressedError
from nodelink.contract.federation import FederationState
from nodelink.contract.keys import PublicKey

NODE_NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
NodeName = Annotated[str, Field(pattern=NODE_NAME_PATTERN, description="Name of a node, as a DNS label.")]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
SpkiPin = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of the certificate's public key (SubjectPublicKeyInfo, DER), in hexadecimal."""


MAX_REVISION = 1 << 53
"""What every reader of JSON still counts exactly."""


PUSH_FAILURES_BEFORE_PAUSE = 5
MAX_SIBLINGS = 4096

MAX_BACKUP_ADDRESSES = 4
"""Delta Chat keeps a profile on at most five relays."""

MAX_WEIGHT = 10_000

MAX_DAYS = 3_650
"""Ten years are as good as for ever."""


class NodeKind(StrEnum):
    """What a node does."""

    MAIL = "mail"
    TURN = "turn"


class Part(BaseModel):
    """Anything that stands in a state."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TurnAccess(Part):
    """How a mail node makes TURN credentials for its accounts.

    A credential's user name is nothing but the second at which it expires. So that two mail nodes never hand
    out the same one, a node uses only seconds with `second % modulus == residue`.
    """

    host: str = Field(min_length=1, max_length=253, description="Name or IPv4 literal of the TURN service.")
    port: int = Field(ge=1, le=65535)
    secret: str = Field(min_length=16, max_length=256, repr=False)
    residue: int = Field(ge=0)
    modulus: int = Field(ge=1, le=86_400)
    lifetime_seconds: int = Field(
        ge=86_400,
        le=30 * 86_400,
        description="Longest validity of a credential. Apps renew it when less than 12 hours are left.",
    )

    @model_validator(mode="after")
    def _residue_fits(self) -> "TurnAccess":
        if self.residue >= self.modulus:
            raise ValueError("residue must be smaller than modulus")
        return self


class SiblingNode(Part):
    """Another mail node of the fleet: where it takes mail for its domain, and how it proves who it is.

    `tls_pin` is the key of its certificate where no CA vouches for that, otherwise `None`.
    """

    name: NodeName
    mail_domain: str = Field(min_length=1, max_length=255)
    host: str = Field(min_length=1, max_length=253, description="Name, or address without brackets.")
    port: int = Field(ge=1, le=65535, description="Port of its HTTPS.")
    public_key: str = Field(min_length=1, max_length=64, description="Its identity, base64url.")
    tls_pin: SpkiPin | None


class SiblingListName(Part):
    """Which list of siblings is meant: its revision, and the digest of its content (siblings.py)."""

    revision: int = Field(ge=1, le=MAX_REVISION)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class MailPorts(Part):
    """Where the services of a mail node are wanted; `None` for the port that Ansible has set.

    A field has the name of a port (contract.ports.PortName).
    """

    submission: PortNumber | None = None
    submission_tls: PortNumber | None = None
    imap: PortNumber | None = None
    imap_tls: PortNumber | None = None


class MailNodeState(Part):
    """What a mail node is to do. `siblings` are the fleet's other mail nodes, a domain each.

    Where `sibling_list` names a document, they stand in that one instead: it is the same for all nodes.
    """

    kind: Literal[NodeKind.MAIL] = NodeKind.MAIL
    registration_open: bool
    jit_enabled: bool
    quota_bytes: int = Field(ge=1 << 20, le=1 << 50)
    message_bytes: int = Field(ge=1 << 16, le=1 << 30)
    turn: TurnAccess | None = Field(description="None where the fleet has no TURN node.")
    siblings: tuple[SiblingNode, ...] = Field(default=(), max_length=MAX_SIBLINGS)
    sibling_list: SiblingListName | None = None
    registration_token_required: bool = Field(
        default=False,
        description="Whether whoever registers must have a token; JIT alone rules logins.",
    )
    message_retention_days: int = Field(
        default=0, ge=0, le=MAX_DAYS, description="After how many days messages go; 0 for never."
    )
    unused_account_days: int = Field(
        default=0,
        ge=0,
        le=MAX_DAYS,
        description="After how many days without a login an account goes; 0 for never.",
    )
    large_message_retention_days: int = Field(
        default=0,
        ge=0,
        le=MAX_DAYS,
        description="After how many days large messages go that have been read; 0 for never.",
    )
    auto_trim: bool = Field(
        default=False,
        description="Whether read messages older than a day make room in a full mailbox.",
    )
    push_enabled: bool = Field(default=True, description="Whether sleeping apps are woken.")
    push_pauses: bool = Field(
        default=False, description="Whether that pauses for an hour after five failures in a row."
    )
    app_accounts_enabled: bool = Field(
        default=True,
        description="Whether JIT also makes the accounts that apps add by themselves.",
    )
    backup_addresses: int = Field(
        default=0,
        ge=0,
        le=MAX_BACKUP_ADDRESSES,
        description="How many addresses on other nodes whoever has registered is offered.",
    )
    weight: int = Field(
        default=100,
        ge=0,
        le=MAX_WEIGHT,
        description="How many new accounts the node gets in relation to others; none with 0.",
    )
    federation: FederationState | None = Field(
        default=None, description="Mail to and from servers of others; None: there is none."
    )
    ports: MailPorts = MailPorts()


class TurnPeer(Part):
    """Another TURN node of the fleet, and how apps reach it."""

    name: NodeName
    host: str = Field(min_length=1, max_length=253, description="Name or IPv4 literal.")
    port: int = Field(ge=1, le=65535)


class TurnNodeState(Part):
    """What a TURN node is to do. `secrets` are all that are live now, the newest first."""

    kind: Literal[NodeKind.TURN] = NodeKind.TURN
    realm: str = Field(
        min_length=1, max_length=16, description="Short, because it is in every refusal and must not amplify."
    )
    secrets: tuple[Annotated[str, Field(min_length=16, max_length=256)], ...] = Field(
        min_length=1, max_length=2, repr=False
    )
    credential_lifetime_seconds: int = Field(
        ge=86_400,
        le=60 * 86_400,
        description="A credential that expires later than this from now is refused.",
    )
    allocations_per_credential: int = Field(ge=1, le=10_000)
    allocations: int = Field(ge=1, le=1_000_000, description="Allocations of this node in total.")
    peers: tuple[TurnPeer, ...] = Field(
        default=(), max_length=4096, description="The fleet's other TURN nodes, to be probed."
    )
    is_draining: bool = Field(default=False, description="Whether calls go on and no new ones are taken.")
    port: PortNumber | None = Field(
        default=None, description="Where TURN is wanted; None for the port that Ansible has set."
    )


NodeState = Annotated[MailNodeState | TurnNodeState, Field(discriminator="kind")]


class DesiredState(Part):
    """A state for one node. A higher revision replaces a lower one; `trusted_keys` sign what follows."""

    node: NodeName
    revision: int = Field(ge=1, le=MAX_REVISION)
    issued_at_seconds: int = Field(ge=0)
    trusted_keys: tuple[str, ...] = Field(
        min_length=1, max_length=4, description="Public keys (base64url) that may sign the next documents."
    )
    state: NodeState


def open_desired_state(document: str, trusted: tuple[PublicKey, ...], node: str) -> DesiredState:
    """Check and read a desired state.

    Raises:
        UnsignedError: It is not signed by a trusted key.
        MisaddressedError: It is for another node.
        MalformedError: It cannot be read.
    """
    desired = open_document(document, trusted, DocumentType.DESIRED_STATE, DesiredState)
    if desired.node != node:
        raise MisaddressedError(f"the desired state is for {desired.node}, not for {node}")
    return desired
