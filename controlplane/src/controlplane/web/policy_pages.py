"""Change a policy by its form: of the fleet, of a group, of a node.

Not for: showing the forms, which stand on the pages of what they are about.
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.admins.callers import PageFleetOperator, PageGroupOperator, PageNodeOperator
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.nodes.fleet import begin_change
from controlplane.policy import service
from controlplane.policy.models import FleetPolicyChange, OverridesChange
from controlplane.rest.tags import Precondition, write_tag
from controlplane.web.forms import OwnFormDep, read_model
from controlplane.web.pages import go_back
from controlplane.web.policy_form import read_policy
from controlplane.web.texts.notices import Notice

router = APIRouter(include_in_schema=False)


@router.post("/admin/policy")
def change_fleet_policy(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageFleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
) -> Response:
    """Put in force what was chosen for the fleet."""
    change = read_model(FleetPolicyChange, read_policy(form, follows=False))
    begin_change(session)
    Precondition(form.text("tag")).check(write_tag(service.describe_fleet_policy(session)))
    service.change_fleet_policy(session, plane.facts, caller.at(now), change)
    return go_back(request, Notice.CHANGED)


@router.post("/admin/groups/{group}/policy")
def change_group_policy(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageGroupOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
    group: str,
) -> Response:
    """Put in force what was chosen for a group."""
    change = read_model(OverridesChange, read_policy(form, follows=True))
    begin_change(session)
    policy = service.describe_group_policy(session, service.read_group_policy(session, group))
    Precondition(form.text("tag")).check(write_tag(policy))
    service.change_group_policy(session, plane.facts, caller.at(now), group, change)
    return go_back(request, Notice.CHANGED)


@router.post("/admin/nodes/{name}/policy")
def change_node_policy(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    caller: PageNodeOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    form: OwnFormDep,
    name: str,
) -> Response:
    """Put in force what was chosen for a node."""
    change = read_model(OverridesChange, read_policy(form, follows=True))
    begin_change(session)
    policy = service.describe_node_policy(session, service.read_node_policy(session, name))
    Precondition(form.text("tag")).check(write_tag(policy))
    service.change_node_policy(session, plane.facts, caller.at(now), name, change)
    return go_back(request, Notice.CHANGED)
