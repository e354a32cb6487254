"""Other people's programs against the mail node: imaplib, smtplib and curl."""

import imaplib
import smtplib
from typing import Any

import pytest

from support.lab import MAIL, MAIL_NAME, LabFleet
from support.mail_clients import open_imap, open_smtp, plain_message

pytestmark = [pytest.mark.lab, pytest.mark.netns]


@pytest.fixture
def account(fleet: LabFleet) -> dict[str, str]:
    return fleet.register()


def test_quota_is_seen_by_any_mail_program(fleet: LabFleet, account: dict[str, str]) -> None:
    def ask() -> tuple[str, list[Any]]:
        client = open_imap(account["email"], account["password"])
        status, answer = client.getquotaroot("INBOX")
        client.logout()
        return status, answer

    status, (_, quotas) = fleet.network.call("a", ask)
    assert status == "OK"
    assert b"(STORAGE 0 1048576)" in quotas[0]


def test_plain_text_is_refused_with_the_text_that_apps_look_for(
    fleet: LabFleet, account: dict[str, str]
) -> None:
    address, password = account["email"], account["password"]

    def send() -> None:
        with open_smtp(address, password) as client:
            client.sendmail(address, [address], plain_message(address, address))

    with pytest.raises(smtplib.SMTPDataError) as refusal:
        fleet.network.call("a", send)
    assert refusal.value.smtp_code == 523
    assert refusal.value.smtp_error == b"5.7.1 Encryption Needed: Invalid Unencrypted Mail"


def test_wrong_password_is_refused(fleet: LabFleet, account: dict[str, str]) -> None:
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        fleet.network.call("a", lambda: open_imap(account["email"], "not the password"))


@pytest.mark.parametrize("scheme", ["imaps", "imap", "smtps", "smtp"])
def test_curl_logs_in_with_and_without_starttls(
    fleet: LabFleet, account: dict[str, str], scheme: str
) -> None:
    port = {"imaps": 993, "imap": 143, "smtps": 465, "smtp": 587}[scheme]
    command = ["--request", "CAPABILITY"] if scheme.startswith("imap") else ["--request", "NOOP"]
    login = f"{account['email']}:{account['password']}"
    url = f"{scheme}://{MAIL_NAME}:{port}/"
    ended = fleet.network.run("a", "curl", "-sS", "-k", "--ssl-reqd", "-u", login, *command, url)

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("alpn", ["imap", "smtp"])
def test_port_443_carries_mail_by_alpn(fleet: LabFleet, alpn: str) -> None:
    greeting = fleet.network.run(
        "a", "timeout", "5", "openssl", "s_client", "-quiet", "-alpn", alpn, "-connect", f"{MAIL}:443"
    ).stdout

    assert greeting.startswith({"imap": "* OK", "smtp": "220 "}[alpn])


def test_pages_and_settings_are_served(fleet: LabFleet) -> None:
    for path, words in (
        ("/", "<html"),
        ("/docs?lang=fa", 'dir="rtl"'),
        ("/.well-known/autoconfig/mail/config-v1.1.xml", "<port>443</port>"),
    ):
        answer = fleet.network.run("a", "curl", "-sS", "-k", "--fail", f"https://{MAIL_NAME}{path}")
        assert words in answer.stdout, answer.stderr
