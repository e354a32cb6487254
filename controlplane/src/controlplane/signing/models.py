"""The table of signing keys, which is the chain of key changes as well.

There is no `from __future__ import annotations`, because SQLModel reads the annotations.
"""

from sqlalchemy import BigInteger, CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class SigningKey(SQLModel, table=True):
    """One key, in the order in which they follow one another.

    `sealed` is the private half as ciphertext (vault.py), and `None` once another key signs.
    `change_document` is what the former key says of this one, signed; `None` for the first.
    `in_force_at_seconds` is `None` for the next key, which is announced and does not sign yet.
    """

    __tablename__ = "signing_key"
    __table_args__ = (
        UniqueConstraint("public_key", name="signing_key_public_unique"),
        CheckConstraint("number >= 1", name="signing_key_number_positive"),
    )

    number: int = Field(primary_key=True)
    public_key: str
    sealed: str | None = Field(sa_type=Text)
    change_document: str | None = Field(sa_type=Text)
    announced_at_seconds: int = Field(sa_type=BigInteger)
    in_force_at_seconds: int | None = Field(sa_type=BigInteger)
