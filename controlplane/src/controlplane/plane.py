"""What a process of the control plane opens at its start, be it the daemon or a command.

    state directory ─▶ master key ─▶ database, upgraded ─▶ secrets of the fleet, signing key

For: handing down one value instead of globals.
Not for: serving (application.py), nor for rules.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from controlplane.backup.placing import complete_restore
from controlplane.database import (
    Sessions,
    hold_off_starts,
    open_postgresql,
    open_sessions,
    open_sqlite,
    upgrade_database,
)
from controlplane.errors import BadInstallationError
from controlplane.key_files import forget_former_signing_key, load_vault
from controlplane.locks import IN_USE, hold_lock
from controlplane.nodes.states import FleetFacts
from controlplane.nodes.turn_secrets import open_secrets, prepare_first_secret
from controlplane.settings import ControlPlaneSettings
from controlplane.signing.keyring import SigningKeys, prepare_first_key, read_signing_keys
from controlplane.vault import Vault
from nodelink.channel.files import make_private_directory
from nodelink.contract.states import SpkiPin
from nodelink.daemon.tls import read_self_signed_pin

DATABASE = "controlplane.sqlite"


@dataclass(frozen=True, slots=True)
class Plane:
    """The control plane of one fleet, opened."""

    settings: ControlPlaneSettings
    engine: Engine
    sessions: Sessions
    vault: Vault
    facts: FleetFacts

    @property
    def keys(self) -> SigningKeys:
        """The keys as the database has them now: another process may rotate them at any time."""
        with self.sessions() as session:
            return read_signing_keys(session, self.vault)

    def read_tls_pin(self) -> SpkiPin | None:
        """Read the pin that new nodes are told; `None` where a CA vouches. Raises: CertificateError."""
        return read_self_signed_pin(self.settings.tls_certificate) if self.settings.tls_pinned else None


def open_database(settings: ControlPlaneSettings) -> Engine:
    """Open the database that the settings name, as it is."""
    if settings.database_url is None:
        return open_sqlite(settings.state_directory / DATABASE)
    return open_postgresql(settings.database_url.get_secret_value())


@contextmanager
def open_plane(settings: ControlPlaneSettings) -> Iterator[Plane]:
    """Open the control plane; make whatever is missing at the first start.

    Raises:
        BadInstallationError: The state directory cannot be used, or a file in it is damaged.
    """
    directory = settings.state_directory
    with ExitStack() as in_use:
        try:
            make_private_directory(directory)
            in_use.enter_context(hold_lock(directory / IN_USE, shared=True))
            with hold_lock(directory / "start.lock"):
                complete_restore(directory)
                vault = load_vault(directory)
                engine = open_database(settings)
                in_use.callback(engine.dispose)
                upgrade_database(engine)
                sessions = open_sessions(engine)
                with sessions.begin() as session:
                    hold_off_starts(session.connection())
                    prepare_first_secret(session, vault, int(time.time()))
                    open_secrets(session, vault)  # this master key and this database belong together
                    prepare_first_key(session, vault, directory, int(time.time()))
                forget_former_signing_key(directory)
        except OSError as error:
            raise BadInstallationError(
                f"The state directory {directory} cannot be used: {error.strerror}. Look at its owner."
            ) from error
        facts = FleetFacts(settings.turn_name, settings.turn_port, vault)
        yield Plane(settings, engine, sessions, vault, facts)
