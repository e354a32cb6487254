"""Signed documents: the only thing that a node acts on.

For: signing and opening desired states, lists of siblings, operations and key changes as JWS (RFC 7515) in
the compact form.
Not for: what stands in them (states.py), nor for keeping them (channel/files.py).

The header's `typ` says what a document is, so that one can never pass for another.
"""

from base64 import urlsafe_b64decode
from enum import StrEnum
from hashlib import sha256
from json import loads
from typing import TypeVar

from joserfc import jws
from joserfc.errors import JoseError
from pydantic import BaseModel, ValidationError

from nodelink.contract.errors import MalformedError, MisaddressedError, UnsignedError
from nodelink.contract.keys import ALGORITHM, PrivateKey, PublicKey, key_set

MAX_DOCUMENT_CHARACTERS = 4 << 20

ModelT = TypeVar("ModelT", bound=BaseModel)


class _Registry(jws.JWSRegistry):
    """What the library takes: by default no more than 128 kB, which is a list of some 570 nodes."""

    max_payload_length = MAX_DOCUMENT_CHARACTERS


_REGISTRY = _Registry(algorithms=[ALGORITHM])


class DocumentType(StrEnum):
    """What a document is."""

    DESIRED_STATE = "madfleet-desired-state+jws"
    OPERATION = "madfleet-operation+jws"
    KEY_CHANGE = "madfleet-key-change+jws"
    SIBLINGS = "madfleet-siblings+jws"


def sign_document(key: PrivateKey, document_type: DocumentType, content: BaseModel) -> str:
    """Sign a document."""
    return sign_content(key, document_type, content.model_dump_json())


def sign_content(key: PrivateKey, document_type: DocumentType, content: str) -> str:
    """Sign what was written as JSON already."""
    header = {"alg": ALGORITHM, "kid": key.public.key_id, "typ": document_type.value}
    return jws.serialize_compact(header, content.encode(), key.jwk, registry=_REGISTRY)


def digest_content(content: str | bytes) -> str:
    """Compute the name by which one document speaks of another: SHA-256 of its content, in hexadecimal."""
    return sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def open_document(
    document: str, trusted: tuple[PublicKey, ...], document_type: DocumentType, model: type[ModelT]
) -> ModelT:
    """Check a document's signature and read it.

    Raises:
        UnsignedError: None of the trusted keys has signed it, or it was altered since.
        MisaddressedError: It is a document of another type.
        MalformedError: It is signed, but its content is not what the contract says.
    """
    return read_content(open_content(document, trusted, document_type), model)


def open_content(document: str, trusted: tuple[PublicKey, ...], document_type: DocumentType) -> bytes:
    """Check a document's signature; return its content as it was signed.

    Raises:
        UnsignedError: None of the trusted keys has signed it, or it was altered since.
        MisaddressedError: It is a document of another type.
        MalformedError: It is too large.
    """
    if len(document) > MAX_DOCUMENT_CHARACTERS:
        raise MalformedError("the document is too large")
    try:
        opened = jws.deserialize_compact(document, key_set(trusted), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError) as error:
        raise UnsignedError(_explain(document, trusted)) from error
    if opened.headers().get("typ") != document_type.value:
        raise MisaddressedError(f"this is no {document_type.value}")
    return opened.payload


def read_content(content: bytes, model: type[ModelT]) -> ModelT:
    """Read what was signed. Raises: MalformedError."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        fields = ", ".join(str(problem["loc"][-1]) for problem in error.errors()[:3] if problem["loc"])
        raise MalformedError(f"the document cannot be read: {fields or 'no JSON object'}") from error


def _explain(document: str, trusted: tuple[PublicKey, ...]) -> str:
    """Say why a signature does not hold, by the key that the document names; nothing else rests on that."""
    header = document.partition(".")[0]
    try:
        fields = loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, RecursionError):
        return "this is no signed document"
    key_id = fields.get("kid") if isinstance(fields, dict) else None
    if key_id in {key.key_id for key in trusted}:
        return "the document was altered: its signature does not hold"
    return "the document is signed by a key that is not trusted here"
