"""The square, upright crop that the network sees, as a camera of its own."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from facewright.core.errors import InputError
from facewright.scene.camera import PerspectiveCamera, WeakPerspectiveCamera
from facewright.scene.lighting import PointLight
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose


def crop_from_photo_px(
    points: Float[Tensor, "B N 2"], frames: Float[Tensor, "B 4"], size: int
) -> Float[Tensor, "B N 2"]:
    """Pixels of the photo to pixels of the crop."""
    offset = points - frames[:, None, :2]
    return offset @ _turn(-frames[:, 3]).mT * (size / frames[:, None, 2:3]) + size / 2


def photo_from_crop_px(
    points: Float[Tensor, "B N 2"], frames: Float[Tensor, "B 4"], size: int
) -> Float[Tensor, "B N 2"]:
    """Pixels of the crop to pixels of the photo."""
    offset = (points - size / 2) * (frames[:, None, 2:3] / size)
    return offset @ _turn(frames[:, 3]).mT + frames[:, None, :2]


def head_in_crop(head: HeadParameters, frames: Float[Tensor, "B 4"], size: int) -> HeadParameters:
    """A head seen by the photo's camera, as the crop's camera sees it.

    The crop is turned by the face's roll about the optical axis, scaled and shifted: of a pinhole camera
    that is again a pinhole camera, so nothing is approximated.

    Raises:
        InputError: the camera is no perspective one.
    """
    camera = head.camera
    if not isinstance(camera, PerspectiveCamera):
        raise InputError("expected a head seen by a perspective camera.")
    scale = size / frames[:, 2]
    principal = crop_from_photo_px(camera.principal[:, None], frames, size)[:, 0]
    return _turned(head, -frames[:, 3], PerspectiveCamera(camera.focal * scale, principal, (size, size)))


def head_in_photo(
    head: HeadParameters, frames: Float[Tensor, "B 4"], photo_size: tuple[int, int]
) -> HeadParameters:
    """The inverse of ``head_in_crop``; ``photo_size`` is (height, width)."""
    camera, size = head.camera, head.camera.size[0]
    scale = frames[:, 2] / size
    if isinstance(camera, PerspectiveCamera):
        principal = photo_from_crop_px(camera.principal[:, None], frames, size)[:, 0]
        outer: PerspectiveCamera | WeakPerspectiveCamera = PerspectiveCamera(
            camera.focal * scale, principal, photo_size
        )
    else:
        offset = photo_from_crop_px(camera.offset[:, None], frames, size)[:, 0]
        outer = WeakPerspectiveCamera(camera.scale * scale, offset, photo_size)
    return _turned(head, frames[:, 3], outer)


def _turned(
    head: HeadParameters, angle: Float[Tensor, " B"], camera: PerspectiveCamera | WeakPerspectiveCamera
) -> HeadParameters:
    """Everything of the camera frame turned about the optical axis."""
    turn = torch.zeros(len(angle), 3, 3, dtype=angle.dtype, device=angle.device)
    turn[:, :2, :2] = _turn(angle)
    turn[:, 2, 2] = 1
    lamp = head.point_light
    if lamp is not None:
        lamp = PointLight((turn @ lamp.position[..., None])[..., 0], lamp.intensity)
    pose = Pose(turn @ head.pose.rotation, (turn @ head.pose.translation[..., None])[..., 0])
    return replace(head, pose=pose, camera=camera, light=head.light.turned(turn), point_light=lamp)


def _turn(angle: Float[Tensor, " B"]) -> Float[Tensor, "B 2 2"]:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
