"""Verify bcrypt, by the system's libcrypt: Python's own library has none.

For: foreign_hash.py, in a hashing thread; ctypes gives up the interpreter's lock meanwhile.
Not for: hashes of our own.

Source: crypt(3) and crypt(5) of libxcrypt.
"""

import functools
import re
from hmac import compare_digest
from typing import Protocol

MIN_COST = 4
MAX_COST = 12
"""A quarter of a second. More would hold a hashing thread up for long."""

CRYPT_DATA_BYTES = 32_768
"""`struct crypt_data` has had this size for ever, and must."""

_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)


class _Crypt(Protocol):
    """libcrypt's function that many threads may call at once."""

    def __call__(self, phrase: bytes, setting: bytes) -> bytes | None:
        """Hash a phrase as the setting says."""


def is_bcrypt(password_hash: str) -> bool:
    """Tell whether a hash is bcrypt, of a bearable cost, and can be verified on this host."""
    found = _BCRYPT.fullmatch(password_hash)
    return found is not None and MIN_COST <= int(found[1]) <= MAX_COST and _load() is not None


def verify_bcrypt(password_hash: str, password: str) -> bool:
    """Tell whether a password belongs to a hash for which `is_bcrypt` holds."""
    crypt = _load()
    if crypt is None or "\0" in password:
        return False
    made = crypt(password.encode(), password_hash.encode())
    return made is not None and compare_digest(made, password_hash.encode())


@functools.cache
def _load() -> _Crypt | None:
    """Load the library; `None` where there is none."""
    try:
        import ctypes  # noqa: PLC0415 - a hardened host may refuse it, and only those who need it do without

        crypt_r = ctypes.CDLL("libcrypt.so.1").crypt_r
    except (ImportError, OSError, MemoryError, AttributeError):
        return None
    crypt_r.restype = ctypes.c_char_p
    crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)

    def crypt(phrase: bytes, setting: bytes) -> bytes | None:
        made: bytes | None = crypt_r(phrase, setting, ctypes.create_string_buffer(CRYPT_DATA_BYTES))
        return made

    return crypt
