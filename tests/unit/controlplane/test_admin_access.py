"""Who reaches what: the whole table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.admins.access import (
    WHOLE_FLEET,
    Place,
    Reach,
    Role,
    Scope,
    ScopeKind,
    is_reached,
    is_trusted,
)

GROUP = Scope(ScopeKind.GROUP, "eu")
NODE = Scope(ScopeKind.NODE, "mail1")
NOWHERE = Place()
IN_GROUP = Place(group="eu")
OTHER_GROUP = Place(group="us")
NODE_IN_GROUP = Place("mail1", "eu")
NODE_OF_OTHERS = Place("mail2", "us")
NODE_OF_NONE = Place("mail2", None)

names = st.sampled_from(["eu", "us", "mail1", "mail2", "x"])


@pytest.mark.parametrize(
    ("scope", "reach", "place", "is_right"),
    [
        (GROUP, Reach.FLEET, NOWHERE, False),
        (GROUP, Reach.GROUP, IN_GROUP, True),
        (GROUP, Reach.GROUP, OTHER_GROUP, False),
        (GROUP, Reach.NODE, NODE_IN_GROUP, True),
        (GROUP, Reach.NODE, NODE_OF_OTHERS, False),
        (GROUP, Reach.NODE, NODE_OF_NONE, False),
        (GROUP, Reach.ANY, NOWHERE, True),
        (NODE, Reach.FLEET, NOWHERE, False),
        (NODE, Reach.GROUP, IN_GROUP, False),
        (NODE, Reach.NODE, NODE_IN_GROUP, True),
        (NODE, Reach.NODE, NODE_OF_OTHERS, False),
        (NODE, Reach.ANY, NOWHERE, True),
    ],
)
def test_scope_reaches_its_own_part_and_no_other(
    scope: Scope, reach: Reach, place: Place, *, is_right: bool
) -> None:
    assert is_reached(scope, reach, place) is is_right


@given(st.sampled_from(Reach), st.builds(Place, st.none() | names, st.none() | names))
def test_whole_fleet_reaches_everything(reach: Reach, place: Place) -> None:
    assert is_reached(WHOLE_FLEET, reach, place)


@given(names, st.sampled_from([ScopeKind.GROUP, ScopeKind.NODE]), names, names)
def test_name_of_one_kind_is_not_taken_for_the_other(
    name: str, kind: ScopeKind, node: str, group: str
) -> None:
    reached = is_reached(Scope(kind, name), Reach.NODE, Place(node, group))

    assert reached is (name == (node if kind is ScopeKind.NODE else group))


def test_roles_include_one_another() -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.OWNER]
    for held in range(3):
        assert [is_trusted(order[held], needed) for needed in order] == [rank <= held for rank in range(3)]
