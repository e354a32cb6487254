"""Filters that find what is wrong with an inventory, as sentences that say what to write instead.

For: the role inventory_check, before anything is changed.
Not for: databases, and several hosts of one control plane (database_problems.py), and what
exchangers have of their own (exchanger_problems.py); nor for what the daemons judge themselves when their
settings are written (`--check`).
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

import yaml

Host: TypeAlias = Mapping[str, object]
Options: TypeAlias = Mapping[str, Mapping[str, object]]

NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
URL = re.compile(r"https://[^/\s@?#]+")
EMAIL = re.compile(r"[^\s@<>\"',]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
IPV6_PREFIX = "[IPv6:"
MAX_ALTERNATES = 64
MAIL_PORTS = {
    "mailnode_https_port": 443,
    "mailnode_http_port": 80,
    "mailnode_imap_tls_port": 993,
    "mailnode_imap_starttls_port": 143,
    "mailnode_smtp_tls_port": 465,
    "mailnode_smtp_starttls_port": 587,
    "mailnode_inbound_smtp_port": 25,
    "mailnode_metrics_port": 0,
    "host_firewall_ssh_port": 22,
}
TURN_PORTS = {"turnnode_port": 3478}
"""Ports of a host's other variables, with their defaults: no alternate port may be one of them."""

OWN_PORTS = range(32_768, 61_000)
"""From these a host takes ports for its own sockets. Source: Linux, net.ipv4.ip_local_port_range."""

MIN_OWN_PORTS = 4_096

INSIDE_NAMES = (".test", ".local", ".localhost", ".internal", ".invalid", ".example", ".lan", ".home.arpa")
"""Ends of names that lead nowhere on the Internet. Source: RFC 6761, 6762, 8375."""


def find_inventory_problems(
    hosts: Mapping[str, Host], groups: Mapping[str, list[str]], options: Options
) -> list[str]:
    """Find problems; an empty list means that there are none.

    Args:
        hosts: The variables of each host.
        groups: Host names by kind: `databases`, `controlplanes`, `mail_nodes`, `turn_nodes`, `exchangers`.
        options: What each role takes, by variable, as meta/argument_specs.yml says.
    """
    return [
        *_check_groups(groups, hosts),
        *_check_each(sorted(hosts), hosts, lambda host: _check_variables(host, options)),
        *_check_each(sorted(hosts), hosts, _check_ssh_port),
        *_check_each(groups["controlplanes"], hosts, _check_controlplane),
        *_check_each(groups["mail_nodes"], hosts, _check_mail_node),
        *_check_each(groups["turn_nodes"], hosts, _check_turn_node),
        *_check_each(
            groups["mail_nodes"], hosts, lambda host: _check_alternates(host, "mailnode", MAIL_PORTS)
        ),
        *_check_each(
            groups["turn_nodes"], hosts, lambda host: _check_alternates(host, "turnnode", TURN_PORTS)
        ),
        *_check_domains(groups["mail_nodes"], hosts),
        *_check_each(
            [*groups["controlplanes"], *groups["mail_nodes"], *groups["exchangers"]],
            hosts,
            _check_certificate,
        ),
    ]


def read_role_options(roles: list[str], directory: str) -> dict[str, dict[str, object]]:
    """Read what each role takes, by variable."""
    return {
        role: yaml.safe_load(Path(directory, role, "meta/argument_specs.yml").read_text())["argument_specs"][
            "main"
        ]["options"]
        for role in roles
    }


def _check_each(
    names: list[str], hosts: Mapping[str, Host], check: Callable[[Host], Iterator[str]]
) -> Iterator[str]:
    for name in names:
        for problem in check(hosts[name]):
            yield f"{name}: {problem}"


def _check_groups(groups: Mapping[str, list[str]], hosts: Mapping[str, Host]) -> Iterator[str]:
    nodes = [*groups["mail_nodes"], *groups["turn_nodes"]]
    # Nodes that join a fleet of somebody else bring a token; their inventory has no control plane.
    joins = bool(nodes) and all(hosts[node].get("node_enrolment_join_token") for node in nodes)
    is_apart = bool(groups["exchangers"]) and not nodes and not groups["databases"]
    if not groups["controlplanes"] and not joins and not is_apart:
        yield (
            "The group controlplanes has no host. Write one there, or give each node a"
            " node_enrolment_join_token of the fleet that it joins."
        )
    kinds: dict[str, list[str]] = {}
    for group, names in groups.items():
        for name in names:
            kinds.setdefault(name, []).append(group)
    for name, found in sorted(kinds.items()):
        if len(found) > 1:
            yield f"{name} is in {' and '.join(found)}; a host has one kind. Keep it in one of them."
    for name in nodes:
        if not NODE_NAME.fullmatch(name):
            yield (
                f"{name} cannot be the name of a node. Write a short name of small letters, digits and"
                " dashes, such as mail1, and put its address into ansible_host."
            )


def _check_variables(host: Host, options: Options) -> Iterator[str]:
    prefixes = tuple({f"{role}_" for role in options})
    known = {variable for role in options.values() for variable in role}
    for variable in sorted(host):
        if variable.startswith(prefixes) and variable not in known:
            similar = difflib.get_close_matches(variable, known, 1)
            advice = f"Did you mean {similar[0]}?" if similar else "Remove it."
            yield f"{variable} is no variable of any role. {advice}"


def _check_ssh_port(host: Host) -> Iterator[str]:
    used, opened = host.get("ansible_port", 22), host.get("host_firewall_ssh_port", 22)
    if used != opened and host.get("host_firewall_enabled", True):
        yield (
            f"Ansible connects to port {used}, but the firewall would only open {opened} for SSH. Write"
            f" host_firewall_ssh_port: {used}."
        )


def _check_controlplane(host: Host) -> Iterator[str]:
    url = host.get("controlplane_public_url")
    if not isinstance(url, str) or not URL.fullmatch(url):
        yield (
            f"controlplane_public_url is {_show(url)}. Write how nodes reach it, such as"
            " https://control.example.org or https://192.0.2.10."
        )
        return
    port = int(url.rpartition(":")[2]) if re.search(r":\d+$", url) else 443
    if port != host.get("controlplane_port", 443):
        yield (
            f"controlplane_public_url leads to port {port}, but controlplane_port is"
            f" {host.get('controlplane_port', 443)}. Write the same port in both."
        )


def _check_mail_node(host: Host) -> Iterator[str]:
    domain = host.get("mailnode_mail_domain")
    if not isinstance(domain, str) or not domain:
        yield (
            f"mailnode_mail_domain is {_show(domain)}. Write what follows the @ of its users, such as"
            " chat.example.org or '[192.0.2.21]'."
        )
    elif _is_address(domain):
        yield f"mailnode_mail_domain is {domain}. Write an address in brackets and quotes: '[{domain}]'."
    elif domain.startswith("[") and not _is_address(domain.removeprefix(IPV6_PREFIX).strip("[]")):
        yield f"mailnode_mail_domain is {domain}, which is no address. Write '[192.0.2.21]' or a name."
    if not host.get("mailnode_support_contact"):
        yield (
            "mailnode_support_contact is missing. Write where users find help, such as"
            " mailto:admin@example.org."
        )


def _check_turn_node(host: Host) -> Iterator[str]:
    addresses = host.get("turnnode_listen_addresses")
    if not isinstance(addresses, list) or not addresses:
        yield f"turnnode_listen_addresses is {_show(addresses)}. Write the host's addresses as a list."
    else:
        for address in addresses:
            if not _is_address(str(address)) or ip_address(str(address)).is_unspecified:
                yield (
                    f"turnnode_listen_addresses has {address}, which is no address of a host. Write each"
                    " address by itself, such as 192.0.2.31."
                )
    public = host.get("turnnode_public_name")
    if not isinstance(public, str) or not public or ":" in public:
        yield (
            f"turnnode_public_name is {_show(public)}. Write a name or an IPv4 address; apps do not take"
            " an IPv6 address here."
        )
    yield from _check_turn_ports(host)
    yield from _check_relay_ports(host)
    bound = host.get("turnnode_relay_addresses") or addresses
    published = host.get("turnnode_published_addresses")
    if (
        published
        and isinstance(bound, list)
        and (not isinstance(published, list) or len(published) != len(bound))
    ):
        yield (
            f"turnnode_published_addresses is {_show(published)}. Write one address for each of"
            f" {', '.join(map(str, bound))}, in the same order."
        )


def _check_turn_ports(host: Host) -> Iterator[str]:
    udp = [host.get("turnnode_port", 3478), *_list_of(host.get("turnnode_other_udp_ports"))]
    tls = _list_of(host.get("turnnode_tls_ports"))
    announced = host.get("turnnode_announced_port", 0)
    if announced and announced not in udp:
        yield (
            f"turnnode_announced_port is {announced}, but the node listens on {', '.join(map(str, udp))} by"
            " UDP. Write one of them, or add it to turnnode_other_udp_ports."
        )
    for name, ports in (("UDP", udp), ("TCP and TLS", [host.get("turnnode_tcp_port", 3478), *tls])):
        for port in sorted({str(port) for port in ports if ports.count(port) > 1}):
            yield f"A TURN node listens on port {port} twice by {name}. Write each port once."
    if tls and host.get("tls_certificate_mode") == "acme":
        yield (
            "turnnode_tls_ports are set, but a TURN node gets no certificate by ACME. Set"
            " tls_certificate_mode to file or self_signed for it, or leave turnnode_tls_ports out."
        )


def _check_relay_ports(host: Host) -> Iterator[str]:
    """Find ranges that leave the host none for its own sockets: the playbook reserves them for calls."""
    first, last = _read_relay_ports(host)
    if not (isinstance(first, int) and isinstance(last, int)):
        return
    left = sum(not first <= port <= last for port in OWN_PORTS)
    own = host.get("host_setup_kernel_parameters")
    if left < MIN_OWN_PORTS and not (isinstance(own, dict) and "net.ipv4.ip_local_port_range" in own):
        yield (
            f"Calls are relayed from ports {first} to {last}, which leaves {left} for the host's own sockets."
            " Write a higher turnnode_relay_port_min, or let host_setup_kernel_parameters set"
            " net.ipv4.ip_local_port_range to ports below it."
        )


def _read_relay_ports(host: Host) -> tuple[object, object]:
    return host.get("turnnode_relay_port_min", 49152), host.get("turnnode_relay_port_max", 65535)


def _list_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _is_port(value: object) -> bool:
    """Tell whether a value is a number of a port; Ansible's numbers are of a type of its own, below `int`."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def _check_alternates(host: Host, role: str, others: Mapping[str, int]) -> Iterator[str]:
    """Find what could not be opened, or is served already, before the daemon refuses to start."""
    variable = f"{role}_alternate_ports"
    ports = host.get(variable, [])
    if not isinstance(ports, list) or not all(map(_is_port, ports)):
        yield f"{variable} is {_show(ports)}. Write ports as a list of numbers, such as [8993, 8465]."
        return
    if len(ports) > MAX_ALTERNATES:
        yield f"{variable} has {len(ports)} ports. Write at most {MAX_ALTERNATES}."
    if len(set(ports)) < len(ports):
        yield f"{variable} names a port twice. Write each once."
    taken = {str(host.get(name, default)): name for name, default in others.items()}
    if role == "turnnode":
        for port in _list_of(host.get("turnnode_other_udp_ports")):
            taken[str(port)] = "in turnnode_other_udp_ports"
    first, last = _read_relay_ports(host)
    for port in ports:
        if str(port) in taken:
            yield f"{variable} has {port}, which is {taken[str(port)]}. Remove it; it is open already."
        elif (
            role == "turnnode" and isinstance(first, int) and isinstance(last, int) and first <= port <= last
        ):
            yield f"{variable} has {port}, from which calls are relayed. Write one outside {first} to {last}."


def _check_domains(names: list[str], hosts: Mapping[str, Host]) -> Iterator[str]:
    seen: dict[object, str] = {}
    for name in names:
        domain = hosts[name].get("mailnode_mail_domain")
        if domain and domain in seen:
            yield f"{name} and {seen[domain]} both have the mail domain {domain}. Give each node its own."
        seen.setdefault(domain, name)


def _check_certificate(host: Host) -> Iterator[str]:
    mode = host.get("tls_certificate_mode", "self_signed")
    if mode == "file":
        for variable in ("tls_certificate_chain_file", "tls_certificate_key_file"):
            if not host.get(variable):
                yield f"{variable} is missing. Write where the file lies on this computer."
    domain = host.get("mailnode_mail_domain")
    if mode == "self_signed" and isinstance(domain, str) and not domain.startswith(("[", "_")):
        yield (
            f"Delta Chat takes a self-signed certificate only for an address or a name that begins with"
            f" an underscore, not for {domain}. Set tls_certificate_mode to acme or file."
        )
    if mode == "acme":
        yield from _check_acme(host)


def _check_acme(host: Host) -> Iterator[str]:
    """Find what an authority would refuse, before it is asked: it lets one ask only so often."""
    email = host.get("tls_acme_email")
    if email and not EMAIL.fullmatch(str(email)):
        yield f"tls_acme_email is {email!r}. Write an e-mail address such as admin@example.org, or nothing."
    directory = host.get("tls_acme_directory_url")
    if directory is not None and not (isinstance(directory, str) and directory.startswith("https://")):
        yield (
            f"tls_acme_directory_url is {_show(directory)}. Write the address of an ACME directory, which"
            " begins with https://, or leave it out for Let's Encrypt."
        )
    for kind in ("controlplane", "mailnode", "exchanger"):
        if str(host.get(f"{kind}_http_port", 80)) == "0":
            yield f"{kind}_http_port is 0, but authorities look at port 80. Write {kind}_http_port: 80."
    name = _find_certified_name(host)
    if name.startswith("_"):
        yield (
            f"No authority gives a certificate for {name}, because it begins with an underscore. Set"
            " tls_certificate_mode to self_signed."
        )
    elif directory is None and not _is_public(name):
        yield (
            f"Let's Encrypt cannot look at {name}, which is not on the Internet. Write tls_acme_directory_url"
            " of an authority inside, or set tls_certificate_mode to self_signed or file."
        )


def _find_certified_name(host: Host) -> str:
    """Find what the certificate is for, as the playbook does; "" where another check has found it wrong."""
    url = host.get("controlplane_public_url")
    if isinstance(url, str):
        authority = url.removeprefix("https://")
        return authority[1:].partition("]")[0] if authority.startswith("[") else authority.partition(":")[0]
    names = ("exchanger_public_host", "mailnode_public_host", "mailnode_mail_domain")
    name = next((host[each] for each in names if host.get(each)), "")
    return str(name).removeprefix(IPV6_PREFIX).strip("[]")


def _is_public(name: str) -> bool:
    if _is_address(name):
        return ip_address(name).is_global
    return not name or ("." in name and not name.endswith(INSIDE_NAMES))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _show(value: object) -> str:
    return "missing" if value in (None, "") else repr(value)


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters."""
        return {
            "find_inventory_problems": find_inventory_problems,
            "read_role_options": read_role_options,
        }
