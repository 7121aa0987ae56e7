"""A batch of photos on a device is what the CPU makes one by one, but for rounding."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.data.grain import grain, normal_table
from facewright.data.records import Sample
from facewright.data.sampling import OccluderSettings, SamplingSettings
from facewright.data.sensor import add_grain, developed, draw_sensor
from facewright.data.surface_light import plain_surface_light, surface_light
from facewright.data.synthesis import Studio, open_studio, samples
from facewright.models.base import load_base_model
from facewright.pipeline.sample_files import photo_files
from facewright.render.rasterize import rasterize
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight

# Everything that a head may wear, often enough that a few photos have it.
SETTINGS = SamplingSettings(
    size=96,
    texture_size=32,
    occluders=OccluderSettings(0.9, 0.7, 0.7, 0.4, 0.5, 0.5, 1.0),
)
SEED, INDICES = 3, range(4)


@pytest.fixture(scope="module")
def studio() -> Studio:
    return open_studio(load_base_model(), SETTINGS)


@pytest.fixture(scope="module")
def on_the_cpu(studio) -> list[Sample]:
    return samples(studio, SEED, INDICES)


def test_photos_agree(studio, on_the_cpu, device) -> None:
    made = samples(studio.to(device), SEED, INDICES)
    for expected, found in zip(on_the_cpu, made, strict=True):
        assert found.depth.device.type == device.type
        for name, close in (
            ("vertices", 2e-3),
            ("landmarks68", 0.02),
            ("landmarks478", 0.02),
            ("albedo_map", 1e-3),
            ("specular_map", 1e-3),
        ):
            off = (getattr(found, name).cpu() - getattr(expected, name)).abs().max()
            assert off < close, f"{name}: {off}"
        # A pixel or a vertex at an outline may fall to either side.
        for name, close in (("depth", 0.05), ("normals", 0.01), ("diffuse", 0.005), ("specular", 0.005)):
            off = (getattr(found, name).cpu() - getattr(expected, name)).abs()
            assert (off > close).float().mean() < 0.003, name
        for name in ("head", "skin", "face", "inner_mouth", "occluder"):
            differ = getattr(found.masks, name).cpu() != getattr(expected.masks, name)
            assert differ.float().mean() < 0.003, name
        assert (found.visible.cpu() != expected.visible).float().mean() < 0.003
        assert (found.image.cpu() - expected.image).abs().mean() < 0.004
        assert (found.parameters.point_light is None) == (expected.parameters.point_light is None)
    # The same check sees that one photo is not another.
    assert (made[0].image.cpu() - on_the_cpu[1].image).abs().mean() > 0.05
    assert (made[0].masks.head.cpu() != on_the_cpu[1].masks.head).float().mean() > 0.01


def test_files_of_a_device_are_those_of_the_cpu(studio, on_the_cpu, device) -> None:
    (found,) = samples(studio.to(device), SEED, INDICES[:1])
    files = photo_files(found, studio.drawn)
    expected = photo_files(on_the_cpu[0], studio.drawn)
    assert files.keys() == expected.keys()
    assert all(abs(len(files[name]) / len(expected[name]) - 1) < 0.1 for name in files)


def test_cameras_agree(device) -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_sensor(SETTINGS.sensor, rng) for _ in range(6)]
    cameras = [*drawn, replace(drawn[0], blur=0.0, detail=1.0), replace(drawn[1], blur=1.2, detail=0.35)]
    light = torch.rand(len(cameras), 3, 80, 80, generator=torch.Generator().manual_seed(0)) ** 2
    expected = developed(light, cameras).int()
    found = developed(light.to(device), cameras).cpu().int()
    assert ((found - expected).abs() > 1).float().mean() < 1e-4
    other = developed(light.flip(-1).to(device), cameras).cpu().int()
    assert ((other - expected).abs() > 1).float().mean() > 0.5


def test_grain_is_the_same_everywhere(device) -> None:
    seeds = torch.tensor([5, 2**31 - 1])
    here = grain(seeds, (30, 40), 64)
    assert torch.equal(grain(seeds.to(device), (30, 40), 64).cpu(), here)
    assert torch.equal(grain(seeds, (20, 64), 64)[:, :, :20, :40], here[:, :, :20])
    for seed, normal in zip(seeds.tolist(), here, strict=True):
        light = torch.zeros_like(normal)
        assert torch.equal(add_grain(light, seed, 1.0, 0.0, 64), normal)
        assert not torch.equal(add_grain(light, seed ^ 1, 1.0, 0.0, 64), normal)
    assert abs(float(here.mean())) < 0.03
    assert abs(float(here.std()) - 1) < 0.03
    assert abs(float(normal_table().std(correction=0)) - 1) < 1e-5
    neighbours = torch.corrcoef(torch.stack([here[..., 1:].flatten(), here[..., :-1].flatten()]))[0, 1]
    channels = torch.corrcoef(here.movedim(1, 0).flatten(1))
    assert abs(float(neighbours)) < 0.05
    assert (channels - torch.eye(3)).abs().max() < 0.06


def test_the_kernel_lights_surfaces_as_torch_does() -> None:
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(1, 60, 3, generator=generator) * torch.tensor([50.0, 50.0, 30.0])
    corner[..., 2] += 300
    faces = torch.randint(0, 60, (80, 3), generator=generator)
    fragments = rasterize(corner, faces, (48, 50), perspective=True)
    attributes = torch.rand(1, 60, 13, generator=generator)
    attributes[..., :3] = torch.randn(1, 60, 3, generator=generator)
    attributes[..., 3:6] = corner * torch.tensor([10.0, 10.0, 1.0]) - 250
    attributes[..., 10] = 1 + 40 * attributes[..., 10]
    attributes[:, 30:, 11:] = -1
    strands = torch.rand(1, 64, 512, 1, generator=generator) + 0.5
    soft = SphericalHarmonicsLight(torch.randn(1, 9, 3, generator=generator))
    lamp = PointLight(torch.tensor([[100.0, -300.0, -900.0]]), torch.tensor([[0.5, 0.6, 0.7]]))
    whole = faces[(faces >= 30).all(1) | (faces < 30).all(1)]
    for triangles, values in ((whole, attributes), (faces, attributes[..., :11].contiguous())):
        drawn = rasterize(corner, triangles, (48, 50), perspective=True) if triangles is whole else fragments
        expected = plain_surface_light(drawn, triangles, values, (soft, lamp), strands)
        found = surface_light(drawn, triangles, values, (soft, lamp), strands)
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-3)
        assert (expected[..., 3:6] > 0.01).float().mean() > 0.05
        dark = PointLight(lamp.position, lamp.intensity * 0)
        assert not torch.allclose(surface_light(drawn, triangles, values, (soft, dark), strands), expected)
