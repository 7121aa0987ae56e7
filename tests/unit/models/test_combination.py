"""The same numbers as a matrix product, and the same bits in any batch."""

import pytest
import torch

from facewright.core.errors import InputError
from facewright.models.combination import combine


def parts():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(700, 3, generator=generator)
    bases = torch.randn(40, 700, 3, generator=generator), torch.randn(7, 700, 3, generator=generator)
    rows = torch.randn(5, 40, generator=generator), torch.randn(5, 7, generator=generator)
    return mean, bases, rows


def test_combination_is_the_matrix_product() -> None:
    mean, bases, rows = parts()
    before = mean.clone()
    expected = mean + sum((r @ b.flatten(1)).unflatten(1, (700, 3)) for b, r in zip(bases, rows, strict=True))
    got = combine(mean, *zip(bases, rows, strict=True))
    assert torch.allclose(got, expected, atol=1e-4)
    assert torch.equal(mean, before)


def test_a_row_is_the_same_in_any_batch() -> None:
    mean, bases, rows = parts()
    whole = combine(mean, *zip(bases, rows, strict=True))
    alone = combine(mean, *((b, r[3:4]) for b, r in zip(bases, rows, strict=True)))
    assert torch.equal(alone[0], whole[3])
    assert not torch.equal(alone[0], whole[2])


def test_a_wrong_count_is_refused() -> None:
    mean, bases, rows = parts()
    with pytest.raises(InputError, match="coefficients of shape"):
        combine(mean, (bases[0], rows[1]))
