"""Warp kernels: one thread a triangle or a pixel, the same float64 operations as in ``reference``.

Warp reads the source of a kernel and compiles it for the CPU or for CUDA on first use, then keeps it on disk.
"""
# ruff: noqa: ANN201, ANN202  a kernel returns nothing, and Warp infers the types of a function
# pyright: reportMissingImports=false, reportInvalidTypeForm=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportGeneralTypeIssues=false, reportAttributeAccessIssue=false

from typing import Any, no_type_check

import warp as wp

# A fused multiply-add rounds once where the others round twice: the edge functions of a shared edge would no
# longer be exact opposites, and a pixel on it would belong to both triangles or to none.
wp.set_module_options({"fuse_fp": False, "fast_math": False, "enable_backward": False})

NOBODY = wp.constant(2147483647)


@wp.func
@no_type_check
def _owns_edge(dx: wp.float64, dy: wp.float64):
    zero = wp.float64(0.0)
    return dy > zero or (dy == zero and dx > zero)


@wp.func
@no_type_check
def _drawn(z: wp.float64, perspective: bool):
    return wp.isfinite(z) and (z > wp.float64(0.0) or not perspective)


@wp.func
@no_type_check
def _cross(ax: wp.float64, ay: wp.float64, bx: wp.float64, by: wp.float64):
    return ax * by - ay * bx


@wp.kernel
@no_type_check
def compete(
    pixels: wp.array2d(dtype=wp.vec3d),
    faces: wp.array(dtype=wp.vec3i),
    perspective: bool,
    cull: bool,
    decided: bool,
    nearest: wp.array3d(dtype=wp.float64),
    owner: wp.array3d(dtype=wp.int32),
):
    """A triangle enters its nearness at its pixels or, once all have, its index where it was the nearest."""
    image, face = wp.tid()
    half, zero, one = wp.float64(0.5), wp.float64(0.0), wp.float64(1.0)
    a, b, c = pixels[image, faces[face][0]], pixels[image, faces[face][1]], pixels[image, faces[face][2]]
    x_limit, y_limit = wp.float64(nearest.shape[2] - 1), wp.float64(nearest.shape[1] - 1)
    x_low = wp.max(wp.ceil(wp.min(wp.min(a[0], b[0]), c[0]) - half), zero)
    x_high = wp.min(wp.floor(wp.max(wp.max(a[0], b[0]), c[0]) - half), x_limit)
    y_low = wp.max(wp.ceil(wp.min(wp.min(a[1], b[1]), c[1]) - half), zero)
    y_high = wp.min(wp.floor(wp.max(wp.max(a[1], b[1]), c[1]) - half), y_limit)
    area = _cross(b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1])
    if not (x_low <= x_high and y_low <= y_high and wp.isfinite(area)) or area == zero:
        return
    if cull and area > zero:
        return
    if not (_drawn(a[2], perspective) and _drawn(b[2], perspective) and _drawn(c[2], perspective)):
        return
    q0, q1, q2 = -a[2], -b[2], -c[2]
    if perspective:
        q0, q1, q2 = one / a[2], one / b[2], one / c[2]
    sign = one
    if area < zero:
        sign = -one
    inverse = one / wp.abs(area)
    k0, k1, k2 = q0 * inverse, q1 * inverse, q2 * inverse
    keep0 = _owns_edge(sign * (c[0] - b[0]), sign * (c[1] - b[1]))
    keep1 = _owns_edge(sign * (a[0] - c[0]), sign * (a[1] - c[1]))
    keep2 = _owns_edge(sign * (b[0] - a[0]), sign * (b[1] - a[1]))
    for y in range(int(y_low), int(y_high) + 1):
        py = wp.float64(y) + half
        for x in range(int(x_low), int(x_high) + 1):
            px = wp.float64(x) + half
            e0 = sign * _cross(b[0] - px, b[1] - py, c[0] - px, c[1] - py)
            e1 = sign * _cross(c[0] - px, c[1] - py, a[0] - px, a[1] - py)
            e2 = sign * _cross(a[0] - px, a[1] - py, b[0] - px, b[1] - py)
            inside = (
                (e0 > zero or (e0 == zero and keep0))
                and (e1 > zero or (e1 == zero and keep1))
                and (e2 > zero or (e2 == zero and keep2))
            )
            if inside:
                near = e0 * k0 + e1 * k1 + e2 * k2
                if not decided:
                    wp.atomic_max(nearest, image, y, x, near)
                elif near == nearest[image, y, x]:
                    wp.atomic_min(owner, image, y, x, face)


@wp.kernel
@no_type_check
def weigh(
    pixels: wp.array2d(dtype=wp.vec3d),
    faces: wp.array(dtype=wp.vec3i),
    perspective: bool,
    triangle: wp.array3d(dtype=wp.int32),
    weights: wp.array4d(dtype=Any),
    depth: wp.array3d(dtype=Any),
):
    """Weights and depth of a pixel from its triangle; ``NOBODY`` becomes -1 and zeros."""
    image, y, x = wp.tid()
    face = triangle[image, y, x]
    if face == NOBODY:
        triangle[image, y, x] = -1
        weights[image, y, x, 0] = weights.dtype(0.0)
        weights[image, y, x, 1] = weights.dtype(0.0)
        weights[image, y, x, 2] = weights.dtype(0.0)
        depth[image, y, x] = depth.dtype(0.0)
        return
    a, b, c = pixels[image, faces[face][0]], pixels[image, faces[face][1]], pixels[image, faces[face][2]]
    px, py = wp.float64(x) + wp.float64(0.5), wp.float64(y) + wp.float64(0.5)
    u0 = _cross(b[0] - px, b[1] - py, c[0] - px, c[1] - py)
    u1 = _cross(c[0] - px, c[1] - py, a[0] - px, a[1] - py)
    u2 = _cross(a[0] - px, a[1] - py, b[0] - px, b[1] - py)
    z = u0 * a[2] + u1 * b[2] + u2 * c[2]
    if perspective:
        z = u0 + u1 + u2
        u0, u1, u2 = u0 / a[2], u1 / b[2], u2 / c[2]
    total = u0 + u1 + u2
    weights[image, y, x, 0] = weights.dtype(u0 / total)
    weights[image, y, x, 1] = weights.dtype(u1 / total)
    weights[image, y, x, 2] = weights.dtype(u2 / total)
    depth[image, y, x] = depth.dtype(z / total)


@wp.kernel
@no_type_check
def weigh_backward(
    pixels: wp.array2d(dtype=wp.vec3d),
    faces: wp.array(dtype=wp.vec3i),
    perspective: bool,
    places: wp.array(dtype=wp.vec3i),
    triangle: wp.array3d(dtype=wp.int32),
    grad_weights: wp.array4d(dtype=wp.float64),
    grad_depth: wp.array3d(dtype=wp.float64),
    grad: wp.array2d(dtype=wp.vec3d),
):
    """Gradient at the corners of the triangle at a covered place (image, y, x); closed form of ``cpu``."""
    i = wp.tid()
    image, y, x = places[i][0], places[i][1], places[i][2]
    face = triangle[image, y, x]
    a, b, c = pixels[image, faces[face][0]], pixels[image, faces[face][1]], pixels[image, faces[face][2]]
    px, py = wp.float64(x) + wp.float64(0.5), wp.float64(y) + wp.float64(0.5)
    ax, ay, bx, by, cx, cy = a[0] - px, a[1] - py, b[0] - px, b[1] - py, c[0] - px, c[1] - py
    e0, e1, e2 = _cross(bx, by, cx, cy), _cross(cx, cy, ax, ay), _cross(ax, ay, bx, by)
    one = wp.float64(1.0)
    v0, v1, v2 = one, one, one
    if perspective:
        v0, v1, v2 = one / a[2], one / b[2], one / c[2]
    unit = one / (e0 * v0 + e1 * v1 + e2 * v2)
    b0, b1, b2 = e0 * v0 * unit, e1 * v1 * unit, e2 * v2 * unit
    g0, g1, g2 = grad_weights[image, y, x, 0], grad_weights[image, y, x, 1], grad_weights[image, y, x, 2]
    gd = grad_depth[image, y, x]
    mean = b0 * g0 + b1 * g1 + b2 * g2
    d = b0 * a[2] + b1 * b[2] + b2 * c[2]
    h0, h1, h2 = g0 - mean, g1 - mean, g2 - mean
    t0, t1, t2 = gd * b0, gd * b1, gd * b2
    if perspective:
        t0, t1, t2 = b0 * v0 * (gd * d - h0), b1 * v1 * (gd * d - h1), b2 * v2 * (gd * d - h2)
        h0 = (h0 * v0 + gd * (one - d * v0)) * unit
        h1 = (h1 * v1 + gd * (one - d * v1)) * unit
        h2 = (h2 * v2 + gd * (one - d * v2)) * unit
    else:
        h0 = (h0 + gd * (a[2] - d)) * unit
        h1 = (h1 + gd * (b[2] - d)) * unit
        h2 = (h2 + gd * (c[2] - d)) * unit
    grad[i, 0] = wp.vec3d(h2 * by - h1 * cy, h1 * cx - h2 * bx, t0)
    grad[i, 1] = wp.vec3d(h0 * cy - h2 * ay, h2 * ax - h0 * cx, t1)
    grad[i, 2] = wp.vec3d(h1 * ay - h0 * by, h0 * bx - h1 * ax, t2)


@wp.kernel
@no_type_check
def blend(
    attributes: wp.array3d(dtype=Any),
    corners: wp.array(dtype=wp.vec3i),
    triangle: wp.array3d(dtype=wp.int32),
    weights: wp.array4d(dtype=Any),
    out: wp.array4d(dtype=Any),
):
    """Attributes at a pixel; 0 where empty. Attributes of one row are shared by all images."""
    image, y, x = wp.tid()
    face = triangle[image, y, x]
    row = wp.min(image, attributes.shape[0] - 1)
    for k in range(out.shape[3]):
        if face < 0:
            out[image, y, x, k] = out.dtype(0.0)
        else:
            first = weights[image, y, x, 0] * attributes[row, corners[face][0], k]
            second = weights[image, y, x, 1] * attributes[row, corners[face][1], k]
            third = weights[image, y, x, 2] * attributes[row, corners[face][2], k]
            out[image, y, x, k] = first + second + third


@wp.kernel
@no_type_check
def blend_backward(
    attributes: wp.array3d(dtype=Any),
    corners: wp.array(dtype=wp.vec3i),
    places: wp.array(dtype=wp.vec3i),
    triangle: wp.array3d(dtype=wp.int32),
    grad: wp.array4d(dtype=Any),
    grad_weights: wp.array4d(dtype=Any),
):
    """Gradient of one weight at a covered place (image, y, x); threads are (place, corner)."""
    i, corner = wp.tid()
    image, y, x = places[i][0], places[i][1], places[i][2]
    row = wp.min(image, attributes.shape[0] - 1)
    vertex = corners[triangle[image, y, x]][corner]
    total = grad.dtype(0.0)
    for k in range(grad.shape[3]):
        total += grad[image, y, x, k] * attributes[row, vertex, k]
    grad_weights[image, y, x, corner] = total


# All types at once: one that turned up later would have the whole file compiled again.
for _real in (wp.float32, wp.float64):
    _buffers = {"weights": wp.array4d(dtype=_real), "out": wp.array4d(dtype=_real)}
    wp.overload(weigh, {"weights": wp.array4d(dtype=_real), "depth": wp.array3d(dtype=_real)})
    wp.overload(blend, {"attributes": wp.array3d(dtype=_real), **_buffers})
    _incoming = {"grad": wp.array4d(dtype=_real), "grad_weights": wp.array4d(dtype=_real)}
    wp.overload(blend_backward, {"attributes": wp.array3d(dtype=_real), **_incoming})
