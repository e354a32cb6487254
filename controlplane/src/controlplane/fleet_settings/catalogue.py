"""The names of all settings and services, and who decides each.

For: both Admin APIs, the command line, and the reference page, which a test compares.
Not for: values (values.py), nor for changing them (service.py).

The names are those of Madmail's admin API, so that its admin web finds them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Owner(StrEnum):
    """Who decides."""

    POLICY = "policy"
    PORTS = "ports"
    ANSIBLE = "ansible"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Setting:
    """Something with a value.

    Attributes:
        name: As Madmail calls it.
        owner: Who decides: policy, the ports that can be moved, Ansible; or nobody, where it is not there.
        meaning: What it is.
        variable: The variable of Ansible, where that has a say; of ports, the one that opens more of them.
        unset: What holds where nothing is set; empty where that differs from node to node, or is nothing.
    """

    name: str
    owner: Owner
    meaning: str
    variable: str | None = None
    unset: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """Something that is on or off. `field` is what policy calls it, `None` for what is not there."""

    name: str
    meaning: str
    field: str | None = None


def _index(settings: Iterable[Setting]) -> Mapping[str, Setting]:
    return {setting.name: setting for setting in settings}


SETTINGS: Mapping[str, Setting] = _index(
    (
        Setting("appendlimit", Owner.POLICY, "The largest message that is taken."),
        Setting("max_message_size", Owner.POLICY, "The same."),
        Setting("message_retention", Owner.POLICY, "How long messages stay while that is on.", unset="30d"),
        Setting("turn_secret", Owner.POLICY, "What credentials for TURN are made with."),
        Setting("turn_ttl", Owner.POLICY, "Longest validity of a TURN credential, in seconds."),
        Setting("submission_port", Owner.PORTS, "SMTP by STARTTLS.", "mailnode_alternate_ports"),
        Setting("submission_tls_port", Owner.PORTS, "SMTP by TLS.", "mailnode_alternate_ports"),
        Setting("imap_port", Owner.PORTS, "IMAP by STARTTLS.", "mailnode_alternate_ports"),
        Setting("imap_tls_port", Owner.PORTS, "IMAP by TLS.", "mailnode_alternate_ports"),
        Setting("turn_port", Owner.PORTS, "STUN and TURN.", "turnnode_alternate_ports"),
        Setting("http_port", Owner.ANSIBLE, "Plain HTTP.", "mailnode_http_port"),
        Setting("https_port", Owner.ANSIBLE, "HTTPS.", "mailnode_https_port"),
        Setting("smtp_port", Owner.ANSIBLE, "SMTP from servers of others.", "mailnode_inbound_smtp_port"),
        Setting("smtp_hostname", Owner.ANSIBLE, "What clients connect to.", "mailnode_public_host"),
        Setting("turn_relay_ip", Owner.ANSIBLE, "Relay addresses.", "turnnode_relay_addresses"),
        Setting(
            "turn_relay_port_min", Owner.ANSIBLE, "First relay port.", "turnnode_relay_port_min", "49152"
        ),
        Setting("turn_relay_port_max", Owner.ANSIBLE, "Last relay port.", "turnnode_relay_port_max", "65535"),
        Setting("admin_path", Owner.ANSIBLE, "Path of the Madmail admin RPC.", "controlplane_admin_path"),
        Setting("language", Owner.ANSIBLE, "Language of the pages by default.", "mailnode_language", "en"),
        *(
            Setting(
                f"{name}_local_only", Owner.ANSIBLE, f"Whether only the host itself gets {title}.", variable
            )
            for name, title, variable in (
                ("smtp", "SMTP from servers of others", "mailnode_listen_addresses"),
                ("submission", "SMTP by STARTTLS", "mailnode_listen_addresses"),
                ("submission_tls", "SMTP by TLS", "mailnode_listen_addresses"),
                ("imap", "IMAP by STARTTLS", "mailnode_listen_addresses"),
                ("imap_tls", "IMAP by TLS", "mailnode_listen_addresses"),
                ("http", "plain HTTP", "mailnode_listen_addresses"),
                ("https", "HTTPS", "mailnode_listen_addresses"),
                ("turn", "TURN", "turnnode_listen_addresses"),
            )
        ),
        *(
            Setting(name, Owner.NOBODY, meaning, unset=unset)
            for name, meaning, unset in (
                ("sasl_port", "Passwords for other programs.", ""),
                ("iroh_port", "The iroh relay.", ""),
                ("iroh_local_only", "Whether only the host itself gets it.", ""),
                ("iroh_relay_url", "Another iroh relay.", ""),
                ("turn_realm", "Realm of TURN; the same in every fleet.", ""),
                ("admin_web_path", "Where Madmail's admin web is served.", "/admin"),
                ("dclogin_imap_security", "IMAP in login links: always TLS.", "ssl"),
                ("dclogin_smtp_security", "SMTP in login links: always TLS.", "ssl"),
                ("webmail_cors_origins", "Web mail of other sites.", ""),
                ("max_federation_size", "The largest message of other fleets.", ""),
                ("ss_port", "Shadowsocks.", ""),
                ("ss_ws_port", "Shadowsocks over WebSockets.", ""),
                ("ss_grpc_port", "Shadowsocks over gRPC.", ""),
                ("ss_cipher", "Its cipher.", ""),
                ("ss_password", "Its password.", ""),
                ("http_proxy_port", "The HTTP proxy.", ""),
                ("http_proxy_path", "Its path.", ""),
                ("http_proxy_username", "Its user.", ""),
                ("http_proxy_password", "Its password.", ""),
            )
        ),
    )
)

SERVICES: Mapping[str, Service] = {
    service.name: service
    for service in (
        Service("registration", "Whether new accounts may be made at all.", "registration_open"),
        Service("jit", "Whether an unknown login makes its account, while that is open.", "jit_enabled"),
        Service(
            "registration_token_required",
            "Whether whoever registers must have a token.",
            "registration_token_required",
        ),
        Service("turn", "Whether apps are told of the TURN nodes when they call.", "turn_enabled"),
        Service("message_retention", "Whether old messages go.", "message_retention_days"),
        Service("auto_purge_seen", "Whether messages go once they are read."),
        Service("push", "Notifications through Delta Chat's proxy.", "push_enabled"),
        Service("iroh", "A relay for apps within messages."),
        Service("admin_web", "Madmail's admin web, served from here; this one has pages of its own."),
        Service("webimap", "Reading mail in a browser."),
        Service("websmtp", "Sending mail from a browser."),
        Service("webmail_dev", "Both for pages of other sites."),
        Service("shadowsocks", "A proxy against censorship."),
        Service("ss_ws", "The same over WebSockets."),
        Service("ss_grpc", "The same over gRPC."),
        Service("http_proxy", "A proxy by HTTP CONNECT."),
        Service("allow_inbound_remote_rcpt", "Taking mail for other servers, as an exchanger does."),
    )
}
