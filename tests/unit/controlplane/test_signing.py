"""Which key signs, who has acknowledged the next one, and when it takes over."""

import time
from pathlib import Path

import pytest
from sqlmodel import Session, select

from controlplane.errors import BadInstallationError
from controlplane.key_files import FORMER_SIGNING_KEY
from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import read_node, retire_node
from controlplane.nodes.errands import Inquiry
from controlplane.nodes.models import NodeReport
from controlplane.nodes.reports import keep_report
from controlplane.plane import Plane, open_plane
from controlplane.signing.keyring import (
    is_any_known,
    open_key,
    read_key_changes,
    read_key_rows,
    read_signing_keys,
)
from controlplane.signing.models import SigningKey
from controlplane.signing.service import (
    AWAITED_SECONDS,
    Standing,
    announce_next_key,
    catch_up,
    list_acknowledgements,
    switch_if_acknowledged,
    switch_key,
)
from controlplane.vault import Vault
from nodelink.contract.key_changes import follow_key_change
from nodelink.contract.keys import PrivateKey, PublicKey
from nodelink.contract.states import open_desired_state
from support.controlplane_site import AUTHOR, NOW, add_node, make_report, make_settings
from support.postgresql import reads_the_file


def announce(plane: Plane) -> tuple[str, ...]:
    with plane.sessions.begin() as session:
        return announce_next_key(session, plane.vault, plane.facts, NOW).trusted


def switch(plane: Plane) -> None:
    with plane.sessions.begin() as session:
        assert switch_key(session, plane.facts, NOW)


def report(plane: Plane, name: str, *trusted: str, at: int = NOW) -> None:
    with plane.sessions.begin() as session:
        keep_report(session, read_node(session, name), make_report(trusted_keys=trusted), at)


def try_to_switch(plane: Plane, now_seconds: int = NOW) -> bool:
    with plane.sessions.begin() as session:
        return switch_if_acknowledged(session, plane.facts, now_seconds)


def read_standings(plane: Plane, now_seconds: int = NOW) -> dict[str, Standing]:
    with plane.sessions() as session:
        return {each.node: each.standing for each in list_acknowledgements(session, now_seconds)}


def read_revision(plane: Plane, name: str) -> int:
    with plane.sessions() as session:
        return read_node(session, name).revision


def test_next_key_is_announced_in_a_state_signed_by_the_present_one(plane: Plane) -> None:
    key = add_node(plane, "mail1")
    present = plane.keys
    trusted = announce(plane)

    (errand,) = Desk(plane).read_errands([Inquiry("mail1", key.public.x, 1, present.trusted)])

    assert errand is not None
    assert errand.document is not None
    desired = open_desired_state(errand.document, (PublicKey(present.trusted[0]),), "mail1")
    assert (desired.revision, desired.trusted_keys) == (2, trusted)
    assert len(trusted) == 2
    assert plane.keys.current.public == present.current.public


def test_announcing_again_changes_nothing(plane: Plane) -> None:
    add_node(plane, "mail1")

    assert announce(plane) == announce(plane)
    assert read_revision(plane, "mail1") == 2


@reads_the_file
def test_former_private_key_is_gone_after_the_switch_and_from_the_file_too(
    plane: Plane, tmp_path: Path
) -> None:
    with plane.sessions() as session:
        sealed = read_key_rows(session).present.sealed
    assert sealed is not None
    database = tmp_path / "state" / "controlplane.sqlite"
    announce(plane)
    switch(plane)
    with plane.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    with plane.sessions() as session:
        first, second = session.exec(select(SigningKey)).all()
        assert (first.sealed, second.change_document is None) == (None, False)
        assert second.sealed is not None
        assert second.sealed in database.read_bytes().decode("latin-1")
        with pytest.raises(BadInstallationError, match="no private signing key"):
            open_key(plane.vault, first)
    content = database.read_bytes().decode("latin-1")
    assert [start for start in range(0, len(sealed) - 24, 8) if sealed[start : start + 24] in content] == []


def test_keys_of_another_master_key_are_not_opened(plane: Plane) -> None:
    with plane.sessions() as session, pytest.raises(BadInstallationError, match="one backup"):
        read_signing_keys(session, Vault(bytes(32)))


def test_switch_waits_for_every_node_that_reports(plane: Plane) -> None:
    for name in ("mail1", "mail2", "mail3"):
        add_node(plane, name)
    present, following = announce(plane)
    report(plane, "mail1", present, following)
    report(plane, "mail2", present)
    assert read_standings(plane) == {
        "mail1": Standing.ACKNOWLEDGED,
        "mail2": Standing.AWAITED,
        "mail3": Standing.AWAY,
    }
    assert not try_to_switch(plane)

    report(plane, "mail2", present, following)
    assert try_to_switch(plane)
    assert plane.keys.trusted == (following,)
    assert read_revision(plane, "mail1") == 3
    assert not try_to_switch(plane)


@pytest.mark.parametrize(("after_seconds", "is_switched"), [(0, False), (1, True)])
def test_node_that_was_there_lately_is_waited_for(
    plane: Plane, *, after_seconds: int, is_switched: bool
) -> None:
    add_node(plane, "mail1")
    present, _ = announce(plane)
    report(plane, "mail1", present)

    assert try_to_switch(plane, NOW + AWAITED_SECONDS + after_seconds) is is_switched


def test_retired_node_is_not_waited_for(plane: Plane) -> None:
    add_node(plane, "mail1")
    present, _ = announce(plane)
    report(plane, "mail1", present)
    with plane.sessions.begin() as session:
        retire_node(session, plane.facts, "mail1", AUTHOR)

    assert try_to_switch(plane)


def test_node_of_an_older_version_is_waited_for_and_named(plane: Plane) -> None:
    add_node(plane, "mail1")
    announce(plane)
    report(plane, "mail1")

    assert not try_to_switch(plane)
    with plane.sessions() as session:
        (acknowledgement,) = list_acknowledgements(session, NOW)
    assert acknowledgement.is_outdated


def test_node_that_trusts_nobody_here_is_lost_and_not_waited_for(plane: Plane) -> None:
    add_node(plane, "mail1")
    announce(plane)
    report(plane, "mail1", PrivateKey.generate().public.x)

    assert read_standings(plane) == {"mail1": Standing.LOST}
    assert try_to_switch(plane)


def test_without_a_rotation_there_is_nothing_to_switch(plane: Plane) -> None:
    add_node(plane, "mail1")
    with plane.sessions.begin() as session:
        assert not switch_key(session, plane.facts, NOW)
    assert not try_to_switch(plane)
    assert read_revision(plane, "mail1") == 1


def test_chain_leads_every_node_to_the_newest_key(plane: Plane) -> None:
    keys = [plane.keys.trusted[0]]
    for _ in range(3):
        keys.append(announce(plane)[-1])
        switch(plane)
    keys.append(announce(plane)[-1])

    with plane.sessions() as session:
        for start, x in enumerate(keys):
            trusted: tuple[PublicKey, ...] = (PublicKey(x),)
            changes = read_key_changes(session, (x,))
            assert len(changes) == len(keys) - 1 - start
            for change in changes:
                trusted = follow_key_change(change, trusted)
            assert trusted[-1].x == keys[-1]
        assert read_key_changes(session, keys[1:3]) == read_key_changes(session, (keys[2],))
        assert read_key_changes(session, (PrivateKey.generate().public.x,)) == []
        assert read_key_changes(session, ()) == []
        assert is_any_known(session, keys[:1])
        assert not is_any_known(session, ("nobody",))


def catch_up_with(session: Session, plane: Plane, *trusted: str) -> bool:
    return catch_up(session, plane.facts, trusted, NOW)


def test_switch_that_a_restored_database_has_forgotten_is_made_up_for(plane: Plane) -> None:
    present, following = announce(plane)
    with plane.sessions.begin() as session:
        assert not catch_up_with(session, plane, present)
        assert not catch_up_with(session, plane, present, following)
        assert not catch_up_with(session, plane, "nobody")
        assert catch_up_with(session, plane, following)
        assert not catch_up_with(session, plane, following)

    assert plane.keys.trusted == (following,)


def test_hello_of_a_node_that_has_seen_the_next_key_sign_makes_it_sign(plane: Plane) -> None:
    add_node(plane, "mail1")
    _, following = announce(plane)

    Desk(plane).note_hello("mail1", 7, (following,))

    assert plane.keys.trusted == (following,)
    assert read_revision(plane, "mail1") == 8


def test_key_of_an_earlier_version_is_moved_into_the_database(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    settings.state_directory.mkdir(mode=0o700)
    file = settings.state_directory / FORMER_SIGNING_KEY
    key = PrivateKey.generate()
    file.write_bytes(key.to_pem())
    file.chmod(0o600)

    for _ in range(2):
        with open_plane(settings) as plane:
            assert plane.keys.trusted == (key.public.x,)
            assert plane.keys.current.to_pem() == key.to_pem()
        assert not file.exists()


def test_report_is_kept_with_the_keys_that_the_node_trusts(plane: Plane) -> None:
    add_node(plane, "mail1")
    report(plane, "mail1", "one", "two", at=int(time.time()))

    with plane.sessions() as session:
        row = session.get(NodeReport, "mail1")
        assert row is not None
        assert '"trusted_keys":["one","two"]' in row.body
