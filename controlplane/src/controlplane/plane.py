"""What a process of the control plane opens at its start, be it the daemon or a command.

    state directory ─▶ keys ─▶ database, upgraded ─▶ secrets of the fleet

For: handing down one value instead of globals.
Not for: serving (application.py), nor for rules.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from controlplane.database import Sessions, open_sessions, open_sqlite, upgrade_database
from controlplane.errors import BadInstallationError
from controlplane.key_files import SigningKeys, load_signing_keys, load_vault
from controlplane.nodes.fleet import load_turn_secret
from controlplane.nodes.states import FleetFacts
from controlplane.settings import ControlPlaneSettings
from controlplane.vault import Vault
from nodelink.channel.files import make_private_directory
from nodelink.contract.states import SpkiPin
from nodelink.daemon.tls import read_self_signed_pin


@dataclass(frozen=True, slots=True)
class Plane:
    """The control plane of one fleet, opened."""

    settings: ControlPlaneSettings
    engine: Engine
    sessions: Sessions
    vault: Vault
    keys: SigningKeys
    facts: FleetFacts

    def read_tls_pin(self) -> SpkiPin | None:
        """Read the pin that new nodes are told; `None` where a CA vouches. Raises: CertificateError."""
        return read_self_signed_pin(self.settings.tls_certificate) if self.settings.tls_pinned else None


@contextmanager
def open_plane(settings: ControlPlaneSettings) -> Iterator[Plane]:
    """Open the control plane; make whatever is missing at the first start.

    Raises:
        BadInstallationError: The state directory cannot be used, or a file in it is damaged.
    """
    directory = settings.state_directory
    try:
        make_private_directory(directory)
        with _lock(directory / "start.lock"):
            vault = load_vault(directory)
            keys = load_signing_keys(directory)
            engine = open_sqlite(directory / "controlplane.sqlite")
            upgrade_database(engine)
            sessions = open_sessions(engine)
            with sessions.begin() as session:
                turn_secret = load_turn_secret(session, vault)
    except OSError as error:
        raise BadInstallationError(
            f"The state directory {directory} cannot be used: {error.strerror}. Look at its owner."
        ) from error
    facts = FleetFacts(
        turn_name=settings.turn_name,
        turn_port=settings.turn_port,
        turn_secrets=(turn_secret,),
    )
    try:
        yield Plane(settings, engine, sessions, vault, keys, facts)
    finally:
        engine.dispose()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel releases when the process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
