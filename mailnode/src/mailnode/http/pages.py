"""Turn what a route has decided into a page.

For: templates, style, QR codes, and the headers that keep a page private and self-contained.
Not for: deciding anything (app.py).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Final
from urllib.parse import urlencode

import segno
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mailnode.accounts.policy import PolicyHolder
from mailnode.backup_addresses.place import BackupPlace, write_link
from mailnode.http.language import Language, write_size
from mailnode.http.login_url import build_account_url, build_https_url, build_login_url
from mailnode.http.refusals import STATUS, Refusal
from mailnode.http.site import Site
from mailnode.http.texts import TEXTS, Passage

STATIC_TYPES: Final = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
QUIET_ZONE_MODULES: Final = 4  # ISO/IEC 18004 section 6.3.8; drawn light, also where the page is dark
PRIVATE_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Not `no-referrer`: with it, browsers send `Origin: null` from our own form as from a foreign one.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
PUBLIC_HEADERS: Final = {"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one site; how it is reached, and the policy, are looked at each time one is drawn."""

    read_site: Callable[[], Site]
    policy: PolicyHolder
    static: Mapping[str, bytes] = field(init=False)
    _environment: Environment = field(init=False)

    def __post_init__(self) -> None:
        """Load templates and static files, all of which are in the package."""
        folder = resources.files("mailnode.http") / "static"
        static = {name: (folder / name).read_bytes() for name in STATIC_TYPES}
        environment = Environment(
            loader=PackageLoader("mailnode.http"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals |= {
            "style_version": hashlib.sha256(static["style.css"]).hexdigest()[:12],
            "languages": TEXTS,
        }
        object.__setattr__(self, "static", static)
        object.__setattr__(self, "_environment", environment)

    @property
    def site(self) -> Site:
        """How clients reach the node now."""
        return self.read_site()

    def draw_landing(self, language: Language, token: str | None = None) -> HTMLResponse:
        """Draw the landing page: a registration button, or a word about why there is none.

        With a token there is a QR code too, by which an app shows it.
        """
        closed = self._find_closed(language, token)
        values: dict[str, object] = {"path": "/", "closed": closed, "query": "", "account_url": None}
        if token is not None:
            url = build_account_url(self.site, token)
            qr_code = draw_qr_code(url, TEXTS[language].invitation_qr)
            query = "&" + urlencode({"token": token})
            values |= {"query": query, "account_url": url, "qr_code": qr_code}
        return self._draw("landing.html", language, **values)

    def draw_account(
        self, language: Language, address: str, password: str, backups: Sequence[BackupPlace] = ()
    ) -> HTMLResponse:
        """Draw the page of a new account, with all that a client needs and what it can have besides."""
        url = build_login_url(self.site, address, password)
        values: dict[str, object] = {
            "address": address,
            "password": password,
            "login_url": url,
            "path": None,
        }
        qr_code = draw_qr_code(url, TEXTS[language].qr_title)
        values["backups"] = [self._draw_backup(language, place) for place in backups]
        return self._draw("account.html", language, qr_code=qr_code, **values)

    def draw_guide(self, language: Language) -> HTMLResponse:
        """Draw the user guide."""
        return self._draw(f"guide.{language}.html", language, path="/docs")

    def draw_refusal(
        self,
        language: Language,
        refusal: Refusal,
        headers: Mapping[str, str] | None = None,
        origin: str | None = None,
    ) -> HTMLResponse:
        """Draw the page of a refused request, under its status and with the headers that belong to it.

        `origin` is where a token is for that is for elsewhere.
        """
        passage = TEXTS[language].refusals[refusal]
        page = self._draw("refusal.html", language, path=None, passage=passage, origin=origin)
        page.status_code = STATUS[refusal]
        page.headers.update(headers or {})
        return page

    def _find_closed(self, language: Language, token: str | None) -> Passage | None:
        policy = self.policy.current
        if not policy.registration_open:
            return TEXTS[language].refusals[Refusal.CLOSED]
        is_lacking = policy.registration_token_required and token is None
        return TEXTS[language].refusals[Refusal.TOKEN_NEEDED] if is_lacking else None

    def _draw_backup(self, language: Language, place: BackupPlace) -> dict[str, str]:
        link = write_link(place)
        return {
            "domain": place.domain,
            "link": link,
            "qr_code": draw_qr_code(link, TEXTS[language].backup_qr),
        }

    def _draw(self, template: str, language: Language, **values: object) -> HTMLResponse:
        site = self.site
        body = self._environment.get_template(template).render(
            t=TEXTS[language],
            language=language,
            quota=write_size(self.policy.current.quota_bytes, language),
            site=site,
            home_url=build_https_url(site),
            **values,
        )
        return HTMLResponse(body, headers=PRIVATE_HEADERS | {"content-language": language})


def draw_qr_code(content: str, title: str) -> Markup:
    """Draw a QR code as SVG that is dark on light with its own margin, whatever the page looks like."""
    code = segno.make(content, error="m", micro=False)
    drawing = code.svg_inline(
        border=QUIET_ZONE_MODULES,
        dark="#000",
        light="#fff",
        title=title,
        svgclass="qr",
        lineclass="",
        omitsize=True,
    )
    return Markup(drawing)  # noqa: S704 - segno escapes the title, and the rest is its own
