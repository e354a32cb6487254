"""Filters that write how the fleet's own PostgreSQL is reached, and by what it knows who asks.

    inventory ─▶ members, the primary first ─▶ URL of control planes, connection of standbys, access list

For: the role postgresql, and the play of control planes. Whoever connects demands TLS and channel binding:
the server proves that it knows the password too, inside this very connection, so no certificate has to be
carried around.
Not for: judging the inventory (database_problems.py).
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import pbkdf2_hmac, sha256
from ipaddress import ip_address, ip_network
from urllib.parse import parse_qs, urlsplit

DATABASE = "madfleet"
PORT = 5432
SALT_BYTES = 16
ROUNDS = 4096
"""PostgreSQL's own; the password is long and random, so more would buy nothing."""

SILENCE_MILLISECONDS = 10_000
"""So long unacknowledged, a connection is given up: a host that is gone sends no farewell."""

Host = Mapping[str, object]
Member = Mapping[str, object]


class DatabaseNameError(ValueError):
    """An address cannot be written; the text says which."""


def list_databases(hosts: list[Host]) -> list[dict[str, object]]:
    """List the hosts of the database by name, address, port and role, the primary first."""
    members = [
        {
            "name": str(host["inventory_hostname"]),
            "address": str(
                host.get("postgresql_address") or host.get("ansible_host") or host["inventory_hostname"]
            ),
            "port": int(str(host.get("postgresql_port", PORT))),
            "role": str(host.get("postgresql_role", "primary")),
        }
        for host in hosts
        if host.get("postgresql_enabled", True)
    ]
    return sorted(members, key=lambda member: member["role"] != "primary")


def to_database_url(members: list[Member], password: str) -> str:
    """Write the URL by which a control plane finds whichever of them takes changes; "" without any."""
    if not members:
        return ""
    # SQLAlchemy and libpq agree on several hosts only in this form.
    hosts = ",".join(str(member["address"]) for member in members)
    ports = ",".join(str(member["port"]) for member in members)
    return (
        f"postgresql://{DATABASE}:{password}@/{DATABASE}?host={hosts}&port={ports}"
        "&target_session_attrs=read-write&sslmode=require&channel_binding=require"
        f"&tcp_user_timeout={SILENCE_MILLISECONDS}"
    )


def list_addresses(hosts: list[Host]) -> list[str]:
    """List where Ansible reaches hosts, as far as those are addresses."""
    return [str(host["ansible_host"]) for host in hosts if _is_address(host.get("ansible_host"))]


def to_network(address: str) -> str:
    """Write an address or a network as PostgreSQL's access list has it, such as 192.0.2.10/32.

    Raises:
        DatabaseNameError: It is neither.
    """
    try:
        return str(ip_network(address))
    except ValueError as error:
        raise DatabaseNameError(
            f"{address} is no address. Write one such as 192.0.2.10, or a network such as 192.0.2.0/28."
        ) from error


def to_slot_name(host: str) -> str:
    """Write the name of the slot by which the primary keeps its log for a standby."""
    return "madfleet_" + re.sub(r"[^a-z0-9]", "_", host.lower())


def to_scram_verifier(password: str, user: str, salt: bytes | None = None) -> str:
    """Write what PostgreSQL keeps of a password, from which nobody can log in.

    The salt is the user's, if none is given, so that a second run writes the same.
    Source: RFC 5802 section 3, RFC 7677.
    """
    salt = salt or sha256(f"madfleet {user}".encode()).digest()[:SALT_BYTES]
    salted = pbkdf2_hmac("sha256", password.encode("ascii"), salt, ROUNDS)
    stored = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ROUNDS}:{_encode(salt)}${_encode(stored)}:{_encode(server)}"


def is_network_database(url: str) -> bool:
    """Tell whether a database is reached by a network, and not by a socket of the host."""
    parts = urlsplit(url)
    hosts = [host for value in parse_qs(parts.query).get("host", []) for host in value.split(",")]
    return bool(parts.hostname) or any(not host.startswith("/") for host in hosts)


def _encode(content: bytes) -> str:
    return b64encode(content).decode()


def _is_address(text: object) -> bool:
    try:
        ip_address(str(text))
    except ValueError:
        return False
    return True


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters."""
        return {
            "is_network_database": is_network_database,
            "list_addresses": list_addresses,
            "list_databases": list_databases,
            "to_database_url": to_database_url,
            "to_network": to_network,
            "to_scram_verifier": to_scram_verifier,
            "to_slot_name": to_slot_name,
        }
