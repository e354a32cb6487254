"""Which addresses the TURN name has."""

from controlplane.nodes.turn_zone import Absence, ZoneCandidate, decide_zone

NAME = "turn.example.org"


def candidate(node: str, *addresses: str, connected: bool = True, draining: bool = False) -> ZoneCandidate:
    return ZoneCandidate(node, addresses, connected, draining)


def test_all_nodes_that_live_and_do_not_drain_are_published() -> None:
    zone = decide_zone(
        NAME,
        [
            candidate("turn3", "192.0.2.3", draining=True),
            candidate("turn2", "192.0.2.2", connected=False),
            candidate("turn1", "192.0.2.1", "2001:db8::1"),
        ],
    )

    assert zone.records == [f"{NAME}. 60 IN A 192.0.2.1", f"{NAME}. 60 IN AAAA 2001:db8::1"]
    assert [(each.node, each.absence) for each in zone.nodes] == [
        ("turn1", None),
        ("turn2", Absence.NOT_CONNECTED),
        ("turn3", Absence.DRAINING),
    ]


def test_draining_nodes_stay_while_there_is_no_other() -> None:
    zone = decide_zone(
        NAME,
        [candidate("turn1", "192.0.2.1", draining=True), candidate("turn2", "192.0.2.2", connected=False)],
    )

    assert zone.records == [f"{NAME}. 60 IN A 192.0.2.1"]


def test_name_keeps_its_addresses_while_nobody_is_heard_of() -> None:
    zone = decide_zone(NAME, [candidate("turn1", "192.0.2.1", connected=False)])

    assert zone.records == [f"{NAME}. 60 IN A 192.0.2.1"]


def test_fleet_without_a_name_has_no_records() -> None:
    zone = decide_zone(None, [candidate("turn1", "192.0.2.1")])

    assert (zone.name, zone.records) == (None, [])
