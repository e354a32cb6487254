"""The web admin in Chromium, against a real fleet: both languages, phone and desktop, by day and night."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect

from support.pages_browser import read_qr_code, start_browser
from support.web_fleet import WebFleet, running_fleet

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PAGES = [
    "/admin",
    "/admin/nodes/mail1",
    "/admin/nodes/mail2",
    "/admin/nodes/turn1",
    "/admin/groups",
    "/admin/groups/eu",
    "/admin/registration",
    "/admin/turn",
    "/admin/accounts",
    "/admin/accounts/new",
    "/admin/blocklist",
    "/admin/operations",
    "/admin/admin-tokens",
    "/admin/audit",
    "/admin/federation",
    "/admin/federation/servers",
    "/admin/nodes/mail1/federation",
    "/admin/dns",
    "/admin/exchangers",
    "/admin/exchangers/relay",
]
BUSIEST = ["/admin", "/admin/nodes/mail1", "/admin/registration", "/admin/turn", "/admin/accounts"]
expect.set_options(timeout=15_000)
CHECKER = files("axe_playwright_python") / "axe.min.js"
"""What checks accessibility; the rest of the package has no types, and does little."""
CHECK = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"
ACCOUNTS = [f"{name}@[127.0.0.1]" for name in ("anna", "bert", "carl")]


@dataclass
class Visit:
    """Somebody with a browser; notes what goes wrong and which other hosts were asked."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def sign_in(self, token: str) -> Page:
        """Sign in by the link that was printed."""
        self.open(f"/#token={token}")
        self.page.wait_for_url("**/admin")
        return self.page

    def is_too_wide(self) -> bool:
        wide: bool = self.page.locator("html").evaluate("html => html.scrollWidth > html.clientWidth")
        return wide

    def list_hurdles(self) -> list[str]:
        """List what keeps people out who listen to a page, or need contrast; all that opens is open."""
        self.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        self.page.evaluate(CHECKER.read_text())
        found = self.page.evaluate(CHECK)
        return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:  # and not what Chromium says of password fields
            self.faults.append(message.text)

    def _note(self, url: str) -> None:
        if not url.startswith(f"{self.url}/"):
            self.faults.append(url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebFleet]:
    with running_fleet(tmp_path_factory.mktemp("fleet") / "fleet") as fleet:
        fleet.import_accounts(*ACCOUNTS)
        fleet.api.post("/groups", json={"name": "eu"})
        fleet.api.put("/nodes/turn1/group", json={"group": "eu"}, headers={"if-match": "*"})
        relay = {"name": "relay", "url": "https://relay.example.org:8443", "token": "t", "is_enabled": False}
        fleet.api.post("/exchangers", json=relay)
        yield fleet


@pytest.fixture(scope="module")
def owner(fleet: WebFleet) -> str:
    return fleet.make_token(name="alice", role="owner")


def visit(browser: Browser, fleet: WebFleet, **options: object) -> Visit:
    given = {"ignore_https_errors": True, "viewport": DESKTOP, "locale": "en"} | options
    return Visit(browser.new_context(**given).new_page(), fleet.url)  # type: ignore[arg-type]  # options of many types


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("looks", [("en", "light"), ("fa", "dark")], ids=["en", "fa"])
def test_each_page_is_whole_and_fits(
    browser: Browser, fleet: WebFleet, owner: str, looks: tuple[str, str], size: ViewportSize
) -> None:
    language, light = looks
    guest = visit(browser, fleet, locale=language, color_scheme=light, viewport=size)
    page = guest.sign_in(owner)

    for path in PAGES:
        guest.open(path)
        assert page.locator("html").get_attribute("dir") == ("rtl" if language == "fa" else "ltr")
        expect(page.locator("h1").first).to_be_visible()
        expect(page.locator("[aria-current=page]")).to_have_count(1)
        assert not guest.is_too_wide(), path
    assert guest.faults == []


@pytest.mark.parametrize(
    ("looks", "paths"),
    [(("en", "dark", DESKTOP), PAGES), (("fa", "light", PHONE), BUSIEST)],
    ids=["en", "fa"],
)
def test_no_page_has_hurdles(
    browser: Browser, fleet: WebFleet, owner: str, looks: tuple[str, str, ViewportSize], paths: list[str]
) -> None:
    language, light, size = looks
    guest = visit(browser, fleet, locale=language, color_scheme=light, viewport=size)
    guest.open("/")
    hurdles = {"/": guest.list_hurdles()}
    guest.sign_in(owner)

    for path in [*paths, f"/admin/nodes/mail1/accounts/{ACCOUNTS[0]}", "/admin/nothing"]:
        guest.open(path)
        hurdles[path] = guest.list_hurdles()

    assert {path: found for path, found in hurdles.items() if found} == {}


def test_nodes_and_their_charts_are_shown(browser: Browser, fleet: WebFleet, owner: str) -> None:
    guest = visit(browser, fleet)
    page = guest.sign_in(owner)

    expect(page.locator(".node", has_text="mail1")).to_contain_text("Accounts")
    expect(page.locator(".node", has_text="mail2")).to_contain_text("never seen")
    expect(page.locator(".notice", has_text="Not connected")).to_contain_text("mail2")
    for path in ("/admin", "/admin/nodes/mail1", "/admin/nodes/turn1"):
        guest.open(path)
        page.wait_for_selector(".plot[data-drawn] canvas")
    assert guest.faults == []


def test_account_is_made_and_searched(browser: Browser, fleet: WebFleet, owner: str) -> None:
    guest = visit(browser, fleet)
    page = guest.sign_in(owner)
    page.get_by_role("link", name="Accounts", exact=True).click()
    page.get_by_role("link", name="Make an account").click()
    page.fill("#address", "dora")
    page.get_by_role("button", name="Make an account").click()

    expect(page.locator(".progress")).to_have_attribute("data-state", "done", timeout=10_000)
    password = page.locator("#password").inner_text()
    assert read_qr_code(page).startswith(f"dclogin:dora@[127.0.0.1]?p={password}&")

    guest.open("/admin/accounts")
    page.locator("#search").press_sequentially("dor")
    expect(page.locator("[name=chosen]")).to_have_count(1)
    assert "search=dor" in page.url
    expect(page.locator("#accounts")).to_contain_text("mail2")
    assert guest.faults == []


def test_accounts_are_searched_chosen_and_deleted(browser: Browser, fleet: WebFleet, owner: str) -> None:
    fleet.import_accounts("gina@[127.0.0.1]", "gino@[127.0.0.1]")
    guest = visit(browser, fleet)
    page = guest.sign_in(owner)
    guest.open("/admin/accounts")
    page.locator("#search").press_sequentially("gin")
    expect(page.locator("[name=chosen]")).to_have_count(2)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/admin/" in request.url else None)
    page.locator("[data-choose-all] input").check()
    page.select_option("[name=action]", "remove")
    assert asked == []  # leaving the search field asks for nothing: a new list would have no ticks
    page.get_by_role("button", name="Go on").click()

    expect(page.get_by_role("heading", name="Delete these accounts?")).to_be_visible()
    expect(page.locator(".names li")).to_have_text(["gina@[127.0.0.1]", "gino@[127.0.0.1]"])
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".progress")).to_have_attribute("data-state", "done")
    guest.open("/admin/accounts")
    page.select_option("[name=sort]", "size")  # asks without a button
    page.wait_for_url("**sort=size**")
    expect(page.locator("#accounts")).not_to_contain_text("gina@")
    assert guest.faults == []


def test_policy_is_changed_and_the_node_follows(browser: Browser, fleet: WebFleet, owner: str) -> None:
    guest = visit(browser, fleet)
    page = guest.sign_in(owner)
    guest.open("/admin/nodes/mail1")
    page.fill("#field-quota_bytes", "3G")
    page.locator("#policy button").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved")
    expect(page.locator(".line.own")).to_contain_text("3 GiB")

    account = f"/admin/nodes/mail1/accounts/{ACCOUNTS[0]}"
    guest.open(account)
    expect(page.locator("main")).to_contain_text("of 3 GiB")
    guest.open("/admin/registration")
    page.fill("#field-quota_bytes", "much")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Quota of an account")
    assert guest.faults == []


def test_exchanger_is_added_changed_and_removed(browser: Browser, fleet: WebFleet, owner: str) -> None:
    guest = visit(browser, fleet, viewport=PHONE)
    page = guest.sign_in(owner)
    guest.open("/admin/federation")
    page.get_by_role("link", name="Exchangers").click()
    page.get_by_text("Add an exchanger").first.click()
    page.fill("#name", "other")
    page.fill("#url", f"{fleet.url}/relay")
    page.fill("#interval", "86400")
    page.get_by_role("button", name="Add an exchanger").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved")

    page.get_by_role("link", name="other").click()
    page.select_option("#is_enabled", "no")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved")
    assert fleet.api.get("/exchangers/other").json()["is_enabled"] is False
    page.locator("summary").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("tbody tr")).to_have_count(1)  # the one that was there before
    assert guest.faults == []


def test_forms_work_without_scripts(browser: Browser, fleet: WebFleet, owner: str) -> None:
    guest = visit(browser, fleet, java_script_enabled=False, viewport=PHONE)
    page = guest.open("/")
    page.fill("#token", owner)
    page.get_by_role("button", name="Sign in").click()
    page.locator(".menu-label").click()
    page.get_by_role("link", name="Groups").click()
    page.locator("summary").click()
    page.fill("#name", "asia")
    page.get_by_role("button", name="Make a group").click()

    expect(page.locator("h1")).to_contain_text("asia")
    guest.open("/admin/accounts?search=carl")
    page.locator("[name=chosen]").check()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Block").click()
    expect(page.locator(".progress")).to_be_visible()
    assert guest.faults == []


def test_viewer_is_offered_no_change_and_wrong_token_is_told(browser: Browser, fleet: WebFleet) -> None:
    guest = visit(browser, fleet)
    page = guest.open("/")
    page.fill("#token", "wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This token is not known")
    guest.faults.clear()  # the browser tells the script console of the 401

    guest.sign_in(fleet.make_token(name="vera", role="viewer", scope_kind="node", scope_name="mail1"))
    for path in (
        "/admin",
        "/admin/nodes/mail1",
        "/admin/accounts",
        "/admin/groups",
        "/admin/federation/servers",
    ):
        guest.open(path)
        assert page.locator("main form[method=post]").count() == 0
        assert "turn1" not in page.content()
    assert [link.inner_text() for link in page.locator(".pages a").all()] == [
        "Overview",
        "Groups",
        "Accounts",
        "Operations",
        "Other servers",
    ]
    assert guest.faults == []


def test_link_that_signs_in_works_where_the_page_is_open_already(
    browser: Browser, fleet: WebFleet, owner: str
) -> None:
    guest = visit(browser, fleet)
    guest.open("/")
    guest.sign_in(owner)

    assert "#" not in guest.page.url
    assert guest.faults == []


def test_session_that_is_over_is_told_so(browser: Browser, fleet: WebFleet) -> None:
    guest = visit(browser, fleet)
    token = fleet.make_token(name="bob", role="viewer")
    page = guest.sign_in(token)
    found = re.search(r"madfleet-admin-([0-9a-f]{8})-", token)
    assert found is not None
    fleet.api.delete(f"/admin-tokens/{found[1]}")

    page.wait_for_url("**/?notice=session-over", timeout=15_000)  # the part that renews itself has heard
    expect(page.locator("main")).to_contain_text("Your session is over")
