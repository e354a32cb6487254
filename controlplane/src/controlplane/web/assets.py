"""What pages are made of beside HTML: styles, scripts, the icon.

For: files of the wheel; static/vendor/README.md says whose are those of others.
Not for: pages.
"""

from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import Response


@dataclass(frozen=True, slots=True)
class Asset:
    """A file below static/, and what it is."""

    file: str
    media_type: str


ASSETS = {
    "admin.js": Asset("admin.js", "text/javascript"),
    "charts.js": Asset("charts.js", "text/javascript"),
    "htmx.js": Asset("vendor/htmx.min.js", "text/javascript"),
    "htmx-sse.js": Asset("vendor/htmx-sse.min.js", "text/javascript"),
    "icon.svg": Asset("icon.svg", "image/svg+xml"),
    "sign-in.js": Asset("sign-in.js", "text/javascript"),
    "style.css": Asset("style.css", "text/css"),
    "uplot.css": Asset("vendor/uplot.min.css", "text/css"),
    "uplot.js": Asset("vendor/uplot.min.js", "text/javascript"),
}
LONG_KEPT = "max-age=31536000, immutable"
"""Pages name an asset with a digest of its content, so a new one has a new address."""

router = APIRouter(include_in_schema=False)


@router.get("/assets/{name}")
def show_asset(name: str) -> Response:
    """Hand out what pages are made of."""
    asset = ASSETS.get(name)
    if asset is None:
        return Response(status_code=404)
    content = (files("controlplane.web") / "static" / asset.file).read_bytes()
    return Response(content, media_type=asset.media_type, headers={"cache-control": LONG_KEPT})
