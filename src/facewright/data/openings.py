"""What lies behind lids and lips: eyes shine otherwise than skin, and little light comes in by a slit."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from facewright.models.face_model import FaceModel
from facewright.scene.material import EYE_SHININESS

# Corners, points of the upper and of the lower margin (of iBUG's 68), and how high the opening is for its
# width when the least and when all of the light comes in.
RIGHT_EYE = [36, 39], [37, 38], [41, 40], (0.10, 0.30)
LEFT_EYE = [42, 45], [43, 44], [47, 46], (0.10, 0.30)
MOUTH = [60, 64], [61, 62, 63], [67, 66, 65], (0.0, 0.25)
LEAST = 0.25  # share of the light behind a slit, which lashes and lips shade


@dataclass(frozen=True)
class Openings:
    """Which opening each vertex of a model lies behind.

    Attributes:
        behind: 0 none, 1 and 2 the lids of the right and the left eye, 3 the lips.
    """

    behind: Int64[Tensor, " V"]

    @classmethod
    def of(cls, model: FaceModel, inner_mouth: Bool[Tensor, " V"]) -> "Openings":
        """Of a model and what is inside of its mouth."""
        behind = torch.where(inner_mouth, 3, 0)
        for number, name in enumerate(("right_eye", "left_eye"), 1):
            if name in model.parts:
                behind[model.parts[name]] = number
        return cls(behind)

    def light(self, landmarks: Float[Tensor, "B 68 3"]) -> Float[Tensor, "B V"]:
        """Share of the light that reaches each vertex."""
        shares = [torch.ones_like(landmarks[:, 0, 0])]
        for corners, upper, lower, (slit, wide) in (RIGHT_EYE, LEFT_EYE, MOUTH):
            height = (landmarks[:, upper] - landmarks[:, lower]).norm(dim=-1).mean(1)
            width = (landmarks[:, corners[0]] - landmarks[:, corners[1]]).norm(dim=-1)
            opened = ((height / width - slit) / (wide - slit)).clamp(0, 1)
            shares.append(LEAST + (1 - LEAST) * opened)
        return torch.stack(shares, 1)[:, self.behind]

    def shininess(self, skin: Float[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Blinn-Phong exponent of each vertex, where the skin has its own."""
        eyes = (self.behind == 1) | (self.behind == 2)
        return torch.where(eyes, EYE_SHININESS, skin[:, None])
