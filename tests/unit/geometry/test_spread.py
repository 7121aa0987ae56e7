"""Points spread over a line and over a square."""

import torch

from facewright.geometry.spread import spread_points


def test_each_point_is_the_farthest_from_those_before() -> None:
    line = torch.arange(9.0)[:, None]
    chosen, away = spread_points(line, 3, first=0)
    assert chosen.tolist() == [0, 8, 4]
    assert away.tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0]


def test_spread_points_leave_smaller_holes_than_the_first_ones() -> None:
    square = torch.rand(500, 2, generator=torch.Generator().manual_seed(0))
    chosen, away = spread_points(square, 20, first=3)
    assert len(set(chosen.tolist())) == 20
    assert chosen[0] == 3
    nearest = (square[:, None] - square[chosen]).norm(dim=2).min(1).values
    torch.testing.assert_close(away, nearest)
    assert nearest.max() < 0.5 * (square[:, None] - square[:20]).norm(dim=2).min(1).values.max()  # control


def test_a_count_of_one_is_the_first() -> None:
    assert spread_points(torch.zeros(4, 3), 1, first=2)[0].tolist() == [2]
