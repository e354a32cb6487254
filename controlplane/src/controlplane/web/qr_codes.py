"""Draw QR codes as part of a page.

Not for: what is in them.
"""

import segno
from markupsafe import Markup

QUIET_ZONE_MODULES = 4  # ISO/IEC 18004 section 6.3.8; drawn light, also where the page is dark


def draw_qr_code(content: str) -> Markup:
    """Draw a QR code as SVG that is dark on light with its own margin, whatever the page looks like."""
    code = segno.make(content, error="m", micro=False)
    drawing = code.svg_inline(
        border=QUIET_ZONE_MODULES, dark="#000", light="#fff", svgclass="qr", lineclass="", omitsize=True
    )
    return Markup(drawing)  # noqa: S704 - segno's own drawing, with no text in it
