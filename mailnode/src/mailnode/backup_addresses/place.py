"""Where a backup address can be had, and the link by which an app gets it; pure functions.

    a CA vouches for the node    dcaccount:https://HOST/new    the node makes the account when it is scanned
    nobody vouches for it        dclogin:…&ic=3                an invented login, which the node makes by JIT

Delta Chat fetches no account over TLS that no CA vouches for, but logs in there if the link says so.
"""

import secrets
import string
from dataclasses import dataclass

from mailnode.backup_addresses.offer import BackupOffer
from mailnode.federation.siblings import Sibling
from mailnode.http.login_url import build_account_url, build_login_url
from mailnode.http.site import MailEndpoint, Security, Site

NAME_LENGTH = 9
PASSWORD_LENGTH = 24
"""Not the 23 by which apps mark what they add by themselves (accounts/app_form.py)."""


@dataclass(frozen=True, slots=True)
class BackupPlace:
    """A node on which whoever has registered here can have another address."""

    site: Site

    @property
    def domain(self) -> str:
        """What its addresses end in."""
        return self.site.mail_domain


def find_place(sibling: Sibling, offer: BackupOffer) -> BackupPlace | None:
    """Say where a node's addresses are to be had; `None` where no app would get one."""
    is_self_signed = sibling.tls_pin is not None
    if is_self_signed and not offer.makes_unknown_logins:
        return None
    host = sibling.host
    site = Site(
        name=sibling.domain,
        mail_domain=sibling.domain,
        https_host=host,
        https_port=sibling.port,
        imap=(MailEndpoint(host=host, port=offer.imap_tls_port, security=Security.SSL),),
        smtp=(MailEndpoint(host=host, port=offer.smtp_tls_port, security=Security.SSL),),
        is_self_signed=is_self_signed,
        support_contact="",
    )
    return BackupPlace(site)


def write_link(place: BackupPlace) -> str:
    """Write the link for one person: what is invented in it must be shown to nobody else."""
    if not place.site.is_self_signed:
        return build_account_url(place.site)
    name = _invent(string.ascii_lowercase + string.digits, NAME_LENGTH)
    password = _invent(string.ascii_letters + string.digits, PASSWORD_LENGTH)
    return build_login_url(place.site, f"{name}@{place.domain}", password)


def _invent(characters: str, length: int) -> str:
    return "".join(secrets.choice(characters) for _ in range(length))
