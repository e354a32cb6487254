"""The settings document says what the site says, and stays XML whatever that is."""

from dataclasses import replace
from xml.etree.ElementTree import fromstring

from hypothesis import given
from hypothesis import strategies as st

from mailnode.http.autoconfig import build_autoconfig
from mailnode.http.site import MailEndpoint, Security, Site
from support.pages_site import SITE

names = st.text(st.characters(exclude_categories=["C"]) | st.sampled_from("<>&\"']"), min_size=1, max_size=30)


def endpoints_of(document: bytes, kind: str) -> list[tuple[str | None, ...]]:
    asked = ("hostname", "port", "socketType", "authentication", "username")
    servers = fromstring(document).iter(kind)  # noqa: S314 - our own document
    return [tuple(server.findtext(name) for name in asked) for server in servers]


def expected(endpoints: tuple[MailEndpoint, ...]) -> list[tuple[str | None, ...]]:
    sockets = {Security.SSL: "SSL", Security.STARTTLS: "STARTTLS"}
    login = ("password-cleartext", "%EMAILADDRESS%")
    return [(each.host, str(each.port), sockets[each.security], *login) for each in endpoints]


def test_every_endpoint_is_listed_in_the_order_of_preference() -> None:
    document = build_autoconfig(SITE)

    assert endpoints_of(document, "incomingServer") == expected(SITE.imap)
    assert endpoints_of(document, "outgoingServer") == expected(SITE.smtp)


def test_protocols_and_domain_are_named() -> None:
    root = fromstring(build_autoconfig(SITE))  # noqa: S314 - our own document
    provider = root.find("emailProvider")

    assert provider is not None
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    assert provider.get("id") == provider.findtext("domain") == "example.org"
    assert {server.get("type") for server in provider.iter("incomingServer")} == {"imap"}
    assert {server.get("type") for server in provider.iter("outgoingServer")} == {"smtp"}


@given(names, names)
def test_names_come_back_as_they_were_put_in(name: str, host: str) -> None:
    endpoint = MailEndpoint(host=host, port=993, security=Security.SSL)
    site: Site = replace(SITE, name=name, mail_domain=name, imap=(endpoint,), smtp=(endpoint,))

    document = build_autoconfig(site)

    assert endpoints_of(document, "incomingServer") == expected(site.imap)
    assert fromstring(document).findtext("emailProvider/displayName") == name  # noqa: S314 - our own document
