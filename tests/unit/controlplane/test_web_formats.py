"""How numbers, amounts and times are written, and what a form may hold."""

import re
from hashlib import sha256
from importlib.resources import files

import pytest

from controlplane.operations.models import BulkPublic
from controlplane.web.errors import BadFormError
from controlplane.web.formats import Speech
from controlplane.web.forms import Form, read_model
from controlplane.web.links import read_back, say_there, write_page
from controlplane.web.operation_pages import write_event
from controlplane.web.policy_form import read_policy
from controlplane.web.texts.phrases import Language

NOW = 1_800_000_000
ENGLISH, PERSIAN = Speech(Language.EN, NOW), Speech(Language.FA, NOW)


@pytest.mark.parametrize(
    ("value", "english", "persian"),
    [
        (0, "0", "۰"),
        (99.5, "99.5", "۹۹٫۵"),
        (100.4, "100", "۱۰۰"),
        (0.01234, "0.0123", "۰٫۰۱۲۳"),
        (1234567, "1,234,567", "۱٬۲۳۴٬۵۶۷"),
    ],
)
def test_numbers_are_written_as_their_readers_do(value: float, english: str, persian: str) -> None:
    assert (ENGLISH.number(value), PERSIAN.number(value)) == (english, persian)


@pytest.mark.parametrize(
    ("size", "english", "persian"),
    [
        (0, "0 B", "۰ بایت"),
        (1023, "1023 B", "۱۰۲۳ بایت"),
        (1024, "1 KiB", "۱ کیلوبایت"),
        (1536 << 20, "1.5 GiB", "۱٫۵ گیگابایت"),
        (1 << 50, "1024 TiB", "۱۰۲۴ ترابایت"),
    ],
)
def test_amounts_are_written_in_the_largest_unit(size: int, english: str, persian: str) -> None:
    assert (ENGLISH.size(size), PERSIAN.size(size)) == (english, persian)


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (0, "just now"),
        (1, "just now"),
        (2, "2 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 d ago"),
        (-5, "just now"),
    ],
)
def test_ages_are_written_in_the_largest_unit(age: int, text: str) -> None:
    assert f">{text}<" in str(ENGLISH.ago(NOW - age))


def test_times_carry_what_scripts_read_and_no_time_is_never() -> None:
    assert str(ENGLISH.moment(NOW)) == (
        '<time datetime="2027-01-15T08:00:00Z" data-local><bdi dir="ltr">2027-01-15 08:00 UTC</bdi></time>'
    )
    assert (ENGLISH.moment(None), PERSIAN.ago(None)) == ("never", "هرگز")


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("۱۲", 12), ("", None), ("x", "x"), ("-1", "-1"), ("²", "²")]
)
def test_numbers_are_read_in_either_digits(text: str, number: object) -> None:
    assert Form({"n": [text]}).number("n") == number


@pytest.mark.parametrize(
    ("text", "size"), [("1.5G", 3 << 29), ("۵۰۰M", 500 << 20), ("", None), ("much", "much")]
)
def test_sizes_are_read_in_either_digits(text: str, size: object) -> None:
    assert Form({"n": [text]}).size("n") == size


def test_empty_field_of_a_policy_follows_only_where_there_is_something_to_follow() -> None:
    form = Form({"quota_bytes": [""]})

    assert read_policy(form, follows=True) == {"quota_bytes": None}
    with pytest.raises(BadFormError) as refused:
        read_policy(form, follows=False)
    assert refused.value.field == "quota_bytes"


def test_first_field_that_is_wrong_is_named() -> None:
    with pytest.raises(BadFormError) as refused:
        read_model(BulkPublic, {"id": 1})
    assert refused.value.field == "id"


@pytest.mark.parametrize(
    "address", ["/admin", "/admin/nodes/a?x=1&y=%20", "/admin/nodes/m/accounts/a@[192.0.2.1]"]
)
def test_own_page_is_come_back_to(address: str) -> None:
    assert read_back(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/",
        "/administrator",
        "//example.org/admin",
        "/admin//x",
        "/admin\\x",
        "https://example.org/admin",
        "/admin/x\n",
        "/admin/é",
        "/admin?\r\nset-cookie:x",
    ],
)
def test_other_page_is_not_come_back_to(address: str) -> None:
    assert read_back(address) is None


def test_what_is_said_once_is_not_said_again() -> None:
    once = say_there("/admin/accounts?search=a+b&cursor=x", notice="changed")

    assert once == "/admin/accounts?search=a+b&cursor=x&notice=changed"
    assert say_there(once) == "/admin/accounts?search=a+b&cursor=x"
    assert say_there(once, cursor="y") == "/admin/accounts?search=a+b&cursor=y"
    assert write_page("nodes", "m", "accounts", "a/b?@[::1]") == "/admin/nodes/m/accounts/a%2Fb%3F@[::1]"


def test_event_carries_each_line_of_its_content() -> None:
    assert write_event("progress", "<p>\n</p>") == "event: progress\ndata: <p>\ndata: </p>\n\n"


def test_what_others_wrote_is_what_the_list_says() -> None:
    folder = files("controlplane.web") / "static" / "vendor"
    listed = dict(
        re.findall(
            r"^\| `([\w.-]+)` .*\| ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.MULTILINE
        )
    )

    assert len(listed) == 4
    for name, digest in listed.items():
        assert sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert (folder / "LICENSE-uplot").is_file()
    assert (folder / "LICENSE-htmx-sse").is_file()
