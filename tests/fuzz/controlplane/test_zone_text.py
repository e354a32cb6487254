"""Whatever nodes tell, the zone file is one: dnspython reads back what was meant, and nothing else."""

import dns.rdata
import dns.zone
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import given
from hypothesis import strategies as st

from controlplane.client.errors import MisuseError
from controlplane.client.name_server import read_server
from controlplane.client.zone_comparison import compare, list_keys, read_value
from controlplane.zone.models import Purpose, RecordType, ZoneRecord
from controlplane.zone.zone_file import write_text_value, write_zone_file

ORIGIN = "example.org."
START = "@ 60 IN SOA ns admin 1 60 60 60 60\n@ 60 IN NS ns\n"
LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)


def make_record(name: str, kind: RecordType, value: str) -> ZoneRecord:
    return ZoneRecord(
        name=f"{name}.{ORIGIN}",
        type=kind,
        ttl_seconds=60,
        value=value,
        domain="example.org",
        purpose=Purpose.NODE,
    )


TEXTS = st.builds(make_record, LABELS, st.just(RecordType.TXT), st.text(max_size=300).map(write_text_value))
ADDRESSES = st.builds(make_record, LABELS, st.just(RecordType.A), st.ip_addresses(v=4).map(str))
WIDE_ADDRESSES = st.builds(make_record, LABELS, st.just(RecordType.AAAA), st.ip_addresses(v=6).map(str))


@given(st.text(max_size=1_000))
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    rdata = read_value(RecordType.TXT, write_text_value(text))

    assert isinstance(rdata, TXT)
    assert b"".join(rdata.strings) == text.encode()
    assert all(len(string) <= 255 for string in rdata.strings)


@given(st.lists(TEXTS | ADDRESSES | WIDE_ADDRESSES, max_size=8), st.lists(st.text(max_size=200), max_size=5))
def test_any_zone_file_has_these_records_and_no_others(records: list[ZoneRecord], notes: list[str]) -> None:
    zone = dns.zone.from_text(START + write_zone_file(records, notes), ORIGIN, relativize=False)

    found = {
        (name.to_text(), rdata.rdtype.name, rdata.to_text())
        for name, _, rdata in zone.iterate_rdatas()
        if rdata.rdtype.name not in {"SOA", "NS"}
    }
    assert found == {
        (record.name, record.type.value, read_value(record.type, record.value).to_text())
        for record in records
    }


@given(st.lists(TEXTS | ADDRESSES | WIDE_ADDRESSES, max_size=8))
def test_what_is_published_differs_in_nothing(records: list[ZoneRecord]) -> None:
    published: dict[tuple[str, RecordType], list[dns.rdata.Rdata]] = {
        key: [] for key in list_keys(records, [])
    }
    assert len(compare(records, [], {})) == len(records)
    for record in records:
        published[record.name, record.type].append(read_value(record.type, record.value))

    assert compare(records, [], published) == []


@given(st.text(alphabet="0123456789.:[]abcf% ", max_size=12))
def test_any_address_of_a_server_is_one_or_is_refused(text: str) -> None:
    try:
        host, port = read_server(text)
    except MisuseError:
        return
    assert host in text
    assert 1 <= port <= 65_535
