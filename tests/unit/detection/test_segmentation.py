"""Segmentation of photos: crops lie where they should, classes come back to the photo's pixels."""

import numpy as np
import pytest
import torch
from PIL import Image

from facewright.core.errors import AssetError, InputError
from facewright.detection import detect
from facewright.detection.crop import frames_from_landmarks, photo_from_crop
from facewright.detection.segmentation import CLASSES, FaceSegmentation, FaceSegmenter
from facewright.networks.segmentation import SegmentationNetwork, SegmentationNetworkSettings
from facewright.networks.weights import write_weights
from facewright.pipeline.portraits import demo_portraits

SIZES = SegmentationNetworkSettings(input_size=32, widths=(4, 6, 8), decoder=(6, 4))
FRAME = np.array([[40.0, 30.0, 32.0, 0.4]])


def painted(column: int, row: int) -> FaceSegmentation:
    """One cell of the crop is surely an eye, all else is face."""
    probabilities = torch.zeros(1, len(CLASSES), 16, 16)
    probabilities[:, 1] = 1
    probabilities[0, :, row, column] = torch.eye(len(CLASSES))[3]
    return FaceSegmentation(probabilities, FRAME)


def test_classes_come_back_to_the_photo() -> None:
    segmentation = painted(12, 3)
    in_photo = segmentation.in_photo((60, 80))
    assert in_photo.shape == (1, 6, 60, 80)
    torch.testing.assert_close(in_photo.sum(1), torch.ones(1, 60, 80))
    (middle,) = photo_from_crop(np.array([[[12.5 / 16, 3.5 / 16]]]), FRAME)[0]
    rows, columns = torch.nonzero(in_photo[0, 3] > 0.2, as_tuple=True)
    weight = in_photo[0, 3, rows, columns]
    found = [float(((axis + 0.5) * weight).sum() / weight.sum()) for axis in (columns, rows)]
    np.testing.assert_allclose(found, middle, atol=0.3)
    assert in_photo[0, 0, 0, 0] == 1  # beyond the crop
    assert in_photo[0, 1, 30, 40] == 1
    # Control: at the mirrored cell there is no eye.
    other = photo_from_crop(np.array([[[3.5 / 16, 3.5 / 16]]]), FRAME)
    assert segmentation.at(torch.from_numpy(other)[:, None].float())[0, 3, 0, 0] == 0


def test_what_lies_before_faces_is_told_one_by_one() -> None:
    free, hidden = painted(12, 3).probabilities, painted(12, 3).probabilities.clone()
    hidden[0, :, 3, 12] = torch.eye(len(CLASSES))[CLASSES.index("occluder")]
    frames = np.concatenate([FRAME, FRAME])
    covers = FaceSegmentation(torch.cat([free, hidden]), frames).covers()
    place = torch.from_numpy(
        photo_from_crop(np.array([[[12.5 / 16, 3.5 / 16], [0.5, 0.5]]]), FRAME)[0]
    ).float()
    torch.testing.assert_close(covers[0](place), torch.tensor([0.0, 0.0]))
    torch.testing.assert_close(covers[1](place), torch.tensor([1.0, 0.0]), atol=1e-4, rtol=0)
    hidden[0, :, 3, 12] = torch.eye(len(CLASSES))[CLASSES.index("inner_mouth")]
    (mouth,) = FaceSegmentation(hidden, FRAME).covers()
    torch.testing.assert_close(mouth(place), torch.tensor([1.0, 0.0]), atol=1e-4, rtol=0)


def test_what_lies_beside_a_face_is_told() -> None:
    shown = painted(12, 3).probabilities.clone()
    shown[0, :, 3, 12] = torch.eye(len(CLASSES))[CLASSES.index("background")]
    shown[0, :, 8, 8] = torch.eye(len(CLASSES))[CLASSES.index("occluder")]
    (beside,) = FaceSegmentation(shown, FRAME).besides()
    inside = np.array(
        [[[12.5 / 16, 3.5 / 16], [8.5 / 16, 8.5 / 16], [5.0, 5.0]]]
    )  # the last one: beyond the crop
    places = torch.from_numpy(photo_from_crop(inside, FRAME)[0]).float()
    torch.testing.assert_close(beside(places), torch.tensor([1.0, 0.0, 0.0]), atol=1e-4, rtol=0)


def test_classes_are_asked_for_by_name() -> None:
    segmentation = painted(12, 3)
    assert torch.equal(segmentation.of("face", "eyes"), torch.ones(1, 16, 16))
    assert segmentation.of("eyes").sum() == 1
    with pytest.raises(InputError, match="expected classes"):
        segmentation.of("nose")


@pytest.fixture(scope="module")
def segmenter() -> FaceSegmenter:
    torch.manual_seed(3)
    return FaceSegmenter(SegmentationNetwork(SIZES).eval())


def test_a_batch_is_its_faces(segmenter) -> None:
    generator = torch.Generator().manual_seed(1)
    photos = [torch.rand(3, *size, generator=generator) for size in ((60, 90), (200, 100))]
    points = [torch.rand(478, 2, generator=generator) * 50 for _ in photos]
    both = segmenter(photos, points)
    assert both.probabilities.shape == (2, 6, 32, 32)
    np.testing.assert_allclose(both.frames, frames_from_landmarks(torch.stack(points).double().numpy()))
    for number in range(2):
        alone = segmenter(photos[number : number + 1], points[number : number + 1])
        torch.testing.assert_close(alone.probabilities[0], both.probabilities[number])
    assert (both.probabilities[0] - both.probabilities[1]).abs().max() > 1e-3


def test_the_shipped_weights_find_a_face() -> None:
    """The middle of a portrait's cheeks is face, its eyes are eyes, beside the head is no face."""
    photo = torch.from_numpy(np.array(Image.open(demo_portraits()["astronaut"]).convert("RGB")))
    photo = photo.permute(2, 0, 1).float() / 255
    (face,) = detect(photo)
    found = FaceSegmenter.load()([photo], [face.points])
    places = face.points[[50, 280, 4, 468, 473]]  # cheeks, tip of the nose, irises
    shares = found.at(places[None, None])[0, :, 0]
    assert (shares[1, :3] > 0.8).all()
    assert (shares[3, 3:] > 0.3).all()
    left, top, right, _ = face.box
    beside = torch.tensor([[left - 0.3 * (right - left), top], [right + 0.3 * (right - left), top]])
    assert (found.at(beside[None, None])[0, 1, 0] < 0.2).all()


def test_wrong_numbers_of_photos_are_told(segmenter) -> None:
    with pytest.raises(InputError, match="as many photos"):
        segmenter([torch.zeros(3, 8, 8)], [])


def test_weights_of_other_classes_are_refused(tmp_path) -> None:
    file = tmp_path / "weights.safetensors"
    sizes = SegmentationNetworkSettings(input_size=32, classes=4, widths=(4, 6, 8), decoder=(6, 4))
    write_weights(file, SegmentationNetwork(sizes), {})
    with pytest.raises(AssetError, match="6 classes, got 4"):
        FaceSegmenter.load(weights=file)
