"""Decide whether a message may pass: encrypted mail, and three kinds that cannot be.

For: SMTP on the way out; federation and IMAP APPEND on the way in.
Not for: anything that needs a key, an account or a clock. There are no lists of those who may do otherwise.

    outgoing   encrypted | request to join | Autocrypt Setup Message to oneself    and From = sender
    incoming   encrypted | request to join | report of a mailer daemon

Encrypted is PGP/MIME (RFC 3156 section 4) with exactly two parts: `Version: 1`, and one armored OpenPGP
message. A request to join (`vc-request`, `vg-request`) begins the key exchange of older clients. A setup
message carries a key, itself encrypted with a passphrase, to another device of the same account.

The cost is one pass over the bytes and one base64 decoding; the caller moves large messages off the loop.
"""

from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp
from collections.abc import Collection, Sequence

from mailnode.encryption.armor import BEGIN_LINE, END_LINE, remove_armor
from mailnode.encryption.errors import UnencryptedError, WrongFromError
from mailnode.encryption.from_header import is_same_address, read_address
from mailnode.encryption.mime_framing import (
    Entity,
    Fields,
    MediaType,
    check_is_unencoded,
    read_media_type,
    split_entity,
    split_multipart,
)
from mailnode.encryption.openpgp_packets import check_packets

# A comment would be readable text, and what our users send has none. Other people's programs write a version.
OUTGOING_ARMOR_HEADERS: Collection[bytes] = ()
INCOMING_ARMOR_HEADERS: Collection[bytes] = (b"Version",)
SETUP_ARMOR_HEADERS: Collection[bytes] = (b"Version", b"Passphrase-Format", b"Passphrase-Begin")

JOIN_REQUESTS = (b"vc-request", b"vg-request")
REPORT = b"multipart/report"
VERSION_PART = b"Version: 1"
MAX_SMALL_PART_BYTES = 1_024
MAX_SETUP_TEXT_BYTES = 16_384
MAX_NAMED_FROM = 100


def check_outgoing(message: bytes, mail_from: str, recipients: Sequence[str]) -> None:
    """Let pass what an account of ours may send.

    Args:
        message: The whole message, lines ended by CRLF, dots unstuffed.
        mail_from: The sender, who has proved to be that.
        recipients: Everybody it goes to.

    Raises:
        UnencryptedError: It is not encrypted, and no request to join or setup message to oneself.
        WrongFromError: Its From field is not exactly the sender.
    """
    entity = split_entity(message)
    media_type = read_media_type(entity.fields)
    check_is_unencoded(entity.fields)
    if media_type.name == b"multipart/encrypted":
        _check_encrypted(entity, media_type, OUTGOING_ARMOR_HEADERS)
    elif b"secure-join" in entity.fields:
        _check_join_request(entity, media_type)
    else:
        _check_setup_message(entity, media_type, mail_from, recipients)
    _check_from(entity.fields, mail_from)


def check_incoming(message: bytes) -> None:
    """Let pass what may reach an account of ours from elsewhere, or be put into a mailbox by its owner.

    Raises:
        UnencryptedError: It is not encrypted, and no request to join or report of a mailer daemon.
    """
    entity = split_entity(message)
    media_type = read_media_type(entity.fields)
    check_is_unencoded(entity.fields)
    if media_type.name == b"multipart/encrypted":
        _check_encrypted(entity, media_type, INCOMING_ARMOR_HEADERS)
    elif b"secure-join" in entity.fields and media_type.name != REPORT:  # reports may have it, for apps
        _check_join_request(entity, media_type)
    else:
        _check_report(entity, media_type)


def _check_encrypted(entity: Entity, media_type: MediaType, armor_headers: Collection[bytes]) -> None:
    """Accept PGP/MIME. Source: RFC 3156 section 4."""
    if media_type.parameters.get(b"protocol", b"").lower() != b"application/pgp-encrypted":
        raise UnencryptedError("the encryption is not PGP/MIME")
    version, data = split_multipart(entity, media_type, 2)
    _check_part(version, b"application/pgp-encrypted")
    if _small_text(version) != VERSION_PART:
        raise UnencryptedError("the first part is not the version")
    _check_part(data, b"application/octet-stream")
    check_packets(remove_armor(data.data, armor_headers, data.start, data.end))


def _check_join_request(entity: Entity, media_type: MediaType) -> None:
    """Accept the first message of a key exchange, which has no room for any text."""
    request = entity.fields[b"secure-join"].strip(b" \t")
    if request not in JOIN_REQUESTS or not media_type.name.startswith(b"multipart/"):
        raise UnencryptedError("the header names no request to join")
    (text,) = split_multipart(entity, media_type, 1)
    _check_part(text, b"text/plain")
    if _small_text(text).lower() != b"secure-join: " + request:
        raise UnencryptedError("the text of a request to join is another one")


def _check_setup_message(
    entity: Entity, media_type: MediaType, mail_from: str, recipients: Sequence[str]
) -> None:
    """Accept a key for another device of one's own. Source: Autocrypt Level 1, "Autocrypt Setup Message"."""
    if entity.fields.get(b"autocrypt-setup-message", b"").strip(b" \t") != b"v1":
        raise UnencryptedError("it is neither encrypted nor one of the messages that may go without")
    if len(recipients) != 1 or not is_same_address(recipients[0], mail_from):
        raise UnencryptedError("a setup message is not to oneself")
    if media_type.name != b"multipart/mixed":
        raise UnencryptedError("a setup message has another media type")
    text, setup = split_multipart(entity, media_type, 2)
    if read_media_type(text.fields).name != b"text/plain" or text.size_bytes > MAX_SETUP_TEXT_BYTES:
        raise UnencryptedError("a setup message does not begin with a text, or with a long one")
    if read_media_type(setup.fields).name != b"application/autocrypt-setup":
        raise UnencryptedError("a setup message has no setup")
    keys = check_packets(remove_armor(_setup_armor(setup), SETUP_ARMOR_HEADERS))
    if keys.symmetric_count == 0 or keys.public_key_count > 0:
        raise UnencryptedError("a setup is not encrypted with a passphrase alone")


def _setup_armor(setup: Entity) -> bytes:
    """Cut the armor out of the page of HTML that a setup is."""
    page = _decoded(setup).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    start = page.find(BEGIN_LINE)
    end = page.find(END_LINE, start) + len(END_LINE)
    if start < 0 or end < len(END_LINE) or len(page) - (end - start) > MAX_SETUP_TEXT_BYTES:
        raise UnencryptedError("a setup has no armor, or too much around it")
    return page[start:end]


def _decoded(entity: Entity) -> bytes:
    encoding = entity.fields.get(b"content-transfer-encoding", b"7bit").strip(b" \t").lower()
    if encoding == b"base64":
        try:
            return a2b_base64(entity.body.replace(b"\r\n", b""), strict_mode=True)
        except BinasciiError as error:
            raise UnencryptedError("the base64 is none") from error
    if encoding == b"quoted-printable":
        return a2b_qp(entity.body)
    check_is_unencoded(entity.fields)
    return entity.body


def _check_report(entity: Entity, media_type: MediaType) -> None:
    """Accept what a mailer daemon says about a message that it could not deliver."""
    submitted = entity.fields.get(b"auto-submitted", b"").strip(b" \t").lower()
    author = read_address(entity.fields.get(b"from", b"")) or ""
    if submitted in (b"", b"no") or not author.lower().startswith("mailer-daemon@"):
        raise UnencryptedError("it is neither encrypted nor one of the messages that may go without")
    if media_type.name != REPORT:
        raise UnencryptedError("a mailer daemon's message is no report")


def _check_part(part: Entity, name: bytes) -> None:
    if read_media_type(part.fields).name != name:
        raise UnencryptedError("a part has another media type")
    check_is_unencoded(part.fields)


def _small_text(part: Entity) -> bytes:
    """Read a part that is one line, and has no room for another."""
    if part.size_bytes > MAX_SMALL_PART_BYTES:
        raise UnencryptedError("a part that should be one line is too long")
    return part.body.replace(b"\r\n", b" ").strip(b" \t")


def _check_from(fields: Fields, mail_from: str) -> None:
    author = read_address(fields.get(b"from", b""))
    if author is None:
        raise WrongFromError("Invalid FROM: it needs exactly one address", "no or several addresses")
    if not is_same_address(author, mail_from):
        shown = author.encode("ascii", "replace").decode()[:MAX_NAMED_FROM]
        raise WrongFromError(f"Invalid FROM <{shown}> for <{mail_from}>", "another author than the sender")
