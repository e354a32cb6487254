"""The web admin as a browser without scripts uses it: sign in, read forms, send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from fastapi.testclient import TestClient
from httpx2 import Response

from controlplane.admins.access import Role
from controlplane.plane import Plane
from support.controlplane_site import add_token

VOID = frozenset({"input", "meta", "link", "img", "br", "path", "rect", "circle"})


@dataclass
class PageForm:
    """A form of a page: where it goes, and what it holds as it is shown."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class PageReader(HTMLParser):
    """Reads the forms of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.text = ""
        self._select: str | None = None
        self._form: PageForm | None = None
        self._area: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._form = PageForm(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._form)
        if self._form is None:
            return
        fields = self._form.fields
        if tag == "input" and "name" in given and given.get("type") != "checkbox":
            fields[given["name"]] = given.get("value", "")
        elif tag == "select":
            self._select = given["name"]
        elif (
            tag == "option"
            and self._select is not None
            and ("selected" in given or self._select not in fields)
        ):
            fields[self._select] = given.get("value", "")
        elif tag == "textarea":
            fields[given["name"]] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def read_forms(page: str) -> dict[str, PageForm]:
    """Read the forms of a page that change something, by where they go."""
    return {form.action: form for form in PageReader(page).forms if form.method == "post"}


def sign_in(browser: TestClient, plane: Plane, role: Role = Role.OWNER) -> str:
    """Sign in; return the overview."""
    return sign_in_with(browser, add_token(plane, role))


def sign_in_with(browser: TestClient, token: str) -> str:
    """Sign in with a token; return the overview."""
    answer = browser.post("/sign-in", data={"token": token})
    assert (answer.status_code, answer.url.path) == (200, "/admin"), answer.text
    return answer.text


def send(browser: TestClient, address: str, action: str, **changes: str) -> Response:
    """Send a form of a page, with some fields written anew; the answer is where that leads."""
    form = read_forms(browser.get(address).text)[action]
    return browser.post(action, data=form.fields | changes)
