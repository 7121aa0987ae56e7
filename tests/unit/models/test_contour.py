"""Candidates of contour landmarks: on their rays, on the foremost skin."""

import torch

from facewright.models.base import load_base_model
from facewright.models.contour import REACH, STEPS, contour_lines


def test_candidates_lie_on_their_rays_and_nothing_of_the_skin_is_before_them() -> None:
    model = load_base_model()
    landmarks, lines = model.landmarks["dense478"], contour_lines(model, "dense478")
    points = model.landmark_points(model.mean, "dense478")
    centre = points[~landmarks.contour, :2].mean(0)
    own = points[lines.index]
    fraction = torch.linspace(0, REACH, STEPS)[:, None]
    rays = own[:, None, :2] + fraction * (centre - own[:, None, :2])
    lying = lines.candidates.on(model.mean, model.topology.faces).unflatten(0, (-1, STEPS))
    torch.testing.assert_close(lying[:, 1:, :2], rays[:, 1:], atol=1e-3, rtol=0)

    skin = model.topology.faces[model.parts["skin"][model.topology.faces].all(1)]
    a, b, c = model.mean[skin].double().unbind(1)
    deeper = 0
    for place in lying[::7, 3].double():
        sides = [torch.linalg.cross(q - p, place - p)[:, 2] for p, q in ((a, b), (b, c), (c, a))]
        shares = torch.stack([sides[1], sides[2], sides[0]], 1)
        total = shares.sum(1, keepdim=True)
        shares = shares / torch.where(total == 0, torch.inf, total)
        hit = (shares > 1e-6).all(1) & (total[:, 0] != 0)
        depth = (shares * torch.stack([a, b, c], 1)[..., 2]).sum(1)[hit]
        assert float(depth.max()) < float(place[2]) + 1e-2
        deeper += int((depth < place[2] - 5).sum())
    assert deeper  # control: the back of the head lies under the same points
