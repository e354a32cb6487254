"""What an address of this node looks like.

For: turning what a client wrote into the one form that the store knows, and judging names of new accounts.
Not for: addresses of other nodes (smtp), or whether an account exists (accounts.py).

The normal form is lower case. An address literal is written as RFC 5321 section 4.1.3 wants it, in brackets,
with the shortest form of an IPv6 address; clients also write the bare address behind the @.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from mailnode.accounts.errors import BadAddressError

MIN_NAME_LENGTH = 3
MAX_NAME_LENGTH = 64
MAX_ADDRESS_LENGTH = 254

RESERVED_NAMES = frozenset(
    {
        "abuse",
        "admin",
        "administrator",
        "autoconfig",
        "autodiscover",
        "daemon",
        "help",
        "hostmaster",
        "info",
        "mail",
        "mailer-daemon",
        "no-reply",
        "nobody",
        "noc",
        "noreply",
        "operator",
        "postmaster",
        "root",
        "security",
        "ssladmin",
        "ssladministrator",
        "sslwebmaster",
        "support",
        "sysadmin",
        "webmaster",
    }
)
"""Names that people or certificate authorities take for the operator. Source: RFC 2142, CA/B BR 3.2.2.4.4."""

_IPV6_TAG = "IPv6:"
_DOT_ATOM = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_NEW_NAME = re.compile(r"[a-z0-9_-]+(?:\.+[a-z0-9_-]+)*")
_HOST_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"{_HOST_LABEL}(?:\.{_HOST_LABEL})*")


@dataclass(frozen=True, slots=True)
class MailDomain:
    """The part behind the @: `example.org`, `[192.0.2.1]` or `[IPv6:2001:db8::1]`, in its normal form."""

    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a domain as a person may write it; address literals with or without brackets.

        Raises:
            BadAddressError: It is neither a host name nor an IP address.
        """
        return cls(_normalise_domain(text))

    @property
    def host(self) -> str:
        """What a client connects to: the host name, or the IP address without brackets."""
        return self.name.removeprefix("[").removesuffix("]").removeprefix(_IPV6_TAG)


def normalise_address(text: str, domain: str) -> str:
    """Give an address of this node the form that the store knows.

    Args:
        text: What the client wrote.
        domain: This node's domain in its normal form, as in `MailDomain.name`.

    Raises:
        BadAddressError: It is no address, or one of another domain.
    """
    name, at, its_domain = text.rpartition("@")
    name = name.lower()
    if not at or not _DOT_ATOM.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise BadAddressError("This is not an address.")
    if its_domain != domain and _normalise_domain(its_domain) != domain:
        raise BadAddressError("This address is not one of this server.")
    if len(name) + 1 + len(domain) > MAX_ADDRESS_LENGTH:
        raise BadAddressError("This address is too long.")
    return f"{name}@{domain}"


def check_new_name(address: str) -> None:
    """Judge whether an account of this normalised address may be created.

    Raises:
        BadAddressError: The name before the @ is too short, too long, reserved, or has other characters than
            `a-z`, `0-9`, `.`, `_`, `-`, or begins or ends with a dot.
    """
    name = address.rpartition("@")[0]
    if not MIN_NAME_LENGTH <= len(name) <= MAX_NAME_LENGTH:
        raise BadAddressError(f"A name has {MIN_NAME_LENGTH} to {MAX_NAME_LENGTH} characters.")
    if not _NEW_NAME.fullmatch(name):
        raise BadAddressError("A name has only the characters a-z, 0-9, dot, _ and -, and no dot at an end.")
    if name in RESERVED_NAMES:
        raise BadAddressError("This name is reserved.")


@lru_cache(maxsize=1_024)  # a message has its sender's and its recipients' looked up several times
def _normalise_domain(text: str) -> str:
    lowered = text.lower()
    literal = lowered.removeprefix("[").removesuffix("]").removeprefix(_IPV6_TAG.lower())
    try:
        address = ipaddress.ip_address(literal)
    except ValueError:
        if _HOST_NAME.fullmatch(lowered) and len(lowered) <= MAX_ADDRESS_LENGTH:
            return lowered
        raise BadAddressError("This is neither a host name nor an IP address.") from None
    if address.version == 6 and getattr(address, "scope_id", None) is None:
        return f"[{_IPV6_TAG}{address.compressed}]"
    if address.version == 4:
        return f"[{address}]"
    raise BadAddressError("An address with a zone means something on one host only.")
