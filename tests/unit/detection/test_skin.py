"""The skin model is Bayes' rule over two mixtures, and refuses files that are none."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from facewright.core.assets import write_safetensors
from facewright.core.errors import AssetError
from facewright.detection.skin import GaussianMixture, SkinModel, ycbcr


def mixture(seed: int, middle: tuple[float, float, float]) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(4, 3, 3)) * 8 + 10 * np.eye(3)
    return GaussianMixture(
        torch.from_numpy(rng.dirichlet(np.ones(4))).float(),
        torch.from_numpy(np.array(middle) + rng.normal(size=(4, 3)) * 15).float(),
        torch.from_numpy(factors @ factors.transpose(0, 2, 1)).float(),
    )


@pytest.fixture
def model() -> SkinModel:
    return SkinModel(mixture(1, (140, 110, 150)), mixture(2, (110, 128, 128)))


def density(mixed: GaussianMixture, values: np.ndarray) -> np.ndarray:
    parts = zip(mixed.weights.numpy(), mixed.means.numpy(), mixed.covariances.numpy(), strict=True)
    return np.sum([w * multivariate_normal(m, c).pdf(values) for w, m, c in parts], 0)


def test_it_is_bayes(model) -> None:
    photo = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    r, g, b = photo[0].double().numpy()
    values = np.stack(
        [
            16 + 65.481 * r + 128.553 * g + 24.966 * b,
            128 - 37.797 * r - 74.203 * g + 112 * b,
            128 + 112 * r - 93.786 * g - 18.214 * b,
        ],
        -1,
    )
    skin, other = density(model.skin, values), density(model.other, values)
    expected = 0.8 * skin / (0.8 * skin + 0.2 * other)
    found = model.probability(photo)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.ptp(found) > 0.5  # control: the photo has both


def test_a_larger_prior_makes_skin_likelier(model) -> None:
    photo = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    less, more = (SkinModel(model.skin, model.other, prior).probability(photo) for prior in (0.3, 0.9))
    assert (more >= less).all()
    assert (more > less).any()


def test_extreme_colours_stay_finite(model) -> None:
    photo = torch.stack(torch.meshgrid(*[torch.tensor([0.0, 1.0])] * 3, indexing="ij")).reshape(1, 3, 2, 4)
    found = model.probability(photo)
    assert found.isfinite().all()
    assert ((found >= 0) & (found <= 1)).all()


def test_white_and_black_are_where_the_standard_puts_them() -> None:
    two = ycbcr(torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2))[0, :, 0]
    torch.testing.assert_close(two, torch.tensor([[16.0, 235.0], [128, 128], [128, 128]]), atol=1e-3, rtol=0)


def test_it_comes_back_from_a_file(model, tmp_path) -> None:
    model.save(tmp_path / "skin.safetensors", {"licence": "x"})
    photo = torch.rand(1, 3, 8, 8)
    again = SkinModel.load(path=tmp_path / "skin.safetensors")
    torch.testing.assert_close(again.probability(photo), model.probability(photo))


def spoilt(model: SkinModel, key: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    tensors = {f"skin.{k}": v for k, v in vars(model.skin).items()}
    tensors |= {f"other.{k}": v for k, v in vars(model.other).items()}
    return {**tensors, key: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("skin.weights", torch.ones(0)),
        ("skin.means", torch.full((4, 3), torch.nan)),
        ("other.covariances", -torch.eye(3).expand(4, 3, 3)),
        ("other.covariances", torch.eye(3)),
    ],
)
def test_a_damaged_file_is_refused(model, tmp_path, key, value) -> None:
    header = {"format": "facewright-skin-1", "prior": "0.8"}
    write_safetensors(tmp_path / "a.safetensors", spoilt(model, key, value), header)
    with pytest.raises(AssetError, match="expected a skin model"):
        SkinModel.load(path=tmp_path / "a.safetensors")


@pytest.mark.parametrize("prior", [{}, {"prior": "2"}, {"prior": "much"}])
def test_another_prior_is_refused(model, tmp_path, prior) -> None:
    tensors = spoilt(model, "skin.weights", model.skin.weights)
    write_safetensors(tmp_path / "a.safetensors", tensors, {"format": "facewright-skin-1", **prior})
    with pytest.raises(AssetError, match="expected a skin model"):
        SkinModel.load(path=tmp_path / "a.safetensors")
