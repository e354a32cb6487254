"""What counts as an address of this node, and in which form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.accounts.address import (
    MAX_NAME_LENGTH,
    MIN_NAME_LENGTH,
    RESERVED_NAMES,
    MailDomain,
    check_new_name,
    normalise_address,
)
from mailnode.accounts.errors import BadAddressError

DOMAINS = ["example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]"]
name_characters = 'abcXYZ019._-+=/@"é\udcff \x00'
almost_addresses = st.one_of(
    st.text(alphabet=name_characters + "[]:", max_size=90),
    st.builds(
        "{}@{}".format,
        st.text(alphabet=name_characters, max_size=70),
        st.sampled_from(
            [*DOMAINS, "192.0.2.1", "2001:DB8::1", "[2001:db8:0::1]", "EXAMPLE.org", "other.org"]
        ),
    ),
)


@pytest.mark.parametrize(
    ("text", "domain", "expected"),
    [
        ("Alice@Example.ORG", "example.org", "alice@example.org"),
        ("a.b+c@example.org", "example.org", "a.b+c@example.org"),
        ("bob@192.0.2.1", "[192.0.2.1]", "bob@[192.0.2.1]"),
        ("bob@[192.0.2.1]", "[192.0.2.1]", "bob@[192.0.2.1]"),
        ("bob@[IPv6:2001:DB8:0:0::1]", "[IPv6:2001:db8::1]", "bob@[IPv6:2001:db8::1]"),
        ("bob@[ipv6:2001:db8::1]", "[IPv6:2001:db8::1]", "bob@[IPv6:2001:db8::1]"),
        ("bob@2001:db8::1", "[IPv6:2001:db8::1]", "bob@[IPv6:2001:db8::1]"),
    ],
)
def test_address_has_one_form(text: str, domain: str, expected: str) -> None:
    assert normalise_address(text, domain) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "alice", "@example.org", "alice@", "alice@other.org", "a b@example.org", "a..b@example.org"),
        *(".a@example.org", "a.@example.org", '"a"@example.org', "é@example.org", "a@b@example.org"),
        *("a\x00@example.org", "a\r\n@example.org", "alice@example.org\n", "alice@example.org."),
        "a@fe80::1%eth0",
    ],
)
def test_what_is_no_address_of_this_node_is_refused(text: str) -> None:
    with pytest.raises(BadAddressError):
        normalise_address(text, "example.org")


@pytest.mark.parametrize(("length", "is_fine"), [(63, True), (64, True), (65, False)])
def test_length_of_a_name_is_bounded(length: int, is_fine: bool) -> None:
    text = "a" * length + "@example.org"

    if is_fine:
        assert normalise_address(text, "example.org") == text
    else:
        with pytest.raises(BadAddressError):
            normalise_address(text, "example.org")


@pytest.mark.parametrize(("length", "is_fine"), [(253, True), (254, True), (255, False)])
def test_length_of_an_address_is_bounded(length: int, is_fine: bool) -> None:
    labels = ".".join(["d" * 63] * 3)
    domain = labels + "." + "e" * (length - len(labels) - 1 - len("alice@"))

    if is_fine:
        assert len(normalise_address(f"alice@{domain}", domain)) == length
    else:
        with pytest.raises(BadAddressError, match="too long"):
            normalise_address(f"alice@{domain}", domain)


@pytest.mark.parametrize(
    ("text", "name", "host"),
    [
        ("Mail.Example.org", "mail.example.org", "mail.example.org"),
        ("192.0.2.1", "[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]", "2001:db8::1"),
    ],
)
def test_domain_is_read_as_people_write_it(text: str, name: str, host: str) -> None:
    domain = MailDomain.parse(text)

    assert (domain.name, domain.host) == (name, host)


@pytest.mark.parametrize(
    "text", ["", "-a.org", "a..org", "exa mple.org", "fe80::1%eth0", "[example.org]", "ä.org"]
)
def test_domain_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadAddressError):
        MailDomain.parse(text)


@pytest.mark.parametrize("name", ["abc", "a" * 64, "a.b_c-d", "123456789", "a..b", "_-_"])
def test_admissible_name_may_register(name: str) -> None:
    check_new_name(f"{name}@example.org")


@pytest.mark.parametrize(
    "name", ["ab", "a" * 65, ".abc", "abc.", "a+b", "a/b", "àbc", *sorted(RESERVED_NAMES)]
)
def test_inadmissible_name_may_not_register(name: str) -> None:
    with pytest.raises(BadAddressError):
        check_new_name(f"{name}@example.org")


@given(almost_addresses, st.sampled_from(DOMAINS))
def test_normal_form_is_final_and_safe(text: str, domain: str) -> None:
    try:
        address = normalise_address(text, domain)
    except BadAddressError:
        return

    assert normalise_address(address, domain) == address
    assert address.isascii()
    assert address.endswith(f"@{domain}")
    assert not set(address) & set(' \t\r\n\x00"')


@given(st.text(alphabet=name_characters, max_size=70))
def test_whatever_may_register_is_in_normal_form(name: str) -> None:
    try:
        check_new_name(f"{name}@example.org")
    except BadAddressError:
        return

    assert MIN_NAME_LENGTH <= len(name) <= MAX_NAME_LENGTH
    assert name == name.lower()
