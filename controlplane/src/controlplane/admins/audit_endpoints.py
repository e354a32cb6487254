"""The audit log over HTTP: in pages, or all of it as a file.

Not for: writing it (audit.py).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from controlplane.admins import audit
from controlplane.admins.audit_export import MEDIA_TYPES, ExportFormat, export_audit
from controlplane.admins.audit_models import Action, AuditPublic
from controlplane.admins.callers import FleetViewer
from controlplane.dependencies import PlaneDep, SessionDep
from controlplane.rest.paging import Page, PageDep

LIST = "audit"
MAX_TEXT = 330
LATEST_SECONDS = 1 << 40

Text = Annotated[str | None, Query(max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]
Seconds = Annotated[int | None, Query(ge=0, le=LATEST_SECONDS)]

router = APIRouter(tags=["audit"])


def read_filter(  # noqa: PLR0913, PLR0917 - what can be asked for
    admin: Text = None,
    action: Action | None = None,
    target: Text = None,
    subject: Text = None,
    since_seconds: Seconds = None,
    until_seconds: Seconds = None,
) -> audit.AuditFilter:
    """Read which entries are asked for; `subject` also finds entries where it has become a hash."""
    return audit.AuditFilter(admin, action, target, subject, since_seconds, until_seconds)


FilterDep = Annotated[audit.AuditFilter, Depends(read_filter)]


@router.get("/audit")
def list_audit(
    _: FleetViewer, session: SessionDep, plane: PlaneDep, wanted: FilterDep, page: PageDep
) -> Page[AuditPublic]:
    """List what admins have changed, the newest first."""
    entries = audit.page_audit(session, plane.vault, wanted, page.read_number(LIST), page.limit + 1)
    return page.cut(LIST, [audit.describe_entry(entry) for entry in entries], lambda entry: entry.id)


@router.get(
    "/audit/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()}}
    },
)
def export(
    _: FleetViewer,
    plane: PlaneDep,
    wanted: FilterDep,
    format_: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.JSON_LINES,
) -> StreamingResponse:
    """Hand out all that admins have changed, the newest first, as JSON lines or CSV."""
    return StreamingResponse(
        export_audit(plane.sessions, plane.vault, wanted, format_),
        media_type=MEDIA_TYPES[format_],
        headers={"content-disposition": f'attachment; filename="audit.{format_.value}"'},
    )
