from dataclasses import replace

import numpy as np
import pytest
import torch

from facewright.models.base import load_base_model
from facewright.scene.lighting import ambient_light
from training_data.rendered import (  # pyright: ignore[reportMissingImports]
    SIZE,
    draw_head,
    random_head,
    random_pose,
)
from training_data.turned import yaw_of  # pyright: ignore[reportMissingImports]

NOSE, CHIN, MOUTH_CORNERS = 1, 152, (61, 291)


@pytest.fixture(scope="module")
def model():
    return load_base_model()


@torch.inference_mode()
def test_labels_lie_where_the_face_is_drawn(model):
    rng, backdrop = np.random.default_rng(3), np.zeros((SIZE, SIZE))
    seen = {NOSE: 0, CHIN: 0}
    for _ in range(4):
        head, pose = random_head(model, rng), random_pose(rng)
        for landmark in seen:
            near = (head.vertices - head.landmarks[landmark]).norm(dim=-1) < 6.0
            pictures = []
            for level in (0.02, 1.0):
                albedo = head.albedo.clone()
                albedo[near] = level
                marked = replace(head, albedo=albedo)
                pictures.append(draw_head(model, marked, pose, ambient_light(1), backdrop))
            (dark, labels), (bright, same) = pictures
            np.testing.assert_array_equal(same, labels)
            rows, columns = np.nonzero(bright.astype(int) - dark > 60)
            if len(rows) < 10:  # turned away from the camera
                continue
            seen[landmark] += 1
            centre = np.array([columns.mean(), rows.mean()]) + 0.5
            assert np.linalg.norm(centre - labels[landmark, :2]) < 5.0
            # Control: no other landmark's label would do.
            assert np.linalg.norm(centre - labels[MOUTH_CORNERS[0], :2]) > 5.0
    assert min(seen.values()) >= 2


@torch.inference_mode()
def test_depth_of_the_labels_turns_with_the_head(model):
    rng, backdrop = np.random.default_rng(0), np.zeros((SIZE, SIZE))
    for _ in range(4):
        head, pose = random_head(model, rng), random_pose(rng)
        _, labels = draw_head(model, head, pose, ambient_light(1), backdrop)
        nose = pose.camera_from_head(torch.tensor([[[0.0, 0.0, 1.0]]]))[0, 0] - pose.translation[0]
        # A positive yaw takes the nose to the image left.
        assert np.sign(yaw_of(labels[None])[0]) == -np.sign(float(nose[0]))
        assert labels[NOSE, 2] < 0
