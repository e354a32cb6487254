"""Write the audit log as a file, a page of rows at a time, so that its length does not matter.

For: `GET /audit/export`.
Not for: who may have it.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum

from controlplane.admins.audit import AuditFilter, describe_entry, page_audit
from controlplane.admins.audit_models import AuditPublic
from controlplane.database import Sessions
from controlplane.vault import Vault

PAGE = 500
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """How the file is written; also how its name ends."""

    JSON_LINES = "jsonl"
    CSV = "csv"


MEDIA_TYPES = {ExportFormat.JSON_LINES: "application/jsonl", ExportFormat.CSV: "text/csv"}


def export_audit(
    sessions: Sessions, vault: Vault, wanted: AuditFilter, export_format: ExportFormat
) -> Iterator[str]:
    """Write entries, the newest first. No transaction is held open while somebody reads slowly."""
    if export_format is ExportFormat.CSV:
        yield _write_row(AuditPublic.model_fields)
    before_id: int | None = None
    while True:
        with sessions() as session:
            page = [describe_entry(entry) for entry in page_audit(session, vault, wanted, before_id, PAGE)]
        if not page:
            return
        before_id = page[-1].id
        for entry in page:
            yield write_entry(entry, export_format)


def write_entry(entry: AuditPublic, export_format: ExportFormat) -> str:
    """Write one entry as a line."""
    if export_format is ExportFormat.JSON_LINES:
        return json.dumps(entry.model_dump(mode="json")) + "\n"
    return _write_row(
        json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
        for value in entry.model_dump(mode="json").values()
    )


def _write_row(cells: Iterable[str]) -> str:
    """Write a row of CSV (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe."""
    line = io.StringIO()
    csv.writer(line).writerow("'" + cell if cell.startswith(FORMULA_BEGINNINGS) else cell for cell in cells)
    return line.getvalue()
