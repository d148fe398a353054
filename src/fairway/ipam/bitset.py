"""A sparse set of non-negative integers that finds its lowest gap in O(log n).

A tree of bitmaps: level 0 has one bit per number, each further level one bit per word below, set when that
word is full. A /8 of IPv4 or a /64 of IPv6 therefore costs memory only for what is in use, and finding the
lowest free address looks at one word per level. Rejected: one big integer (each change copies it: 2 MB for
a /8) and a heap of released numbers (cannot reserve a chosen one cheaply).
"""

BITS = 10
WIDTH = 1 << BITS
FULL = (1 << WIDTH) - 1


class BitSet:
    """Numbers in ``range(size)``."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._levels: list[dict[int, int]] = [{}]
        while size > WIDTH:
            size = -(-size // WIDTH)
            self._levels.append({})

    def __contains__(self, number: int) -> bool:
        return bool(self._levels[0].get(number >> BITS, 0) >> (number & (WIDTH - 1)) & 1)

    def add(self, number: int) -> None:
        for level in self._levels:
            index, bit = number >> BITS, 1 << (number & (WIDTH - 1))
            level[index] = level.get(index, 0) | bit
            if level[index] != FULL:
                return
            number = index

    def discard(self, number: int) -> None:
        for level in self._levels:
            index, bit = number >> BITS, 1 << (number & (WIDTH - 1))
            word = level.get(index, 0)
            if not word & bit:
                return
            if word == bit:
                del level[index]
            else:
                level[index] = word & ~bit
            if word != FULL:
                return
            number = index

    def lowest_free(self, start: int) -> int | None:
        """The smallest number ≥ ``start`` that is not in the set, None if there is none below ``size``."""
        depth, position = 0, start
        while depth < len(self._levels):
            index, offset = position >> BITS, position & (WIDTH - 1)
            free = ~self._levels[depth].get(index, 0) & FULL & -(1 << offset)
            if free:
                number = self._descend(depth, (index << BITS) + (free & -free).bit_length() - 1)
                return number if number < self.size else None
            depth, position = depth + 1, index + 1
        return None

    def _descend(self, depth: int, position: int) -> int:
        while depth:
            depth -= 1
            free = ~self._levels[depth].get(position, 0)
            position = (position << BITS) + (free & -free).bit_length() - 1
        return position
