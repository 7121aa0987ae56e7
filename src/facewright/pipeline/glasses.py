"""The spectacles of a head: an object of their own, found in one photo."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.detection.glasses_look import GlassesLook, GlassesLooker, glasses_frame
from facewright.detection.segmentation import FaceSegmentation
from facewright.export.asset import AssetGlasses
from facewright.fitting.glasses import GlassesFit, fit_glasses, project
from facewright.fitting.glasses_cover import glasses_cover, without_glasses
from facewright.fitting.glasses_parts import GlassesFinish, glasses_finish, hides_eyes
from facewright.image.cover import Cover
from facewright.models.face_model import FaceModel
from facewright.models.glasses import GlassesPlaces, GlassesSeat, GlassesShape
from facewright.models.glasses_mesh import BRIDGE, LENS, TEMPLES, glasses_mesh
from facewright.render.shading import shade_diffuse, shade_point_diffuse
from facewright.scene.camera import Camera
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose

BRIGHTEST = 0.85  # albedo: no frame sends back more
LEAST_LIGHT = 0.05  # that reaches a frame; what is darker in a photo tells no colour
DARK_LENS, CLEAR_LENS = 0.93, 0.06  # opacity
# Share of the eyes' distance by which eyes and ears may move, in the head and in the photo, before a pair is
# fitted again: 0.6 mm of an adult, less than a third of the grid on which it is fitted.
STILL = 0.01
HINGE = slice(4, 12)  # rings of a rim around the hinge


@dataclass(frozen=True)
class HeadGlasses:
    """Spectacles on one head.

    Attributes:
        shape: that was fitted.
        vertices: mm, head frame.
        faces: triangles, counter-clockwise from outside.
        colors: albedo of each vertex, linear RGB.
        frame: so many triangles are the frame's, the others the lenses'.
        lens_opacity: of the lenses.
        dark: whether the eyes are hidden.
    """

    shape: GlassesShape
    vertices: Float[Tensor, "V 3"]
    faces: Int64[Tensor, "F 3"]
    colors: Float[Tensor, "V 3"]
    frame: int
    lens_opacity: float
    dark: bool

    def asset(self) -> AssetGlasses:
        """As they are written into files."""
        return AssetGlasses(self.vertices, self.faces, self.colors, self.frame, self.lens_opacity)

    def told(self) -> dict[str, float | bool]:
        """For parameters.json: mm and radians."""
        return {**{name: round(value, 4) for name, value in asdict(self.shape).items()}, "dark": self.dark}


@dataclass(frozen=True)
class GlassesPosture:
    """Where a head holds spectacles, by its eyes and the rests of its temples.

    Attributes:
        head: mm, head frame.
        photo: the same in px.
    """

    head: Float[np.ndarray, "4 3"]
    photo: Float[np.ndarray, "4 2"]

    @classmethod
    def of(cls, seat: GlassesSeat, pose: Pose, camera: Camera) -> "GlassesPosture":
        """That of a seat in a photo."""
        marks = np.concatenate([seat.eyes, seat.ears])
        return cls(marks, project(marks, pose, camera))

    def moved(self, to: "GlassesPosture") -> bool:
        """Whether another posture differs by so much that what is seen there is another pair."""
        pairs = ((self.head, to.head), (self.photo, to.photo))
        return any(
            float(np.linalg.norm(was - now, axis=1).max()) > STILL * float(np.linalg.norm(was[1] - was[0]))
            for was, now in pairs
        )


@dataclass(frozen=True)
class SeenGlasses:
    """Spectacles that one photo surely shows.

    Attributes:
        look: at the photo.
        fit: of a pair to it.
        dark: whether the eyes are hidden.
        posture: of the head that the pair was fitted on.
    """

    look: GlassesLook
    fit: GlassesFit
    dark: bool
    posture: GlassesPosture

    def taken_off(self, segmentation: FaceSegmentation) -> FaceSegmentation:
        """The segmentation of the photo's face (B = 1) as if it wore none."""
        return without_glasses(segmentation, self.look)

    def cover(self, before: Cover) -> Cover:
        """What lies before the face: they, and what else there is."""
        return glasses_cover(self.look, before, dark=self.dark)


@dataclass(frozen=True)
class GlassesFinder:
    """Finds spectacles on the heads of one model; make it once."""

    model: FaceModel
    looker: GlassesLooker
    places: GlassesPlaces

    @classmethod
    def of(cls, model: FaceModel) -> "GlassesFinder | None":
        """Get ready for a model; None if it does not tell where its eyes and ears are."""
        places = GlassesPlaces.of(model)
        return None if places is None else cls(model, GlassesLooker.load(model.device), places)

    def see(self, photo: Float[Tensor, "3 H W"], parameters: HeadParameters) -> SeenGlasses | None:
        """Spectacles in a photo whose head is fitted to its landmarks; None where there are none for sure.

        Args:
            photo: sRGB.
            parameters: of the head in the photo, B = 1.
        """
        seat = self._seat(parameters)
        look = self.looker(photo, glasses_frame(seat, parameters.pose, parameters.camera))
        fit = fit_glasses(look, seat, parameters.pose, parameters.camera)
        if fit is None or not fit.sure:
            return None
        dark = hides_eyes(look, fit.shape, seat, (parameters.pose, parameters.camera))
        posture = GlassesPosture.of(seat, parameters.pose, parameters.camera)
        return SeenGlasses(look, fit, dark, posture)

    def wear(self, seen: SeenGlasses, parameters: HeadParameters) -> HeadGlasses:
        """The pair of a photo on its head, whose fit may have moved since it was seen.

        Where it has, the pair is fitted again; one that is no longer sure stays as it was seen.
        """
        seat, pose, camera = self._seat(parameters), parameters.pose, parameters.camera
        shape = seen.fit.shape
        if seen.posture.moved(GlassesPosture.of(seat, pose, camera)):
            again = fit_glasses(seen.look, seat, pose, camera)
            shape = again.shape if again is not None and again.sure else shape
        finish = glasses_finish(seen.look, shape, seat, (pose, camera))
        mesh = glasses_mesh(shape, seat, finish.parts)
        colors = _albedo(finish, parameters, dark=seen.dark)[mesh.place]
        opacity = DARK_LENS if seen.dark else CLEAR_LENS
        like = parameters.identity
        return HeadGlasses(
            shape,
            torch.from_numpy(mesh.vertices).to(like),
            torch.from_numpy(np.ascontiguousarray(mesh.faces)).to(like.device),
            torch.from_numpy(colors).to(like),
            mesh.frame,
            opacity,
            seen.dark,
        )

    def _seat(self, parameters: HeadParameters) -> GlassesSeat:
        vertices = self.model.vertices(parameters.identity, parameters.expression)[0]
        return self.places.on(vertices.detach().double().cpu().numpy())


def _albedo(finish: GlassesFinish, parameters: HeadParameters, *, dark: bool) -> Float[np.ndarray, "N 3"]:
    """Of the rims' rings, bridge, temples and lenses: what is seen over the light that reaches the face."""
    pose = parameters.pose
    normal = pose.rotation[:, None, :, 2]
    white = torch.ones_like(normal)
    light = shade_diffuse(white, normal, parameters.light)
    if parameters.point_light is not None:
        light = light + shade_point_diffuse(white, normal, pose.translation[:, None], parameters.point_light)
    # Its brightness alone: a frame's hue is surer than that of the light.
    level = max(float(light.mean()), LEAST_LIGHT)
    seen = np.zeros((LENS + 1, 3))
    seen[:BRIDGE], seen[BRIDGE], seen[TEMPLES] = finish.rims, finish.bars, _temple_color(finish)
    seen[LENS] = finish.lens if dark else level
    return (seen / level).clip(0.0, BRIGHTEST)


def _temple_color(finish: GlassesFinish) -> Float[np.ndarray, "3"]:
    """That of the rims at the hinges, or of the bridge where there are no rims."""
    return finish.rims[HINGE].mean(0) if finish.parts.there[HINGE].all() else finish.bars


def worn_by_person(seen: Sequence[SeenGlasses | None]) -> tuple[int, SeenGlasses] | None:
    """The photo (its row) that a person's spectacles are surest in; None if most photos show none."""
    found = [(row, each) for row, each in enumerate(seen) if each is not None]
    if 2 * len(found) <= len(seen):
        return None
    return max(found, key=lambda pair: pair[1].fit.overlap)
