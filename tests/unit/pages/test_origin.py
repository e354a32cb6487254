"""A page of somebody else cannot make browsers fill the node with accounts."""

import pytest

from mailnode.http.origin import is_cross_site


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": "null"},
        {"sec-fetch-site": "none"},
        {"origin": "https://mail.example.org", "host": "mail.example.org"},
        {"origin": "https://mail.example.org:10443", "host": "mail.example.org:10443"},
        {"origin": "https://[2001:db8::1]", "host": "[2001:db8::1]"},
    ],
)
def test_own_page_and_clients_without_a_browser_may_ask(headers: dict[str, str]) -> None:
    assert not is_cross_site(headers, "https")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "cross-site", "origin": "https://mail.example.org", "host": "mail.example.org"},
        {"origin": "null", "host": "mail.example.org"},
        {"origin": "", "host": "mail.example.org"},
        {"origin": "http://mail.example.org", "host": "mail.example.org"},
        {"origin": "https://mail.example.org:8443", "host": "mail.example.org"},
        {"origin": "https://mail.example.org.example.net", "host": "mail.example.org"},
        {"origin": "https://mail.example.org"},
    ],
)
def test_foreign_page_may_not_ask(headers: dict[str, str]) -> None:
    assert is_cross_site(headers, "https")
