"""A model that brings shapes alone gets colours and habits."""

from dataclasses import replace

import pytest
import torch

from facewright.core.errors import InputError
from facewright.data.dressing import dressed
from facewright.models.face_model import ExpressionPrior


def bare(model):
    """The shipped head as if it had come without colours and statistics, under another expression name."""
    none = torch.zeros(model.expression_count)
    names = [name + "Left" if name == "browInnerUp" else name for name in model.expression_names]
    return replace(
        model,
        diffuse_mean=torch.full_like(model.diffuse_mean, 0.4),
        diffuse_basis=model.diffuse_basis[:0],
        specular_basis=model.specular_basis[:0],
        expression_prior=ExpressionPrior.independent(none, none + 1),
        expression_names=tuple("unknown" if name == "jawLeft" else name for name in names),
    )


def test_colours_lie_where_they_belong(base_model) -> None:
    model = dressed(bare(base_model), base_model)
    color = {name: model.diffuse_mean[mask].mean(0) for name, mask in model.regions.items()}
    assert color["lips"][0] / color["lips"][1] > color["cheek_left"][0] / color["cheek_left"][1] * 1.1
    assert color["brow_left"].mean() < 0.8 * color["forehead"].mean()
    eye = model.diffuse_mean[model.parts["left_eye"]]
    assert eye.max() > 0.4
    assert eye.min() < 0.05
    assert model.diffuse_count == base_model.diffuse_count


def test_habits_are_taken_by_name(base_model) -> None:
    prior, known = dressed(bare(base_model), base_model).expression_prior, base_model.expression_prior
    names = base_model.expression_names
    for name in ("jawOpen", "browInnerUp"):
        assert prior.std[names.index(name)] == known.std[names.index(name)]
    assert prior.mean[names.index("jawLeft")] == 0
    pair = names.index("mouthSmileLeft"), names.index("mouthSmileRight")
    assert prior.correlation[pair] == known.correlation[pair] > 0.5
    assert prior.correlation[names.index("jawLeft")].sum() == 1
    assert prior.std[names.index("jawLeft")] < 0.01


def test_what_a_model_has_stays(base_model) -> None:
    assert torch.equal(dressed(base_model, base_model).diffuse_basis, base_model.diffuse_basis)


def test_without_points_nothing_is_painted(base_model) -> None:
    with pytest.raises(InputError, match="68 points"):
        dressed(replace(bare(base_model), landmarks={}), base_model)
