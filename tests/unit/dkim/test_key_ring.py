"""One pair of keys follows another, and at no moment does a signature lack its record."""

from pathlib import Path

import pytest

from mailnode.dkim.errors import KeyFileError
from mailnode.dkim.key_files import read_ring, write_ring
from mailnode.dkim.key_ring import (
    FORMER_SECONDS,
    SETTLED_SECONDS,
    KeyRing,
    Stage,
    announce_next,
    make_ring,
    take_step,
)

T0 = 1_800_000_000


@pytest.fixture(scope="module")
def announced() -> KeyRing:
    return announce_next(make_ring(T0), T0)


def selectors(ring: KeyRing) -> list[str]:
    return [key.selector for key in ring.signing_keys]


def test_the_next_pair_signs_only_after_it_was_seen_for_an_hour(announced: KeyRing) -> None:
    ring = take_step(announced, T0 + 10 * SETTLED_SECONDS, is_next_published=False)
    assert selectors(ring) == ["rsa1", "ed1"]
    seen_at = T0 + 10 * SETTLED_SECONDS
    ring = take_step(ring, seen_at, is_next_published=True)
    ring = take_step(ring, seen_at + SETTLED_SECONDS - 1, is_next_published=True)
    assert selectors(ring) == ["rsa1", "ed1"]
    ring = take_step(ring, seen_at + SETTLED_SECONDS, is_next_published=True)
    assert selectors(ring) == ["rsa2", "ed2"]
    assert [pair.stage for pair in ring.pairs] == [Stage.FORMER, Stage.CURRENT]


def test_a_record_that_vanishes_begins_the_hour_anew(announced: KeyRing) -> None:
    ring = take_step(announced, T0, is_next_published=True)
    ring = take_step(ring, T0 + SETTLED_SECONDS, is_next_published=False)
    ring = take_step(ring, T0 + SETTLED_SECONDS + 1, is_next_published=True)
    ring = take_step(ring, T0 + SETTLED_SECONDS + 2, is_next_published=True)
    assert selectors(ring) == ["rsa1", "ed1"]


def test_a_former_pair_stays_published_for_a_week(announced: KeyRing) -> None:
    ring = take_step(announced, T0, is_next_published=True)
    switched_at = T0 + SETTLED_SECONDS
    ring = take_step(ring, switched_at, is_next_published=True)
    ring = take_step(ring, switched_at + FORMER_SECONDS - 1, is_next_published=False)
    assert [pair.number for pair in ring.pairs] == [1, 2]
    ring = take_step(ring, switched_at + FORMER_SECONDS, is_next_published=False)
    assert [pair.number for pair in ring.pairs] == [2]
    assert announce_next(ring, switched_at).pairs[-1].number == 3


def test_announcing_twice_announces_once(announced: KeyRing) -> None:
    assert announce_next(announced, T0 + 1) is announced


def test_the_ring_is_read_back_as_it_was_written(announced: KeyRing, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert read_ring(path) is None
    write_ring(path, announced)
    assert path.stat().st_mode & 0o777 == 0o600
    read = read_ring(path)
    assert read is not None
    assert [(pair.number, pair.stage, pair.since_seconds) for pair in read.pairs] == [
        (pair.number, pair.stage, pair.since_seconds) for pair in announced.pairs
    ]
    digest = bytes(32)
    assert read.signing_keys[1].sign(digest) == announced.signing_keys[1].sign(digest)


@pytest.mark.parametrize("spoilt", [b"", b"{}", b'{"pairs":[]}', b"\xff"])
def test_a_damaged_file_names_the_remedy(spoilt: bytes, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(spoilt)
    with pytest.raises(KeyFileError, match="Restore it"):
        read_ring(path)
