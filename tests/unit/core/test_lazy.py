"""Items are made when they are asked for, and only so many are kept."""

import pytest

from facewright.core.lazy import LazySequence


def test_only_the_first_items_are_kept() -> None:
    made: list[int] = []

    def make(number: int) -> str:
        made.append(number)
        return f"item {number}"

    items = LazySequence(4, make, held=2)
    assert made == []
    assert len(items) == 4
    assert list(items) == ["item 0", "item 1", "item 2", "item 3"]
    assert items[-1] == "item 3"
    assert list(items[1:3]) == ["item 1", "item 2"]
    assert made == [0, 1, 2, 3, 3, 2]
    with pytest.raises(IndexError):
        items[4]


def test_one_item_that_fails_leaves_the_others() -> None:
    items = LazySequence(3, lambda number: 1 / (number - 1), held=3)
    assert items[0] == -1
    with pytest.raises(ZeroDivisionError):
        items[1]
    assert items[2] == 1
