"""Verify hashes of passwords that other servers have made, so that accounts can move here.

    sha256:<salt, base64>:<SHA-256 of salt and password, base64>      Madmail
    $5$[rounds=N$]salt$digest, $6$…                                   SHA-256-CRYPT, SHA-512-CRYPT (chatmail)
    $2b$cost$salt and digest, $2a$, $2y$                              bcrypt (Madmail)

For: password.py, which verifies argon2 itself. Such a hash is replaced by one of ours at the first login.
bcrypt is left to libcrypt, which every Debian has (bcrypt_hash.py).

Source: https://www.akkadia.org/drepper/SHA-crypt.txt (both forms of crypt).
"""

import binascii
import hashlib
import re
from base64 import b64decode
from hmac import compare_digest

from mailnode.accounts.bcrypt_hash import is_bcrypt, verify_bcrypt

DEFAULT_ROUNDS = 5_000
MIN_ROUNDS = 1_000
MAX_ROUNDS = 100_000
"""More would hold a hashing thread up for long."""
MAX_CRYPT_PASSWORD_BYTES = 1024

_MADMAIL = re.compile(r"sha256:([A-Za-z0-9+/]{2,128}={0,2}):([A-Za-z0-9+/]{43}=)", re.ASCII)
_CRYPT = re.compile(r"\$([56])\$(?:rounds=([0-9]{1,9})\$)?([^$:\n]{0,16})\$([./A-Za-z0-9]{43,86})", re.ASCII)
_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_ORDER_256 = (
    (0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14),
    (15, 25, 5), (6, 16, 26), (27, 7, 17), (18, 28, 8), (9, 19, 29),
)  # fmt: skip


def is_foreign(password_hash: str) -> bool:
    """Tell whether a hash is of a form that is verified here."""
    crypt = _CRYPT.fullmatch(password_hash)
    if crypt is None:
        return is_bcrypt(password_hash) or _MADMAIL.fullmatch(password_hash) is not None
    rounds = int(crypt[2] or DEFAULT_ROUNDS)
    return MIN_ROUNDS <= rounds <= MAX_ROUNDS and len(crypt[4]) == (43 if crypt[1] == "5" else 86)


def verify_foreign(password_hash: str, password: str) -> bool:
    """Tell whether a password belongs to a hash for which `is_foreign` holds."""
    madmail = _MADMAIL.fullmatch(password_hash)
    if madmail is not None:
        try:
            salt, digest = b64decode(madmail[1], validate=True), b64decode(madmail[2], validate=True)
        except binascii.Error:
            return False
        return compare_digest(hashlib.sha256(salt + password.encode()).digest(), digest)
    if is_bcrypt(password_hash):
        return verify_bcrypt(password_hash, password)
    crypt = _CRYPT.fullmatch(password_hash)
    if crypt is None or len(password.encode()) > MAX_CRYPT_PASSWORD_BYTES:
        return False
    algorithm = "sha256" if crypt[1] == "5" else "sha512"
    rounds = int(crypt[2] or DEFAULT_ROUNDS)
    return compare_digest(crypt_digest(algorithm, password.encode(), crypt[3].encode(), rounds), crypt[4])


def crypt_digest(algorithm: str, password: bytes, salt: bytes, rounds: int) -> str:
    """Compute the last part of SHA-CRYPT. The numbers are those of the steps in the source."""
    size = hashlib.new(algorithm).digest_size
    inner = hashlib.new(algorithm, password + salt + password).digest()  # 4-8
    start = hashlib.new(algorithm, password + salt + _stretch(inner, len(password)))  # 1-3, 9-10
    count = len(password)
    while count:  # 11
        start.update(inner if count & 1 else password)
        count >>= 1
    digest = start.digest()
    p = _stretch(hashlib.new(algorithm, password * len(password)).digest(), len(password))  # 13-16
    s = _stretch(hashlib.new(algorithm, salt * (16 + digest[0])).digest(), len(salt))  # 17-20
    for number in range(rounds):  # 21
        content = p if number & 1 else digest
        content += s if number % 3 else b""
        content += p if number % 7 else b""
        content += digest if number & 1 else p
        digest = hashlib.new(algorithm, content).digest()
    groups: list[tuple[int | None, ...]]
    if size == hashlib.sha256().digest_size:
        groups = [*_ORDER_256, (None, 31, 30)]
    else:
        groups = [*_list_groups_of_512(), (None, None, 63)]
    return "".join(_write(digest, group) for group in groups)  # 22


def _stretch(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _list_groups_of_512() -> list[tuple[int, int, int]]:
    """List in what order bytes of a SHA-512 digest are written: each group rotates the one before."""
    groups = [(0, 21, 42)]
    for _ in range(20):
        a, b, c = groups[-1]
        groups.append((b + 1, c + 1, a + 1))
    return groups


def _write(digest: bytes, group: tuple[int | None, ...]) -> str:
    value = 0
    for index in group:
        value = value << 8 | (0 if index is None else digest[index])
    length = 4 - sum(index is None for index in group)
    return "".join(_DIGITS[value >> 6 * place & 0x3F] for place in range(length))
