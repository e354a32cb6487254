"""Walk over the packets of an OpenPGP message and accept encryption only, without decrypting anything.

For: the gate, on a message whose armor is already removed.
Not for: what the packets contain. A sender can put anything into an encrypted packet, and only a recipient's
key can tell; what is proved here is that there is no packet which anybody else could read.

    message = 1*( PKESK | SKESK ) SEIPD         and there the data ends

    PKESK  public-key encrypted session key: one for each key of a recipient
    SKESK  symmetric-key encrypted session key: one for each passphrase
    SEIPD  symmetrically encrypted and integrity protected data: the message itself

Stricter than the grammar: there is at least one session key, since without any nobody could read the message;
no session key comes twice, for each is random; and each looks like what its type says.

Source: RFC 9580 sections 4.2, 5.1, 5.3 and 10.3. Where else we are stricter, the code says so.
"""

from dataclasses import dataclass

from mailnode.encryption.errors import UnencryptedError

PKESK = 1
SKESK = 3
SEIPD = 18

# Bounds the work that a hostile sender can ask for: 30 MiB could be 15 million one-octet chunks or empty
# packets. In chunks of 512, the smallest first chunk that is permitted, they are 61,440.
MAX_HEADERS = 65_536
MIN_FIRST_CHUNK_BYTES = 512

CURRENT_FORMAT = 0xC0
LEGACY_FORMAT = 0x80
INDETERMINATE_LENGTH = 3

# What each kind of session key begins with (RFC 9580 sections 5.1 and 5.3; SKESK 5 is GnuPG's).
PKESK_OLD, SKESK_OLD, SKESK_GNUPG, VERSION_SIX = 3, 4, 5, 6
MIN_PKESK_OLD_BYTES = 11  # version, key id, algorithm, and something encrypted
MIN_SKESK_BYTES = 4  # version, cipher, and how the passphrase is hashed
PKESK_SIX_KEY_BYTES = (0, 21, 33)  # anonymous, or the version and fingerprint of a key


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """How many session keys there are of either kind."""

    public_key_count: int
    symmetric_count: int


def check_packets(data: bytes) -> SessionKeys:
    """Accept session keys, then one encrypted packet that ends the data.

    Raises:
        UnencryptedError: The bytes are anything else, or are cut into more than `MAX_HEADERS` pieces.
    """
    size = len(data)
    counts = {PKESK: 0, SKESK: 0}
    seen: set[bytes] = set()
    offset = 0
    try:
        for _ in range(MAX_HEADERS):
            packet_type, body_offset, offset = _find_packet(data, offset)
            if offset > size:
                raise UnencryptedError("the data ends inside a packet")
            if packet_type == SEIPD:
                if offset < size:
                    raise UnencryptedError("there is data after the encrypted packet")
                if not seen:
                    raise UnencryptedError("there is no session key")
                return SessionKeys(counts[PKESK], counts[SKESK])
            key = data[body_offset:offset]
            if key in seen or not _is_session_key(packet_type, key):
                raise UnencryptedError("a session key comes twice, or is none")
            seen.add(key)
            counts[packet_type] += 1
    except IndexError as error:
        raise UnencryptedError("the data ends inside a packet's header") from error
    raise UnencryptedError("there are too many packets")


def _find_packet(data: bytes, offset: int) -> tuple[int, int, int]:
    """Tell the type of the packet at `offset`, where its body begins, and where it ends (maybe behind all).

    An encrypted packet may come in chunks; for it the beginning is that of its length.
    """
    tag = data[offset]
    if tag & CURRENT_FORMAT == CURRENT_FORMAT:
        packet_type = tag & 0x3F
        if packet_type == SEIPD:
            return SEIPD, offset + 1, _skip_chunks(data, offset + 1)
        _check_session_key(packet_type)
        return packet_type, *_find_body(data, offset + 1)
    if tag & CURRENT_FORMAT != LEGACY_FORMAT:
        raise UnencryptedError("this is not a packet header")
    # RFC 9580 section 4.2.2. Four bits of type cannot say SEIPD, so only session keys come in this format.
    packet_type = tag >> 2 & 0x0F
    _check_session_key(packet_type)
    length_type = tag & 3
    if length_type == INDETERMINATE_LENGTH:  # to the end of the file: no encrypted packet could follow
        raise UnencryptedError("a session key has an indeterminate length")
    return packet_type, *_read_number(data, offset + 1, 1 << length_type)


def _check_session_key(packet_type: int) -> None:
    # Stricter than RFC 9580 sections 4.3, 5.8 and 5.14, by which readers ignore Marker, Padding and unknown
    # packets that are not critical: text that every reader ignores would still be text on our disk.
    if packet_type not in (PKESK, SKESK):
        raise UnencryptedError(f"packet type {packet_type} has no place in an encrypted message")


def _is_session_key(packet_type: int, key: bytes) -> bool:
    """Tell whether a session key looks like one of its type. Source: RFC 9580 sections 5.1 and 5.3."""
    if len(key) < MIN_SKESK_BYTES:
        return False
    version = key[0]
    if packet_type == PKESK:
        if version == VERSION_SIX:
            return key[1] in PKESK_SIX_KEY_BYTES and len(key) > 2 + key[1]
        return version == PKESK_OLD and len(key) >= MIN_PKESK_OLD_BYTES
    if version == VERSION_SIX:
        return key[1] not in PKESK_SIX_KEY_BYTES and len(key) > 2 + key[1]
    return version in (SKESK_OLD, SKESK_GNUPG)


def _find_body(data: bytes, offset: int) -> tuple[int, int]:
    """Tell where the body of a packet in one piece begins and ends (RFC 9580 section 4.2.1)."""
    first = data[offset]
    if first < 192:
        return offset + 1, offset + 1 + first
    if first < 224:
        return offset + 2, offset + 2 + (first - 192 << 8) + data[offset + 1] + 192
    if first < 255:  # RFC 9580 section 4.2.1.4: only data may come in chunks
        raise UnencryptedError("a session key comes in chunks")
    return _read_number(data, offset + 1, 4)


def _skip_chunks(data: bytes, offset: int) -> int:
    """Go past the encrypted packet, which may come in chunks (RFC 9580 section 4.2.1.4)."""
    for count in range(MAX_HEADERS):
        first = data[offset]
        if not 224 <= first < 255:
            return _find_body(data, offset)[1]
        chunk_bytes = 1 << (first & 0x1F)
        if count == 0 and chunk_bytes < MIN_FIRST_CHUNK_BYTES:
            raise UnencryptedError("the first chunk is too small")
        offset += 1 + chunk_bytes
    raise UnencryptedError("there are too many chunks")


def _read_number(data: bytes, offset: int, size: int) -> tuple[int, int]:
    """Read a length of `size` octets; tell where the body behind it begins and ends."""
    body_offset = offset + size
    if body_offset > len(data):
        raise UnencryptedError("the data ends inside a packet's length")
    return body_offset, body_offset + int.from_bytes(data[offset:body_offset])
