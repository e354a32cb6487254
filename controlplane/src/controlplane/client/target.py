"""Where the control plane is, and by what token it is steered.

    --url, --token, --ca  ──▶  MADFLEET_URL, _TOKEN, _CA  ──▶  this host is the control plane's  ──▶  the file
                                                                                         of `madfleet login`

The first that names something counts, for each of the three; an address is never joined with the token of
another one.
For: finding it. Not for: connecting (api.py).
"""

import json
import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

from controlplane.client.errors import MisuseError

API_PATH = "/api/v1"
MAX_TOKEN = 512

_TOKEN = re.compile(r"[\x21-\x7e]{1,512}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A control plane, and how to steer it.

    Attributes:
        url: Of the Admin API, without a slash at its end.
        token: The admin token.
        ca_file: Certificates that are trusted, in PEM form; `None`: those of the system.
        is_pinned: Whether the first certificate in that file is the one that must be shown, by whatever name.
        patience_seconds: How long nobody may answer, because the control plane may just be starting.
    """

    url: str
    token: str = field(repr=False)
    ca_file: str | None = None
    is_pinned: bool = False
    patience_seconds: float = 0

    def build_tls(self) -> ssl.SSLContext:
        """Build what judges the certificate. Raises: MisuseError."""
        if self.ca_file is None:
            return ssl.create_default_context()
        try:
            if not self.is_pinned:
                return ssl.create_default_context(cafile=self.ca_file)
            return _pin(Path(self.ca_file).read_text("ascii"))
        except (OSError, ValueError) as error:
            raise MisuseError(
                f"{self.ca_file} holds no certificates that can be read. Name a file in PEM form with --ca."
            ) from error


def read_url(text: str) -> str:
    """Read the address of a control plane; without a path, its Admin API is where it usually is.

    Raises:
        MisuseError: It is no such address.
    """
    example = "such as https://control.example.org"
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise MisuseError(f"This is no address of a control plane; give one {example}.") from error
    if not host or parts.scheme not in {"https", "http"} or re.search(r"[\s\x00-\x20\x7f]", text.strip()):
        raise MisuseError(f"{text!r} is no address of a control plane; give one {example}.")
    if parts.username is not None or parts.query or parts.fragment:
        raise MisuseError(f"An address has no user, no `?` and no `#`; give one {example}.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise MisuseError(f"A token must not travel in clear; write https://{parts.netloc}.")
    shown_host = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{shown_host}{f':{port}' if port is not None else ''}"
    return origin + (parts.path.rstrip("/") or API_PATH)


def read_token(text: str) -> str:
    """Read a token. Raises: MisuseError."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise MisuseError(
            "This is no admin token; `madfleet admin-token` on the control plane's host makes one."
        )
    return token


def find_login_file() -> Path:
    """Find where `madfleet login` keeps what it was told."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "madfleet" / "login.json"


def read_login(path: Path) -> Target | None:
    """Read what `madfleet login` has kept; `None` where nobody has signed in.

    Raises:
        MisuseError: The file is damaged, or others can read it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MisuseError(f"{path} cannot be read. Run `madfleet login` again.") from error
    if mode & 0o077:
        raise MisuseError(f"Others can read the token in {path}. Run `chmod 600 {path}`.")
    try:
        fields = json.loads(content)
        target = Target(read_url(fields["url"]), read_token(fields["token"]), fields["ca_file"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MisuseError) as error:
        raise MisuseError(f"{path} is damaged. Run `madfleet login` again.") from error
    if not (target.ca_file is None or isinstance(target.ca_file, str)):
        raise MisuseError(f"{path} is damaged. Run `madfleet login` again.")
    return target


def write_login(path: Path, target: Target) -> None:
    """Keep a target, whole or not at all; nobody else can read it. Raises: MisuseError."""
    fields = {"url": target.url, "token": target.token, "ca_file": target.ca_file}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile(
            "w", dir=path.parent, prefix=".login-", delete=False, encoding="utf-8"
        ) as file:
            temporary = Path(file.name)  # made with mode 0600
            file.write(json.dumps(fields, indent=1) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise MisuseError(
            f"{path} cannot be written: {error.strerror}. Name another home directory."
        ) from error


def _pin(pem: str) -> ssl.SSLContext:
    """Trust one certificate, and no other that it or its issuer may have signed."""
    end = "-----END CERTIFICATE-----"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # we dial an address of this host; the certificate itself is known
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=pem[: pem.index(end)] + end + "\n")
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
