"""Where a rung's program sees the frames of a VLAN, and whether it has to tag them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
import structlog

from turnnode.kernel.hops import HopTable
from turnnode.kernel.ladder import Ground, climb
from turnnode.kernel.layout import NextHop
from turnnode.kernel.loader import RelayMaps
from turnnode.kernel.route_messages import Interface, Neighbour, Route
from turnnode.kernel.routes import RouteSocket
from turnnode.kernel.rungs import Rung, RungChoice

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="maps in the kernel need root")

CARD = Interface(2, "eth0", 1, b"\x02\0\0\0\0\2", 1500, "")
VLAN = replace(CARD, number=9, name="eth0.7", kind="vlan", parent=2, tag=7)
PEER_LINK = b"\x02\0\0\0\0\3"
PAIR = ("192.0.2.1", "192.0.2.9")


class VlanRoutes(RouteSocket):
    """A kernel with a VLAN on its card, by which a neighbour is reached."""

    def list_interfaces(self) -> list[Interface]:
        return [CARD, VLAN]

    def list_neighbours(self) -> list[Neighbour]:
        return [Neighbour(VLAN.number, PAIR[1], PEER_LINK)]

    def find_route(self, source: str, destination: str) -> Route | None:
        assert (source, destination) == PAIR
        return Route(VLAN.number, None, None)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_program_before_the_tags_sends_by_the_card_and_tags_itself(stack: ExitStack) -> None:
    maps = RelayMaps.create(stack, entries=4)
    hops = HopTable(VlanRoutes(stack), maps.hops)
    place = hops.hold(PAIR)
    assert place is not None
    by_vlan = NextHop(PEER_LINK, VLAN.address, VLAN.number, 1500).pack()
    by_card = NextHop(PEER_LINK, VLAN.address, CARD.number, 1500, tag=7).pack()

    assert maps.hops.read(place) == by_vlan
    hops.use_tags(True)  # noqa: FBT003 - its only parameter
    assert maps.hops.read(place) == by_card
    hops.look_again()
    assert maps.hops.read(place) == by_card
    hops.use_tags(False)  # noqa: FBT003 - its only parameter
    assert maps.hops.read(place) == by_vlan


def test_native_xdp_is_on_the_card_and_all_else_on_the_vlan(stack: ExitStack) -> None:
    ground = Ground(
        maps=RelayMaps.create(stack, entries=4),
        interfaces=[VLAN],
        carriers=[CARD],
        port=3478,
        directory=None,
        prepare=lambda _: None,
    )
    assert ground.list_entrances(Rung.XDP) == [CARD]
    assert ground.list_entrances(Rung.TC) == ground.list_entrances(Rung.GENERIC_XDP) == [VLAN]


def test_native_xdp_of_a_vlan_has_to_be_ordered(stack: ExitStack) -> None:
    loopback = Interface(1, "lo", 772, bytes(6), 65_536, "")
    ground = Ground(
        maps=RelayMaps.create(stack, entries=4),
        interfaces=[replace(loopback, parent=2, tag=7)],
        carriers=[loopback],
        port=3478,
        directory=None,
        prepare=lambda _: None,
    )
    with structlog.testing.capture_logs() as logged:
        assert climb(stack, ground, RungChoice.AUTO) is Rung.USERSPACE

    reasons = {entry["rung"]: entry["reason"] for entry in logged if "reason" in entry}
    assert "lo is a VLAN: set data_path to xdp" in reasons[Rung.XDP]
    assert "no Ethernet" in reasons[Rung.TC]
