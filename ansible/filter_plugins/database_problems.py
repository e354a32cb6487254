"""Filter that finds what is wrong with databases and with several hosts of one control plane, as sentences.

For: the role inventory_check, before anything is changed.
Not for: all else in an inventory (inventory_problems.py), nor for what is written from it (databases.py).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

Host = Mapping[str, object]

PASSWORD = re.compile(r"[A-Za-z0-9]{32,256}", re.ASCII)


def find_database_problems(hosts: Mapping[str, Host], groups: Mapping[str, list[str]]) -> list[str]:
    """Find problems; an empty list means that there are none.

    Args:
        hosts: The variables of each host.
        groups: Host names by kind; those of `databases` and `controlplanes` are looked at.
    """
    return [
        *_check_replicas(groups["controlplanes"], hosts, has_databases=bool(groups["databases"])),
        *_check_databases(groups["databases"], hosts),
        *_check_clients(groups, hosts),
    ]


def _check_replicas(names: list[str], hosts: Mapping[str, Host], *, has_databases: bool) -> Iterator[str]:
    """Find what several hosts of one control plane must share, and do not."""
    if len(names) < 2:
        return
    for name in names:
        host = hosts[name]
        if not has_databases and not host.get("controlplane_database_url"):
            yield (
                f"{name}: The group controlplanes has {len(names)} hosts, and those share a PostgreSQL"
                " database. Write its hosts into the group databases, or a controlplane_database_url."
            )
        if host.get("tls_certificate_mode", "self_signed") != "file":
            yield (
                f"{name}: Several hosts of a control plane have one name and show one certificate. Set"
                " tls_certificate_mode to file for them."
            )
    for variable in ("controlplane_public_url", "controlplane_database_url"):
        if len({str(hosts[name].get(variable) or "") for name in names}) > 1:
            yield f"{' and '.join(names)} have different values of {variable}. Write the same for all."
    url = hosts[names[0]].get("controlplane_public_url")
    if isinstance(url, str) and _is_address(urlsplit(url).hostname):
        yield (
            f"controlplane_public_url is {url}, which leads to one of {len(names)} hosts only. Write a name"
            " whose addresses are those of all of them."
        )


def _check_databases(names: list[str], hosts: Mapping[str, Host]) -> Iterator[str]:
    roles = {name: hosts[name].get("postgresql_role", "primary") for name in names}
    primaries = [name for name, role in roles.items() if role == "primary"]
    for name, role in roles.items():
        if role not in {"primary", "standby"}:
            yield f"{name}: postgresql_role is {role!r}. Write primary or standby."
    if names and not primaries:
        yield f"{' and '.join(names)}: a standby of nothing. Write postgresql_role: primary for one host."
    if len(primaries) > 1:
        yield (
            f"{' and '.join(primaries)} would all take changes. Write postgresql_role: standby for all but"
            " one."
        )
    for name in names:
        yield from (f"{name}: {problem}" for problem in _check_database(hosts[name]))
    if len({str(hosts[name].get("postgresql_password")) for name in names}) > 1:
        yield "The databases have different values of postgresql_password. Write it once, for the group."


def _check_database(host: Host) -> Iterator[str]:
    address = host.get("postgresql_address") or host.get("ansible_host")
    if not _is_address(address):
        yield (
            f"Control planes find the database by an address, and {_show(address)} is none. Write"
            " postgresql_address, such as 192.0.2.41."
        )
    if not PASSWORD.fullmatch(str(host.get("postgresql_password", ""))):
        yield (
            "postgresql_password is missing, or no password. Write 32 to 256 letters and digits, such as what"
            " `openssl rand -hex 32` prints, and encrypt it by ansible-vault."
        )
    clients = host.get("postgresql_extra_clients")
    for client in clients if isinstance(clients, list) else []:
        if not _is_network(str(client)):
            yield (
                f"postgresql_extra_clients has {client}, which is neither an address nor a network. Write"
                " such as 192.0.2.10 or 192.0.2.0/28."
            )


def _check_clients(groups: Mapping[str, list[str]], hosts: Mapping[str, Host]) -> Iterator[str]:
    """Find control planes that the database could not tell from strangers."""
    databases = [hosts[name] for name in groups["databases"]]
    if not databases or all(host.get("postgresql_extra_clients") for host in databases):
        return
    for name in groups["controlplanes"]:
        host = hosts[name]
        if not host.get("controlplane_database_url") and not _is_address(host.get("ansible_host")):
            yield (
                f"{name}: ansible_host is {_show(host.get('ansible_host'))}, and the database lets in"
                " addresses. Write the host's own into postgresql_extra_clients of the group databases."
            )


def _is_address(value: object) -> bool:
    try:
        ip_address(str(value))
    except ValueError:
        return False
    return True


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _show(value: object) -> str:
    return "missing" if value in (None, "") else repr(value)


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filter."""
        return {"find_database_problems": find_database_problems}
