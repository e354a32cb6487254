"""Enrolment as Ansible does it over its own SSH: three commands, and nothing secret passes between them."""

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from controlplane.plane import open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.daemon.settings import read_settings
from support.controlplane_process import install
from support.controlplane_site import read_turn_secrets

LONG = 32
PROGRAM = Path(sys.executable).with_name("turnnode")


@pytest.mark.timeout(60)  # several programs, one after another
def test_only_public_halves_pass_the_controller(tmp_path: Path) -> None:
    installation = install(tmp_path)
    state = tmp_path / "turn1"
    settings = {"STATE_DIRECTORY": state, "LISTEN_ADDRESSES": "127.0.0.1", "PUBLIC_NAME": "127.0.0.1"}
    environment = os.environ | {f"TURNNODE_{name}": str(value) for name, value in settings.items()}

    def run_on_node(*arguments: str, stdin: str = "") -> str:
        ended = subprocess.run(
            [PROGRAM, *arguments], env=environment, input=stdin, check=True, capture_output=True, text=True
        )
        return ended.stdout + ended.stderr

    identity = run_on_node("identity")
    offer = installation.run("enrol", "turn1", "--kind", "turn", "--public-key", identity.strip())
    accepted = run_on_node("enrol", "-", stdin=offer.stdout)
    again = run_on_node("enrol", "-", stdin=offer.stdout)

    passed = identity + offer.stdout + offer.stderr + accepted + again
    with open_plane(read_settings(ControlPlaneSettings, installation.settings)) as plane:
        secrets = [
            *spell((state / "node" / "node-key.pem").read_bytes()),
            *spell(plane.keys.current.to_pem()),
            *spell((tmp_path / "tls.key").read_bytes()),
            *read_turn_secrets(plane),
            (tmp_path / "state" / "master-key").read_bytes().hex(),
        ]
    assert all(len(secret) >= LONG for secret in secrets)
    assert [secret for secret in secrets if secret in passed] == []
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert identity.strip().encode() in kept
    assert [
        secret for secret in spell((state / "node" / "node-key.pem").read_bytes()) if secret.encode() in kept
    ] == []
    assert "This is now node turn1" in accepted
    assert "already. Nothing has changed." in again


def spell(pem: bytes) -> list[str]:
    """Spell a private key in every way in which it could pass by."""
    key = load_pem_private_key(pem, None)
    spelt = [line for line in pem.decode().splitlines()[1:-1] if len(line) >= LONG]
    if isinstance(key, Ed25519PrivateKey):
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        spelt += [raw.hex(), urlsafe_b64encode(raw).decode().rstrip("=")]
    return spelt
