"""How found boxes are counted in the evaluation's scenes."""

import numpy as np

from evaluate_detection import pair

FACES = np.array([[100.0, 100.0, 60.0, 0.0], [300.0, 100.0, 60.0, 0.0]])


def box(x: float, y: float, extent: float) -> np.ndarray:
    return np.array([x - extent / 2, y - extent / 2, x + extent / 2, y + extent / 2])


def test_a_second_box_on_a_face_is_a_false_one():
    found = pair([box(100, 100, 60), box(104, 98, 66)], FACES)
    assert sorted(found >= 0) == [False, True]


def test_each_face_gets_the_box_that_is_left():
    # The first box would do for both of two overlapping faces, the second for the first face alone.
    faces = np.array([[100.0, 100.0, 60.0, 0.0], [118.0, 100.0, 60.0, 0.0]])
    assert pair([box(109, 100, 60), box(84, 100, 60)], faces).tolist() == [1, 0]


def test_boxes_off_the_faces_match_none():
    assert pair([box(200, 100, 60), box(100, 100, 20)], FACES).tolist() == [-1, -1]
    assert pair([], FACES).tolist() == [-1, -1]
    assert pair([box(100, 100, 60)], np.zeros((0, 4))).tolist() == []
