"""Read `dclogin:` links as Delta Chat core does (`src/qr/dclogin_scheme.rs`)."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

SECURITIES = {"ssl", "starttls", "plain", "default"}


@dataclass(frozen=True, slots=True)
class Login:
    address: str
    password: str
    imap: tuple[str, int, str]
    smtp: tuple[str, int, str]
    certificate_checks: str | None


def read_login_link(link: str) -> Login:
    """Read a link; asserts whatever core insists on."""
    scheme, colon, rest = link.partition(":")
    assert (scheme, colon) == ("dclogin", ":")
    assert "#" not in rest
    address, query = rest[: _end_of_address(rest)], rest.partition("?")[2]
    pairs = parse_qsl(query, strict_parsing=True, keep_blank_values=True)
    settings = dict(pairs)
    assert len(settings) == len(pairs)
    assert settings["v"] == "1"
    assert {settings["is"], settings["ss"]} <= SECURITIES
    return Login(
        address=unquote(address),
        password=settings["p"],
        imap=(settings["ih"], int(settings["ip"]), settings["is"]),
        smtp=(settings["sh"], int(settings["sp"]), settings["ss"]),
        certificate_checks=settings.get("ic"),
    )


def _end_of_address(rest: str) -> int:
    return next(place for place, character in enumerate(rest) if character in "?/")
