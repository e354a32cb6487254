"""How commands of the client reach the control plane of this host, without a login.

    settings ─▶ loopback, port, the certificate itself
    database ─▶ a token of its own, kept in the state directory, which only the service's user reads

Whoever can read that directory has the fleet anyway. The token is made once and stands in the list of tokens
as `host`, with PostgreSQL as `host NAME`, because each replica has one; revoked, it is made anew by the next
command.
For: hosts that have settings. Not for: others, where `madfleet login` was run.
"""

import os
import re
import socket
import time
from ipaddress import ip_address
from pathlib import Path

from controlplane.admins.access import Role
from controlplane.admins.models import TokenRequest
from controlplane.admins.static_token import read_static_token
from controlplane.admins.tokens import TokenBook, create_token, revoke_tokens
from controlplane.cli.opening import quieten_log, write_author
from controlplane.client.target import Target
from controlplane.errors import BadInstallationError
from controlplane.plane import Plane, open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.channel.files import read_if_there, write_durably
from nodelink.daemon.settings import read_settings_or_exit

HOST_ADMIN = "host"
TOKEN_FILE = "command-token"  # noqa: S105 - the name of a file
NEEDED = "CONTROLPLANE_PUBLIC_URL"
PATIENCE_SECONDS = 15.0
NAME_CHARACTERS = 64


def find_host_target(settings_file: Path | None) -> Target | None:
    """Find the control plane of this host; `None` where no settings are given.

    Raises:
        BadInstallationError: Its state directory cannot be used.
    """
    if settings_file is None and NEEDED not in os.environ:
        return None
    quieten_log()
    settings = read_settings_or_exit(ControlPlaneSettings, settings_file)
    with open_plane(settings) as plane:
        token = _find_token(plane)
    host = _choose_address(settings)
    url = f"https://{host}:{settings.port}{settings.api_path}"
    return Target(
        url, token, str(settings.tls_certificate), is_pinned=True, patience_seconds=PATIENCE_SECONDS
    )


def _find_token(plane: Plane) -> str:
    """Find the token of this host; make one where there is none that is taken."""
    settings = plane.settings
    if settings.admin_token is not None and settings.admin_token_name == HOST_ADMIN:
        return settings.admin_token.get_secret_value()  # it stands before all tokens of its name
    path = settings.state_directory / TOKEN_FILE
    book = TokenBook(plane.vault, read_static_token(settings, plane.vault))
    now_seconds = int(time.time())
    kept = (read_if_there(path) or b"").decode("ascii", "replace")
    with plane.sessions() as session:
        caller = book.identify(session, kept, now_seconds)
    if caller is not None and caller.role is Role.OWNER:
        return kept
    author, name = write_author(), _choose_name(settings)
    with plane.sessions.begin() as session:
        revoke_tokens(session, author, name)
        _, token = create_token(session, plane.vault, author, TokenRequest(name=name, role=Role.OWNER))
        try:
            write_durably(path, token.encode())
        except OSError as error:
            raise BadInstallationError(f"{path} cannot be written: {error.strerror}.") from error
    return token


def _choose_name(settings: ControlPlaneSettings) -> str:
    """Choose what this host's token is called. Replicas with one name would revoke each other's token."""
    if settings.database_url is None:
        return HOST_ADMIN
    return f"{HOST_ADMIN} {re.sub('[^A-Za-z0-9._-]', '-', socket.gethostname())}"[:NAME_CHARACTERS].rstrip()


def _choose_address(settings: ControlPlaneSettings) -> str:
    """Choose where to dial: loopback, if the daemon listens there."""
    addresses = [ip_address(address) for address in settings.listen_addresses]
    for address in addresses:
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "[::1]"
    chosen = next((address for address in addresses if address.is_loopback), addresses[0])
    return f"[{chosen}]" if chosen.version == 6 else str(chosen)
