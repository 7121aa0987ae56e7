"""The renderer is differentiable: find the light of a picture from its pixels alone.

Run: python examples/03_render_head.py [OUTPUT_FOLDER]
"""

import sys
from pathlib import Path

import torch

import facewright
from facewright.export import texture_from_linear, write_png
from facewright.render.draw import Lighting, draw_mesh
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight, ambient_light
from facewright.scene.material import Material
from facewright.scene.pose import frontal_pose

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
model = facewright.load_base_model()
camera = PerspectiveCamera(torch.tensor([400.0]), torch.tensor([[80.0, 80.0]]), size=(160, 160))
points = frontal_pose(1, distance=900.0).camera_from_head(model.vertices())
material = Material(albedo=model.diffuse_mean[None])


def drawn(coefficients: torch.Tensor) -> torch.Tensor:
    """The mean head in a light, (1, H, W, 4)."""
    light = Lighting(SphericalHarmonicsLight(coefficients))
    return draw_mesh(points, model.topology, camera, material, light)


truth = ambient_light(1, 0.7).coefficients.clone()
truth[0, 1], truth[0, 3] = -0.25, 0.3  # more light from above, and from the subject's left
target = drawn(truth)

guess = ambient_light(1, 0.5).coefficients.clone().requires_grad_()
optimizer = torch.optim.Adam([guess], lr=0.05)
for _ in range(60):
    optimizer.zero_grad()
    loss = (drawn(guess) - target).square().mean()
    loss.backward()
    optimizer.step()

found = drawn(guess.detach())
error = float((found - target).abs().max())
print(f"largest difference of a pixel after 60 steps: {error:.4f}")
both = torch.cat([target[0, ..., :3], found[0, ..., :3]], dim=1)
write_png(out / "light.png", texture_from_linear(both))
