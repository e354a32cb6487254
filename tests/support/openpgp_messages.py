"""Encrypted mail as Delta Chat writes it, around real OpenPGP messages, in pieces that a test can change."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from pysequoia import Cert, Tsk, encrypt

ALICE = "alice1234@example.org"
BOB = "bob56789@example.org"
BOUNDARY = b"18a2f0c3d4e5f607_1d2c"
BEGIN = b"-----BEGIN PGP MESSAGE-----\r\n"
END = b"-----END PGP MESSAGE-----\r\n"
PKESK, SKESK, SEIPD = 1, 3, 18


@cache
def recipient_certificate(name: str = "Alice") -> Cert:
    return Tsk.generate(f"{name} <{ALICE}>").extract_certificate()


@cache
def real_packets(size_bytes: int = 500) -> bytes:
    """Encrypt for one key; the same bytes at each call."""
    return bytes(encrypt(bytes(range(256)) * (size_bytes // 256 + 1), [recipient_certificate()], armor=False))


def armored(packets: bytes, headers: bytes = b"", width: int = 64, checksum: bytes = b"") -> bytes:
    encoded = b64encode(packets)
    lines = b"".join(encoded[start : start + width] + b"\r\n" for start in range(0, len(encoded), width))
    return BEGIN + headers + b"\r\n" + lines + checksum + END


# Framing of packets. Source: RFC 9580 section 4.2.


def framed(type_id: int, body: bytes) -> bytes:
    """Frame in the current format with the shortest length (for bodies below 8,384 bytes)."""
    size = len(body)
    length = bytes([size]) if size < 192 else (size - 192 + (192 << 8)).to_bytes(2)
    return bytes([0xC0 | type_id]) + length + body


def framed_longest(type_id: int, body: bytes) -> bytes:
    return bytes([0xC0 | type_id, 255]) + len(body).to_bytes(4) + body


def framed_legacy(type_id: int, body: bytes) -> bytes:
    return bytes([0x80 | type_id << 2 | 1]) + len(body).to_bytes(2) + body


def framed_in_chunks(type_id: int, body: bytes) -> bytes:
    """Frame the first 512 octets as one chunk, the others one by one, and end with an empty length."""
    chunks = b"".join(bytes([0xE0, octet]) for octet in body[512:])
    return bytes([0xC0 | type_id, 0xE9]) + body[:512] + chunks + b"\x00"


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet before it is framed."""

    type_id: int
    body: bytes
    framer: Callable[[int, bytes], bytes] = framed

    def __bytes__(self) -> bytes:
        return self.framer(self.type_id, self.body)


def split_packets(data: bytes) -> list[Packet]:
    """Take real packets in the current format apart; chunks become one body."""
    packets = []
    offset = 0
    while offset < len(data):
        type_id = data[offset] & 0x3F
        offset += 1
        body = b""
        is_last = False
        while not is_last:
            first = data[offset]
            is_last = not 224 <= first < 255
            if first < 192:
                size, offset = first, offset + 1
            elif first < 224:
                size, offset = (first - 192 << 8) + data[offset + 1] + 192, offset + 2
            elif first < 255:
                size, offset = 1 << (first & 0x1F), offset + 1
            else:
                size, offset = int.from_bytes(data[offset + 1 : offset + 5]), offset + 5
            body += data[offset : offset + size]
            offset += size
        packets.append(Packet(type_id, body, framed_longest))
    return packets


# Mail around it


@dataclass(frozen=True, slots=True)
class MailPart:
    """A part: its header lines without ends, and its text."""

    header: Sequence[bytes]
    body: bytes

    def __bytes__(self) -> bytes:
        return b"".join(line + b"\r\n" for line in self.header) + b"\r\n" + self.body


@dataclass(frozen=True, slots=True)
class Mail:
    """A multipart message in pieces. `before` and `after` stand outside of the parts."""

    header: Sequence[bytes]
    content_type: bytes
    parts: Sequence[MailPart]
    boundary: bytes = BOUNDARY
    before: bytes = b"\r\n"
    after: bytes = b"\r\n"

    def __bytes__(self) -> bytes:
        header = [*self.header, b'Content-Type: %b;\r\n\tboundary="%b"' % (self.content_type, self.boundary)]
        parts = b"".join(b"--" + self.boundary + b"\r\n" + bytes(part) + b"\r\n" for part in self.parts)
        return (
            b"".join(line + b"\r\n" for line in header)
            + b"\r\n"
            + self.before
            + parts
            + b"--%b--" % self.boundary
            + self.after
        )

    def with_part(self, index: int, part: MailPart) -> "Mail":
        return replace(self, parts=[*self.parts[:index], part, *self.parts[index + 1 :]])

    def with_line(self, old: bytes, *new: bytes) -> "Mail":
        """Replace the header line that begins with `old` by others, or by none."""
        (place,) = (n for n, line in enumerate(self.header) if line.startswith(old))
        return replace(self, header=[*self.header[:place], *new, *self.header[place + 1 :]])


def mail_header(sender: str = ALICE, message_id: str = "a1b2c3d4-0001@localhost") -> list[bytes]:
    return [
        b"From: <%b>" % sender.encode(),
        b"Date: Sun, 22 Nov 2026 21:14:07 +0000",
        b"Message-ID: <%b>" % message_id.encode(),
        b'To: "hidden-recipients": ;',
        b"Subject: [...]",
        b"Chat-Version: 1.0",
        b"MIME-Version: 1.0",
    ]


VERSION_PART = MailPart(
    [
        b'Content-Type: application/pgp-encrypted; charset="utf-8"',
        b"Content-Description: PGP/MIME version identification",
        b"Content-Transfer-Encoding: 7bit",
    ],
    b"Version: 1\r\n",
)
DATA_HEADER = [
    b'Content-Type: application/octet-stream; name="encrypted.asc"; charset="utf-8"',
    b"Content-Description: OpenPGP encrypted message",
    b'Content-Disposition: inline; filename="encrypted.asc";',
    b"Content-Transfer-Encoding: 7bit",
]


def encrypted_mail(
    armor: bytes | None = None, sender: str = ALICE, message_id: str = "a1b2c3d4-0001@localhost"
) -> Mail:
    """Write a message as Delta Chat does, around the given armor or a real one."""
    armor = armored(real_packets()) if armor is None else armor
    return Mail(
        mail_header(sender, message_id),
        b'multipart/encrypted; protocol="application/pgp-encrypted"',
        [VERSION_PART, MailPart(DATA_HEADER, armor)],
    )


def join_request(step: bytes = b"vc-request", text: bytes = b"Secure-Join: vc-request\r\n") -> Mail:
    """Write the first message of an older client's key exchange."""
    header = [*mail_header(), b"Secure-Join: " + step, b"Secure-Join-Invitenumber: Jnmrsm3AHY5"]
    return Mail(header, b"multipart/mixed", [MailPart([b"Content-Type: text/plain; charset=utf-8"], text)])


def setup_page(armor: bytes) -> bytes:
    return (
        b"<html><body>\r\n<p>Open this in a compatible app.</p>\r\n<pre>\r\n%b</pre></body></html>\r\n"
        % armor
    )


def setup_message(packets: bytes | None = None) -> Mail:
    """Write a key for another device of one's own."""
    if packets is None:
        packets = bytes(encrypt(b"a secret key" * 20, passwords=["1234-5678"], armor=False))
    armor = armored(packets, b"Passphrase-Format: numeric9x4\r\nPassphrase-Begin: 12\r\n")
    text = MailPart([b"Content-Type: text/plain"], b"This message contains your key.\r\n")
    setup = MailPart(
        [
            b"Content-Type: application/autocrypt-setup",
            b'Content-Disposition: attachment; filename="autocrypt-setup-message.html"',
        ],
        setup_page(armor),
    )
    return Mail([*mail_header(), b"Autocrypt-Setup-Message: v1"], b"multipart/mixed", [text, setup])
