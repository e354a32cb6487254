"""A person with a browser gets an account: without scripts, in both languages and by day and night."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from mailnode.accounts.policy import Policy, PolicyHolder
from support.backup_places import make_place
from support.pages_browser import read_qr_code, serve_pages, start_browser
from support.pages_login_link import read_login_link
from support.pages_site import CountingRegistrar

pytestmark = pytest.mark.browser

DIRECTIONS = {"en": "ltr", "fa": "rtl"}
PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1200, "height": 900}

Light = Literal["light", "dark"]


class Visit:
    """A page in the browser that notes what goes wrong and which hosts it talks to."""

    def __init__(self, browser: Browser, url: str, language: str, light: Light, size: ViewportSize) -> None:
        context = browser.new_context(
            ignore_https_errors=True,
            java_script_enabled=False,
            locale=language,
            color_scheme=light,
            viewport=size,
        )
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: self.faults.append(request.url))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    def left_the_host(self, url: str) -> list[str]:
        return [request for request in self.requests if not request.startswith(f"{url}/")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    accounts: CountingRegistrar


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    accounts = CountingRegistrar()
    with serve_pages(tmp_path, accounts) as url:
        yield Served(url, accounts)


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("light", ["light", "dark"])
@pytest.mark.parametrize("language", DIRECTIONS)
def test_button_gives_a_qr_code_with_the_settings(
    browser: Browser, served: Served, language: str, light: Light, size: ViewportSize
) -> None:
    visit = Visit(browser, served.url, language, light, size)
    page = visit.page
    assert page.locator("html").get_attribute("dir") == DIRECTIONS[language]

    page.locator("button").click()

    link = read_qr_code(page)
    login = read_login_link(link)
    assert page.locator("html").get_attribute("lang") == language
    assert (login.address, login.password) == ("user00001@example.org", served.accounts.password)
    assert login.imap == ("mail.example.org", 993, "ssl")
    assert login.smtp == ("mail.example.org", 465, "ssl")
    assert login.certificate_checks == "3"
    assert page.locator("#address").inner_text() == login.address
    assert page.locator("#password").inner_text() == login.password
    assert page.locator("#open").get_attribute("href") == link
    assert visit.faults == visit.left_the_host(served.url) == []


@pytest.mark.parametrize("language", ["en", "fa"])
@pytest.mark.parametrize("path", ["/", "/docs", "/nowhere"])
def test_pages_fit_the_width_of_a_phone(browser: Browser, served: Served, path: str, language: str) -> None:
    page = Visit(browser, f"{served.url}{path}", language, "light", PHONE).page

    width, visible = page.locator("html").evaluate("html => [html.scrollWidth, html.clientWidth]")

    assert width <= visible


def test_reader_changes_the_language_and_keeps_the_page(browser: Browser, served: Served) -> None:
    visit = Visit(browser, f"{served.url}/docs", "en", "light", DESKTOP)

    visit.page.get_by_role("link", name="فارسی").click()

    assert visit.page.url == f"{served.url}/docs?lang=fa"
    assert visit.page.locator("html").get_attribute("dir") == "rtl"
    assert visit.faults == visit.left_the_host(served.url) == []


@pytest.mark.parametrize(("language", "size"), [("en", PHONE), ("fa", PHONE), ("fa", DESKTOP)])
def test_backup_address_has_a_button_and_a_code_that_does_not_disturb_the_first(
    browser: Browser, tmp_path: Path, language: str, size: ViewportSize
) -> None:
    accounts = CountingRegistrar(policy=PolicyHolder(Policy(backup_addresses=1)))
    with serve_pages(tmp_path, accounts, [make_place("mail2"), make_place("mail3")]) as url:
        visit = Visit(browser, url, language, "light", size)
        page = visit.page
        page.locator("button").click()
        assert read_qr_code(page) == page.locator("#open").get_attribute("href")

        [backup] = page.locator(".backup").all()
        backup.locator("summary").click()

        link = "dcaccount:https://mail2.example.org/new"
        assert backup.locator(".button").get_attribute("href") == link
        assert read_qr_code(backup) == link
        width, visible = page.locator("html").evaluate("html => [html.scrollWidth, html.clientWidth]")
        assert width <= visible
        assert visit.faults == visit.left_the_host(url) == []


def test_closed_registration_leaves_no_button(browser: Browser, served: Served) -> None:
    policy = served.accounts.policy
    policy.current = replace(policy.current, registration_open=False)

    page = Visit(browser, served.url, "en", "light", PHONE).page

    assert page.locator("button").count() == 0
    assert page.get_by_role("status").get_by_text("Registration is closed").is_visible()


def test_page_of_another_site_cannot_press_the_button(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.html"
    foreign.write_text(f'<form method="post" action="{served.url}/register"><button>Win</button></form>')
    visit = Visit(browser, foreign.as_uri(), "en", "light", DESKTOP)

    visit.page.locator("button").click()

    assert visit.page.get_by_text("That came from another site").is_visible()
    assert served.accounts.clients == []
