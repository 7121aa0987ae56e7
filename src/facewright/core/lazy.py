"""Sequences whose items need not lie in memory at once."""

from collections.abc import Callable, Sequence
from typing import TypeVar, overload

Item = TypeVar("Item")


class LazySequence(Sequence[Item]):
    """Items that are made whenever they are asked for; the first few are kept."""

    def __init__(self, count: int, make: Callable[[int], Item], held: int = 0) -> None:
        """Remember how items are made.

        Args:
            count: of items.
            make: an item by its number, from 0 on; what it raises is raised for that item alone.
            held: how many are kept once they were made.
        """
        self._numbers, self._make, self._held = range(count), make, held
        self._kept: dict[int, Item] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            chosen = self._numbers[index]
            return LazySequence(len(chosen), lambda number: self[chosen[number]])
        number = self._numbers[index]
        if number in self._kept:
            return self._kept[number]
        item = self._make(number)
        if number < self._held:
            self._kept[number] = item
        return item
