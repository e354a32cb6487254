"""The HTTPS port as browsers and apps meet it: requests and answers."""

from dataclasses import replace

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient

from mailnode.accounts.errors import LoginUnavailableError
from mailnode.accounts.policy import Policy
from mailnode.http.app import MAX_BODY_BYTES, create_app
from mailnode.http.language import Language
from mailnode.http.site import Site
from support.pages_html import Reader
from support.pages_login_link import read_login_link
from support.pages_site import SITE, CountingRegistrar

URL = "https://mail.example.org"
PAGES = ["/", "/docs", "/nowhere"]


@pytest.fixture
def accounts() -> CountingRegistrar:
    return CountingRegistrar()


@pytest.fixture
def client(accounts: CountingRegistrar) -> TestClient:
    return client_of(accounts, SITE)


def client_of(accounts: CountingRegistrar, site: Site) -> TestClient:
    app = create_app(accounts=accounts, read_site=lambda: site)
    return TestClient(app, URL, raise_server_exceptions=False, follow_redirects=False)


def close_registration(accounts: CountingRegistrar) -> None:
    accounts.policy.current = replace(accounts.policy.current, registration_open=False)


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("fa", "rtl")])
def test_landing_page_offers_an_account_in_the_language_asked_for(
    client: TestClient, language: str, direction: str
) -> None:
    answer = client.get("/", params={"lang": language})
    page = Reader(answer.text)

    assert answer.status_code == 200
    assert answer.headers["content-language"] == language
    assert page.attribute("html", "lang") == language
    assert page.attribute("html", "dir") == direction
    assert page.attribute("form", "action") == f"/register?lang={language}"
    assert page.attribute("form", "method") == "post"


def test_browser_language_decides_where_none_is_asked_for(client: TestClient) -> None:
    answer = client.get("/", headers={"accept-language": "fa-IR,en;q=0.5"})

    assert Reader(answer.text).attribute("html", "lang") == "fa"


def test_default_language_of_the_site_is_for_everybody_else(accounts: CountingRegistrar) -> None:
    client = client_of(accounts, replace(SITE, default_language=Language.FA))

    answer = client.get("/", headers={"accept-language": "de"})

    assert Reader(answer.text).attribute("html", "lang") == "fa"


@pytest.mark.parametrize(
    ("language", "size"), [("en", "2\N{NO-BREAK SPACE}GiB"), ("fa", "۲\N{NO-BREAK SPACE}گیگابایت")]
)
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_show_the_quota_in_force(
    client: TestClient, accounts: CountingRegistrar, path: str, language: str, size: str
) -> None:
    assert size not in client.get(path, params={"lang": language}).text

    accounts.policy.current = Policy(quota_bytes=2 << 30)

    assert size in client.get(path, params={"lang": language}).text


@pytest.mark.parametrize("language", ["en", "fa"])
def test_button_creates_an_account_and_shows_its_settings(
    client: TestClient, accounts: CountingRegistrar, language: str
) -> None:
    answer = client.post("/register", params={"lang": language})
    page = Reader(answer.text)
    login = read_login_link(page.attribute("a", "href", id="open"))

    assert answer.status_code == 200
    assert page.attribute("html", "lang") == language
    assert (login.address, login.password) == ("user00001@example.org", accounts.password)
    assert login.imap == ("mail.example.org", 993, "ssl")
    assert login.smtp == ("mail.example.org", 465, "ssl")
    assert "<svg" in answer.text
    assert accounts.clients == ["testclient"]


def test_page_with_a_password_is_not_kept_anywhere(client: TestClient) -> None:
    for answer in (client.post("/register"), client.post("/new")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "set-cookie" not in answer.headers


def test_password_is_escaped_in_the_page(client: TestClient, accounts: CountingRegistrar) -> None:
    accounts.password = "<script>\"'&"

    page = client.post("/register").text

    assert "<script" not in page
    assert "&lt;script&gt;&#34;&#39;&amp;" in page


@pytest.mark.parametrize(("is_self_signed", "checks"), [(True, "3"), (False, None)])
def test_only_a_self_signed_node_asks_to_accept_its_certificate(
    accounts: CountingRegistrar, is_self_signed: bool, checks: str | None
) -> None:
    client = client_of(accounts, replace(SITE, is_self_signed=is_self_signed))

    page = client.post("/register").text

    login = read_login_link(Reader(page).attribute("a", "href", id="open"))
    assert login.certificate_checks == checks
    assert ("accept invalid" in page) == is_self_signed


def test_closed_registration_is_in_force_at_the_next_request(
    client: TestClient, accounts: CountingRegistrar
) -> None:
    assert "<form" in client.get("/").text

    close_registration(accounts)

    landing, button, app = client.get("/"), client.post("/register"), client.post("/new")
    assert "<form" not in landing.text
    assert "Registration is closed" in landing.text
    assert (landing.status_code, button.status_code, app.status_code) == (200, 403, 403)
    assert "Registration is closed" in button.text
    assert accounts.clients == []


def test_closed_registration_is_told_in_persian(client: TestClient, accounts: CountingRegistrar) -> None:
    close_registration(accounts)

    answer = client.post("/register?lang=fa")

    assert answer.status_code == 403
    assert "ثبت‌نام بسته است" in answer.text


def test_app_gets_an_account_as_json(client: TestClient, accounts: CountingRegistrar) -> None:
    answer = client.post("/new")
    account = answer.json()
    login = read_login_link(account["dclogin_url"])

    assert answer.status_code == 200
    assert set(account) == {"email", "password", "dclogin_url"}
    assert (account["email"], account["password"]) == ("user00001@example.org", accounts.password)
    assert (login.address, login.password) == (account["email"], account["password"])


def test_app_is_told_the_reason_where_it_looks_for_it(
    client: TestClient, accounts: CountingRegistrar
) -> None:
    close_registration(accounts)

    answer = client.post("/new")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["reason"] == answer.json()["error"]
    assert answer.json()["error"].startswith("Registration is closed")


@pytest.mark.parametrize("path", ["/register", "/new"])
def test_overload_asks_to_come_back_later(client: TestClient, accounts: CountingRegistrar, path: str) -> None:
    accounts.failure = LoginUnavailableError("secret detail")

    answer = client.post(path)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "secret detail" not in answer.text


@pytest.mark.parametrize("path", ["/register", "/new"])
def test_fault_of_ours_shows_nothing_of_the_inside(
    client: TestClient, accounts: CountingRegistrar, path: str
) -> None:
    accounts.failure = ZeroDivisionError("secret detail")

    answer = client.post(path)

    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("path", ["/register", "/new"])
def test_page_of_another_site_cannot_create_accounts(
    client: TestClient, accounts: CountingRegistrar, path: str
) -> None:
    foreign = client.post(path, headers={"origin": "https://example.net"})
    fetched = client.post(path, headers={"sec-fetch-site": "cross-site"})
    own = client.post(path, headers={"origin": URL, "sec-fetch-site": "same-origin"})

    assert (foreign.status_code, fetched.status_code, own.status_code) == (403, 403, 200)
    assert len(accounts.clients) == 1


def test_browser_at_the_apps_address_is_sent_to_the_app(client: TestClient) -> None:
    answer = client.get("/new")

    assert answer.status_code == 302
    assert answer.headers["location"] == "dcaccount:https://mail.example.org/new"


@pytest.mark.parametrize("path", ["/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml"])
def test_mail_clients_find_their_settings(client: TestClient, path: str) -> None:
    answer = client.get(path, params={"emailaddress": "user@example.org"})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/xml"
    assert answer.text.startswith("<?xml")
    assert "<port>993</port>" in answer.text


@pytest.mark.parametrize(
    "path", ["/docs/nothing", "/static/nothing.css", "/static/..%2fapp.py", "/a/b", "/docs/quota/more"]
)
def test_what_is_not_there_is_a_small_page(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert "This page does not exist." in answer.text


@pytest.mark.parametrize(("method", "path"), [("GET", "/register"), ("POST", "/"), ("DELETE", "/docs")])
def test_wrong_method_is_a_small_page_that_names_the_right_ones(
    client: TestClient, method: str, path: str
) -> None:
    answer = client.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert "cannot be used in this way" in answer.text


def test_wrong_method_at_the_apps_address_is_json(client: TestClient) -> None:
    answer = client.put("/new")

    assert answer.status_code == 405
    assert set(answer.json()) == {"error", "reason"}


@pytest.mark.parametrize(
    ("size_bytes", "status"), [(MAX_BODY_BYTES - 1, 200), (MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)]
)
@pytest.mark.parametrize("path", ["/register", "/new"])
def test_body_is_limited(client: TestClient, path: str, size_bytes: int, status: int) -> None:
    assert client.post(path, content=bytes(size_bytes)).status_code == status


def test_body_of_unknown_size_is_refused(client: TestClient) -> None:
    assert client.post("/new", content=iter([b"x"])).status_code == 413


def test_health_is_plain(client: TestClient) -> None:
    answer = client.get("/healthz")

    assert (answer.status_code, answer.text) == (200, "ok")


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/static/style.css", "/new"])
def test_head_answers_as_get_without_a_body(client: TestClient, path: str) -> None:
    get, head = client.get(path), client.head(path)

    assert (head.status_code, head.headers) == (get.status_code, get.headers)
    assert head.content == b""


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_nothing_from_elsewhere_and_run_nothing(client: TestClient, path: str) -> None:
    answer = client.get(path)
    page = Reader(answer.text)
    policy = answer.headers["content-security-policy"]

    assert {tag for tag, _ in page.elements} & {"script", "style", "img", "iframe", "object"} == set()
    assert list(page.every("style")) == []
    assert [at["href"] for tag, at in page.elements if tag == "link" and "//" in (at["href"] or "")] == []
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_files_that_pages_name_are_there_and_may_be_kept(client: TestClient) -> None:
    links = [at["href"] or "" for tag, at in Reader(client.get("/").text).elements if tag == "link"]

    answers = [client.get(link) for link in links]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert {answer.headers["content-type"] for answer in answers} == {
        "image/svg+xml",
        "text/css; charset=utf-8",
    }
    assert all(answer.headers["cache-control"].startswith("public") for answer in answers)


def test_schema_of_the_application_is_not_published() -> None:
    app = create_app(accounts=CountingRegistrar(), read_site=lambda: SITE)
    paths = {
        context.route.path
        for context in iter_route_contexts(app.routes)
        if isinstance(context.route, APIRoute)
    }

    assert paths == {
        "/",
        "/register",
        "/new",
        "/.well-known/autoconfig/mail/config-v1.1.xml",
        "/mail/config-v1.1.xml",
        "/.well-known/mta-sts.txt",
        "/docs",
        "/docs/{section}",
        "/static/{name}",
        "/healthz",
    }


def test_mta_sts_policy_names_the_host_and_is_served_where_it_can_hold(accounts: CountingRegistrar) -> None:
    path = "/.well-known/mta-sts.txt"
    answer = client_of(accounts, SITE).get(path)

    assert answer.headers["content-type"].startswith("text/plain")
    assert "mode: enforce\r\nmx: mail.example.org\r\n" in answer.text
    for site in (replace(SITE, is_self_signed=True), replace(SITE, mail_domain="[192.0.2.1]")):
        assert client_of(accounts, site).get(path).status_code == 404
