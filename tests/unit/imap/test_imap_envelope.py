"""Addresses as people write them."""

from email.headerregistry import AddressHeader
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.envelope import Address, format_envelope, parse_addresses


def plain(mailbox: bytes, host: bytes, name: bytes | None = None) -> Address:
    return Address(name, None, mailbox, host)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (b"a@b.example", [plain(b"a", b"b.example")]),
        (b"A B <a@b.example>, c@d.example", [plain(b"a", b"b.example", b"A B"), plain(b"c", b"d.example")]),
        (b'"A, \\"B\\"" <a@b.example>', [plain(b"a", b"b.example", b'A, "B"')]),
        (b"a@b.example (A (nested) B)", [plain(b"a", b"b.example", b"A (nested) B")]),
        (b'"a b"@c.example', [plain(b"a b", b"c.example")]),
        (
            b"<@x.example,@y.example:a@b.example>",
            [Address(None, b"@x.example,@y.example", b"a", b"b.example")],
        ),
        (b"a@[192.0.2.1]", [plain(b"a", b"[192.0.2.1]")]),
        (b"a@[IPv6:2001:db8::1]", [plain(b"a", b"[IPv6:2001:db8::1]")]),
        (b"A@home <a@b.example>", [plain(b"a", b"b.example", b"A @ home")]),
        (b"nobody", [plain(b"nobody", b"")]),
        (
            b"undisclosed-recipients:;",
            [Address(None, None, b"undisclosed-recipients", None), Address(*[None] * 4)],
        ),
        (
            b"x: a@b.example, c@d.example;, e@f.example",
            [
                Address(None, None, b"x", None),
                plain(b"a", b"b.example"),
                plain(b"c", b"d.example"),
                Address(*[None] * 4),
                plain(b"e", b"f.example"),
            ],
        ),
        (
            b"x: a@b.example",
            [Address(None, None, b"x", None), plain(b"a", b"b.example"), Address(*[None] * 4)],
        ),
        (b",,  ,", []),
        (b"<>", []),
        (b"(only a comment", []),
        (b"a . b @ c . example", [plain(b"a.b", b"c.example")]),
    ],
)
def test_addresses_are_told_apart(text: bytes, addresses: list[Address]) -> None:
    assert parse_addresses(text) == addresses


locals_ = st.text("abcxyz.", min_size=1, max_size=8).filter(
    lambda text: ".." not in text and text.strip(".") == text
)
display_names = st.text('abc ,;:<>@"\\().', max_size=12)
simple = st.tuples(display_names, locals_)


@given(st.lists(simple, min_size=1, max_size=4))
def test_addresses_are_those_that_the_email_package_reads(people: list[tuple[str, str]]) -> None:
    written = []
    for name, local in people:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        written.append(f'"{quoted}" <{local}@example.org>')
    text = ", ".join(written)
    header = default.header_factory("to", text)
    assert isinstance(header, AddressHeader)

    ours = [
        (address.name or b"", address.mailbox, address.host) for address in parse_addresses(text.encode())
    ]
    assert ours == [
        (name.encode(), address.username.encode(), address.domain.encode())
        for (name, _), address in zip(people, header.addresses, strict=True)
    ]


@given(st.lists(st.sampled_from([*'<>@,:;()"\\[] ab.', "\xff"]), max_size=40).map("".join))
def test_no_text_is_too_strange(text: str) -> None:
    envelope = format_envelope({b"from": text.encode("latin-1"), b"subject": text.encode("latin-1")})

    assert envelope.startswith(b"(NIL ")
    assert envelope.endswith(b"NIL NIL NIL NIL NIL)")


def test_missing_fields_are_nil_and_the_sender_stands_for_others() -> None:
    someone = b'((NIL NIL "a" "b"))'

    assert format_envelope({}) == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert format_envelope({b"from": b"a@b", b"sender": b""}) == (
        b"(NIL NIL %s %s %s NIL NIL NIL NIL NIL)" % (someone, someone, someone)
    )


def test_number_of_addresses_is_bounded() -> None:
    assert len(parse_addresses(b"a@b," * 2_001)) == 2_000
