"""Rotations as 3x3 matrices; axis-angle as the local chart, quaternions for files only."""

import torch
from jaxtyping import Float
from torch import Tensor


def rotation_from_axis_angle(axis_angle: Float[Tensor, "*B 3"]) -> Float[Tensor, "*B 3 3"]:
    """Exponential map of SO(3), smooth at zero.

    Args:
        axis_angle: rotation axis times angle in radians.
    """
    return torch.linalg.matrix_exp(skew(axis_angle))


def axis_angle_from_rotation(rotation: Float[Tensor, "*B 3 3"]) -> Float[Tensor, "*B 3"]:
    """Logarithm of SO(3), in radians, angle in [0, pi]; accurate also near 0 and near pi."""
    quaternion = quaternion_from_rotation(rotation)
    vector = quaternion[..., 1:]
    sine = vector.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, quaternion[..., :1])
    small = sine < 1e-7
    return vector * torch.where(small, torch.full_like(sine, 2.0), angle / sine.clamp_min(1e-12))


def quaternion_from_rotation(rotation: Float[Tensor, "*B 3 3"]) -> Float[Tensor, "*B 4"]:
    """Unit quaternions (w, x, y, z) with w >= 0.

    **Source:** Bar-Itzhack 2000, the eigenvector form: stable for every angle.
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    rows = [
        [xx + yy + zz, m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]],
        [m[..., 2, 1] - m[..., 1, 2], xx - yy - zz, m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0]],
        [m[..., 0, 2] - m[..., 2, 0], m[..., 0, 1] + m[..., 1, 0], yy - xx - zz, m[..., 1, 2] + m[..., 2, 1]],
        [m[..., 1, 0] - m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1], zz - xx - yy],
    ]
    symmetric = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    quaternion = torch.linalg.eigh(symmetric).eigenvectors[..., -1]
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def skew(vector: Float[Tensor, "*B 3"]) -> Float[Tensor, "*B 3 3"]:
    """Cross-product matrices: ``skew(a) @ b == cross(a, b)``."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    entries = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))
