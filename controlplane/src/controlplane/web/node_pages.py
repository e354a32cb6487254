"""One node: how it is, its last day, what holds on it, its probes and its queue.

Not for: changing it (node_changes.py, policy_pages.py).
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controlplane.accounts.endpoints import AccountsDep
from controlplane.admins.callers import PageNodeViewer
from controlplane.dependencies import Now, SessionDep
from controlplane.errors import ControlPlaneError, NodeNotConnectedError, NodeRefusedError, NodeSilentError
from controlplane.health.probes import read_probes
from controlplane.health.sample_models import HistoryPublic
from controlplane.health.samples import KEPT_MINUTES, read_node_history
from controlplane.nodes.endpoints import TAGGED_FIELDS
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.groups import page_groups
from controlplane.nodes.reports import describe_node
from controlplane.policy import service
from controlplane.rest.tags import write_tag
from controlplane.web.charts import NODE_CHARTS
from controlplane.web.overview import MAX_GROUPS
from controlplane.web.pages import render
from controlplane.web.policy_form import list_node_fields
from nodelink.contract.accounts import PurgeWhat
from nodelink.contract.states import MAX_DAYS, MAX_WEIGHT, NodeKind

router = APIRouter(include_in_schema=False)


@router.get("/admin/nodes/{name}")
def show_node(request: Request, caller: PageNodeViewer, session: SessionDep, now: Now, name: str) -> Response:
    """Show one node."""
    node = describe_node(session, read_node(session, name), now)
    is_mail = node.kind == NodeKind.MAIL
    policy = (
        service.describe_node_policy(session, service.read_node_policy(session, name)) if is_mail else None
    )
    overrides = node.report.overrides if node.report is not None else ()
    values = {
        "node": node,
        "tag": write_tag(node, TAGGED_FIELDS),
        "is_mail": is_mail,
        "history": read_node_history(session, read_node(session, name), KEPT_MINUTES, now),
        "charts": NODE_CHARTS[NodeKind(node.kind)],
        "probes": sorted(read_probes(node), key=lambda probe: (probe.problem is None, probe.peer)),
        "policy": policy,
        "policy_tag": None if policy is None else write_tag(policy),
        "fields": [] if policy is None else list_node_fields(session, policy, overrides),
        "groups": [each.name for each in page_groups(session, caller.scope, "", MAX_GROUPS)],
        "max_weight": MAX_WEIGHT,
        "max_days": MAX_DAYS,
        "purges": list(PurgeWhat),
    }
    return render(request, "node.html", values)


@router.get("/admin/nodes/{name}/history")
def show_history(_: PageNodeViewer, session: SessionDep, now: Now, name: str) -> HistoryPublic:
    """Hand out what the charts of a node draw."""
    return read_node_history(session, read_node(session, name), KEPT_MINUTES, now)


@router.get("/admin/nodes/{name}/queue")
async def show_queue(request: Request, _: PageNodeViewer, accounts: AccountsDep, name: str) -> Response:
    """Show what waits on a node for other nodes, or that it does not answer."""
    refusal: ControlPlaneError | None = None
    items = []
    try:
        items = (await accounts.show_queue(name)).items
    except (NodeNotConnectedError, NodeRefusedError, NodeSilentError) as error:
        refusal = error
    values = {"name": name, "items": items, "refusal": None if refusal is None else refusal.code}
    return render(request, "queue.html", values)
