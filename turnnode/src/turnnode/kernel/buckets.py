"""How fast each credential may send through the kernel: a bucket for each that has flows, all of one size.

    first flow of a credential ─▶ a place in `buckets`, from which programs take each packet's cost
    its last flow is gone ─▶ the place is free

For: flows.py, whose elements name the place.
Not for: the rate itself, which the policy says, that of the whole node (path.py), nor for data in userspace.

Place 0 has no limit. Where there are more credentials than places, the rest share the last one: they get less
together, but nobody gets around the limit.
"""

from typing import Final

from turnnode.kernel.layout import pack_bucket
from turnnode.kernel.maps import SharedArray

BURST_SECONDS: Final = 0.5
UNLIMITED: Final = 0
TOLERANCE_NS: Final = int(BURST_SECONDS * 1e9)


class BucketTable:
    """The buckets of credentials, in the array that programs use.

    Args:
        array: At least one element, which is the one without a limit.
    """

    def __init__(self, array: SharedArray) -> None:
        self._array = array
        self._shared = array.entries - 1
        self._free = list(range(array.entries - 2, 0, -1))
        self._places: dict[str, int] = {}
        self._uses: dict[str, int] = {}
        self._bytes_per_second = 0

    def set_rate(self, bytes_per_second: int) -> None:
        """Limit the data of each credential from now on, both ways together; 0 is no limit."""
        if bytes_per_second == self._bytes_per_second:
            return  # each bucket would be empty again, and give another burst
        self._bytes_per_second = bytes_per_second
        for place in {*self._places.values(), self._shared} - {UNLIMITED}:
            self._write(place)

    def hold(self, username: str) -> int:
        """Return a credential's place, for one more flow of it."""
        if self._shared == UNLIMITED:
            return UNLIMITED
        place = self._places.get(username)
        if place is None:
            place = self._places[username] = self._free.pop() if self._free else self._shared
            self._uses[username] = 0
            self._write(place)
        self._uses[username] += 1
        return place

    def release(self, username: str) -> None:
        """Need the place for one flow less."""
        if username not in self._uses:
            return
        self._uses[username] -= 1
        if not self._uses[username]:
            del self._uses[username]
            place = self._places.pop(username)
            if place != self._shared:
                self._free.append(place)

    def _write(self, place: int) -> None:
        bucket = pack_bucket(bytes_per_second=self._bytes_per_second, tolerance_ns=TOLERANCE_NS)
        self._array.write(place, bucket)
