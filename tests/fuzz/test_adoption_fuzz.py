"""Whatever a dovecot-uidlist holds, it is read or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.adoption.maildir import MAX_UID, parse_uid_list
from mailnode.adoption.sources import AdoptionError

numbers = st.integers(0, 1 << 40)
names = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(
    st.one_of(
        st.text(), st.builds(lambda a, b, rest: f"3 V{a} N{b} Gff\n{rest}", numbers, numbers, st.text())
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = parse_uid_list(text)
    except AdoptionError:
        return
    assert 1 <= read.uid_validity <= MAX_UID
    assert all(0 < uid < read.uid_next <= MAX_UID for uid in read.uids.values())


@given(st.dictionaries(names.filter(lambda name: ":2," not in name), st.integers(1, 1 << 31)))
def test_what_was_written_is_read(uids: dict[str, int]) -> None:
    lines = [f"{uid} W5 :{name}:2,S" for name, uid in uids.items()]
    read = parse_uid_list("\n".join(["3 V7 N3 Gff", *lines]))
    assert read.uids == uids


def test_too_high_uid_is_refused() -> None:
    with pytest.raises(AdoptionError):
        parse_uid_list(f"3 V7 N3 Gff\n{MAX_UID} :a")
