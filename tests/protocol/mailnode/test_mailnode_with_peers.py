"""The program itself, cut off from its control plane, with a policy on disk, as servers of others see it."""

import asyncio
import json
import smtplib
import ssl
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

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


def scrape(port: int) -> dict[str, float]:
    """Read as Prometheus does what a node tells of a peer."""
    with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
        text = client.get(f"http://{HOST}:{port}/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {each.name: each.value for each in samples if each.labels == {"peer": "far.example"}}


@pytest.mark.anyio
async def test_a_node_that_is_cut_off_exchanges_mail_by_the_policy_that_it_has(tmp_path: Path) -> None:
    rule = FederationRule(domain="blocked.example")
    enrol(tmp_path / "state", FederationState(is_enabled=True, mode=FederationMode.ACCEPT, rules=(rule,)))
    inbound, metrics = find_free_port(), find_free_port()
    async with AsyncExitStack() as stack:
        names = NameServer()
        await names.start(stack)
        names.publish("far.example", keys())

        def run() -> tuple[dict[str, tuple[int, str]], dict[str, float]]:
            with running_node(
                tmp_path,
                INBOUND_SMTP_PORT=inbound,
                DNS_SERVERS=HOST,
                DNS_PORT=names.port,
                MAIL_DOMAIN=DOMAIN,
                METRICS_PORT=metrics,
            ) as node:
                return talk(node.ports["SMTP_TLS_PORT"], inbound), scrape(metrics)

        said, traffic = await asyncio.to_thread(run)

    assert said["eve@far.example"][0] == 250
    assert said["x@blocked.example"] == (
        550,
        "5.7.1 Mail to and from this domain is not allowed by the policy of this server",
    )
    assert said["signed"] == (250, "")
    assert said["unsigned"] == (554, "5.7.1 No DKIM signature found")
    assert traffic.pop("mailnode_traffic_last_seen_seconds") == pytest.approx(time.time(), abs=60)
    assert traffic.pop("mailnode_traffic_received_total") == 1
    assert "mailnode_traffic_queued" in traffic
    assert not any(traffic.values())
    ring = json.loads((tmp_path / "state" / "dkim-keys.json").read_text())
    assert [key["selector"] for key in ring["pairs"][0]["keys"]] == ["rsa1", "ed1"]
