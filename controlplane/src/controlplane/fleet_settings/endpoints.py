"""Settings and services over HTTP, of the fleet and of a node.

Not for: rules (service.py), commits (dependencies.py).
"""

from collections.abc import Iterable

from fastapi import APIRouter, Response
from sqlmodel import Session

from controlplane.admins.access import Scope, ScopeKind
from controlplane.admins.callers import AnyViewer, FleetOperator, NodeOperator, NodeViewer
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.errors import TurnSecretsInUseError, UnknownNodeError, WrongKindError
from controlplane.fleet_settings import service
from controlplane.fleet_settings.catalogue import SERVICES, SETTINGS, Service, Setting
from controlplane.fleet_settings.errors import (
    BadValueError,
    ClosedPortError,
    FleetWideError,
    NotOfferedError,
    SetByAnsibleError,
    UnknownSettingError,
)
from controlplane.fleet_settings.models import (
    ServiceChange,
    ServiceList,
    ServicePublic,
    SettingChange,
    SettingList,
    SettingPublic,
)
from controlplane.nodes.fleet import begin_change
from controlplane.nodes.port_errors import PortsUnknownError, PortTakenError, WrongPortError
from controlplane.nodes.reports import NodeFilter, list_missing
from controlplane.plane import Plane
from controlplane.rest.documentation import TAGGED
from controlplane.rest.refusals import refuses
from controlplane.rest.tags import Seen, SeenIfSaid, write_tag

SECRETS = frozenset({"turn_secret"})
"""Are not read back here; who has lost one sets another."""

CHANGING = (
    UnknownSettingError,
    SetByAnsibleError,
    NotOfferedError,
    BadValueError,
    TurnSecretsInUseError,
    ClosedPortError,
    PortsUnknownError,
    PortTakenError,
)
CHANGING_NODE = (*CHANGING, FleetWideError, UnknownNodeError, WrongKindError, WrongPortError)
SWITCHING = (UnknownSettingError, SetByAnsibleError, NotOfferedError)

router = APIRouter(tags=["settings"])


@router.get("/settings")
def list_settings(_: AnyViewer, session: SessionDep, plane: PlaneDep) -> SettingList:
    """List all that can be set on the fleet, who decides it, and what holds."""
    return SettingList(items=_describe_settings(session, plane, None, SETTINGS.values()))


@router.get("/settings/{setting}", responses=TAGGED)
@refuses(UnknownSettingError)
def show_setting(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: AnyViewer, response: Response, session: SessionDep, plane: PlaneDep, now: Now, setting: str
) -> SettingPublic:
    """Show a setting of the fleet."""
    shown = _show_setting(response, session, plane, None, service.find_setting(setting))
    return _name_missing(session, shown, caller.scope, now)


@router.put("/settings/{setting}", responses=TAGGED)
@refuses(*CHANGING)
def change_setting(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    setting: str,
    change: SettingChange,
) -> SettingPublic:
    """Set something on the fleet. It is in force within two seconds."""
    found = service.find_setting(setting)
    begin_change(session)
    seen.check(_write_tag(session, plane, None, found))
    service.change_setting(session, plane.facts, caller.at(now), None, found, change.value)
    shown = _show_setting(response, session, plane, None, found)
    return _name_missing(session, shown, caller.scope, now)


@router.delete("/settings/{setting}", status_code=204)
@refuses(*CHANGING)
def reset_setting(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator, session: SessionDep, plane: PlaneDep, now: Now, seen: SeenIfSaid, setting: str
) -> None:
    """Let a setting be as in a new fleet."""
    found = service.find_setting(setting)
    begin_change(session)
    seen.check(_write_tag(session, plane, None, found))
    service.change_setting(session, plane.facts, caller.at(now), None, found, None)


@router.get("/nodes/{name}/settings")
@refuses(UnknownNodeError)
def list_node_settings(_: NodeViewer, session: SessionDep, plane: PlaneDep, name: str) -> SettingList:
    """List all that can be set on a node, who decides it, and what holds there."""
    return SettingList(items=_describe_settings(session, plane, name, SETTINGS.values()))


@router.get("/nodes/{name}/settings/{setting}", responses=TAGGED)
@refuses(UnknownNodeError, UnknownSettingError)
def show_node_setting(  # noqa: PLR0913, PLR0917 - what the framework hands in
    _: NodeViewer,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    name: str,
    setting: str,
) -> SettingPublic:
    """Show a setting of a node."""
    shown = _show_setting(response, session, plane, name, service.find_setting(setting))
    return _name_missing(session, shown, Scope(ScopeKind.NODE, name), now)


@router.put("/nodes/{name}/settings/{setting}", responses=TAGGED)
@refuses(*CHANGING_NODE)
def change_node_setting(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    response: Response,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: Seen,
    name: str,
    setting: str,
    change: SettingChange,
) -> SettingPublic:
    """Set something on a node, which then differs from its group and the fleet."""
    found = service.find_setting(setting)
    begin_change(session)
    seen.check(_write_tag(session, plane, name, found))
    service.change_setting(session, plane.facts, caller.at(now), name, found, change.value)
    shown = _show_setting(response, session, plane, name, found)
    return _name_missing(session, shown, Scope(ScopeKind.NODE, name), now)


@router.delete("/nodes/{name}/settings/{setting}", status_code=204)
@refuses(*CHANGING_NODE)
def reset_node_setting(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    seen: SeenIfSaid,
    name: str,
    setting: str,
) -> None:
    """Let a node follow its group and the fleet again."""
    found = service.find_setting(setting)
    begin_change(session)
    seen.check(_write_tag(session, plane, name, found))
    service.change_setting(session, plane.facts, caller.at(now), name, found, None)


@router.get("/services")
def list_services(_: AnyViewer, session: SessionDep, plane: PlaneDep) -> ServiceList:
    """List what is on or off in the fleet, and what is not there."""
    return _list_services(session, plane, None)


@router.put("/services/{service_name}")
@refuses(*SWITCHING)
def switch_service(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: FleetOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    service_name: str,
    change: ServiceChange,
) -> ServicePublic:
    """Switch something on or off in the fleet. It is in force within two seconds."""
    found = service.find_service(service_name)
    begin_change(session)
    service.switch_service(session, plane.facts, caller.at(now), None, found, is_on=change.is_enabled)
    shown = _describe_service(service.read_facts(session, plane.facts, None), found)
    missing = list_missing(session, NodeFilter(caller.scope), now)
    return shown.model_copy(update={"missing_nodes": missing})


@router.get("/nodes/{name}/services")
@refuses(UnknownNodeError)
def list_node_services(_: NodeViewer, session: SessionDep, plane: PlaneDep, name: str) -> ServiceList:
    """List what is on or off on a node, and what is not there."""
    return _list_services(session, plane, name)


@router.put("/nodes/{name}/services/{service_name}")
@refuses(*SWITCHING, UnknownNodeError, WrongKindError)
def switch_node_service(  # noqa: PLR0913, PLR0917 - what the framework hands in
    caller: NodeOperator,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    name: str,
    service_name: str,
    change: ServiceChange,
) -> ServicePublic:
    """Switch something on or off on a node, which then differs from its group and the fleet."""
    found = service.find_service(service_name)
    begin_change(session)
    service.switch_service(session, plane.facts, caller.at(now), name, found, is_on=change.is_enabled)
    shown = _describe_service(service.read_facts(session, plane.facts, name), found)
    missing = list_missing(session, NodeFilter(Scope(ScopeKind.NODE, name)), now)
    return shown.model_copy(update={"missing_nodes": missing})


def _describe_settings(
    session: Session, plane: Plane, node: str | None, settings: Iterable[Setting]
) -> list[SettingPublic]:
    facts = service.read_facts(session, plane.facts, node)
    return [_describe(service.show_setting(session, facts, node, setting)) for setting in settings]


def _describe(found: service.Found) -> SettingPublic:
    setting, is_shown = found.setting, found.setting.name not in SECRETS
    return SettingPublic(
        name=setting.name,
        owner=setting.owner,
        variable=setting.variable,
        meaning=setting.meaning,
        is_set=found.is_set,
        value=found.said if found.said and is_shown else None,
        in_force=found.in_force if found.in_force and is_shown else None,
    )


def _write_tag(session: Session, plane: Plane, node: str | None, setting: Setting) -> str:
    (shown,) = _describe_settings(session, plane, node, [setting])
    return write_tag(shown)


def _show_setting(
    response: Response, session: Session, plane: Plane, node: str | None, setting: Setting
) -> SettingPublic:
    (shown,) = _describe_settings(session, plane, node, [setting])
    response.headers["etag"] = write_tag(shown)
    return shown


def _name_missing(session: Session, shown: SettingPublic, scope: Scope, now_seconds: int) -> SettingPublic:
    missing = list_missing(session, NodeFilter(scope), now_seconds)
    return shown.model_copy(update={"missing_nodes": missing})


def _list_services(session: Session, plane: Plane, node: str | None) -> ServiceList:
    facts = service.read_facts(session, plane.facts, node)
    return ServiceList(items=[_describe_service(facts, each) for each in SERVICES.values()])


def _describe_service(facts: service.Facts, found: Service) -> ServicePublic:
    return ServicePublic(
        name=found.name,
        is_offered=found.field is not None,
        is_enabled=service.is_enabled(facts, found),
        meaning=found.meaning,
    )
