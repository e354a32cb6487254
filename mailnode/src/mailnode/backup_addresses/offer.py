"""Decide whether a node offers addresses to those who have registered on another one, and say so.

For: both sides; every function is pure.
Not for: asking (finder.py), answering (endpoint.py), or making accounts.
"""

from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailnode.accounts.policy import Policy

OFFER_PATH = "/backup-offer"
OFFER_DIGEST = sha256(b"GET /backup-offer").hexdigest()
"""What the assertion of whoever asks is about, so that it is good for nothing else."""
MAX_OFFER_BYTES = 4096


class BackupOffer(BaseModel):
    """What a node says that takes new accounts.

    The lower `accounts_per_weight`, the more room, as the control plane measures it when it places accounts.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    accounts_per_weight: float = Field(ge=0, allow_inf_nan=False)
    imap_tls_port: int = Field(ge=1, le=65535)
    smtp_tls_port: int = Field(ge=1, le=65535)
    makes_unknown_logins: bool = Field(description="Whether a login that we invent would make its account.")


def decide_offer(
    policy: Policy, *, weight: int, accounts: int, has_room: bool, ports: tuple[int, int]
) -> BackupOffer | None:
    """Decide what to offer; `None` where nobody, or not everybody, gets an account. `ports`: IMAP, SMTP."""
    if not policy.is_open_to_all or not has_room or weight <= 0:
        return None
    imap, smtp = ports
    return BackupOffer(
        accounts_per_weight=(accounts + 1) / weight,
        imap_tls_port=imap,
        smtp_tls_port=smtp,
        makes_unknown_logins=policy.is_jit_open,
    )


def read_offer(content: bytes) -> BackupOffer | None:
    """Read what a node has answered; `None` where it offers nothing, or that cannot be understood."""
    try:
        return BackupOffer.model_validate_json(content) if content else None
    except ValidationError:
        return None
