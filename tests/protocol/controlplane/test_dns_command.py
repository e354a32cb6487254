"""What `madfleet dns` prints, and what it does with a real name server: BIND, on loopback."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import dns.resolver
import dns.zone
import pytest

from controlplane.nodes.desk import Desk
from nodelink.contract.federation import DkimKey, DkimStage
from nodelink.contract.ports import PortReport
from nodelink.contract.reports import MailPlaces
from nodelink.contract.states import NodeKind
from support.client_site import ClientSite, Ended, open_client_site
from support.controlplane_site import add_node, make_report
from support.name_server import HOST, RunningServer, running_name_server

LONG_KEY = f"v=DKIM1; k=rsa; p={'A' * 392}"
TURN = "turn.example.org"
OWN_RECORDS = """
mail1 IN TXT "of the operator's own"
_dmarc.mail1 IN TXT "v=DMARC1; p=none"
mail1 IN A 192.0.2.99
rsa1._domainkey.mail1 IN TXT "v=DKIM1; k=rsa; p=of-long-ago"
mail1 IN CAA 0 iodef "mailto:admin@example.org"
"""


def key(selector: str, stage: DkimStage, record: str = LONG_KEY) -> DkimKey:
    return DkimKey(selector=selector, stage=stage, record=record)


def tell(site: ClientSite, *keys: DkimKey, issuer: str | None = None) -> None:
    """Have the mail node tell where it is, by what it signs, and who has certified it."""
    desk = Desk(site.plane, time.time)
    ports = tuple(
        PortReport(name=name, configured=port, effective=port, problem=None)
        for name, port in (("imap", 143), ("imap_tls", 993), ("submission", 587), ("submission_tls", 8465))
    )
    desk.note_report(
        "mail1",
        make_report(
            addresses=("192.0.2.1", "2001:db8::1"),
            ports=ports,
            dkim_keys=keys,
            places=MailPlaces(
                host="mail1.example.org", imap_tls_port=993, smtp_tls_port=465, tls_pin=None, issuer=issuer
            ),
        ),
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ClientSite]:
    with open_client_site(tmp_path, turn_name=TURN) as site:
        add_node(site.plane, "mail1")
        for number in (1, 2):
            add_node(site.plane, f"turn{number}", NodeKind.TURN)
            report = make_report(NodeKind.TURN, public_name=TURN, addresses=(f"198.51.100.{number}",))
            Desk(site.plane, time.time).note_report(f"turn{number}", report)
        tell(site, key("rsa2", DkimStage.CURRENT), key("rsa3", DkimStage.NEXT))
        yield site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_name_server(tmp_path / "bind", OWN_RECORDS) as server:
        yield server


def check(site: ClientSite, server: RunningServer, *arguments: str) -> Ended:
    return site.call("dns", "--check", "--server", server.address, *arguments)


def update(site: ClientSite, server: RunningServer, *arguments: str, typed: str = "") -> Ended:
    return site.call(
        "dns",
        "--update",
        "--server",
        server.address,
        "--key-file",
        str(server.key_file),
        *arguments,
        typed=typed,
    )


def ask(server: RunningServer, name: str, kind: str) -> list[str]:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [HOST], server.port
    return sorted(each.to_text() for each in resolver.resolve(name, kind, search=False))


def test_zone_of_the_whole_fleet_is_a_zone_file(site: ClientSite) -> None:
    text = site.run("dns")

    zone = dns.zone.from_text(f"@ 60 IN SOA ns admin 1 60 60 60 60\n@ 60 IN NS ns\n{text}", "example.org.")
    names = {str(name) for name in zone}
    assert {"mail1", "_mta-sts.mail1", "mta-sts.mail1", "autoconfig.mail1", "_dmarc.mail1", "turn"} <= names
    assert {"rsa2._domainkey.mail1", "rsa3._domainkey.mail1", "_submissions._tcp.mail1"} <= names
    found = zone.find_rdataset("turn", "A")
    assert sorted(each.to_text() for each in found) == ["198.51.100.1", "198.51.100.2"]
    assert zone.find_rdataset("_submissions._tcp.mail1", "SRV")[0].port == 8465
    long_text = zone.find_rdataset("rsa3._domainkey.mail1", "TXT")[0]
    assert b"".join(long_text.strings).decode() == LONG_KEY
    assert 'CAA 0 issue "letsencrypt.org"' in text
    assert "CAA" not in site.run("dns", "--certificate-authority", "none")


def test_who_may_certify_follows_the_certificate_of_each_node(site: ClientSite) -> None:
    tell(site, issuer="DigiCert Inc")
    text = site.run("dns")
    assert 'mail1.example.org. 3600 IN CAA 0 issue "digicert.com"' in text
    assert "CAA" not in site.run("dns", "--domain", TURN)

    tell(site, issuer="An authority of our own")
    text = site.run("dns")
    assert "CAA 0" not in text
    assert "mail1 has a certificate of 'An authority of our own', so no CAA says who may certify" in text
    named = site.run("dns", "--certificate-authority", "CA.example.net")
    assert named.count('CAA 0 issue "ca.example.net"') == 2  # the mail domain and the TURN name
    assert "no CAA" not in named

    tell(site, issuer="")
    assert "mail1 has a certificate of an authority without a name" in site.run("dns")


def test_one_domain_is_printed_alone_and_others_are_named(site: ClientSite) -> None:
    assert {record["domain"] for record in site.read("dns", "--domain", "TURN.example.org.")["records"]} == {
        TURN
    }
    ended = site.call("dns", "--domain", "mail9.example.org")
    assert ended.code == 2
    assert "mail1.example.org, turn.example.org" in ended.error


def test_draining_turn_node_leaves_the_name(site: ClientSite) -> None:
    site.run("drain", "turn2")

    text = site.run("dns", "--domain", TURN)

    assert f"{TURN}. 60 IN A 198.51.100.1\n" in text
    assert "198.51.100.2" not in text
    assert "turn2 is left out of turn.example.org: it is draining." in text


def test_check_says_what_to_change_and_update_does_it(site: ClientSite, server: RunningServer) -> None:
    ended = check(site, server, "--json")
    found = json.loads(ended.output)
    todo = {(each["action"], each["name"], each["type"], each["value"]) for each in found}
    assert ended.code == 1
    assert ("remove", "mail1.example.org.", "A", "192.0.2.99") in todo
    assert ("add", "mail1.example.org.", "A", "192.0.2.1") in todo
    assert ("remove", "_dmarc.mail1.example.org.", "TXT", '"v=DMARC1; p=none"') in todo
    assert ("remove", "rsa1._domainkey.mail1.example.org.", "TXT", '"v=DKIM1; k=rsa; p=of-long-ago"') in todo
    assert not any("operator" in each["value"] or "iodef" in each["value"] for each in found)

    refused = update(site, server, typed="n\n")
    assert refused.code == 1
    assert check(site, server, "--json").output == ended.output

    changed = update(site, server, "--yes")

    assert changed.code == 0, changed
    assert changed.output.endswith("records are published.\n")
    assert check(site, server).code == 0
    assert ask(server, "mail1.example.org", "A") == ["192.0.2.1"]
    assert ask(server, "turn.example.org", "A") == ["198.51.100.1", "198.51.100.2"]
    assert sorted(ask(server, "mail1.example.org", "TXT")) == ['"of the operator\'s own"', '"v=spf1 a ~all"']
    assert len(ask(server, "mail1.example.org", "CAA")) == 2
    with pytest.raises(dns.resolver.NXDOMAIN):
        ask(server, "rsa1._domainkey.mail1.example.org", "TXT")


def test_rotation_of_signing_keys_has_no_gap_in_the_dns(site: ClientSite, server: RunningServer) -> None:
    update(site, server, "--yes")
    tell(site, key("rsa3", DkimStage.FORMER), key("rsa4", DkimStage.CURRENT))
    assert update(site, server, "--yes").code == 0

    for selector in ("rsa3", "rsa4"):
        assert ask(server, f"{selector}._domainkey.mail1.example.org", "TXT")
    with pytest.raises(dns.resolver.NXDOMAIN):
        ask(server, "rsa2._domainkey.mail1.example.org", "TXT")


def test_server_that_does_not_know_the_key_changes_nothing(
    site: ClientSite, server: RunningServer, tmp_path: Path
) -> None:
    other = tmp_path / "other.key"
    other.write_text(server.key_file.read_text().replace("fleet.example.org", "other.example.org"))
    other.chmod(0o600)

    ended = site.call("dns", "--update", "--yes", "--server", server.address, "--key-file", str(other))
    unsigned = site.call("dns", "--update", "--yes", "--server", server.address)

    assert (ended.code, unsigned.code) == (1, 1)
    assert "Check the key's name" in ended.error
    assert "REFUSED" in unsigned.error
    assert ask(server, "mail1.example.org", "A") == ["192.0.2.99"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--update",), 2, "Say with --server"),
        (("--check", "--server", "no server"), 2, "is no name server"),
        (("--check", "--server", "127.0.0.1:0"), 2, "is no name server"),
        (("--check", "--server", "127.0.0.1:65536"), 2, "is no name server"),
        (("--check", "--server", "127.0.0.1:1"), 1, "cannot be looked up"),
        (("--update", "--server", "127.0.0.1", "--key-file", "/nowhere"), 2, "cannot be read"),
        (("--certificate-authority", "no name"), 1, "certificate_authority"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    site: ClientSite, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    monkeypatch.setattr("controlplane.client.name_server.TIMEOUT_SECONDS", 0.5)
    ended = site.call("dns", *arguments)

    assert (ended.code, ended.error.count("\n")) == (code, 1), ended
    assert sentence in ended.error


def test_key_that_everybody_can_read_is_not_used(site: ClientSite, server: RunningServer) -> None:
    server.key_file.chmod(0o644)

    ended = update(site, server, "--yes")

    assert (ended.code, "chmod o-r" in ended.error) == (2, True)


def test_fleet_of_addresses_needs_no_dns(tmp_path: Path) -> None:
    with open_client_site(tmp_path) as site:
        add_node(site.plane, "mail1")
        places = MailPlaces(host="192.0.2.1", imap_tls_port=993, smtp_tls_port=465, tls_pin=None)
        report = make_report(public_name="[192.0.2.1]", addresses=("192.0.2.1",), places=places)
        Desk(site.plane, time.time).note_report("mail1", report)

        text = site.run("dns")

        assert "This fleet needs no DNS" in text
        assert "mail1 needs no DNS: its mail domain is the address [192.0.2.1]." in text
        assert "This fleet needs no DNS" in site.run("dns", "--check", "--server", "127.0.0.1:1")
        assert site.read("dns")["records"] == []
