"""The control plane's own keys: made once, kept private, never shown."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import BadInstallationError
from controlplane.key_files import load_vault, read_former_signing_key
from controlplane.vault import Vault

VAULT = Vault(bytes(32))
OTHER = Vault(bytes([1]) * 32)

Load = Callable[[Path], object]


@given(st.text())
def test_sealed_secret_is_opened_again(text: str) -> None:
    assert VAULT.open("turn", VAULT.seal("turn", text)) == text


def test_secret_is_sealed_differently_each_time() -> None:
    assert VAULT.seal("turn", "secret") != VAULT.seal("turn", "secret")


@pytest.mark.parametrize(
    ("vault", "name", "sealed"),
    [
        (OTHER, "turn", VAULT.seal("turn", "secret")),
        (VAULT, "other", VAULT.seal("turn", "secret")),
        (VAULT, "turn", ""),
        (VAULT, "turn", "no base64!"),
        (VAULT, "turn", VAULT.seal("turn", "secret")[:-8]),
    ],
    ids=["another vault", "another name", "empty", "no base64", "cut off"],
)
def test_what_was_not_sealed_here_is_not_opened(vault: Vault, name: str, sealed: str) -> None:
    with pytest.raises(BadInstallationError, match="one backup"):
        vault.open(name, sealed)


def test_hashes_of_two_purposes_or_two_keys_differ() -> None:
    hashes = {VAULT.hash("a", "text"), VAULT.hash("b", "text"), OTHER.hash("a", "text")}

    assert len(hashes) == 3
    assert VAULT.hash("a", "text") in hashes


def test_vault_does_not_show_its_key() -> None:
    assert "x00" not in repr(VAULT)


def test_master_key_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    vault = load_vault(tmp_path)

    assert load_vault(tmp_path).hash("a", "b") == vault.hash("a", "b")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("name", "load"), [("signing-key.pem", read_former_signing_key), ("master-key", load_vault)]
)
def test_damaged_key_is_named_with_the_remedy(tmp_path: Path, name: str, load: Load) -> None:
    path = tmp_path / name
    path.write_bytes(b"garbage")
    path.chmod(0o600)

    with pytest.raises(BadInstallationError, match=f"{name} is damaged.*Restore it"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "load"), [("signing-key.pem", read_former_signing_key), ("master-key", load_vault)]
)
def test_key_that_others_can_read_is_refused(tmp_path: Path, name: str, load: Load) -> None:
    (tmp_path / name).write_bytes(bytes(32))
    (tmp_path / name).chmod(0o640)

    with pytest.raises(BadInstallationError, match="chmod 600"):
        load(tmp_path)
