"""Whole calls of aiortc, relay only, by every transport of the client."""

import time
from pathlib import Path

import pytest

from support.pages_tls import certify_loopback
from support.turn_client import TurnCredential
from support.turn_server import SECRET, LoopbackServer, running
from support.turn_stream import offering
from turnnode.probe.access import IcePolicy, Load, TurnAccess
from turnnode.probe.sides import call_oneself

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_call_comes_about_and_nothing_is_lost(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(certify_loopback())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # aioice asks for nothing else
    made = TurnCredential.made(SECRET, time.time() + 3600)
    async with running(LoopbackServer(tls=offering(certificate))) as node:
        urls = {
            "udp": node.url,
            "tcp": f"turn:127.0.0.1:{node.address_tcp[1]}?transport=tcp",
            "tls": f"turns:127.0.0.1:{node.address_tls[1]}?transport=tcp",
        }
        access = TurnAccess(url=urls[transport], username=made.username, password=made.password)
        result = await call_oneself(access, IcePolicy.RELAY, Load(seconds=1, packets_per_second=50))

        assert (result.local_candidate, result.remote_candidate) == ("relay", "relay")
        for way in (result.there, result.back):
            assert way.data_sent == 50
            assert way.data_lost == way.audio_lost == 0
        assert node.server.counters.packets_hairpinned > 100
