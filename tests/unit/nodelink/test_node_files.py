"""What a node keeps on disk is there, whole, whatever happened."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nodelink.channel.files import write_durably
from nodelink.channel.node_files import NodeFileError, NodeFiles
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import NodeKind

KEY = PrivateKey.generate().public
ENROLMENT = Enrolment(
    node="mail1", kind=NodeKind.MAIL, url="https://control.example.org", trusted_keys=(KEY.x,), tls_pin=None
)


@pytest.fixture
def files(tmp_path: Path) -> NodeFiles:
    return NodeFiles(tmp_path / "node")


def test_identity_is_made_once_and_only_its_owner_can_read_it(files: NodeFiles) -> None:
    first = files.load_identity().public

    assert files.load_identity().public == first
    assert {path.stat().st_mode & 0o077 for path in (files.directory, files.directory / "node-key.pem")} == {
        0
    }


def test_enrolment_is_kept_and_forgets_the_state_of_a_former_control_plane(files: NodeFiles) -> None:
    assert files.read_enrolment() is None
    files.keep_state("document", (KEY,))
    files.keep_enrolment(ENROLMENT)

    assert files.read_enrolment() == ENROLMENT
    assert files.read_state() is None


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("node-key.pem", NodeFiles.load_identity),
        ("enrolment.json", NodeFiles.read_enrolment),
        ("desired-state.json", NodeFiles.read_state),
        ("operations.json", NodeFiles.read_operations),
    ],
)
def test_damaged_file_is_named_with_a_remedy(
    files: NodeFiles, name: str, read: Callable[[NodeFiles], object]
) -> None:
    (files.directory / name).write_bytes(b"\x00half")

    with pytest.raises(NodeFileError, match=name):
        read(files)


def test_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def fill_the_disk(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fill_the_disk)
    with pytest.raises(OSError, match="disk full"):
        write_durably(path, b"new")

    assert path.read_bytes() == b"old"
