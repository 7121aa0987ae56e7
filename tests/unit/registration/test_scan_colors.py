"""Colours of a scan on the head that was laid on it."""

from dataclasses import replace

import numpy as np
import torch
from tests.unit.registration.small_face import small_face

from facewright.registration.correspondence import prepare_target
from facewright.registration.records import FaceFit, Registration, ScanTransform
from facewright.registration.surface import ScanSurface
from facewright.registration.transfer import transfer_texture, vertex_colors

RED = (200, 40, 30)


def laid_on_itself(model):
    """A red scan with the model's own surface, and its registration."""
    vertices, faces = model.mean.double().numpy(), model.topology.faces.numpy()
    colors = np.tile(np.array(RED, np.uint8), (len(vertices), 1))
    scan = ScanSurface("red", vertices, faces, colors, None, None, None, 8.0, ())
    fit = FaceFit(np.zeros(2), np.zeros(2), vertices, np.eye(3), np.zeros(3), 0.0, 1.0)
    everywhere = np.ones(len(vertices), dtype=bool)
    return scan, Registration(
        vertices=vertices, distance=np.zeros(len(vertices)), reliable=everywhere,
        target=prepare_target(vertices, faces), transform=ScanTransform(1.0, np.eye(3), np.zeros(3)), fit=fit,
        landmarks=None, start="by hand", solver="none", iterations=0, seconds={}, notes=(),
    )  # fmt: skip


def test_what_no_scan_shows_keeps_the_model_s_colours():
    plain = small_face()
    mouth = plain.regions["lips"]
    model = replace(plain, regions={**plain.regions, "inner_mouth": mouth})
    scan, registration = laid_on_itself(model)
    registration = replace(registration, reliable=~mouth.numpy())
    for chosen, hidden in ((model, True), (plain, False)):  # the control has no such part
        colors = vertex_colors(scan, registration, chosen)
        assert colors is not None
        own = torch.isclose(colors, chosen.diffuse_mean).all(1)
        assert torch.equal(own, mouth if hidden else torch.zeros_like(mouth))
        made = transfer_texture(scan, registration, chosen, 64)
        assert made is not None
        u, v = chosen.topology.uv[mouth].mean(0)
        middle = made[0][int((1 - v) * 64), int(u * 64)]
        assert torch.allclose(middle, chosen.diffuse_mean[0], atol=1e-3) == hidden
        assert made[0][10, 32, 0] > 2 * made[0][10, 32, 1]


def test_a_scan_without_colours_has_none_to_give():
    scan, registration = laid_on_itself(small_face())
    bare = replace(scan, colors=None)
    assert vertex_colors(bare, registration, small_face()) is None
    assert transfer_texture(bare, registration, small_face(), 64) is None
