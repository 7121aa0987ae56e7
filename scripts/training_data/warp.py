"""Numba kernels that cut augmented crops out of photographs (serial, without the GIL)."""

import math

import numpy as np
from numba import njit

# ruff: noqa: ANN001, ANN201, ANN202, RUF046 (kernels: numba infers the types)
CONSTANT, CLAMP, PHOTO, REFLECT = 0, 1, 2, 3
RECT, OVAL = 0, 1


@njit(nogil=True, cache=True, fastmath=True, inline="always")
def _bilinear(pixels, start, width, r0, r1, c0, c1, fy, fx):
    a, b = start + r0 * width, start + r1 * width
    top = pixels[a + c0] + (np.float32(pixels[a + c1]) - pixels[a + c0]) * fx
    bottom = pixels[b + c0] + (np.float32(pixels[b + c1]) - pixels[b + c0]) * fx
    return top + (bottom - top) * fy


@njit(nogil=True, cache=True, fastmath=True)
def _clamped(pixels, start, height, width, x, y):
    x = min(max(x - np.float32(0.5), np.float32(0.0)), np.float32(width - 1))
    y = min(max(y - np.float32(0.5), np.float32(0.0)), np.float32(height - 1))
    c0, r0 = np.int64(x), np.int64(y)
    c1, r1 = min(c0 + 1, width - 1), min(r0 + 1, height - 1)
    return _bilinear(pixels, start, width, r0, r1, c0, c1, y - r0, x - c0)


@njit(nogil=True, cache=True, fastmath=True)
def _fold(value, extent):
    """Reflect a coordinate into [0, extent]."""
    turns = math.floor(value / extent)
    rest = value - turns * extent
    return rest if np.int64(turns) % 2 == 0 else extent - rest


@njit(nogil=True, cache=True, fastmath=True)
def _reflected(pixels, start, height, width, x, y):
    return _clamped(pixels, start, height, width, np.float32(_fold(x, width)), np.float32(_fold(y, height)))


@njit(nogil=True, cache=True, fastmath=True)
def cut_crop(pixels, photo, frame, flip, fill, backdrop, backdrop_frame, level, out):
    """Fill ``out`` (S, S) with the crop of ``frame``; ``photo``, ``backdrop`` are (start, height, width).

    Where the crop leaves the photo, ``fill`` says what is seen: a grey level, the clamped border, another
    photo, or the mirrored photo.
    """
    size = out.shape[0]
    start, height, width = photo
    scale = frame[2] / size
    samples = 1 if scale < 1.7 else (2 if scale < 3.4 else 4)
    cos, sin = np.float32(frame[2] * math.cos(frame[3])), np.float32(frame[2] * math.sin(frame[3]))
    cos_b = np.float32(backdrop_frame[2] * math.cos(backdrop_frame[3]))
    sin_b = np.float32(backdrop_frame[2] * math.sin(backdrop_frame[3]))
    x_0, y_0 = np.float32(frame[0]), np.float32(frame[1])
    step = np.float32(1.0 / (size * samples))
    for row in range(size):
        for column in range(size):
            total = np.float32(0.0)
            for sub in range(samples * samples):
                u = (column * samples + sub % samples + np.float32(0.5)) * step - np.float32(0.5)
                v = (row * samples + sub // samples + np.float32(0.5)) * step - np.float32(0.5)
                x = x_0 + u * cos - v * sin
                y = y_0 + u * sin + v * cos
                if fill == CLAMP or (x >= 0.0 and y >= 0.0 and x <= width and y <= height):
                    total += _clamped(pixels, start, height, width, x, y)
                elif fill == REFLECT:
                    total += _reflected(pixels, start, height, width, x, y)
                elif fill == PHOTO:
                    xb = backdrop_frame[0] + u * cos_b - v * sin_b
                    yb = backdrop_frame[1] + u * sin_b + v * cos_b
                    total += _reflected(pixels, backdrop[0], backdrop[1], backdrop[2], xb, yb)
                else:
                    total += np.float32(level)
            target = size - 1 - column if flip else column
            out[row, target] = total / (255.0 * samples * samples)


@njit(nogil=True, cache=True, fastmath=True)
def lower_resolution(image, small, scratch):
    """Average ``image`` to ``small`` pixels a side and interpolate back, in place."""
    size = image.shape[0]
    ratio = size / small
    for row in range(small):
        r0, r1 = int(row * ratio), max(int((row + 1) * ratio), int(row * ratio) + 1)
        for column in range(small):
            c0, c1 = int(column * ratio), max(int((column + 1) * ratio), int(column * ratio) + 1)
            total = 0.0
            for r in range(r0, r1):
                for c in range(c0, c1):
                    total += image[r, c]
            scratch[row, column] = total / ((r1 - r0) * (c1 - c0))
    for row in range(size):
        y = (row + 0.5) / ratio - 0.5
        r0 = min(max(int(math.floor(y)), 0), small - 1)
        r1 = min(r0 + 1, small - 1)
        fy = min(max(y - r0, 0.0), 1.0)
        for column in range(size):
            x = (column + 0.5) / ratio - 0.5
            c0 = min(max(int(math.floor(x)), 0), small - 1)
            c1 = min(c0 + 1, small - 1)
            fx = min(max(x - c0, 0.0), 1.0)
            top = scratch[r0, c0] * (1 - fx) + scratch[r0, c1] * fx
            bottom = scratch[r1, c0] * (1 - fx) + scratch[r1, c1] * fx
            image[row, column] = top * (1 - fy) + bottom * fy


@njit(nogil=True, cache=True, fastmath=True)
def blur(image, step_x, step_y, taps, scratch):
    """Average ``taps`` shifted copies along a direction (motion or defocus), in place."""
    size_y, size_x = image.shape
    for row in range(size_y):
        for column in range(size_x):
            total = 0.0
            for tap in range(taps):
                offset = tap - 0.5 * (taps - 1)
                r = min(max(int(round(row + offset * step_y)), 0), size_y - 1)
                c = min(max(int(round(column + offset * step_x)), 0), size_x - 1)
                total += image[r, c]
            scratch[row, column] = total / taps
    for row in range(size_y):
        for column in range(size_x):
            image[row, column] = scratch[row, column]


@njit(nogil=True, cache=True, fastmath=True)
def sharpen(image, strength, scratch):
    """Add ``strength`` times what a 3x3 binomial mean takes away, as cameras do, in place."""
    size_y, size_x = image.shape
    for row in range(size_y):
        up, down = max(row - 1, 0), min(row + 1, size_y - 1)
        for column in range(size_x):
            left, right = max(column - 1, 0), min(column + 1, size_x - 1)
            corners = image[up, left] + image[up, right] + image[down, left] + image[down, right]
            edges = image[up, column] + image[down, column] + image[row, left] + image[row, right]
            mean = (corners + 2.0 * edges + 4.0 * image[row, column]) / 16.0
            scratch[row, column] = image[row, column] + strength * (image[row, column] - mean)
    for row in range(size_y):
        for column in range(size_x):
            image[row, column] = scratch[row, column]


@njit(nogil=True, cache=True, fastmath=True)
def cover(image, x, y, half_width, half_height, angle, level, round_shape, texture):
    """Draw a turned rectangle or ellipse of one level with ``texture`` noise over ``image``, in place."""
    size = image.shape[0]
    cos, sin = math.cos(angle), math.sin(angle)
    reach = int(math.ceil(math.hypot(half_width, half_height)))
    for row in range(max(int(y) - reach, 0), min(int(y) + reach + 1, size)):
        for column in range(max(int(x) - reach, 0), min(int(x) + reach + 1, size)):
            u = ((column - x) * cos + (row - y) * sin) / half_width
            v = (-(column - x) * sin + (row - y) * cos) / half_height
            if (u * u + v * v <= 1.0) if round_shape else (abs(u) <= 1.0 and abs(v) <= 1.0):
                image[row, column] = level + texture[row, column]


@njit(nogil=True, cache=True, fastmath=True)
def expose(image, gamma, gain, bias, slope_x, slope_y, noise, noise_start, strength):
    """Gamma, contrast, brightness, a light gradient and sensor noise, clamped to [0, 1], in place."""
    size_y, size_x = image.shape
    # The generator keeps ``noise_start`` at least one image before the table's end.
    table = np.empty(257, np.float32)
    for level in range(257):
        table[level] = (level / 256.0) ** gamma * gain
    for row in range(size_y):
        for column in range(size_x):
            shade = 1.0 + slope_x * (column / size_x - 0.5) + slope_y * (row / size_y - 0.5)
            level = min(max(image[row, column], 0.0), 1.0) * 255.999
            low = int(level)
            value = (table[low] + (table[low + 1] - table[low]) * (level - low)) * shade + bias
            value += strength * noise[noise_start + row * size_x + column]
            image[row, column] = min(max(value, 0.0), 1.0)


@njit(nogil=True, cache=True, fastmath=True)
def cut_batch(pixels, photos, frames, flips, fills, backdrops, backdrop_frames, levels, out):
    """``cut_crop`` for a batch."""
    for index in range(len(out)):
        cut_crop(
            pixels, photos[index], frames[index], flips[index], fills[index], backdrops[index],
            backdrop_frames[index], levels[index], out[index],
        )  # fmt: skip


@njit(nogil=True, cache=True, fastmath=True)
def degrade_batch(images, small, blurs, sharp, covers, exposures, noise, noise_starts):
    """Occluders, blur, low resolution, sharpening, exposure and noise for a batch, in place.

    ``small`` (B,) px or 0, at most the images' size; ``blurs`` (B, 3) step x, step y, taps (<= 1: none);
    ``sharp`` (B,) strength; ``covers`` (B, K, 7) x, y, half sizes, angle, level, kind (0 none, 1 rectangle,
    2 ellipse); ``exposures`` (B, 6).
    """
    size = images.shape[1]
    scratch = np.empty((size, size), np.float32)
    texture = np.empty((size, size), np.float32)
    for index in range(len(images)):
        image = images[index]
        for k in range(covers.shape[1]):
            c = covers[index, k]
            if c[6] > 0.5:
                start = noise_starts[index]
                for row in range(size):
                    for column in range(size):
                        texture[row, column] = 0.04 * noise[start + row * size + column]
                cover(image, c[0], c[1], c[2], c[3], c[4], c[5], c[6] > 1.5, texture)
        if blurs[index, 2] > 1.5:
            blur(image, blurs[index, 0], blurs[index, 1], int(blurs[index, 2]), scratch)
            if blurs[index, 2] < 4.5:
                blur(image, -blurs[index, 1], blurs[index, 0], int(blurs[index, 2]), scratch)
        if small[index] > 0:
            lower_resolution(image, small[index], scratch)
        if sharp[index] > 0.0:
            sharpen(image, sharp[index], scratch)
        e = exposures[index]
        expose(image, e[0], e[1], e[2], e[3], e[4], noise, noise_starts[index], e[5])


@njit(nogil=True, cache=True, fastmath=True)
def paste(canvas, pixels, photo, photo_frame, frame, flip, shape, reach, feather, gain, bias):
    """Paste the surroundings of a face so that the photo's crop ``photo_frame`` lands on ``frame``, in place.

    ``reach`` is how much is pasted around the centre (1 = the crop frame), an oval or what the photo holds.
    """
    size_y, size_x = canvas.shape
    start, height, width = photo
    cos, sin = np.float32(math.cos(frame[3])), np.float32(math.sin(frame[3]))
    turn = photo_frame[3]
    cos_p, sin_p = np.float32(photo_frame[2] * math.cos(turn)), np.float32(photo_frame[2] * math.sin(turn))
    extent = int(frame[2] * reach * 0.75) + 2
    x_0, y_0 = int(frame[0]), int(frame[1])
    scale = photo_frame[2] / frame[2]
    samples = 1 if scale < 1.7 else (2 if scale < 3.4 else (4 if scale < 7 else 7))
    for row in range(max(y_0 - extent, 0), min(y_0 + extent + 1, size_y)):
        for column in range(max(x_0 - extent, 0), min(x_0 + extent + 1, size_x)):
            total = np.float32(0.0)
            edge = np.float32(1.0)
            for sub in range(samples * samples):
                dx = np.float32((column + (sub % samples + 0.5) / samples - frame[0]) / frame[2])
                dy = np.float32((row + (sub // samples + 0.5) / samples - frame[1]) / frame[2])
                u, v = dx * cos + dy * sin, -dx * sin + dy * cos
                if flip:
                    u = -u
                x = np.float32(photo_frame[0]) + u * cos_p - v * sin_p
                y = np.float32(photo_frame[1]) + u * sin_p + v * cos_p
                if sub == 0:
                    inner = min(min(x, width - x), min(y, height - y)) / np.float32(photo_frame[2])
                    if shape == OVAL:
                        inner = min(inner, (1.0 - math.sqrt(u * u / 0.16 + v * v / 0.25) / reach) * 0.4)
                    else:
                        inner = min(inner, reach * 0.5 - max(abs(u), abs(v)))
                    edge = min(max(np.float32(inner / feather), np.float32(0.0)), np.float32(1.0))
                    if edge <= 0.0:
                        break
                total += _clamped(pixels, start, height, width, x, y)
            if edge > 0.0:
                value = total / np.float32(255.0 * samples * samples) * gain + bias
                canvas[row, column] += edge * (value - canvas[row, column])


@njit(nogil=True, cache=True, fastmath=True)
def render(pixels, start, height, width, source, target, triangles, image, depth):
    """Draw the triangles at ``target`` (px, depth) with the photo's pixels at ``source``; nearest wins."""
    size = image.shape[0]
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        ax, ay = target[a, 0], target[a, 1]
        bx, by = target[b, 0], target[b, 1]
        cx, cy = target[c, 0], target[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9:
            continue
        x0, x1 = max(int(min(ax, bx, cx)), 0), min(int(max(ax, bx, cx)) + 1, size - 1)
        y0, y1 = max(int(min(ay, by, cy)), 0), min(int(max(ay, by, cy)) + 1, size - 1)
        for row in range(y0, y1 + 1):
            for column in range(x0, x1 + 1):
                x, y = column + 0.5, row + 0.5
                wb = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                wc = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                wa = 1.0 - wb - wc
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                z = wa * target[a, 2] + wb * target[b, 2] + wc * target[c, 2]
                if z < depth[row, column]:
                    depth[row, column] = z
                    u = wa * source[a, 0] + wb * source[b, 0] + wc * source[c, 0]
                    v = wa * source[a, 1] + wb * source[b, 1] + wc * source[c, 1]
                    image[row, column] = _clamped(pixels, start, height, width, np.float32(u), np.float32(v))
