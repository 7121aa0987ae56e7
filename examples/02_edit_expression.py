"""The head model alone: draw a random person with expressions that have names.

Run: python examples/02_edit_expression.py [OUTPUT_FOLDER]
"""

import sys
from pathlib import Path

import torch

import facewright
from facewright.export import texture_from_linear, write_png
from facewright.render.draw import DrawSettings, Lighting, draw_mesh, over
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight, ambient_light
from facewright.scene.material import Material
from facewright.scene.pose import frontal_pose

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
model = facewright.load_base_model()

generator = torch.Generator().manual_seed(7)
person = torch.randn(1, model.identity_count, generator=generator)  # standard deviations
faces = {
    "neutral": {},
    "smile": {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8},
    "wink": {"eyeBlinkLeft": 1.0},
}
activations = torch.zeros(len(faces), model.expression_count)
for row, wanted in enumerate(faces.values()):
    for name, value in wanted.items():
        activations[row, model.expression_names.index(name)] = value

vertices = model.vertices(person.expand(len(faces), -1), activations)  # (3, V, 3) mm, head frame
count, size = len(faces), (320, 320)
pose = frontal_pose(count, distance=900.0)
camera = PerspectiveCamera(torch.full((count,), 900.0), torch.full((count, 2), 160.0), size)
light = ambient_light(count, 0.7).coefficients.clone()
light[:, 1] = light[:, 2] = -0.6  # brighter from above and from the camera's side; order: scene/lighting.py
drawing = draw_mesh(
    pose.camera_from_head(vertices),
    model.topology,
    camera,
    Material(albedo=model.diffuse_albedo(torch.zeros(1, model.diffuse_count))),
    Lighting(SphericalHarmonicsLight(light)),
    settings=DrawSettings(supersample=2),
)
picture = over(drawing, torch.tensor([0.8, 0.8, 0.8]))  # (3, H, W, 3) linear RGB
write_png(out / "expressions.png", texture_from_linear(torch.cat(list(picture), dim=1)))
print(f"{', '.join(faces)}: {out / 'expressions.png'}")
