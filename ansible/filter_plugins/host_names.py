"""Filters that read and write names and addresses of hosts."""

from collections.abc import Callable
from ipaddress import ip_address


def to_subject_names(names: list[str]) -> str:
    """Write subjectAltName, such as `DNS:chat.example.org,IP:192.0.2.21`, without brackets of addresses."""
    return ",".join(_describe(strip_address_literal(name)) for name in names)


def strip_address_literal(host: str) -> str:
    """Take brackets and `IPv6:` off an address literal; a name stays as it is."""
    return host.removeprefix("[IPv6:").strip("[]")


def url_host(url: str) -> str:
    """Read the host of `https://host:port`, an address without brackets."""
    authority = url.removeprefix("https://")
    return authority[1:].partition("]")[0] if authority.startswith("[") else authority.partition(":")[0]


def _describe(host: str) -> str:
    try:
        return f"IP:{ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters."""
        return {
            "strip_address_literal": strip_address_literal,
            "to_subject_names": to_subject_names,
            "url_host": url_host,
        }
