"""Hair of a known height on the shipped head, found again from its outline in a photo."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch

from facewright.detection.hair_look import HairLook
from facewright.fitting.hair import fit_hair
from facewright.fitting.hair_view import HairView
from facewright.geometry.mesh import Mesh
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.hair_cap import HairCap
from facewright.render.rasterize import rasterize
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.pose import Pose, frontal_pose, turned_rotations

SIZE, THICK = 256, 22.0
CAMERA = PerspectiveCamera(torch.tensor([820.0]), torch.tensor([[128.0, 120.0]]), (SIZE, SIZE))
POSE = frontal_pose(1, 1000.0)
TURNED = Pose(turned_rotations((math.radians(30),)), POSE.translation)


class Subject(NamedTuple):
    model: FaceModel
    cap: HairCap
    rise: np.ndarray  # of the truth at each vertex of the cap


@pytest.fixture(scope="module")
def subject():
    model = load_base_model()
    cap = HairCap.of(model)
    assert cap is not None
    return Subject(model, cap, THICK * (cap.over_short / 60).clip(0, 1))


def bald_head(subject):
    return Mesh(subject.model.mean, subject.model.topology)


def look_at(subject, rise, *, bald=False, pose=POSE, wall=None):
    """What a faultless segmentation says of the head with such hair."""
    model, cap = subject.model, subject.cap
    points, outward = cap.surface(model.mean)
    lifted = torch.from_numpy(points + rise[:, None] * outward).float()
    shell = cap.faces[torch.from_numpy(rise > 0)[cap.faces].all(1)]
    views = [(model.mean, model.topology.faces), (lifted, shell)]
    head, hair = (
        rasterize(
            CAMERA.project(POSE.camera_from_head(vertices[None])), faces, (SIZE, SIZE), perspective=True
        )
        for vertices, faces in views
    )
    bare = head.covered[0] & ~(hair.covered[0] & (hair.depth[0] < head.depth[0]))
    over = hair.covered[0] & ~bare
    shares = torch.stack([~(bare | over), over & (not bald), torch.ones(SIZE, SIZE)]).float()
    hair_color, skin = (torch.tensor(each)[:, None, None] for each in ((0.3, 0.2, 0.1), (0.8, 0.6, 0.5)))
    colors = torch.where(over, hair_color, skin)
    if wall is not None:  # what the segmentation takes for hair below the brows is of another colour
        brow = CAMERA.project(pose.camera_from_head(model.mean[model.regions["brow_left"]][None]))[
            0, :, 1
        ].mean()
        low = over & (torch.arange(SIZE)[:, None] > brow)
        colors = torch.where(low, torch.tensor(wall)[:, None, None], colors)
    return HairLook(shares, colors, np.array([SIZE / 2, SIZE / 2, SIZE, 0.0]))


def fitted(subject, look, pose=POSE):
    """The shell of the mean head in a photo."""
    surface = subject.cap.surface(subject.model.mean)
    view = HairView.of(subject.cap, surface, bald_head(subject), pose, CAMERA, look)
    found = fit_hair(view, subject.model.mean)
    return None if found is None else found[0]


def cover_of(subject, shell):
    """Share of hair at the cap's own vertices."""
    return shell.cover.numpy()[: len(subject.cap.vertex)]


def risen(subject, shell):
    """How far off the cap a shell stands."""
    points, outward = subject.cap.surface(subject.model.mean)
    found = shell.on(subject.model.mean)[: len(subject.cap.vertex)].double().numpy()
    return ((found - points) * outward).sum(1)


def test_the_shell_reaches_the_outline_and_is_smooth_behind_it(subject):
    shell = fitted(subject, look_at(subject, subject.rise))
    assert shell is not None
    rise, cap = risen(subject, shell), subject.cap
    beside = (np.abs(np.abs(cap.angle) - np.pi / 2) < 0.25) & (cap.over_short > 70)
    assert np.abs(rise - subject.rise)[beside].max() < 5.0
    assert np.abs(rise - subject.rise)[beside].mean() < 2.0
    behind = (np.abs(cap.angle) > 2.4) & (cap.over_short > 90)  # nothing of it is seen
    assert np.abs(rise - subject.rise)[behind].mean() < 8.0
    assert rise[behind].min() > 5.0
    # The control: higher hair is found higher.
    higher = fitted(subject, look_at(subject, 2 * subject.rise))
    assert higher is not None
    assert (risen(subject, higher) - rise)[beside].mean() == pytest.approx(THICK, abs=4.0)


def test_hair_covers_the_scalp_and_leaves_face_and_ears_free(subject):
    shell = fitted(subject, look_at(subject, subject.rise))
    assert shell is not None
    cap, cover = subject.cap, cover_of(subject, shell)
    assert cover[cap.over_short > 20].mean() > 0.95
    forehead = (np.abs(cap.angle) < 0.5) & (cap.over_short < -12)
    assert forehead.sum() > 20
    assert cover[forehead].max() < 0.3
    head = subject.model.mean[torch.from_numpy(cap.vertex)].double().numpy()
    points, outward = cap.surface(subject.model.mean)
    ear = np.any(cap.ears, axis=0) & (((head - points) * outward).sum(1) > 5)
    assert ear.sum() > 100
    assert cover[ear].mean() < 0.1


def long_hair(cap):
    """Rise (mm) of hair that hangs over the ears."""
    long = 1.5 * THICK * ((cap.height + 100) / 30).clip(0, 1) * (np.abs(cap.angle) > 0.8)
    return np.maximum(long, THICK * (cap.over_short / 60).clip(0, 1))


@pytest.mark.parametrize("pose", [POSE, TURNED])
def test_ears_under_hair_are_hidden_on_both_sides(subject, pose):
    cap = subject.cap
    look = look_at(subject, long_hair(cap), pose=pose)
    shell = fitted(subject, look, pose)
    assert shell is not None
    head = subject.model.mean[torch.from_numpy(cap.vertex)].double().numpy()
    points, outward = cap.surface(subject.model.mean)
    off = ((head - points) * outward).sum(1)
    for side in cap.ears:
        ear = side & (off > 5) & (cap.height > -60)
        assert (cover_of(subject, shell)[ear] > 0.6).mean() > 0.95  # from there on the shell is whole
        assert (risen(subject, shell) > off)[ear].mean() > 0.97


def test_a_wall_beside_the_face_is_no_hanging_hair(subject):
    cap = subject.cap
    hair = fitted(subject, look_at(subject, long_hair(cap)))
    wall = fitted(subject, look_at(subject, long_hair(cap), wall=(0.7, 0.8, 0.9)))
    assert hair is not None
    assert wall is not None
    beside = (np.abs(cap.angle) > 1.2) & (cap.height < -20) & (cap.height > -50)
    assert cover_of(subject, hair)[beside].mean() > 0.8
    assert cover_of(subject, wall)[beside].mean() < 0.5


def test_a_bald_head_has_no_shell(subject):
    nothing = look_at(subject, np.zeros_like(subject.rise))
    assert fitted(subject, nothing) is None
    skin = look_at(subject, subject.rise, bald=True)
    assert fitted(subject, skin) is None


def test_the_cap_has_no_ears_and_lies_on_the_head_elsewhere(subject):
    cap, mean = subject.cap, subject.model.mean
    points, outward = cap.surface(mean)
    head = mean[torch.from_numpy(cap.vertex)].double().numpy()
    ears = np.any(cap.ears, axis=0)
    assert np.array_equal(points[~ears], head[~ears])
    assert np.linalg.norm(points - head, axis=1)[ears].max() > 10.0
    assert np.allclose(np.linalg.norm(outward, axis=1), 1.0)
    # No bump is left: normals nowhere turn by much between neighbours.
    normals = cap.normals(points)
    edges = np.concatenate([cap.faces.numpy()[:, :2], cap.faces.numpy()[:, 1:]])
    turned = (normals[edges[:, 0]] * normals[edges[:, 1]]).sum(1)
    of_ears = ears[edges].all(1)
    assert np.quantile(turned[of_ears], 0.01) > 0.8
    own = cap.normals(head)
    assert np.quantile((own[edges[:, 0]] * own[edges[:, 1]]).sum(1)[of_ears], 0.01) < 0.7


def test_fields_of_knots_are_smooth_and_whole(subject):
    cap = subject.cap
    ones = np.ones(len(cap.roughness))
    assert np.allclose(cap.spread @ ones, 1.0)
    assert abs(ones @ cap.roughness @ ones) < 1e-9
    assert abs(ones @ cap.lopsided @ ones) < 1e-9
    side = np.sign(subject.cap.angle[cap.samples[: len(ones)]])
    assert side @ cap.lopsided @ side > 100
    assert len(np.unique(cap.samples)) == len(cap.samples)


def test_a_bald_crown_keeps_its_wreath(subject):
    cap = subject.cap
    wreath = (np.abs(cap.angle) > 1.0) & (cap.over_short > 0) & (cap.height < 55)
    shell = fitted(subject, look_at(subject, 10.0 * wreath))
    assert shell is not None
    cover, beside = cover_of(subject, shell), np.abs(cap.angle) > np.radians(75)
    assert cover[cap.height > 85].max() < 0.2
    assert cover[beside & (cap.height > 5) & (cap.height < 30)].mean() > 0.7
    assert cover[(np.abs(cap.angle) > 2.6) & (cap.height > -20) & (cap.height < 30)].mean() > 0.7  # not seen
    # The control: with as much hair on its crown it is no wreath.
    full = fitted(subject, look_at(subject, 10.0 * (cap.over_short > 0)))
    assert full is not None
    assert cover_of(subject, full)[cap.height > 80].min() > 0.9
