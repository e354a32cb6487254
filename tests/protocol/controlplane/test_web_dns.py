"""The page of the DNS, and the part of a node's page about its signing keys."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.nodes.desk import Desk
from controlplane.plane import Plane
from nodelink.contract.federation import DkimKey, DkimStage
from nodelink.contract.reports import MailPlaces
from nodelink.contract.states import NodeKind
from support.controlplane_site import PUBLIC_URL, Clock, add_node, add_token, make_report
from support.web_admin import PageReader, read_forms, send, sign_in, sign_in_with

DNS, NODE = "/admin/dns", "/admin/nodes/mail1"
ROTATE = f"{NODE}/dkim-keys"
PLACES = MailPlaces(
    host="mail1.example.org", imap_tls_port=993, smtp_tls_port=465, tls_pin=None, issuer="Let's Encrypt"
)


@pytest.fixture
def browser(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    with TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as browser:
        sign_in(browser, plane)
        yield browser


def tell(plane: Plane, *stages: DkimStage, public_name: str = "mail1.example.org") -> None:
    """Have the node tell where it is, and of keys in these stages."""
    keys = tuple(
        DkimKey(selector=f"rsa{number}", stage=stage, record=f"v=DKIM1; k=rsa; p=KEY{number}")
        for number, stage in enumerate(stages, 4)
    )
    report = make_report(public_name=public_name, addresses=("198.51.100.1",), places=PLACES, dkim_keys=keys)
    Desk(plane, Clock()).note_report("mail1", report)


def read_text(page: str) -> str:
    return " ".join(PageReader(page).text.split())


def test_page_shows_each_record_what_it_is_for_and_a_zone_file(browser: TestClient, plane: Plane) -> None:
    tell(plane, DkimStage.CURRENT, DkimStage.NEXT)
    assert DNS in browser.get("/admin/federation").text

    page = browser.get(DNS).text

    text = read_text(page)
    assert "mail1.example.org. MX 10 mail1.example.org. where others hand mail over" in text
    assert 'rsa4._domainkey.mail1.example.org. TXT "v=DKIM1; k=rsa; p=KEY4" signing key' in text
    assert 'rsa5._domainkey.mail1.example.org. TXT "v=DKIM1; k=rsa; p=KEY5" signing key, next' in text
    assert 'mail1.example.org. CAA 0 issue "letsencrypt.org" who may certify' in text
    assert "mail1.example.org. 3600 IN MX 10 mail1.example.org." in text  # of the zone file
    assert "rsa1._domainkey.mail1.example.org." in text.partition("Take these names out")[2]


def test_page_speaks_persian(browser: TestClient, plane: Plane) -> None:
    tell(plane, DkimStage.CURRENT)

    text = read_text(browser.get(f"{DNS}?lang=fa").text)

    assert "رکوردهای DNS" in text
    assert "جایی که دیگران پیام را تحویل می‌دهند" in text


def test_fleet_of_addresses_needs_none_and_is_told_why(browser: TestClient, plane: Plane) -> None:
    tell(plane, public_name="[198.51.100.1]")

    text = read_text(browser.get(DNS).text)

    assert "This fleet needs no DNS." in text
    assert "mail1 needs no DNS: its mail domain is the address [198.51.100.1]." in text


def test_keys_are_shown_and_replaced_by_an_operation(browser: TestClient, plane: Plane) -> None:
    tell(plane, DkimStage.FORMER, DkimStage.CURRENT)
    text = read_text(browser.get(NODE).text)
    assert "rsa4 former rsa5 signs" in text
    assert "wait for the DNS" not in text

    page = send(browser, NODE, ROTATE)

    assert page.url.path.startswith("/admin/operations/")
    operation = browser.get(page.url.path).text
    assert "mail1" in operation
    tell(plane, DkimStage.CURRENT, DkimStage.NEXT)
    assert "The next keys wait for the DNS: publish their records." in read_text(browser.get(NODE).text)


def test_viewer_sees_keys_and_cannot_replace_them(browser: TestClient, plane: Plane) -> None:
    tell(plane, DkimStage.CURRENT)
    page = sign_in_with(browser, add_token(plane, Role.VIEWER))
    key = read_forms(page)["/sign-out"].fields["key"]

    assert "rsa4 signs" in read_text(browser.get(NODE).text)
    assert ROTATE not in browser.get(NODE).text
    assert browser.post(ROTATE, data={"key": key}).status_code == 403


def test_turn_node_has_no_keys_to_replace(browser: TestClient, plane: Plane) -> None:
    add_node(plane, "turn1", NodeKind.TURN)
    assert "/dkim-keys" not in browser.get("/admin/nodes/turn1").text
