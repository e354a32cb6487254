"""Plan a fleet of one control plane, one mail node and one TURN node, and make what it needs.

For: `make up` (fleet.py). The programs and their settings are those of real hosts.
Not for: running the programs; a process runner does (fleet.py).
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path

from self_signed import make_certificate

COMMAND_SECONDS = 60
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the fleet listens. The defaults are what a user who is not root may bind."""

    control: int = 8400
    https: int = 8443
    imap_tls: int = 8993
    imap_starttls: int = 8143
    smtp_tls: int = 8465
    smtp_starttls: int = 8587
    turn: int = 3478


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """A fleet on one machine. `turn_peers` are networks that calls may go to although they are not public."""

    directory: Path
    control_host: str
    control_address: str
    mail_domain: str
    mail_address: str
    turn_address: str
    turn_peers: tuple[str, ...] = ()
    ports: Ports = field(default_factory=Ports)

    @property
    def control_url(self) -> str:
        """Address of the control plane."""
        return f"https://{self.control_host}:{self.ports.control}"

    @property
    def mail_host(self) -> str:
        """What clients connect to."""
        return self.mail_domain.removeprefix("[IPv6:").strip("[]")

    @property
    def mail_url(self) -> str:
        """Address of the mail node's pages."""
        return f"https://{_bracket(self.mail_host)}:{self.ports.https}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of all three services; each reads those with its own prefix."""
        state = {
            f"{service.upper()}_STATE_DIRECTORY": str(self.directory / service)
            for service in ("controlplane", "mailnode", "turnnode")
        }
        return state | {
            "CONTROLPLANE_FLEET_NAME": "Local fleet",
            "CONTROLPLANE_PUBLIC_URL": self.control_url,
            "CONTROLPLANE_LISTEN_ADDRESSES": self.control_address,
            "CONTROLPLANE_PORT": str(self.ports.control),
            "CONTROLPLANE_TLS_CERTIFICATE": str(self.directory / "control.crt"),
            "CONTROLPLANE_TLS_KEY": str(self.directory / "control.key"),
            "CONTROLPLANE_TLS_PINNED": "true",
            "MAILNODE_RUNTIME_DIRECTORY": str(self.directory / "run"),
            "MAILNODE_MAIL_DOMAIN": self.mail_domain,
            "MAILNODE_LISTEN_ADDRESSES": self.mail_address,
            "MAILNODE_HTTPS_PORT": str(self.ports.https),
            "MAILNODE_IMAP_TLS_PORT": str(self.ports.imap_tls),
            "MAILNODE_IMAP_STARTTLS_PORT": str(self.ports.imap_starttls),
            "MAILNODE_SMTP_TLS_PORT": str(self.ports.smtp_tls),
            "MAILNODE_SMTP_STARTTLS_PORT": str(self.ports.smtp_starttls),
            "MAILNODE_TLS_CERTIFICATE": str(self.directory / "mail.crt"),
            "MAILNODE_TLS_KEY": str(self.directory / "mail.key"),
            "MAILNODE_CERTIFICATE_IS_SELF_SIGNED": "true",
            "MAILNODE_SUPPORT_CONTACT": "mailto:admin@example.org",
            "TURNNODE_LISTEN_ADDRESSES": self.turn_address,
            "TURNNODE_PORT": str(self.ports.turn),
            "TURNNODE_PUBLIC_NAME": self.turn_address,
            "TURNNODE_PEER_ALLOW": ",".join(self.turn_peers),
        }

    @property
    def processes(self) -> dict[str, list[str]]:
        """The long-running command of each service."""
        return {
            "controlplane": [str(PROGRAMS / "controlplane")],
            "mailnode": [str(PROGRAMS / "mailnode"), "serve"],
            "turnnode": [str(PROGRAMS / "turnnode"), "serve"],
        }

    def run(self, program: str, *arguments: str) -> str:
        """Run one of our commands to its end and return what it printed.

        Raises:
            CommandError: It failed; the text says with what.
        """
        ended = subprocess.run(
            [str(PROGRAMS / program), *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        if ended.returncode != 0:
            raise CommandError(f"{program} {' '.join(arguments)} failed: {ended.stderr.strip()}")
        return ended.stdout

    def read_nodes(self) -> list[dict[str, object]]:
        """Read the nodes as `madfleet nodes` lists them."""
        nodes: list[dict[str, object]] = json.loads(self.run("madfleet", "nodes", "--json"))
        return nodes


class CommandError(Exception):
    """A command of ours has failed."""


def plan_local_fleet(directory: Path, address: str) -> FleetPlan:
    """Plan the fleet of `make up`: everything on one address of this machine.

    Raises:
        ValueError: It is no IP address.
    """
    parsed = ip_address(address)
    literal = f"[IPv6:{parsed}]" if parsed.version == 6 else f"[{parsed}]"
    neighbours = ip_network(f"{parsed}/{64 if parsed.version == 6 else 24}", strict=False)
    return FleetPlan(
        directory=directory,
        control_host=_bracket(str(parsed)),
        control_address=str(parsed),
        mail_domain=literal,
        mail_address=str(parsed),
        turn_address=str(parsed),
        turn_peers=(str(neighbours),),
    )


def prepare_fleet(plan: FleetPlan) -> None:
    """Make certificates, and enrol both nodes. What is there already is kept.

    Raises:
        CommandError: One of our own commands failed.
    """
    plan.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for label, host in (("control", plan.control_host.strip("[]")), ("mail", plan.mail_host)):
        if not (plan.directory / f"{label}.crt").exists():
            make_certificate(plan.directory, host, label=label)
    for node, kind, program in (("mail1", "mail", "mailnode"), ("turn1", "turn", "turnnode")):
        enrolment = plan.directory / f"{node}.json"
        if not enrolment.exists():
            key = plan.run(program, "identity").strip()
            written = plan.run("madfleet", "enrol", node, "--kind", kind, "--public-key", key)
            enrolment.write_text(written)
            plan.run(program, "enrol", str(enrolment))


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host
