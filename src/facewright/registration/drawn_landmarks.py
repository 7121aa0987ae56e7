"""How far off a landmarker sees the landmarks of one face: it is shown a drawing of the fitted head.

A landmarker errs alike on faces that look alike. The fitted head, drawn as the camera saw the face and in its
light, looks much like it, and where its landmarks truly are is known: what is seen elsewhere is the error.
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from facewright.detection.records import Landmarks
from facewright.image.color import linear_from_srgb, srgb_from_linear
from facewright.image.sample import sample_bilinear
from facewright.models.contour import contour_lines, outward_normals, seen_candidates
from facewright.models.face_model import FaceModel
from facewright.registration.correspondence import normals_of
from facewright.registration.depth_image import DepthImage
from facewright.registration.face_fit import visible_skin
from facewright.registration.scan_landmarks import Finder
from facewright.render.draw import DrawSettings, Lighting, draw_mesh, over
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import SphericalHarmonicsLight, sh_basis
from facewright.scene.material import Material

LIT = 0.3  # cosine to the line of sight from which on a vertex tells about the light
BEHIND = 15.0  # mm off the depth picture, from which on a vertex is hidden by something else
DIRECTED = 30.0  # vertices, in whose number light from a side is held to be none
ROUNDS = 4  # of the light, while hair, shadows and beards lose their weight
SAME_FACE = 0.3  # of the face's size that its landmarks may be off on the drawing


def drawn_bias(
    image: DepthImage, model: FaceModel, vertices: Float[ndarray, "V 3"], face: Landmarks, finder: Finder
) -> Float[ndarray, "478 2"] | None:
    """Seen minus true landmarks on a drawing of a head, px of the colour picture; None if none is found.

    Contour landmarks are true where landmark marching finds them for what was seen.

    Args:
        image: the frame.
        model: the face model.
        vertices: of the head, mm, camera frame.
        face: as it was seen on the frame's own colours.
        finder: of faces on pictures.
    """
    seen = finder(drawn_picture(image, model, vertices))
    if not seen:
        return None
    points = seen[0].points.double().numpy()
    size = float((face.box[2:] - face.box[:2]).max())
    if abs(points - face.points.double().numpy()).mean() > SAME_FACE * size:
        return None
    return points - true_landmarks(image, model, vertices, points)


def true_landmarks(
    image: DepthImage, model: FaceModel, vertices: Float[ndarray, "V 3"], seen: Float[ndarray, "478 2"]
) -> Float[ndarray, "478 2"]:
    """Where the landmarks of a head (mm, camera frame) lie in the colour picture, px."""
    camera = _color_camera(image)
    placed, faces = torch.from_numpy(_squared(image, vertices)), model.topology.faces
    own = camera.project(model.landmarks["dense478"].on(placed, faces)[None])[0, :, :2]
    lines = contour_lines(model, "dense478")
    ring = lines.index
    if len(ring) == 0:
        return own.numpy()
    candidates = camera.project(lines.candidates.on(placed, faces)[None])[..., :2]
    ring_px = torch.from_numpy(seen)[ring][None]
    per_mm = float(camera.focal[0]) / float(vertices[:, 2].mean())
    own[ring] = candidates[0, seen_candidates(candidates / per_mm, outward_normals(ring_px))[0]]
    return own.numpy()


def drawn_picture(
    image: DepthImage, model: FaceModel, vertices: Float[ndarray, "V 3"]
) -> Float[Tensor, "3 H W"]:
    """The head (mm, camera frame) in the frame's light and in front of its mean colour, sRGB."""
    camera = _color_camera(image)
    albedo = model.diffuse_albedo(torch.zeros(1, model.diffuse_count))
    picture = linear_from_srgb(torch.from_numpy(image.colors.copy()).float() / 255)
    light = seen_light(image, model, vertices, picture, albedo[0])
    drawing = draw_mesh(
        torch.from_numpy(_squared(image, vertices)).float()[None],
        model.topology,
        camera,
        Material(albedo=albedo),
        Lighting(light),
        settings=DrawSettings(supersample=2),
    )
    drawn = over(drawing, picture.flatten(0, 1).median(0).values)[0]
    return srgb_from_linear(drawn.clamp(0, 1)).permute(2, 0, 1)


def seen_light(
    image: DepthImage,
    model: FaceModel,
    vertices: Float[ndarray, "V 3"],
    picture: Float[Tensor, "H W 3"],
    albedo: Float[Tensor, "V 3"],
) -> SphericalHarmonicsLight:
    """Light that makes the mean skin look as the frame's: robust least squares over its visible vertices.

    Args:
        image: the frame.
        model: the face model.
        vertices: of the head, mm, camera frame.
        picture: the frame's colours, linear.
        albedo: of the vertices.
    """
    normals = normals_of(vertices, model.topology.faces.numpy())
    toward = -(normals * vertices).sum(1) / np.linalg.norm(vertices, axis=1)
    pixels = _color_camera(image).project(torch.from_numpy(_squared(image, vertices)).float()[None])[0]
    height, width = image.depth.shape
    column, row = np.floor(pixels[:, :2].numpy() / image.color_scale).astype(np.int64).T
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    depth = image.depth[row.clip(0, height - 1), column.clip(0, width - 1)]
    face = (visible_skin(model) > 0) & model.regions["face"].numpy()
    lit = torch.from_numpy(face & inside & (toward > LIT) & (abs(depth - vertices[:, 2]) < BEHIND))
    color = sample_bilinear(picture.permute(2, 0, 1)[None], pixels[None, lit, :2])[0].double()
    basis = sh_basis(torch.from_numpy(normals)[lit])
    held = torch.diag(torch.tensor([1e-3, *(8 * [DIRECTED])], dtype=torch.float64))
    weight = torch.ones(len(color), dtype=torch.float64)
    light = torch.zeros(9, 3, dtype=torch.float64)
    for _ in range(ROUNDS):
        for channel in range(3):
            rows = basis * albedo[lit, channel, None].double()
            system = rows.T @ (rows * weight[:, None]) + held * float(rows[:, 0].square().mean())
            light[:, channel] = torch.linalg.solve(system, rows.T @ (weight * color[:, channel]))
        off = (basis @ light * albedo[lit].double() - color).norm(dim=1)
        weight = 1 / (1 + (off / (2 * off.median()).clamp_min(1e-3)) ** 2)
    return SphericalHarmonicsLight(light.float()[None])


def _color_camera(image: DepthImage) -> PerspectiveCamera:
    """The camera of the frame's colour picture, for points of ``_squared``."""
    height, width = image.colors.shape[:2]
    across, down = width / image.depth.shape[1], height / image.depth.shape[0]
    lens = image.intrinsics.scaled(across, down)
    return PerspectiveCamera(torch.tensor([lens.fx]), torch.tensor([[lens.cx, lens.cy]]), (height, width))


def _squared(image: DepthImage, points: Float[ndarray, "N 3"]) -> Float[ndarray, "N 3"]:
    """Points stretched downwards as much as pixels are not square: the camera has square ones."""
    across, down = image.color_scale
    stretch = image.intrinsics.fy * down / (image.intrinsics.fx * across)
    return points * np.array([1.0, stretch, 1.0])
