"""What admins have changed: the list with its filter, and the same as a file.

Not for: writing it (admins/audit.py).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from controlplane.admins.audit import AuditFilter, describe_entry, page_audit
from controlplane.admins.audit_export import MEDIA_TYPES, ExportFormat, export_audit
from controlplane.admins.audit_models import Action
from controlplane.admins.callers import PageFleetViewer
from controlplane.dependencies import PlaneDep, SessionDep
from controlplane.rest.paging import PageDep
from controlplane.web.pages import render

LIST = "web audit"
Text = Annotated[str, Query(max_length=330, pattern=r"^[^\x00]*$")]

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, as it was typed. A dependency."""

    admin: Text = ""
    action: Text = ""
    target: Text = ""
    subject: Text = ""
    since: Text = ""
    until: Text = ""

    @property
    def filter(self) -> AuditFilter:
        """What is looked for; what is no day and no action is as nothing."""
        return AuditFilter(
            self.admin or None,
            Action(self.action) if self.action in set(Action) else None,
            self.target or None,
            self.subject or None,
            _read_day(self.since),
            _read_day(self.until),
        )


AskedDep = Annotated[Asked, Depends()]


@router.get("/admin/audit")
def show_audit(
    request: Request, _: PageFleetViewer, session: SessionDep, plane: PlaneDep, page: PageDep, asked: AskedDep
) -> Response:
    """List what admins have changed, the newest first."""
    rows = page_audit(session, plane.vault, asked.filter, page.read_number(LIST), page.limit + 1)
    values = {
        "entries": page.cut(LIST, [describe_entry(row) for row in rows], lambda entry: entry.id),
        "asked": asked,
        "is_filtered": asked.filter != AuditFilter(),
        "actions": list(Action),
    }
    return render(request, "audit.html", values)


@router.get("/admin/audit/export")
def export(
    _: PageFleetViewer,
    plane: PlaneDep,
    asked: AskedDep,
    format_: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.JSON_LINES,
) -> StreamingResponse:
    """Hand out what is looked for as a file."""
    return StreamingResponse(
        export_audit(plane.sessions, plane.vault, asked.filter, format_),
        media_type=MEDIA_TYPES[format_],
        headers={"content-disposition": f'attachment; filename="audit.{format_.value}"'},
    )


def _read_day(text: str) -> int | None:
    """Read the beginning of a day, in UTC; `None` for what is no day."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return int(datetime.combine(day, time(), UTC).timestamp())
