"""Let a client say what it has seen before it changes something.

    GET   ──▶ ETag: "3f9c…"
    PATCH If-Match: "3f9c…" ──▶ 200, or 412 if somebody else was faster; 428 without If-Match

For: single resources that admins change.
Not for: what nodes report. A tag stands for what admins can change; it must not differ each second.

Source: RFC 9110 sections 8.8.3 and 13.1.1, RFC 6585 section 3.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, ClassVar

from fastapi import Depends, Header
from pydantic import BaseModel

from controlplane.errors import (
    ControlPlaneError,
)
from controlplane.rest.errors import (
    BadTagError,
    ChangedMeanwhileError,
    NothingSeenError,
)

TAG_DIGITS = 24
MAX_HEADER = 1000

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def write_tag(resource: BaseModel, only: Collection[str] | None = None) -> str:
    """Write the tag of a resource: of all of it, or of some fields."""
    content = resource.model_dump_json(include=None if only is None else set(only))
    return f'"{sha256(content.encode()).hexdigest()[:TAG_DIGITS]}"'


def read_tags(header: str) -> frozenset[str] | None:
    """Read an If-Match header; `None` for the asterisk. Weak tags are left out: they never match.

    Raises:
        BadTagError: It is no list of tags.
    """
    if header.strip() == "*":
        return None
    words = [word.strip(" \t") for word in header.split(",")]
    matches = [_TAG.fullmatch(word) for word in words if word]
    if not matches or not all(matches):
        raise BadTagError
    return frozenset(f'"{match[2]}"' for match in matches if match and not match[1])


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a client has seen. A dependency."""

    refusals: ClassVar[tuple[type[ControlPlaneError], ...]] = (
        BadTagError,
        ChangedMeanwhileError,
        NothingSeenError,
    )

    if_match: Annotated[
        str | None,
        Header(max_length=MAX_HEADER, description="The ETag of what you have read, or `*`. Needed."),
    ] = None

    def check(self, tag: str) -> None:
        """See that a resource still is what the client has seen; the caller has begun a change.

        Raises:
            NothingSeenError: The client does not say.
            BadTagError: What he says is no tag.
            ChangedMeanwhileError: It is not.
        """
        if self.if_match is None:
            raise NothingSeenError
        tags = read_tags(self.if_match)
        if tags is not None and tag not in tags:
            raise ChangedMeanwhileError


@dataclass(frozen=True, slots=True)
class OptionalPrecondition:
    """What a client has seen, if he says so. A dependency."""

    refusals: ClassVar[tuple[type[ControlPlaneError], ...]] = (BadTagError, ChangedMeanwhileError)

    if_match: Annotated[
        str | None, Header(max_length=MAX_HEADER, description="The ETag of what you have read.")
    ] = None

    def check(self, tag: str) -> None:
        """See that a resource still is what the client says. Raises: BadTagError, ChangedMeanwhileError."""
        if self.if_match is not None:
            Precondition(self.if_match).check(tag)


Seen = Annotated[Precondition, Depends()]
SeenIfSaid = Annotated[OptionalPrecondition, Depends()]
