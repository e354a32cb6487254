"""A site that no page could show is refused where it is built."""

from dataclasses import replace

import pytest

from support.pages_site import SITE


@pytest.mark.parametrize("missing", ["imap", "smtp"])
def test_site_without_an_endpoint_is_refused(missing: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        replace(SITE, **{missing: ()})  # type: ignore[arg-type] # the field's name is a variable here


@pytest.mark.parametrize("contact", ["admin@example.org", "javascript:alert(1)", "data:,x", " https://a"])
def test_support_contact_that_is_no_link_is_refused(contact: str) -> None:
    with pytest.raises(ValueError, match="support_contact"):
        replace(SITE, support_contact=contact)


@pytest.mark.parametrize(
    ("contact", "label"),
    [
        ("mailto:admin@example.org", "admin@example.org"),
        ("https://example.org/help", "https://example.org/help"),
        ("", ""),
    ],
)
def test_support_contact_is_shown_as_people_read_it(contact: str, label: str) -> None:
    assert replace(SITE, support_contact=contact).support_label == label
