"""Pictures of a relief of a face with and without holes."""

import numpy as np
from tests.unit.registration.small_face import fine_scan, known_head, small_face

from facewright.geometry.scan import Scan
from facewright.registration.scan_views import BACKDROP, looking, viewer_of
from facewright.registration.surface import surface_of_scan

VERTICES, FACES = fine_scan(known_head(small_face()))
FRONT = looking(np.array([0.0, 0, 1]), np.array([0.0, 1, 0]))


def picture(radius: float) -> np.ndarray:
    """The relief with a round hole of this radius (mm) between nose and cheek."""
    centre = VERTICES[FACES].mean(1)
    kept = np.hypot(centre[:, 0] - 20, centre[:, 1] - 10) >= radius
    surface = surface_of_scan(Scan("relief.ply", VERTICES, FACES[kept], np.arange(len(VERTICES))))
    view = viewer_of(surface).look(FRONT, np.array([0.0, 0.0, 90.0]), 120.0, 160)
    return view.picture.numpy()


def test_small_holes_are_closed_with_what_is_around_them() -> None:
    whole, holed = picture(0.0), picture(8.0)
    assert abs(whole - holed).max() < 0.15
    np.testing.assert_array_equal(holed[:, whole[0] == BACKDROP], whole[:, whole[0] == BACKDROP])


def test_large_holes_stay() -> None:
    """The control: what is no small hole keeps the backdrop, and differs from the whole."""
    assert abs(picture(0.0) - picture(30.0)).max() > 0.25
