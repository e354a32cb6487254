"""Change one node by the forms of its page.

Not for: rules (nodes/, accounts/), nor for its policy (policy_pages.py).
"""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from controlplane.accounts import orders
from controlplane.accounts.endpoints import AccountsDep
from controlplane.accounts.models import PurgeRequest, QueuePurgeRequest
from controlplane.admins.audit import record
from controlplane.admins.audit_models import Action
from controlplane.admins.callers import PageFleetOperator, PageNodeOperator
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.federation import service as federation
from controlplane.nodes import administration, enrolment
from controlplane.nodes.endpoints import TAGGED_FIELDS
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.models import NodeChange, NodeMove
from controlplane.nodes.reports import describe_node
from controlplane.rest.paging import MAX_LIMIT, PageQuery
from controlplane.rest.tags import Precondition, write_tag
from controlplane.web.errors import BadFormError
from controlplane.web.forms import Form, OwnFormDep, read_model
from controlplane.web.links import HOME, write_page
from controlplane.web.pages import go_back, go_to
from controlplane.web.texts.notices import Notice

router = APIRouter(include_in_schema=False)


def check_seen(session: SessionDep, now: Now, form: OwnFormDep, name: str) -> Form:
    """See that a node still is as the page has shown it. Begins a change.

    Raises:
        UnknownNodeError: There is no node of this name.
        ChangedMeanwhileError: Somebody has changed it.
    """
    begin_change(session)
    node = describe_node(session, enrolment.read_node(session, name), now)
    Precondition(form.text("tag")).check(write_tag(node, TAGGED_FIELDS))
    return form


SeenForm = Annotated[Form, Depends(check_seen)]


@router.post("/admin/nodes/{name}")
def change_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageNodeOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: SeenForm,
    name: str,
) -> Response:
    """Change what a node is called, how much it gets, and whether it drains."""
    values: dict[str, object] = {}
    if "label" in form:
        values["label"] = form.text("label").strip()
    if "weight" in form:
        values["weight"] = form.number("weight")
    if "is_draining" in form:
        values["is_draining"] = form.switch("is_draining")
    change = read_model(NodeChange, values)
    administration.change_node(session, plane.facts, caller.at(now), name, change)
    return go_back(request, Notice.CHANGED)


@router.post("/admin/nodes/{name}/group")
def move_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageFleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: SeenForm,
    name: str,
) -> Response:
    """Put a node into a group, or out of any."""
    move = read_model(NodeMove, {"group": form.word("group")})
    administration.move_node(session, plane.facts, caller.at(now), name, move)
    return go_back(request, Notice.CHANGED)


@router.post("/admin/nodes/{name}/retire")
def retire_node(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: PageFleetOperator, session: SessionDep, plane: PlaneDep, now: Now, form: SeenForm, name: str
) -> Response:
    """Make a node none of the fleet any more, if its name was written to confirm it."""
    if form.text("name").strip() != name:
        raise BadFormError("name")
    enrolment.retire_node(session, plane.facts, name, caller.at(now))
    return go_to(HOME, Notice.REMOVED)


@router.post("/admin/nodes/{name}/queue/purge")
def purge_queue(
    caller: PageNodeOperator, session: SessionDep, now: Now, form: OwnFormDep, name: str
) -> Response:
    """Have let go what waits on a node for other nodes."""
    wanted = read_model(QueuePurgeRequest, {"destination": form.word("destination")})
    row = orders.purge_queue(session, caller.at(now), name, wanted.destination)
    return go_to(write_page("operations", row.id), Notice.ORDERED)


@router.post("/admin/nodes/{name}/dkim-keys")
def rotate_dkim_keys(
    caller: PageNodeOperator, session: SessionDep, now: Now, _: OwnFormDep, name: str
) -> Response:
    """Have a node announce its next signing keys."""
    row = federation.rotate_dkim_keys(session, caller.at(now), name)
    return go_to(write_page("operations", row.id), Notice.ORDERED)


@router.post("/admin/nodes/{name}/purge")
def purge_node(
    caller: PageNodeOperator, session: SessionDep, now: Now, form: OwnFormDep, name: str
) -> Response:
    """Have messages of all accounts of a node let go."""
    row = orders.purge_mail(session, caller.at(now), name, None, read_purge(form))
    return go_to(write_page("operations", row.id), Notice.ORDERED)


@router.post("/admin/nodes/{name}/account-export")
async def export_accounts(
    caller: PageNodeOperator,
    accounts: AccountsDep,
    plane: PlaneDep,
    now: Now,
    _: OwnFormDep,
    name: str,
) -> Response:
    """Hand out a node's accounts with the hashes of their passwords, as a file that can be imported."""
    lines: list[str] = []
    cursor: str | None = None
    while True:
        found = await accounts.export(name, PageQuery(MAX_LIMIT, cursor))
        lines += (json.dumps(item.model_dump()) + "\n" for item in found.items)
        cursor = found.next_cursor
        if cursor is None:
            break

    def note() -> None:
        with plane.sessions.begin() as session:
            record(session, caller.at(now), Action.ACCOUNT_EXPORT, name, after={"accounts": len(lines)})

    await run_in_threadpool(note)
    headers = {"content-disposition": f'attachment; filename="accounts-{name}.jsonl"'}
    return Response("".join(lines), media_type="application/jsonl", headers=headers)


def read_purge(form: Form) -> PurgeRequest:
    """Read which messages are to go. Raises: BadFormError."""
    values: dict[str, object] = {"what": form.text("what")}
    if form.text("what") == "older":
        days = form.number("older_than_days")
        if days is None:
            raise BadFormError("older_than_days")
        values["older_than_days"] = days
    return read_model(PurgeRequest, values)
