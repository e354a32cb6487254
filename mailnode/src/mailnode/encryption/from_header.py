"""Read the one address of a From field, and compare addresses.

For: the gate, which lets nobody write under another name.
Not for: showing names, or lists of addresses: two authors are refused.

Source: RFC 5322 section 3.4. Stricter: no comments, groups or routes; Delta Chat writes none.
"""

import re

_ATOM = rb"[!#$%&'*+/=?^_`{|}~0-9A-Za-z\x80-\xff-]+"
_LOCAL_PART = rb"%b(?:\.%b)*" % (_ATOM, _ATOM)
_DOMAIN = rb"(?:[0-9A-Za-z_\x80-\xff](?:[0-9A-Za-z_.\x80-\xff-]*)|\[(?:(?i:ipv6):)?[0-9A-Fa-f:.]+\])"
_ADDRESS = rb"(%b@%b)" % (_LOCAL_PART, _DOMAIN)
_QUOTED = rb'"(?:[^"\\\r\n]|\\[^\r\n])*"'
_PHRASE = rb"(?:[ \t]|%b|[!#$%%&'*+/=?^_`{|}~0-9A-Za-z\x80-\xff.-])*" % _QUOTED
_FROM = re.compile(rb"[ \t]*(?:%b|%b<%b>)[ \t]*" % (_ADDRESS, _PHRASE, _ADDRESS))


def read_address(value: bytes) -> str | None:
    """Read the address of a From field; `None` when it is not exactly one address."""
    match = _FROM.fullmatch(value)
    if match is None:
        return None
    return (match[1] or match[2]).decode(errors="replace")


def is_same_address(one: str, other: str) -> bool:
    """Tell whether two spellings mean one mailbox: case, and brackets around an IP address, do not count."""
    return one == other or _comparable(one) == _comparable(other)


def _comparable(address: str) -> str:
    local_part, _, domain = address.lower().rpartition("@")
    return f"{local_part}@{domain.strip('[]').removeprefix('ipv6:')}"
