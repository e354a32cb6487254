"""Change the key by which the control plane signs, so that a node can follow however long it was away.

    key 1 ──signs──▶ "key 2 is next" ──▶ key 2 ──signs──▶ "key 3 is next" ──▶ key 3 ──▶ …

For: both sides. The control plane keeps every such document for ever; a node follows them one by one, from
the newest key that it trusts. There is no way back: a key that was replaced can sign nothing that counts
any more.
Not for: when a key is changed (the control plane decides), nor for what a state says of its keys (states.py).
"""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nodelink.contract.documents import DocumentType, open_document, sign_document
from nodelink.contract.errors import ContractError, MisaddressedError
from nodelink.contract.keys import PrivateKey, PublicKey


class KeyChange(BaseModel):
    """What the former key says of the next one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    former_key: str = Field(max_length=64)
    next_key: str = Field(max_length=64)
    issued_at_seconds: int = Field(ge=0)

    @field_validator("next_key")
    @classmethod
    def _next_key_is_one(cls, x: str) -> str:
        try:
            return PublicKey(x).x
        except ContractError as error:
            raise ValueError(str(error)) from error


def sign_key_change(former: PrivateKey, next_key: PublicKey, now_seconds: int) -> str:
    """Let the present key name the one that follows it."""
    change = KeyChange(former_key=former.public.x, next_key=next_key.x, issued_at_seconds=now_seconds)
    return sign_document(former, DocumentType.KEY_CHANGE, change)


def follow_key_change(document: str, trusted: tuple[PublicKey, ...]) -> tuple[PublicKey, ...]:
    """Tell which keys to trust after a key change; `trusted` are those until then, the newest last.

    Only the newest key can name a successor: so the order holds, and of two successors the first one counts.
    A change that was followed already changes nothing.

    Raises:
        UnsignedError: It was altered, or the newest key has not signed it, as with a chain from earlier
            times.
        MisaddressedError: It is another document, or follows a key after which another one came already.
        MalformedError: It cannot be read.
    """
    change = open_document(document, trusted, DocumentType.KEY_CHANGE, KeyChange)
    if change.next_key in {key.x for key in trusted}:
        return trusted
    newest = trusted[-1]
    if change.former_key != newest.x:
        raise MisaddressedError("the key change is for a key that another one follows already")
    open_document(document, (newest,), DocumentType.KEY_CHANGE, KeyChange)  # nobody else speaks for that key
    return newest, PublicKey(change.next_key)
