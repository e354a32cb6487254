"""A backup is taken while the control plane works, judged before it replaces anything, and used whole."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from controlplane.backup import placing
from controlplane.backup.archive import MAX_SMALL_BYTES, read_archive
from controlplane.backup.placing import BEFORE, READY, TLS, complete_restore
from controlplane.backup.restoring import REVISION_LEAP, Restored, restore_backup
from controlplane.backup.taking import delete_older, take_backup
from controlplane.errors import BackupError
from controlplane.nodes.enrolment import create_ticket, read_node
from controlplane.nodes.models import JoinTicket, JoinTokenRequest, Node
from controlplane.plane import Plane, open_plane
from controlplane.policy.service import read_fleet_policy
from nodelink.contract.states import MAX_REVISION, NodeKind
from self_signed import make_certificate
from support.controlplane_site import AUTHOR, NOW, add_node, make_settings, open_test_plane, read_turn_secrets
from support.damaged_backup import read_members, seal, write_members
from support.postgresql import ENGINE

pytestmark = pytest.mark.skipif(
    ENGINE != "sqlite",
    reason="a backup is restored into a SQLite file; test_moving_engines.py has PostgreSQL's",
)


@pytest.fixture
def backup(plane: Plane, tmp_path: Path) -> Path:
    """A backup of a control plane with one node."""
    add_node(plane, "mail1")
    path = tmp_path / "backup"
    take_backup(plane, path, NOW)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "state"


def restore(directory: Path, source: Path, *, replacing: bool = False) -> Restored:
    return restore_backup(directory, source, NOW, replacing=replacing)


def refuse(directory: Path, content: bytes) -> str:
    """Try to restore a file; return the sentence of the refusal, after which nothing is different."""
    source = directory.parent.with_suffix(".file")
    source.write_bytes(content)
    with pytest.raises(BackupError) as refusal:
        restore(directory, source)
    assert not (directory / "controlplane.sqlite").exists()
    assert not (directory / READY).exists()
    return str(refusal.value)


@pytest.fixture
def restored(elsewhere: Path, backup: Path) -> Iterator[Plane]:
    restore(elsewhere, backup)
    with open_test_plane(elsewhere.parent) as plane:
        yield plane


def test_backup_is_one_file_for_its_owner_only(plane: Plane, backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    assert set(read_members(backup)) == {"manifest.json", "controlplane.sqlite", "master-key"}
    assert [path.name for path in plane.settings.state_directory.iterdir() if "work" in path.name] == []


def test_file_of_others_becomes_private_when_it_is_overwritten(plane: Plane, backup: Path) -> None:
    backup.chmod(0o644)
    take_backup(plane, backup, NOW)

    assert backup.stat().st_mode & 0o777 == 0o600


def test_restored_control_plane_has_the_same_nodes_and_keys(plane: Plane, restored: Plane) -> None:
    with restored.sessions() as session:
        assert session.exec(select(Node.name)).all() == ["mail1"]
    assert restored.keys.current.to_pem() == plane.keys.current.to_pem()
    assert read_turn_secrets(restored) == read_turn_secrets(plane)
    assert restored.vault.hash("a", "b") == plane.vault.hash("a", "b")


def test_restored_revisions_are_ahead_of_all_that_nodes_can_have(restored: Plane) -> None:
    with restored.sessions() as session:
        assert read_node(session, "mail1").revision == 1 + REVISION_LEAP


def test_revision_that_has_no_room_left_stays(plane: Plane, elsewhere: Path, tmp_path: Path) -> None:
    add_node(plane, "mail1")
    with plane.sessions.begin() as session:
        read_node(session, "mail1").revision = MAX_REVISION - 1
    take_backup(plane, tmp_path / "backup", NOW)
    restore(elsewhere, tmp_path / "backup")

    with open_test_plane(elsewhere.parent) as restored, restored.sessions() as session:
        assert read_node(session, "mail1").revision == MAX_REVISION - 1


def test_join_token_from_before_is_withdrawn(plane: Plane, elsewhere: Path, tmp_path: Path) -> None:
    with plane.sessions.begin() as session:
        create_ticket(session, plane.vault, JoinTokenRequest(name="mail2", kind=NodeKind.MAIL), AUTHOR)
    take_backup(plane, tmp_path / "backup", NOW)
    restore(elsewhere, tmp_path / "backup")

    with open_test_plane(elsewhere.parent) as restored, restored.sessions() as session:
        assert session.exec(select(col(JoinTicket.used_at_seconds))).all() == [NOW]


def test_backup_is_of_one_moment_while_others_write(plane: Plane, elsewhere: Path, tmp_path: Path) -> None:
    is_over = threading.Event()
    numbers = iter(range(1000))

    def enrol_many() -> None:
        while not is_over.is_set():
            add_node(plane, f"mail{next(numbers)}")

    writer = threading.Thread(target=enrol_many)
    writer.start()
    try:
        take_backup(plane, tmp_path / "backup", NOW)
        taken = take_backup(plane, tmp_path / "backup", NOW)
    finally:
        is_over.set()
        writer.join()
    restore(elsewhere, tmp_path / "backup")

    with open_test_plane(elsewhere.parent) as restored, restored.sessions() as session:
        names = session.exec(select(Node.name).order_by(col(Node.residue))).all()
    assert names == [f"mail{number}" for number in range(taken.contents.nodes)]


def test_certificate_that_nodes_have_pinned_is_in_the_backup(tmp_path: Path, elsewhere: Path) -> None:
    certificate, key = make_certificate(tmp_path, "192.0.2.10")
    with open_test_plane(tmp_path, tls_pinned=True) as plane:
        take_backup(plane, tmp_path / "backup", NOW)
        pin = plane.read_tls_pin()

    assert restore(elsewhere, tmp_path / "backup").manifest.tls_pin == pin
    assert (elsewhere / TLS / "tls-key.pem").read_bytes() == key.read_bytes()
    assert (elsewhere / TLS / "tls-certificate.pem").read_bytes() == certificate.read_bytes()
    assert (elsewhere / TLS / "tls-key.pem").stat().st_mode & 0o777 == 0o600


def test_control_plane_that_is_there_is_replaced_only_on_demand_and_kept(
    backup: Path, elsewhere: Path
) -> None:
    with open_test_plane(elsewhere.parent) as other:
        add_node(other, "turn9", NodeKind.TURN)
    master_key = (elsewhere / "master-key").read_bytes()
    with pytest.raises(BackupError, match=r"holds a control plane already\. With --force"):
        restore(elsewhere, backup)
    assert (elsewhere / "master-key").read_bytes() == master_key

    restore(elsewhere, backup, replacing=True)

    assert (elsewhere / BEFORE / "master-key").read_bytes() == master_key
    with closing(sqlite3.connect(elsewhere / BEFORE / "controlplane.sqlite")) as database:
        assert database.execute("SELECT name FROM node").fetchall() == [("turn9",)]
    with open_test_plane(elsewhere.parent) as plane, plane.sessions() as session:
        assert session.exec(select(Node.name)).all() == ["mail1"]


def test_control_plane_that_is_open_is_not_replaced(plane: Plane, backup: Path) -> None:
    with pytest.raises(BackupError, match=r"is running\. Stop it first"):
        restore(plane.settings.state_directory, backup, replacing=True)


def test_write_ahead_log_of_the_former_database_does_not_come_back(backup: Path, elsewhere: Path) -> None:
    with open_test_plane(elsewhere.parent) as other:
        add_node(other, "turn9", NodeKind.TURN)
        log = (elsewhere / "controlplane.sqlite-wal").read_bytes()
    (elsewhere / "controlplane.sqlite-wal").write_bytes(log)  # as after a power cut
    restore(elsewhere, backup, replacing=True)

    with open_test_plane(elsewhere.parent) as plane, plane.sessions() as session:
        assert session.exec(select(Node.name)).all() == ["mail1"]


class PowerCutError(Exception):
    """Stands for the moment at which nothing more is done."""


@pytest.mark.parametrize("step", range(7))
def test_restore_that_is_cut_off_is_completed_at_the_next_start(
    backup: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with open_test_plane(elsewhere.parent) as other:
        add_node(other, "turn9", NodeKind.TURN)
    steps = iter(range(step))

    def move_or_die(source: Path, target: Path) -> None:
        if next(steps, None) is None:
            raise PowerCutError
        if source.exists():
            source.replace(target)

    monkeypatch.setattr(placing, "_move", move_or_die)
    with pytest.raises(PowerCutError):
        restore(elsewhere, backup, replacing=True)
    monkeypatch.undo()

    with open_test_plane(elsewhere.parent) as plane, plane.sessions() as session:
        assert session.exec(select(Node.name)).all() == ["mail1"]
        assert read_fleet_policy(session).revision == 1
    assert (elsewhere / BEFORE / "master-key").exists()
    assert not (elsewhere / READY).exists()
    complete_restore(elsewhere)


def test_file_that_is_no_backup_is_refused(elsewhere: Path) -> None:
    for content in (b"", b"SQLite format 3\0", b"madfleet-backup\n", b"\x1f\x8b" * 1000):
        assert "This is no backup of a control plane" in refuse(elsewhere, content)


@pytest.mark.parametrize("version", [0, 2, 999_999])
def test_other_format_is_refused(backup: Path, elsewhere: Path, version: int) -> None:
    content = write_members(read_members(backup), version)

    assert f"has format {version}, and this version reads 1" in refuse(elsewhere, content)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.999])
def test_backup_that_is_cut_off_is_refused(backup: Path, elsewhere: Path, share: float) -> None:
    content = backup.read_bytes()

    assert "is damaged" in refuse(elsewhere, content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("member", "content", "sentence"),
    [
        ("master-key", bytes(32), "Restore master-key and database from one backup"),
        ("master-key", b"short", "its master key is none"),
        ("master-key", bytes(MAX_SMALL_BYTES + 1), "a member is too large"),
        ("manifest.json", b"{}", "is damaged"),
        ("manifest.json", b"\xff", "is damaged"),
        ("controlplane.sqlite", b"no database at all" * 1000, "its database is none"),
        ("../../outside", b"x", "none of ours"),
        ("/etc/cron.d/outside", b"x", "none of ours"),
    ],
)
def test_backup_whose_content_is_wrong_is_refused(
    backup: Path, elsewhere: Path, member: str, content: bytes, sentence: str
) -> None:
    assert sentence in refuse(elsewhere, write_members(read_members(backup) | {member: content}))


@pytest.mark.parametrize("member", ["master-key", "manifest.json", "controlplane.sqlite"])
def test_backup_that_lacks_something_is_refused(backup: Path, elsewhere: Path, member: str) -> None:
    members = read_members(backup)
    del members[member]

    assert f"lacks {member}" in refuse(elsewhere, write_members(members))


def test_backup_whose_database_is_torn_is_refused(backup: Path, elsewhere: Path) -> None:
    members = read_members(backup)
    database = bytearray(members["controlplane.sqlite"])
    database[4096 * 2 : 4096 * 4] = os.urandom(4096 * 2)

    sentence = refuse(elsewhere, write_members(members | {"controlplane.sqlite": bytes(database)}))
    assert "is damaged: its database is" in sentence


def test_backup_of_a_newer_version_is_refused(backup: Path, elsewhere: Path, tmp_path: Path) -> None:
    members = read_members(backup)
    path = tmp_path / "newer.sqlite"
    path.write_bytes(members["controlplane.sqlite"])
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()

    newer = write_members(members | {"controlplane.sqlite": path.read_bytes()})
    assert "newer version" in refuse(elsewhere, newer)


def test_database_without_a_signing_key_is_refused(backup: Path, elsewhere: Path, tmp_path: Path) -> None:
    members = read_members(backup)
    path = tmp_path / "without.sqlite"
    path.write_bytes(members["controlplane.sqlite"])
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM signing_key")
        database.commit()

    without = write_members(members | {"controlplane.sqlite": path.read_bytes()})
    assert "has no signing key" in refuse(elsewhere, without)


@pytest.mark.parametrize("place", [0, 5, 20, 82, 83, 200, -1])
def test_every_altered_octet_is_noticed(backup: Path, elsewhere: Path, place: int) -> None:
    content = bytearray(backup.read_bytes())
    content[place] ^= 1

    assert refuse(elsewhere, bytes(content))


@given(st.binary(max_size=300))
def test_garbage_behind_a_right_checksum_is_a_clean_error(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes
) -> None:
    with pytest.raises(BackupError):
        read_archive(BytesIO(seal(payload)), tmp_path_factory.mktemp("archive"))


@given(st.binary(max_size=300))
def test_garbage_is_a_clean_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    with pytest.raises(BackupError):
        read_archive(BytesIO(content), tmp_path_factory.mktemp("archive"))


@given(
    st.dictionaries(
        st.sampled_from(["manifest.json", "controlplane.sqlite", "master-key", "other"]),
        st.binary(max_size=50),
    )
)
def test_any_members_are_a_clean_error(
    tmp_path_factory: pytest.TempPathFactory, members: dict[str, bytes]
) -> None:
    with pytest.raises(BackupError):
        read_archive(BytesIO(write_members(members)), tmp_path_factory.mktemp("archive"))


def test_backup_in_a_directory_has_a_dated_name_and_older_ones_go(plane: Plane, tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    directory.mkdir()
    (directory / "controlplane-of-mine.madfleet-backup").write_text("stays")
    for day in range(4):
        take_backup(plane, directory, NOW + day * 86_400)
    gone = delete_older(directory, 2)

    assert [path.name for path in gone] == [
        "controlplane-20270115T080000Z.madfleet-backup",
        "controlplane-20270116T080000Z.madfleet-backup",
    ]
    assert sorted(path.name for path in directory.iterdir()) == [
        "controlplane-20270117T080000Z.madfleet-backup",
        "controlplane-20270118T080000Z.madfleet-backup",
        "controlplane-of-mine.madfleet-backup",
    ]
    assert delete_older(directory, 2) == []


def test_file_that_is_no_backup_is_not_overwritten(plane: Plane, tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("Dear ...")
    with pytest.raises(BackupError, match=r"is no backup\. Name another file"):
        take_backup(plane, path, NOW)

    assert path.read_text() == "Dear ..."


def test_directory_that_is_not_there_is_refused_in_a_sentence(plane: Plane, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"nowhere.*No such file"):
        take_backup(plane, tmp_path / "nowhere" / "backup", NOW)
    with pytest.raises(BackupError, match="cannot be deleted: No such file"):
        delete_older(tmp_path / "nowhere", 1)


def test_source_that_is_not_there_is_refused_in_a_sentence(elsewhere: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nowhere: No such file"):
        restore(elsewhere, tmp_path / "nowhere")


def test_work_of_a_backup_that_was_killed_is_cleared_away(plane: Plane, tmp_path: Path) -> None:
    work = plane.settings.state_directory / "backup.work"
    work.mkdir()
    (work / "controlplane.sqlite").write_bytes(b"half")
    take_backup(plane, tmp_path / "backup", NOW)

    assert not work.exists()


def test_settings_are_in_the_backup_for_people(plane: Plane, backup: Path) -> None:
    manifest = read_members(backup)["manifest.json"].decode()

    assert plane.settings.public_url in manifest
    assert '"fleet_name": "madfleet"' in manifest


def test_empty_state_directory_opens_as_before(tmp_path: Path) -> None:
    with open_plane(make_settings(tmp_path)) as plane:
        assert not (plane.settings.state_directory / READY).exists()
