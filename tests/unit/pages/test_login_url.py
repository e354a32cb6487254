"""What is put into a login link is what Delta Chat reads from it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.http.login_url import build_account_url, build_https_url, build_login_url
from mailnode.http.site import MailEndpoint, Security
from support.pages_login_link import Login, read_login_link
from support.pages_site import SITE

# What the reader's alphabet could trip over, beside any other character but surrogates (no UTF-8 has them).
characters = st.sampled_from("%&+=?/#@[]:; \"'<>\\") | st.characters(exclude_categories=["Cs"])
texts = st.text(characters, min_size=1, max_size=40)
names = st.sampled_from(["mail.example.org", "192.0.2.1", "2001:db8::1"])
endpoints = st.builds(
    MailEndpoint, host=names, port=st.integers(1, 65535), security=st.sampled_from(list(Security))
)
domains = st.sampled_from(["example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
addresses = st.builds("{}@{}".format, texts, domains)


@given(addresses, texts, endpoints, endpoints, st.booleans())
def test_login_link_gives_back_what_was_put_in(
    address: str, password: str, imap: MailEndpoint, smtp: MailEndpoint, is_self_signed: bool
) -> None:
    site = replace(SITE, imap=(imap,), smtp=(smtp,), is_self_signed=is_self_signed)

    link = build_login_url(site, address, password)

    assert link.isascii()
    assert read_login_link(link) == Login(
        address=address,
        password=password,
        imap=(imap.host, imap.port, imap.security),
        smtp=(smtp.host, smtp.port, smtp.security),
        certificate_checks="3" if is_self_signed else None,
    )


def test_login_link_of_an_address_literal_is_spelled_as_clients_know_it() -> None:
    endpoint = MailEndpoint(host="192.0.2.1", port=993, security=Security.SSL)
    site = replace(SITE, imap=(endpoint,), smtp=(replace(endpoint, port=465),), is_self_signed=True)

    link = build_login_url(site, "user@[192.0.2.1]", "pw")

    assert link == (
        "dclogin:user@[192.0.2.1]?p=pw&v=1&ih=192.0.2.1&ip=993&is=ssl&sh=192.0.2.1&sp=465&ss=ssl&ic=3"
    )


def test_login_link_names_the_preferred_endpoints() -> None:
    login = read_login_link(build_login_url(SITE, "user@example.org", "pw"))

    assert login.imap == ("mail.example.org", 993, "ssl")
    assert login.smtp == ("mail.example.org", 465, "ssl")


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("mail.example.org", 443, "https://mail.example.org"),
        ("mail.example.org", 10443, "https://mail.example.org:10443"),
        ("192.0.2.1", 443, "https://192.0.2.1"),
        ("2001:db8::1", 10443, "https://[2001:db8::1]:10443"),
    ],
)
def test_web_address_names_its_port_only_where_it_must(host: str, port: int, url: str) -> None:
    site = replace(SITE, https_host=host, https_port=port)

    assert build_https_url(site) == url
    assert build_account_url(site) == f"dcaccount:{url}/new"
