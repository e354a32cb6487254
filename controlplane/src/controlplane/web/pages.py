"""Render the pages.

For: HTML around values; templates escape all of them.
Not for: what is shown (the module of each page gathers it).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from controlplane.admins.tokens import Caller
from controlplane.admins.web_sessions import COOKIE, write_form_key
from controlplane.dependencies import lend_plane, read_clock
from controlplane.policy.quantities import format_exact_size
from controlplane.web.assets import ASSETS
from controlplane.web.formats import Speech
from controlplane.web.links import HOME, drop_passing, say_there, write_page
from controlplane.web.navigation import Offer
from controlplane.web.texts.catalogue import TEXTS
from controlplane.web.texts.notices import NOTICES, Notice
from controlplane.web.texts.phrases import Language, choose_language

LANGUAGE_COOKIE = "language"
JOIN_PATH = "/join"
LANGUAGE_SECONDS = 365 * 86_400
GOOD_NOTICES = {Notice.CHANGED, Notice.REMOVED, Notice.ORDERED, Notice.SIGNED_OUT, Notice.SECRET_ANNOUNCED}
BAD_NOTICES = frozenset(Notice) - GOOD_NOTICES


@dataclass(frozen=True, slots=True)
class Said:
    """What a page says about what was just tried. `field` names a field in texts.policy."""

    text: str
    is_bad: bool
    field: str | None = None


def build_templates() -> Environment:
    """Build what renders; a name that a page does not know is an error."""
    templates = Environment(
        loader=PackageLoader("controlplane.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["exact_size"] = format_exact_size
    templates.filters["around"] = _set_around
    templates.globals["page"] = write_page
    folder = files("controlplane.web") / "static"
    assets = {
        name: f"/assets/{name}?v={sha256((folder / asset.file).read_bytes()).hexdigest()[:12]}"
        for name, asset in ASSETS.items()
    }
    templates.globals["asset"] = assets.__getitem__
    return templates


def render(
    request: Request,
    template: str,
    values: Mapping[str, object],
    *,
    status: int = 200,
    notice: Notice | None = None,
) -> HTMLResponse:
    """Render a page in the visitor's language, and remember a language that he has asked for."""
    asked = request.query_params.get("lang")
    response = HTMLResponse(render_part(request, template, values, notice=notice), status)
    if asked in set(Language):
        response.set_cookie(
            LANGUAGE_COOKIE, asked or "", LANGUAGE_SECONDS, secure=True, httponly=True, samesite="lax"
        )
    return response


def render_part(
    request: Request, template: str, values: Mapping[str, object], *, notice: Notice | None = None
) -> str:
    """Render a page, or a part of one, in the visitor's language."""
    language = read_language(request)
    templates: Environment = request.app.state.templates
    caller: Caller | None = getattr(request.state, "caller", None)
    return templates.get_template(template).render(
        t=TEXTS[language],
        say=Speech(language, read_clock(request)),
        language=language,
        languages=[other for other in Language if other is not language],
        here=_find_here(request),
        say_there=say_there,
        fleet_name=lend_plane(request).settings.fleet_name,
        said=_find_said(request, language, notice),
        offer=None if caller is None else Offer(caller),
        caller=caller,
        form_key=write_form_key(lend_plane(request).vault, request.cookies.get(COOKIE, "")),
        **values,
    )


def read_language(request: Request) -> Language:
    """Read in which language a visitor reads."""
    return choose_language(
        request.query_params.get("lang"),
        request.cookies.get(LANGUAGE_COOKIE),
        request.headers.get("accept-language", ""),
    )


def go_to(address: str, notice: Notice) -> RedirectResponse:
    """Lead a browser to a page, which says what was done."""
    return RedirectResponse(say_there(address, notice=notice.value), 303)


def go_back(request: Request, notice: Notice) -> RedirectResponse:
    """Lead a browser back to the page whose form it has sent."""
    return go_to(getattr(request.state, "back", None) or HOME, notice)


def _find_here(request: Request) -> str:
    """Find the address of what is shown, to come back to; a page that answers a form has none of its own."""
    if request.method == "GET":
        query = request.url.query
        return drop_passing(f"{request.url.path}?{query}" if query else request.url.path)
    if request.url.path == JOIN_PATH:
        return JOIN_PATH
    return getattr(request.state, "back", None) or "/"


def _find_said(request: Request, language: Language, notice: Notice | None) -> Said | None:
    texts = TEXTS[language]
    asked = request.query_params
    if notice is None and asked.get("notice") in NOTICES:
        notice = Notice(asked["notice"])
    if notice is not None:
        return Said(texts["notices"][notice], notice in BAD_NOTICES)
    if (refusal := asked.get("refusal")) in texts["refusals"]:
        field = texts["fields"].get(asked.get("field", ""))
        return Said(texts["refusals"][refusal or ""], is_bad=True, field=field)
    return None


def _set_around(text: str, command: str) -> Markup:
    """Set a sentence around a command, which keeps its own direction."""
    return Markup('{}<bdi dir="ltr"><code>{}</code></bdi>{}').format(
        text.partition("%s")[0], command, text.partition("%s")[2]
    )
