"""Whatever a node answers, it is an offer or none."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mailnode.backup_addresses.offer import BackupOffer, read_offer

NAMES = st.sampled_from([*BackupOffer.model_fields, "other"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)


@given(st.binary(max_size=200))
def test_any_bytes_are_read(content: bytes) -> None:
    assert read_offer(content) is None


@given(st.dictionaries(NAMES, VALUES))
def test_any_document_is_an_offer_within_its_bounds_or_none(document: dict[str, object]) -> None:
    offer = read_offer(json.dumps(document).encode())

    if offer is not None:
        assert 0 <= offer.accounts_per_weight < float("inf")
        assert 1 <= offer.imap_tls_port <= 65535
        assert 1 <= offer.smtp_tls_port <= 65535


@given(
    st.builds(
        BackupOffer,
        accounts_per_weight=st.floats(0, allow_nan=False, allow_infinity=False),
        imap_tls_port=st.integers(1, 65535),
        smtp_tls_port=st.integers(1, 65535),
        makes_unknown_logins=st.booleans(),
    )
)
def test_what_is_written_is_read(offer: BackupOffer) -> None:
    assert read_offer(offer.model_dump_json().encode()) == offer
