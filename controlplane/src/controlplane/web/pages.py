"""Render the pages.

For: HTML around values; templates escape all of them.
Not for: what is shown (endpoints.py gathers it).
"""

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from controlplane.dependencies import lend_plane
from controlplane.policy.quantities import format_exact_size, format_size
from controlplane.web.texts import TEXTS, Language, Notice, choose_language

LANGUAGE_COOKIE = "language"
JOIN_PATH = "/join"
LANGUAGE_SECONDS = 365 * 86_400
PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def build_templates() -> Environment:
    """Build what renders; a name that a page does not know is an error."""
    templates = Environment(
        loader=PackageLoader("controlplane.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["size"] = format_size
    templates.filters["exact_size"] = format_exact_size
    templates.filters["around"] = _set_around
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
    language = choose_language(
        asked, request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", "")
    )
    texts = TEXTS[language]
    templates: Environment = request.app.state.templates
    content = templates.get_template(template).render(
        t=texts,
        language=language,
        languages=[(other, TEXTS[other].language_name) for other in Language if other is not language],
        path=request.url.path if request.method == "GET" or request.url.path == JOIN_PATH else "/",
        fleet_name=lend_plane(request).settings.fleet_name,
        notice=None if notice is None else texts.notices[notice],
        digits=(lambda text: str(text).translate(PERSIAN_DIGITS)) if language is Language.FA else str,
        **values,
    )
    response = HTMLResponse(content, status)
    if asked in set(Language):
        response.set_cookie(
            LANGUAGE_COOKIE, language, LANGUAGE_SECONDS, secure=True, httponly=True, samesite="lax"
        )
    return response


def _set_around(text: str, command: str) -> Markup:
    """Set a sentence around a command, which keeps its own direction."""
    return Markup('{}<bdi dir="ltr"><code>{}</code></bdi>{}').format(
        text.partition("%s")[0], command, text.partition("%s")[2]
    )
