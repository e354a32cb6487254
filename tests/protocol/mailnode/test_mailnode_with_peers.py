"""The program itself, cut off from its control plane, with a policy on disk, as servers of others see it."""

import asyncio
import json
import smtplib
import ssl
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mailnode.dkim.signing import write_signatures
from nodelink.contract.federation import FederationMode, FederationRule, FederationState
from support.cut_off_node import enrol
from support.dkim_mails import keys
from support.mailnode_process import HOST, running_node
from support.openpgp_messages import ALICE, encrypted_mail
from support.peering_site import NameServer, find_free_port

EVE, BOB, DOMAIN = "eve@far.example", "bob56789", "home.example"
PASSWORD = "correct horse battery"
MAIL = bytes(encrypted_mail()).replace(ALICE.encode(), EVE.encode())


def talk(submission: int, inbound: int) -> dict[str, tuple[int, str]]:
    """Log a user in, then be a server of others; tell what was answered."""
    said: dict[str, tuple[int, str]] = {}
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with smtplib.SMTP_SSL(HOST, submission, context=context, timeout=10) as user:
        user.login(f"{BOB}@{DOMAIN}", PASSWORD)
        user.mail(f"{BOB}@{DOMAIN}")
        for name in ("eve@far.example", "x@blocked.example"):
            code, text = user.rcpt(name)
            said[name] = code, text.decode()
    for name, message in (
        ("signed", write_signatures(MAIL, "far.example", keys(), time.time()) + MAIL),
        ("unsigned", MAIL),
    ):
        with smtplib.SMTP(HOST, inbound, timeout=10) as server:
            server.starttls(context=context)
            try:
                server.sendmail(EVE, f"{BOB}@{DOMAIN}", message)
                said[name] = 250, ""
            except smtplib.SMTPDataError as error:
                said[name] = error.smtp_code, error.smtp_error.decode()  # type: ignore[union-attr] # bytes, as everywhere
    return said


@pytest.mark.anyio
async def test_a_node_that_is_cut_off_exchanges_mail_by_the_policy_that_it_has(tmp_path: Path) -> None:
    rule = FederationRule(domain="blocked.example")
    enrol(tmp_path / "state", FederationState(is_enabled=True, mode=FederationMode.ACCEPT, rules=(rule,)))
    inbound = find_free_port()
    async with AsyncExitStack() as stack:
        names = NameServer()
        await names.start(stack)
        names.publish("far.example", keys())

        def run() -> dict[str, tuple[int, str]]:
            with running_node(
                tmp_path,
                INBOUND_SMTP_PORT=inbound,
                DNS_SERVERS=HOST,
                DNS_PORT=names.port,
                MAIL_DOMAIN=DOMAIN,
            ) as node:
                return talk(node.ports["SMTP_TLS_PORT"], inbound)

        said = await asyncio.to_thread(run)

    assert said["eve@far.example"][0] == 250
    assert said["x@blocked.example"] == (
        550,
        "5.7.1 Mail to and from this domain is not allowed by the policy of this server",
    )
    assert said["signed"] == (250, "")
    assert said["unsigned"] == (554, "5.7.1 No DKIM signature found")
    ring = json.loads((tmp_path / "state" / "dkim-keys.json").read_text())
    assert [key["selector"] for key in ring["pairs"][0]["keys"]] == ["rsa1", "ed1"]
