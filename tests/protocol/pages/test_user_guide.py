"""The user guide: the same in both languages, with the advice and the contact that it must give."""

import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from mailnode.http.app import create_app
from mailnode.http.site import Site
from support.pages_html import Reader
from support.pages_site import SITE, CountingRegistrar

GUIDE_HEADINGS = [
    "General Documentation",
    "Introduction",
    "Delta Chat integration",
    "Simple and Instant Registration (JIT)",
    "Voice and Video Calls (TURN)",
    "Storage Quota",
    "Server Management (Admin API)",
    "Security Recommendations",
    "Support",
]


def client_of(site: Site) -> TestClient:
    app = create_app(accounts=CountingRegistrar(), read_site=lambda: site)
    return TestClient(app, "https://mail.example.org", follow_redirects=False)


@pytest.fixture
def client() -> TestClient:
    return client_of(SITE)


def test_guide_has_the_headings_of_the_general_documentation(client: TestClient) -> None:
    assert Reader(client.get("/docs?lang=en").text).headings == GUIDE_HEADINGS


def test_persian_guide_has_the_same_sections(client: TestClient) -> None:
    english, persian = (Reader(client.get("/docs", params={"lang": one}).text) for one in ("en", "fa"))

    assert list(persian.every("id")) == list(english.every("id"))
    assert len(persian.headings) == len(GUIDE_HEADINGS)
    assert persian.attribute("html", "dir") == "rtl"


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["grey icon", "updated to the latest version", "madfleet admin-token"]),
        ("fa", ["نشان خاکستری", "به آخرین نسخه به‌روز کنید", "madfleet admin-token"]),
    ],
)
def test_guide_gives_the_security_advice_and_the_support_contact(
    client: TestClient, language: str, words: list[str]
) -> None:
    page = client.get("/docs", params={"lang": language}).text

    assert [word for word in words if word not in page] == []
    assert "mailto:admin@example.org" in list(Reader(page).every("href"))


@pytest.mark.parametrize("language", ["en", "fa"])
def test_latin_words_in_persian_prose_keep_their_direction(client: TestClient, language: str) -> None:
    page = client.get("/docs", params={"lang": language}).text
    article = page.partition('<article class="guide">')[2].partition("</article>")[0]
    set_apart = re.sub(r"<bdi.*?</bdi>", "", article, flags=re.DOTALL)
    bare = re.findall(r"[A-Za-z]{2,}", re.sub(r"<[^>]*>", "", set_apart))

    assert bool(bare) == (language == "en")


def test_guide_without_a_contact_still_says_whom_to_ask() -> None:
    client = client_of(replace(SITE, support_contact=""))

    page = client.get("/docs?lang=en").text

    assert "whoever gave you the address" in page
    assert 'href=""' not in page


def test_section_of_the_guide_has_an_address_of_its_own(client: TestClient) -> None:
    guide = Reader(client.get("/docs").text)
    for section in ("general", "security", "support"):
        answer = client.get(f"/docs/{section}?lang=fa")

        assert answer.status_code == 302
        assert answer.headers["location"] == f"/docs?lang=fa#{section}"
        assert section in list(guide.every("id"))
    assert client.get("/docs/calls").headers["location"] == "/docs#calls"
