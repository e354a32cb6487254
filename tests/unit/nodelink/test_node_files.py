"""What a node keeps on disk is there, whole, whatever happened."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nodelink.channel.files import write_durably
from nodelink.channel.node_files import NodeFileError, NodeFiles
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import NodeKind

KEY, OTHER, THIRD = (PrivateKey.generate().public for _ in range(3))
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


def test_keys_change_and_the_state_stays(files: NodeFiles) -> None:
    files.keep_state("document", (KEY,))
    files.keep_trusted_keys((KEY, OTHER))
    files.keep_trusted_keys((OTHER, THIRD))

    kept = files.read_state()
    assert kept is not None
    assert (kept.document, kept.document_keys, kept.trusted_keys) == (
        "document",
        (KEY.x,),
        (OTHER.x, THIRD.x),
    )


def test_keys_are_kept_before_the_first_state_and_in_place_of_a_damaged_one(files: NodeFiles) -> None:
    for content in (None, b"half"):
        if content:
            (files.directory / "desired-state.json").write_bytes(content)
        files.keep_trusted_keys((KEY, OTHER))

        kept = files.read_state()
        assert kept is not None
        assert (kept.document, kept.trusted_keys) == (None, (KEY.x, OTHER.x))


def test_state_that_an_earlier_version_has_kept_is_read(files: NodeFiles) -> None:
    content = {"trusted_keys": [KEY.x], "document": "document"}
    (files.directory / "desired-state.json").write_text(json.dumps(content))

    kept = files.read_state()
    assert kept is not None
    assert (kept.document, kept.document_keys, kept.trusted_keys) == ("document", (), (KEY.x,))


def offer(**changes: object) -> Enrolment:
    return ENROLMENT.model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "is_followed"),
    [
        ({}, True),
        ({"trusted_keys": (KEY.x, OTHER.x)}, True),
        ({"trusted_keys": (OTHER.x,)}, False),
        ({"url": "https://elsewhere.example.org"}, False),
        ({"node": "mail2"}, False),
        ({"kind": NodeKind.TURN}, False),
        ({"tls_pin": "a" * 64}, False),
    ],
)
def test_offer_of_the_control_plane_that_is_followed_is_known(
    files: NodeFiles, changes: dict[str, object], *, is_followed: bool
) -> None:
    assert not files.is_following(ENROLMENT)
    files.keep_enrolment(ENROLMENT)

    assert files.is_following(offer(**changes)) is is_followed


def test_keys_that_are_trusted_now_count_not_those_of_the_enrolment(files: NodeFiles) -> None:
    files.keep_enrolment(ENROLMENT)
    files.keep_trusted_keys((OTHER,))

    assert files.is_following(offer(trusted_keys=(OTHER.x,)))
    assert not files.is_following(ENROLMENT)
    (files.directory / "desired-state.json").write_bytes(b"half")
    assert files.is_following(ENROLMENT)


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
