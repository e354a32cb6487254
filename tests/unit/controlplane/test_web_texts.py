"""The texts of the web admin: none is missing, none is left over, and both languages say the same."""

import re
from importlib.resources import files

import pytest

from controlplane import errors
from controlplane.admins.access import Role, ScopeKind
from controlplane.admins.audit_models import Action
from controlplane.admins.models import TokenState
from controlplane.errors import ControlPlaneError
from controlplane.nodes.models import Health
from controlplane.nodes.turn_models import TurnSecretState
from controlplane.nodes.turn_zone import Absence
from controlplane.operations.models import OperationName, OperationState
from controlplane.policy.models import FleetRules, PolicyValues
from controlplane.registration.token_models import InvitationState
from controlplane.web.policy_form import FIELDS, FLEET_FIELDS
from controlplane.web.texts.catalogue import CATALOGUE
from controlplane.web.texts.notices import Notice
from controlplane.zone.models import Purpose
from nodelink.contract.federation import DkimStage, FederationMode
from nodelink.contract.states import NodeKind

BY_VALUE = {"actions", "charts", "fields", "healths", "hints", "kinds", "notices", "operation_names"}
BY_VALUE |= {"operation_states", "refusals", "registration_states", "roles", "scopes", "token_states"}
BY_VALUE |= {"dkim_stages", "federation_modes", "record_purposes", "turn_absences", "turn_secret_states"}
NOT_ON_PAGES = {"registration_closed", "token_needed", "token_refused", "cross_site", "too_many_accounts"}
NOT_ON_PAGES |= {"no_room", "join_refused", "not_signed_in", "session_over", "key_in_use", "fleet_full"}
NOT_ON_PAGES |= {"too_many_attempts", "token_elsewhere"}


def read_templates() -> str:
    folder = files("controlplane.web") / "templates"
    pages = [*folder.iterdir(), *(folder / "parts").iterdir()]
    return "".join(page.read_text() for page in pages if page.is_file())


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("actions", Action),
        ("dkim_stages", DkimStage),
        ("federation_modes", FederationMode),
        ("healths", Health),
        ("kinds", NodeKind),
        ("notices", Notice),
        ("operation_names", OperationName),
        ("operation_states", OperationState),
        ("record_purposes", Purpose),
        ("registration_states", InvitationState),
        ("roles", Role),
        ("scopes", ScopeKind),
        ("token_states", TokenState),
        ("turn_absences", Absence),
        ("turn_secret_states", TurnSecretState),
    ],
)
def test_everything_that_has_a_value_has_a_word(page: str, names: type[Health]) -> None:
    assert set(CATALOGUE[page]) == set(names)


def test_each_field_of_a_policy_has_a_line_a_word_and_a_hint() -> None:
    assert set(FIELDS) == set(PolicyValues.model_fields)
    assert set(FLEET_FIELDS) == set(FleetRules.model_fields)
    assert set(CATALOGUE["hints"]) == set(FIELDS) | set(FLEET_FIELDS)
    assert set(FIELDS) | set(FLEET_FIELDS) <= set(CATALOGUE["fields"])


def test_each_refusal_that_a_page_can_meet_has_a_sentence() -> None:
    codes = {
        error.code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, ControlPlaneError) and "code" in vars(error)
    }

    assert codes - NOT_ON_PAGES <= set(CATALOGUE["refusals"])


def test_each_text_is_used_by_a_template() -> None:
    templates = read_templates()
    computed = {"accounts": ("by_", "confirm_"), "node": ("purge_",), "audit": ("export_",)}
    looked_up = {"frame": {"overview", "groups", "registration", "accounts", "operations", "tokens", "audit"}}
    looked_up["frame"] |= {"federation", "turn"}
    looked_up |= {"overview": {"accounts", "messages", "sessions", "calls", "storage"}}
    looked_up["accounts"] = {"block", "unblock"}
    said_by_code = {"never", "just_now", "seconds_ago", "minutes_ago", "hours_ago", "days_ago"}
    unused = [
        f"{page}.{name}"
        for page, phrases in CATALOGUE.items()
        if page not in BY_VALUE
        for name in phrases
        if not re.search(rf"\bt\.{page}\.{name}\b", templates)
        and not name.startswith(computed.get(page, ("\0",)))
        and name not in looked_up.get(page, set())
        and name not in said_by_code
    ]

    assert unused == []


def test_no_text_has_the_name_of_a_method() -> None:
    """A template would get the method of `dict` in its place."""
    assert {name for phrases in CATALOGUE.values() for name in phrases} & set(dir(dict)) == set()


def test_both_languages_leave_the_same_places_and_persian_has_its_own_digits() -> None:
    for page, phrases in CATALOGUE.items():
        for name, phrase in phrases.items():
            assert phrase.en.count("%s") == phrase.fa.count("%s"), (page, name)
            assert phrase.en.strip()
            assert phrase.fa.strip()
            assert not re.search(r"(?<![A-Za-z0-9])[0-9]+(?![MGTK0-9])\b", phrase.fa), (page, name)
            assert not re.search("[يك]", phrase.fa), (page, name)  # Arabic letters in place of Persian ones
