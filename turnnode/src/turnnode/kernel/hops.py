"""Where frames go next: the links' addresses for each pair of hosts that talk, kept up to date.

    first flow of a pair ─▶ route, neighbour ─▶ element of `hops` ◀─ the kernel tells of a change
                                   └── not known: userspace sends, and so the kernel finds it out

For: programs, which only look it up. The kernel's own look-up from a program would need the host to forward
packets between its networks, which a TURN node should not.
Not for: flows.
"""

from typing import Final

from turnnode.kernel.layout import NO_HOP, NextHop
from turnnode.kernel.maps import SharedArray
from turnnode.kernel.route_messages import Interface, Message, Route, read_neighbour
from turnnode.kernel.routes import RouteSocket

MAX_IDLE: Final = 1024


Pair = tuple[str, str]
"""A host of ours and one that it sends to."""


class HopTable:
    """Next hops of pairs, each at a place in the array; place 0 is never used.

    Args:
        routes: Whom to ask.
        array: What programs read.
    """

    def __init__(self, routes: RouteSocket, array: SharedArray) -> None:
        self._routes = routes
        self._array = array
        self._free = list(range(array.entries - 1, 0, -1))
        self._places: dict[Pair, int] = {}
        self._uses: dict[Pair, int] = {}
        self._idle: dict[Pair, None] = {}  # in the order in which their last users left
        self._found: dict[Pair, Route | None] = {}
        self._links: dict[int, Interface] = {}
        self._neighbours: dict[tuple[int, str], bytes] = {}
        self._has_tags = False
        self._read_links()

    def use_tags(self, has_tags: bool) -> None:  # noqa: FBT001 - its only parameter
        """Have programs tag frames for VLANs themselves, or leave that to the VLANs' own interfaces."""
        if has_tags != self._has_tags:
            self._has_tags = has_tags
            for pair in self._places:
                self._write(pair)

    def hold(self, pair: Pair) -> int | None:
        """Return the place of a pair's next hop, known or not yet; `None` if there is no more room."""
        place = self._places.get(pair)
        if place is None:
            if not self._free and not self._idle:
                return None
            if not self._free:
                self._forget(next(iter(self._idle)))
            place = self._places[pair] = self._free.pop()
            self._uses[pair] = 0
            self._found[pair] = self._routes.find_route(*pair)
            self._write(pair)
            self._seek(pair)
        self._uses[pair] += 1
        self._idle.pop(pair, None)
        return place

    def is_known(self, pair: Pair) -> bool:
        """Tell whether programs know where to send."""
        place = self._places.get(pair)
        return place is not None and self._array.read(place) != NO_HOP

    def release(self, pair: Pair) -> None:
        """Need a place no more. It is kept for a while: who has called calls again."""
        self._uses[pair] -= 1
        if self._uses[pair]:
            return
        self._idle[pair] = None
        if len(self._idle) > MAX_IDLE:
            self._forget(next(iter(self._idle)))

    def follow_changes(self) -> None:
        """Take over what has changed: call this when the socket of changes is readable."""
        messages = self._routes.read_changes()
        if messages is None:
            self.look_again()
            return
        neighbours = [self._learn(message) for message in messages]
        if None in neighbours:
            self.look_again()
            return
        for pair in self._places:
            if self._neighbour_of(pair) in neighbours:
                self._write(pair)

    def look_again(self) -> None:
        """Ask for everything anew."""
        self._read_links()
        for pair in self._found:
            self._found[pair] = self._routes.find_route(*pair)
        for pair in self._places:
            self._write(pair)

    def confirm(self) -> None:
        """Have the kernel check the neighbours in use: it does not see what programs send there."""
        for interface, host in {
            hop for pair in self._places if (hop := self._neighbour_of(pair)) is not None
        }:
            self._routes.use_neighbour(interface, host)

    def _seek(self, pair: Pair) -> None:
        """Have the kernel find a neighbour that it does not know yet."""
        hop = self._neighbour_of(pair)
        if hop is not None and hop not in self._neighbours:
            self._routes.use_neighbour(*hop)

    def _read_links(self) -> None:
        self._links = {interface.number: interface for interface in self._routes.list_interfaces()}
        self._neighbours = {
            (neighbour.interface, neighbour.host): neighbour.address
            for neighbour in self._routes.list_neighbours()
            if neighbour.address is not None
        }

    def _forget(self, pair: Pair) -> None:
        """Give an idle place back."""
        place = self._places.pop(pair)
        del self._uses[pair], self._found[pair], self._idle[pair]
        self._array.write(place, NO_HOP)
        self._free.append(place)

    def _learn(self, message: Message) -> tuple[int, str] | None:
        """Learn of a neighbour and return where it is; `None` if the message was about something else."""
        neighbour = read_neighbour(message)
        if neighbour is None:
            return None
        place = neighbour.interface, neighbour.host
        if neighbour.address is None:
            self._neighbours.pop(place, None)
        else:
            self._neighbours[place] = neighbour.address
        return place

    def _neighbour_of(self, pair: Pair) -> tuple[int, str] | None:
        route = self._found[pair]
        return None if route is None else (route.interface, route.gateway or pair[1])

    def _write(self, pair: Pair) -> None:
        route, neighbour = self._found[pair], self._neighbour_of(pair)
        link = None if route is None else self._links.get(route.interface)
        address = None if neighbour is None else self._neighbours.get(neighbour)
        element = NO_HOP
        if route is not None and link is not None and address is not None and len(link.address) == 6:
            mtu = min(link.mtu, route.mtu or link.mtu)
            number, tag = (link.parent, link.tag) if self._has_tags and link.parent else (link.number, 0)
            element = NextHop(address, link.address, number, mtu, tag).pack()
        place = self._places[pair]
        if self._array.read(place) != element:
            self._array.write(place, element)
