"""A depth picture with colour into the head's topology.

Depth says where the surface is but not what slides over it; the picture says where lids, brows, lips, the
other landmarks and the edge of the face are: the picture's terms bind x and y.

**Source:** Zhu et al., "Beyond 3DMM: learning to capture high-fidelity 3D face shape", section on
registration, eqs. 9-11. **Differs:** starts from a fit of the face model; the landmarker's own error is
measured on a drawing of that fit and taken off; landmarks beside the edges bind x and y too, and so do
closest points, weakly (``RgbdSettings.across``).
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from facewright.core.errors import InputError, NoFaceError
from facewright.detection.points import OUTER_EYES
from facewright.detection.records import Landmarks
from facewright.geometry.alignment import align_points
from facewright.models.face_model import FaceModel
from facewright.registration.correspondence import prepare_target
from facewright.registration.depth_image import (
    DepthImage,
    near_face,
    points_under,
    smoothed,
    surface_of_depth,
)
from facewright.registration.drawn_landmarks import drawn_bias
from facewright.registration.face_fit import FaceFitSettings, fit_face
from facewright.registration.head import ODD_EYES, register_scan, reliable_face
from facewright.registration.image_terms import ACROSS, ALONG, ContourTerm, ViewFrame, edge_term
from facewright.registration.nonrigid import ClosestPointTerm, Deformation, Term, deform
from facewright.registration.records import Registration, ScanLandmarks, ScanTransform
from facewright.registration.rigid import place_by_landmarks
from facewright.registration.scan_landmarks import BASE_SIGMA, MIN_SHARE, Finder, steady_landmarks
from facewright.registration.schedule import NonRigidSettings, Stage
from facewright.registration.skin import RegistrationSettings, SkinStart
from facewright.registration.surface import ScanSurface

UNDRAWN = "no face was found on a drawing of the fitted head: landmarks are taken as they were seen"
SECOND_FACE = 0.5  # another face of at least this share of the first one's size is said to be there

# Landmarks in colour are nearer to their places than noisy depth without texture is: they decide.
TO_DEPTH = FaceFitSettings(
    last_distance=4.0,
    plane_sigma=0.5,
    independent=300.0,
    independent_landmarks=130.0,
    lip_gaps=0.0,
    lip_points=0,
    beyond_sigma=0.0,
)
FROM_DEPTH = NonRigidSettings(
    stages=(
        Stage(stiffness=1.0, landmarks=1.0, iterations=3, max_distance=8.0, min_cosine=0.6),
        Stage(stiffness=0.5, landmarks=1.0, iterations=2, max_distance=6.0, min_cosine=0.6),
        Stage(stiffness=0.25, landmarks=1.0, iterations=2, max_distance=4.0, min_cosine=0.6),
        Stage(stiffness=0.12, landmarks=1.0, iterations=2, max_distance=3.0, min_cosine=0.6),
    )
)


@dataclass(frozen=True)
class RgbdSettings:
    """How a frame is registered.

    The picture's weights are for a head that was fitted before: what depth and model have found is about as
    right as the landmarks. ``led_by_picture`` is for a head that was only placed.

    Attributes:
        smoothing: mm on the surface within which depth is averaged; 0: as it is.
        edges: weight of lids, brows and lips, for each landmark.
        others: likewise, of the other landmarks that mean the same point of the skin from every side.
        contour: weight of the edge of the face, for each contour landmark.
        across: weight of closest points on x and y where the picture binds them too; on depth it is 1.
        drawn: take off the landmarker's error, as it is seen on a drawing of the fitted head.
        registration: of the model's fit; its unit is mm, ``scan_points`` and ``contact`` are not used.
    """

    smoothing: float = 2.0
    edges: float = 4.0
    others: float = 4.0
    contour: float = 2.0
    across: float = 0.3
    drawn: bool = True
    registration: RegistrationSettings = field(
        default_factory=lambda: RegistrationSettings(mm=1.0, fit=TO_DEPTH, nonrigid=FROM_DEPTH)
    )

    @property
    def pictured(self) -> bool:
        """Whether the picture says more than where the head roughly is."""
        return self.edges > 0 or self.others > 0 or self.contour > 0

    def led_by_picture(self) -> "RgbdSettings":
        """The same with the picture's word before all else, for a head without a shape of its own."""
        return replace(self, edges=30.0, others=30.0, contour=15.0, across=0.05)

    def depth_alone(self) -> "RgbdSettings":
        """The same without the picture: landmarks place the head, and depth does the rest."""
        fit = replace(self.registration.fit, landmark_weight=0.0)
        return replace(
            self,
            edges=0.0,
            others=0.0,
            contour=0.0,
            drawn=False,
            registration=replace(self.registration, fit=fit),
        )


@dataclass(frozen=True)
class SeenFrame:
    """The face in a frame.

    Attributes:
        image: the frame with the depth around the face alone, smoothed.
        surface: of that depth, camera frame, mm.
        pixels: the landmarks, px of the depth picture.
    """

    image: DepthImage
    surface: ScanSurface
    pixels: Float[ndarray, "478 2"]


@dataclass(frozen=True)
class RegisteredFrame:
    """A frame in the topology of the face model.

    Attributes:
        surface: of its depth around the face, camera frame, mm.
        registration: its scan's frame is the camera's (OpenCV), mm.
    """

    surface: ScanSurface
    registration: Registration


def register_frame(
    image: DepthImage, model: FaceModel, finder: Finder, settings: RgbdSettings | None = None
) -> RegisteredFrame:
    """Bring a frame of a depth camera into the topology of a face model.

    Args:
        image: depth and colour, from ``depth_image``.
        model: the face model, in whose head frame the result lies.
        finder: of faces on pictures.
        settings: of the registration.

    Raises:
        NoFaceError: no face was found, or the model comes to lie on none.
        InputError: there is no depth where the face is, or the intrinsics make it no human size.
    """
    settings = settings or RgbdSettings()
    return register_seen(see_frame(image, model, finder, settings), model, settings)


def see_frame(image: DepthImage, model: FaceModel, finder: Finder, settings: RgbdSettings) -> SeenFrame:
    """Find the face of a frame, and what is off in how its landmarks are seen.

    Raises:
        NoFaceError: no face was found, or too little of it has depth.
        InputError: there is no depth where the face is, or the intrinsics make it no human size.
    """
    face, notes = _face(image, finder)
    pixels = face.points.double().numpy() / image.color_scale
    near = near_face(image, pixels)
    _check_size(near, pixels)
    near = smoothed(near, settings.smoothing) if settings.smoothing > 0 else near
    surface = surface_of_depth(near)
    if settings.drawn and settings.pictured:
        start = place_by_landmarks(_lifted(near, pixels, model), model)
        target = prepare_target(surface.vertices, surface.faces, spacing=surface.spacing)
        # Without its landmarks, whose error is asked for.
        fit = fit_face(model, target, (start.rotation, start.translation), None, settings.registration.fit)
        bias = drawn_bias(near, model, (fit.vertices - fit.translation) @ fit.rotation, face, finder)
        notes = (*notes, UNDRAWN) if bias is None else notes
        pixels = pixels if bias is None else pixels - bias / image.color_scale
    return SeenFrame(near, replace(surface, notes=(*surface.notes, *notes)), pixels)


def register_seen(seen: SeenFrame, model: FaceModel, settings: RgbdSettings) -> RegisteredFrame:
    """Draw a face model onto what was seen; it may be another model than was seen with.

    Raises:
        NoFaceError: too few landmarks have depth, or the model comes to lie on no face.
    """
    landmarks = _lifted(seen.image, seen.pixels, model)
    draw = partial(_draw, rays=seen.image.intrinsics.rays(seen.pixels), settings=settings)
    registration = register_scan(seen.surface, model, None, landmarks, settings.registration, draw=draw)
    return RegisteredFrame(seen.surface, disentangled(model, registration))


def _face(image: DepthImage, finder: Finder) -> tuple[Landmarks, tuple[str, ...]]:
    faces = finder(torch.from_numpy(image.colors.copy()).permute(2, 0, 1).float() / 255)
    if not faces:
        raise NoFaceError(
            f"no face was found in the colours of {image.name}: expected a face that is not turned away."
        )
    sides = [float((face.box[2:] - face.box[:2]).max()) for face in faces]
    others = sum(side > SECOND_FACE * sides[0] for side in sides[1:])
    notes = (f"{others} more faces are in the picture: the main one was registered",) if others else ()
    return faces[0], notes


def _check_size(image: DepthImage, pixels: ndarray) -> None:
    """Refuse intrinsics or depth that make a face of no human size.

    Raises:
        InputError: the eyes are too near to each other, or too far apart.
    """
    ends = points_under(image, pixels[list(OUTER_EYES)])
    apart, (low, high) = float(np.linalg.norm(ends[0] - ends[1])), ODD_EYES
    if np.isfinite(apart) and not low <= apart <= high:
        raise InputError(
            f"{image.name}: the eyes are {apart:.0f} mm apart outside, expected {low:.0f} to {high:.0f}: "
            f"do fx = {image.intrinsics.fx:.5g}, fy = {image.intrinsics.fy:.5g} belong to depth of "
            f"{image.depth.shape[1]} x {image.depth.shape[0]} px, and depth_scale to it?"
        )


def _lifted(image: DepthImage, pixels: ndarray, model: FaceModel) -> ScanLandmarks:
    """Landmarks in 3D where there is depth under them.

    Raises:
        NoFaceError: too few of them have any.
    """
    steady = steady_landmarks(model)
    points = points_under(image, pixels[steady])
    there = np.isfinite(points).all(1)
    if there.mean() < MIN_SHARE:
        raise NoFaceError(
            f"{image.name}: only {100 * there.mean():.0f} % of the face found in its colours has depth: "
            f"expected {100 * MIN_SHARE:.0f} % at least."
        )
    sigma = np.full(int(there.sum()), BASE_SIGMA)
    return ScanLandmarks(steady[there], points[there], sigma, "detected in colour, placed by depth")


def _draw(skin: SkinStart, rays: Float[ndarray, "478 2"], settings: RgbdSettings) -> Deformation:
    """Draw the skin onto depth in the view frame."""
    rotation, translation = skin.fit.rotation, skin.fit.translation
    camera = (skin.vertices - translation) @ rotation
    frame = ViewFrame(float(np.median(camera[skin.weight > 0, 2])))
    start = frame.from_camera(camera)
    depth = skin.target
    surface = frame.from_camera((depth.vertices - translation) @ rotation)
    target = prepare_target(surface, depth.faces)
    places = rays * frame.depth
    if settings.pictured:
        terms: list[Term] = [ClosestPointTerm(target, skin.weight, ALONG)]
        if settings.across:
            terms.append(ClosestPointTerm(target, settings.across * skin.weight, ACROSS))
        terms.append(edge_term(skin, start, places, settings.edges, settings.others))
        terms.append(ContourTerm.of(skin, places, settings.contour))
    else:
        terms = [ClosestPointTerm(target, skin.weight)]
    result = deform(start, skin.faces, terms, settings.registration.nonrigid, pliancy=skin.pliancy)
    moved = frame.to_camera(result.vertices) @ rotation.T + translation
    return replace(result, vertices=moved)


def disentangled(model: FaceModel, registration: Registration) -> Registration:
    """Take the rigid motion out of what the deformation did, so that what is left is shape.

    **Source:** Zhu et al., eq. 11. **Differs:** without scale, since depth is in mm.
    """
    face = reliable_face(model, registration)
    if face.sum() < 3:
        return registration
    own = torch.from_numpy(registration.vertices[face])[None]
    fitted = torch.from_numpy(registration.fit.vertices[face])[None]
    motion = align_points(own, fitted)
    rotation, shift = motion.rotation[0].numpy(), motion.translation[0].numpy()
    before, target = registration.transform, registration.target
    turn, move = rotation @ before.rotation, rotation @ before.translation + shift
    return replace(
        registration,
        vertices=registration.vertices @ rotation.T + shift,
        target=prepare_target(target.vertices @ rotation.T + shift, target.faces, spacing=target.spacing),
        transform=ScanTransform(before.mm_per_unit, turn, move),
        fit=replace(registration.fit, rotation=turn, translation=move),
    )
