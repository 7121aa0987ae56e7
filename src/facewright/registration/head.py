"""A scan into the head's topology: unit, pose, model fit, non-rigid ICP, and what can be believed of it."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from facewright.core.errors import InputError, NoFaceError, SeveralFacesError
from facewright.core.progress import StageClock
from facewright.models.face_model import FaceModel
from facewright.registration.correspondence import Target, match, normals_of, prepare_target
from facewright.registration.face_fit import fit_face, visible_skin
from facewright.registration.lips import ContactTerm
from facewright.registration.nonrigid import (
    ClosestPointTerm,
    Deformation,
    LandmarkTerm,
    ScanPointTerm,
    Term,
    deform,
)
from facewright.registration.records import FaceFit, Registration, ScanLandmarks, ScanTransform
from facewright.registration.rigid import (
    Placement,
    eye_distance_of,
    mm_per_unit,
    place_by_landmarks,
    place_by_search,
)
from facewright.registration.scan_landmarks import Finder, find_face_on_scan
from facewright.registration.skin import RegistrationSettings, SkinStart, check_regions
from facewright.registration.surface import ScanSurface

WORST_FIT, LEAST_MATCHED = 3.0, 0.35  # mm and share of the face's vertices; beyond these it is no face
BELIEVED, BELIEVED_COSINE = 2.0, 0.5  # mm, and the surfaces' normals: what counts as reliable
ODD_EYES = (55.0, 125.0)  # mm; outside of this a given unit is said to be doubtful


def draw_skin(skin: SkinStart) -> Deformation:
    """Draw the skin onto a scan by closest points of both, and by landmarks."""
    settings = skin.settings
    terms: list[Term] = [ClosestPointTerm(skin.target, skin.weight)]
    if settings.scan_points:
        terms.append(
            ScanPointTerm.near(skin.target, skin.faces, skin.vertices, skin.weight, settings.scan_points)
        )
    if skin.landmarks is not None:
        terms.append(_landmark_term(skin, skin.landmarks))
    if (contact := ContactTerm.of(skin, settings.contact)) is not None:
        terms.append(contact)
    return deform(skin.vertices, skin.faces, terms, settings.nonrigid, pliancy=skin.pliancy)


def _landmark_term(skin: SkinStart, landmarks: ScanLandmarks) -> LandmarkTerm:
    """Landmarks as points of the skin's triangles; those on other parts are left out."""
    points = skin.model.landmarks["dense478"]
    triangle, on_skin = skin.carried(points.triangle.numpy()[landmarks.index])
    return LandmarkTerm(
        triangle,
        points.weights.double().numpy()[landmarks.index][on_skin],
        landmarks.points[on_skin],
        1 / landmarks.sigma[on_skin] ** 2,
    )


def register_scan(
    surface: ScanSurface,
    model: FaceModel,
    finder: Finder | None,
    landmarks: ScanLandmarks | None = None,
    settings: RegistrationSettings | None = None,
    *,
    bias: Float[ndarray, "478 3"] | None = None,
    draw: Callable[[SkinStart], Deformation] = draw_skin,
) -> Registration:
    """Bring a scan into the topology of a face model.

    Args:
        surface: the scan, in any frame and unit.
        model: the face model, in whose head frame the result lies.
        finder: of faces on pictures; None: landmarks are given, or the pose is searched for without any.
        landmarks: in the scan's frame and unit; found on renderings if None.
        settings: of the registration.
        bias: from ``plaster_bias``: better landmarks on scans without colours.
        draw: draws the skin of the fitted model onto the scan; eyes, teeth and tongue follow.

    Raises:
        NoFaceError: no face was found, or the model comes to lie on none.
        SeveralFacesError: more than one was found.
        InputError: the unit is not clear, or the settings name a region that the model does not have.
    """
    settings = settings or RegistrationSettings()
    check_regions(model, settings)
    clock, notes = StageClock(), list(surface.notes)
    with clock.stage("landmarks"):
        landmarks, missing = _landmarks(surface, model, finder, landmarks, bias)
    apart = None if landmarks is None else eye_distance_of(landmarks, model)
    factor, told = _unit(surface.name, apart, settings.mm, missing)
    notes += told
    scan = surface.scaled(factor)
    if landmarks is not None:
        landmarks = replace(landmarks, points=landmarks.points * factor)
    with clock.stage("pose"):
        placement = _placed(scan, model, landmarks, missing)
    with clock.stage("model"):
        target = prepare_target(scan.vertices, scan.faces, spacing=scan.spacing)
        fit = fit_face(model, target, (placement.rotation, placement.translation), landmarks, settings.fit)
        _check_fit(fit, surface.name)
    with clock.stage("deformation"):
        target = _moved(target, fit, scan.spacing)
        skin = SkinStart(model, target, fit, _in_head(landmarks, fit), settings)
        result = draw(skin)
        vertices = skin.whole(result.vertices)
    found = match(target, vertices, normals_of(vertices, model.topology.faces.numpy()))
    reliable = (visible_skin(model) > 0) & (found.distance < BELIEVED)
    reliable &= (found.cosine > BELIEVED_COSINE) & ~found.on_border
    return Registration(
        vertices=vertices,
        distance=found.distance,
        reliable=reliable,
        target=target,
        transform=ScanTransform(factor, fit.rotation, fit.translation),
        fit=fit,
        landmarks=landmarks,
        start=placement.way,
        solver=result.solver,
        iterations=result.iterations,
        seconds=dict(clock.seconds),
        notes=tuple(notes),
    )


def _landmarks(
    surface: ScanSurface,
    model: FaceModel,
    finder: Finder | None,
    given: ScanLandmarks | None,
    bias: ndarray | None,
) -> tuple[ScanLandmarks | None, NoFaceError | None]:
    """Landmarks, or why there are none."""
    if given is not None or finder is None:
        return given, None
    try:
        return find_face_on_scan(surface, model, finder, bias).landmarks, None
    except SeveralFacesError:
        raise
    except NoFaceError as error:
        return None, error


def _unit(
    name: str, apart: float | None, given: float | None, missing: NoFaceError | None
) -> tuple[float, list[str]]:
    """Millimetres a unit, and what to say about it; ``apart``: the outer eye corners, in the scan's unit."""
    if given is not None:
        low, high = ODD_EYES
        if apart is not None and not low <= apart * given <= high:
            return given, [f"doubtful unit: the outer eye corners are then {apart * given:.4g} mm apart"]
        return given, []
    if missing is not None:
        told = str(missing).removesuffix(".")
        raise NoFaceError(f"{told}, or --unit to search for its pose without any.") from missing
    if apart is None:
        raise InputError(
            f"the unit of {name} is not known, since no eye corners were found on it: give --unit."
        )
    factor, unit = mm_per_unit(apart, name)
    return factor, [f"unit taken as {unit}: the outer eye corners are then {apart * factor:.1f} mm apart"]


def _placed(
    scan: ScanSurface, model: FaceModel, landmarks: ScanLandmarks | None, missing: NoFaceError | None
) -> Placement:
    if landmarks is not None:
        return place_by_landmarks(landmarks, model)
    try:
        return place_by_search(scan.vertices, model, scan.name)
    except NoFaceError as error:
        raise missing or error from error


def _check_fit(fit: FaceFit, name: str) -> None:
    if not (fit.median_distance <= WORST_FIT and fit.matched >= LEAST_MATCHED):
        raise NoFaceError(
            f"the head does not come to lie on {name}: {100 * fit.matched:.0f} % of the face has a "
            f"counterpart on it, {fit.median_distance:.1f} mm away: expected a scan of one face; "
            "check --unit and --landmarks."
        )


def _moved(target: Target, fit: FaceFit, spacing: float) -> Target:
    """The scan in the head frame."""
    vertices = target.vertices @ fit.rotation.T + fit.translation
    return prepare_target(vertices, target.faces, spacing=spacing)


def _in_head(landmarks: ScanLandmarks | None, fit: FaceFit) -> ScanLandmarks | None:
    if landmarks is None:
        return None
    return replace(landmarks, points=landmarks.points @ fit.rotation.T + fit.translation)


def reliable_face(model: FaceModel, registration: Registration) -> Bool[ndarray, " V"]:
    """Vertices of the tight face that the scan speaks about."""
    return model.regions["face_tight"].numpy() & registration.reliable


def neutral_of(model: FaceModel, registration: Registration) -> Float[ndarray, "V 3"]:
    """The registered head without the expression that the model saw in it."""
    activations = torch.from_numpy(registration.fit.expression).float()
    moved = (activations @ model.expression_basis.flatten(1)).unflatten(-1, (-1, 3))
    return registration.vertices - moved.double().numpy()
