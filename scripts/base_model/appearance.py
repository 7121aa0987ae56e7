"""The appearance prior: thousands of physically painted heads, and their principal components.

A painted head has a melanin and a blood fraction at every vertex (region maps, smooth blotches), brows and
beard as hair over skin, and eyeballs with an iris. Diffuse albedo is linear RGB.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh

from base_model.skin_optics import skin_rgb

SAMPLES = 300
MELANIN_RANGE = (0.012, 0.36)  # over all of mankind; drawn evenly in the brightness it gives
LOG_BLOOD = (np.log(0.011), 0.28)
BLOTCHES = 24  # Laplacian eigenfunctions
BLOTCH_SPREAD = (0.04, 0.04)  # of log melanin, log blood, for the smoothest
IRIS = np.array([[0.055, 0.028, 0.014], [0.13, 0.07, 0.03], [0.16, 0.15, 0.07], [0.16, 0.22, 0.28]])
IRIS_SHARE = (0.6, 0.15, 0.1, 0.15)
SCLERA, PUPIL, TEETH = np.array([0.44, 0.39, 0.37]), np.array([0.006] * 3), np.array([0.60, 0.55, 0.45])
FULL_LIGHT_DEPTH, NO_LIGHT_DEPTH, MOUTH_DARK = 5.0, 22.0, 0.12  # mm behind the upper incisors; share left
# The white of an eye lies in the shade of lids and lashes, and reddens towards its corners.
CORNER_ANGLES, CORNER = (0.42, 0.85), np.array([0.62, 0.48, 0.46])  # rad from the pole; share left
LID_HEIGHTS, LID_SHADE = (0.10, 0.42), 0.55  # of the radius above the pole; share left under the upper lid
CENTRING = 0.45
# Skin this many deviations darker than the mean keeps its hue: the other components reach black only at so
# many deviations of their own.
DARK_TONE, DARK_ROOM = 2.0, 4.5
IRIS_ANGLE, PUPIL_ANGLE = 0.42, 0.19  # rad, from the eyeball's front pole: between rings of its mesh


@dataclasses.dataclass(frozen=True)
class Canvas:
    """The mean head as something to paint on."""

    vertices: np.ndarray  # (V,3)
    faces: np.ndarray  # (F,3)
    mirror: np.ndarray  # (V,)
    regions: dict[str, np.ndarray]
    part: np.ndarray  # (V,) index into source.PARTS
    eye_centres: np.ndarray  # (2,3)


@dataclasses.dataclass(frozen=True)
class Appearance:
    """Mean and one-standard-deviation components."""

    diffuse_mean: np.ndarray  # (V,3)
    diffuse_basis: np.ndarray  # (A,V,3)
    specular_mean: np.ndarray  # (V,)
    specular_basis: np.ndarray  # (S,V)


def build_appearance(canvas: Canvas, components: int, seed: int) -> Appearance:
    """Paint a population and reduce it; mirrored heads count too, so components are even or odd.

    The first component is the straight line in colour from the darkest to the lightest skin, six standard
    deviations long; the others are the principal components of what it leaves.
    """
    painter = Painter.on(canvas)
    light, dark = (painter.paint(share, None) for share in (1.0, 0.0))
    tone = (light - dark) / 6.0
    generator = np.random.default_rng(seed)
    shares = np.clip(0.5 + generator.standard_normal(SAMPLES) / 6.0, 0.0, 1.0)
    rest = np.stack([painter.paint(share, generator) - (dark + 6.0 * share * tone) for share in shares])
    rest = np.concatenate([rest, rest[:, canvas.mirror]]).astype(np.float32)
    # Colour bends between dark and light; to centre it wholly would push the dark end below black.
    offset = CENTRING * rest.mean(0)
    flat = (rest - rest.mean(0)).reshape(len(rest), -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    top = np.argsort(values)[::-1][: components - 1]
    basis = (vectors[:, top].T @ flat / np.sqrt(len(flat))).reshape(components - 1, -1, 3)
    specular_mean, specular_basis = _specular(canvas)
    mean = 0.5 * (light + dark) + offset
    mean, tone = (0.5 * (a + a[canvas.mirror]) for a in (mean, tone))
    basis = basis * _room(canvas, mean - DARK_TONE * tone, basis)[:, None]
    return Appearance(mean, np.concatenate([tone[None], basis]), specular_mean, specular_basis)


def _room(canvas: Canvas, dark: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """(V,) share of the components that dark skin (V,3) has room for: what is painted adds to any tone."""
    spread = np.sqrt((basis**2).sum(0)) + 1e-9
    share = np.clip((dark / (DARK_ROOM * spread)).min(1), 0.0, 1.0)
    hair = canvas.regions["brow_left"] | canvas.regions["brow_right"]
    return np.where(canvas.regions["skin"] & ~hair, soften(share, canvas), 1.0)


@dataclasses.dataclass(frozen=True)
class Painter:
    """Paints heads of a given skin tone."""

    canvas: Canvas
    soft: dict[str, np.ndarray]
    waves: np.ndarray
    decay: np.ndarray
    ladder: np.ndarray
    brightness: np.ndarray

    @staticmethod
    def on(canvas: Canvas) -> Painter:
        """Prepare region maps and blotches."""
        soft = {name: soften(mask.astype(float), canvas) for name, mask in canvas.regions.items()}
        soft["beard"] = soften(canvas.regions["beard"].astype(float), canvas, 14)
        for side in ("cheek_left", "cheek_right"):
            soft[side] = soften(canvas.regions[side].astype(float), canvas, 20)
        ladder = np.log(np.geomspace(*MELANIN_RANGE, 200))
        brightness = skin_rgb(np.exp(ladder), np.full(200, np.exp(LOG_BLOOD[0]))) @ [0.21, 0.72, 0.07]
        decay = 1.0 / np.sqrt(1.0 + np.arange(BLOTCHES) / 3.0)
        return Painter(canvas, soft, smooth_waves(canvas, BLOTCHES), decay, ladder, brightness)

    def paint(self, share: float, generator: np.random.Generator | None) -> np.ndarray:
        """Diffuse albedo (V,3) at ``share`` from darkest 0 to lightest 1; typical without a generator."""
        soft = self.soft
        z = np.zeros(12) if generator is None else generator.standard_normal(12)
        blotch = (
            np.zeros((2, BLOTCHES))
            if generator is None
            else generator.standard_normal((2, BLOTCHES)) * self.decay
        )
        level = share * self.brightness[0] + (1.0 - share) * self.brightness[-1]
        melanin = np.interp(level, self.brightness[::-1], self.ladder[::-1]) + BLOTCH_SPREAD[0] * (
            blotch[0] @ self.waves
        )
        blood = LOG_BLOOD[0] + LOG_BLOOD[1] * z[1] + BLOTCH_SPREAD[1] * (blotch[1] @ self.waves)
        orbit = np.clip(soft["eye_left"] + soft["eye_right"], 0, 1)
        blood = blood + (0.3 + 0.15 * z[2]) * (soft["cheek_left"] + soft["cheek_right"])
        blood = blood + (0.25 + 0.15 * z[3]) * soft["nose"] + 0.3 * (soft["ear_left"] + soft["ear_right"])
        blood = blood + (1.35 + 0.3 * z[4]) * soft["lips"]
        melanin = melanin + (0.08 + 0.12 * z[5]) * orbit + (0.15 + 0.2 * z[6]) * soft["lips"]
        skin = skin_rgb(np.clip(np.exp(melanin), 0.008, 0.42), np.clip(np.exp(blood), 0.001, 0.12))
        dark = np.clip(1.1 - 0.6 * share + 0.3 * z[7], 0, 1)
        hair = (1 - dark) * np.array([0.15, 0.09, 0.05]) + dark * np.array([0.016, 0.012, 0.009])
        cover = np.clip(0.68 + 0.12 * z[8], 0.1, 0.95) * np.clip(
            1.2 * (soft["brow_left"] + soft["brow_right"]), 0, 1
        )
        if generator is not None:
            cover = cover + np.clip(0.2 * generator.exponential() * (z[9] > 0.2), 0, 0.6) * soft["beard"]
        cover = np.clip(cover, 0, 0.95)[:, None]
        albedo = _with_parts(self.canvas, skin * (1 - cover) + hair * cover, soft, generator, z)
        return np.clip(albedo, 0.0, 1.0)


def _with_parts(
    canvas: Canvas,
    skin: np.ndarray,
    soft: dict[str, np.ndarray],
    generator: np.random.Generator | None,
    z: np.ndarray,
) -> np.ndarray:
    albedo = skin
    mucosa = np.array([0.22, 0.055, 0.045])
    wet = np.clip(soft["inner_mouth"], 0, 1)[:, None]
    albedo = albedo * (1 - wet) + mucosa * (1.0 + 0.1 * z[10]) * wet
    socket = np.clip(soft["eye_sockets"], 0, 1)[:, None]
    albedo = albedo * (1 - socket) + np.array([0.3, 0.1, 0.08]) * socket
    albedo[canvas.part == 3] = mucosa * 1.3
    albedo[canvas.part >= 4] = TEETH * (1.0 + 0.08 * z[11])
    albedo = albedo * _mouth_shade(canvas)[:, None]
    iris = IRIS[0] if generator is None else IRIS[generator.choice(len(IRIS), p=IRIS_SHARE)]
    iris = iris * (1.0 if generator is None else np.exp(0.25 * generator.standard_normal()))
    for index in (1, 2):
        ball = canvas.part == index
        angle = _angle_from_pole(canvas, index)[:, None]
        limbus = _step(angle, IRIS_ANGLE)
        colour = (
            iris * (1.0 - 0.5 * _step(angle, 0.86 * IRIS_ANGLE)) * (1 - limbus)
            + SCLERA * (1 + 0.04 * z[11]) * _corner_tint(angle) * limbus
        )
        edge = _step(angle, PUPIL_ANGLE)
        albedo[ball] = (PUPIL * (1 - edge) + colour * edge) * _lid_shade(canvas, index)[:, None]
    return albedo


def _corner_tint(angle: np.ndarray) -> np.ndarray:
    """(N,3) share of the sclera's colour at angles (N,1) from the eye's front pole."""
    return 1.0 - (1.0 - CORNER) * _between(angle, CORNER_ANGLES)


def _lid_shade(canvas: Canvas, index: int) -> np.ndarray:
    """(N,) share of light that the upper lid lets onto eyeball ``index`` (1 left, 2 right)."""
    ball, centre = canvas.part == index, canvas.eye_centres[index - 1]
    offset = canvas.vertices[ball] - centre
    height = offset[:, 1] / np.linalg.norm(offset, axis=1)
    pole = front_pole(canvas.vertices, canvas.faces, ball) - centre
    return 1.0 - (1.0 - LID_SHADE) * _between(height - pole[1] / np.linalg.norm(pole), LID_HEIGHTS)


def _between(value: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """0 below the first end, 1 above the second, smooth between."""
    share = np.clip((value - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def _mouth_shade(canvas: Canvas) -> np.ndarray:
    """(V,) share of light that reaches into the mouth: 1 at the front teeth, little at the back."""
    inside = canvas.regions["inner_mouth"] | (canvas.part >= 3)
    front = canvas.vertices[canvas.part == 4][:, 2].max()
    depth = front - canvas.vertices[:, 2]
    # The tongue is seen where it comes forward, so its own tip counts as the front.
    tongue = canvas.part == 3
    depth[tongue] -= np.maximum(depth[tongue].min() - FULL_LIGHT_DEPTH, 0.0)
    reach = np.clip(1.0 - (depth - FULL_LIGHT_DEPTH) / (NO_LIGHT_DEPTH - FULL_LIGHT_DEPTH), MOUTH_DARK, 1.0)
    return np.where(inside, reach, 1.0)


def front_pole(vertices: np.ndarray, faces: np.ndarray, ball: np.ndarray) -> np.ndarray:
    """(3,) the front point of an eyeball (V,) that its mesh's rings surround; the most edges meet there."""
    centre = 0.5 * (vertices[ball].max(0) + vertices[ball].min(0))
    offset = vertices - centre
    front = ball & (offset[:, 2] > 0.97 * np.linalg.norm(offset, axis=1))
    return vertices[np.argmax(np.bincount(faces.ravel(), minlength=len(vertices)) * front)]


def _angle_from_pole(canvas: Canvas, index: int) -> np.ndarray:
    """Angle (N,) of the vertices of eyeball ``index`` (1 left, 2 right) from its front pole."""
    ball, centre = canvas.part == index, canvas.eye_centres[index - 1]
    axis = front_pole(canvas.vertices, canvas.faces, ball) - centre
    offset = canvas.vertices[ball] - centre
    cosine = offset @ axis / (np.linalg.norm(offset, axis=1) * np.linalg.norm(axis))
    return np.arccos(np.clip(cosine, -1, 1))


def gaze_angle(offset: np.ndarray) -> np.ndarray:
    """Angle (N,) of eyeball points, relative to the ball's centre, from the axis of its front half."""
    direction = offset / np.linalg.norm(offset, axis=1, keepdims=True)
    axis = direction[direction[:, 2] > 0.9].mean(0)
    return np.arccos(np.clip(direction @ axis / np.linalg.norm(axis), -1, 1))


def _step(angle: np.ndarray, at: float) -> np.ndarray:
    return np.clip((angle - at) / 0.05 + 0.5, 0.0, 1.0)


def soften(mask: np.ndarray, canvas: Canvas, steps: int = 2) -> np.ndarray:
    """Blur a vertex map along the surface."""
    weights = _neighbour_mean(canvas)
    for _ in range(steps):
        mask = 0.5 * mask + 0.5 * (weights @ mask)
    return mask


def _neighbour_mean(canvas: Canvas) -> sparse.csr_matrix:
    rows = canvas.faces[:, [0, 1, 2, 1, 2, 0]].ravel()
    columns = canvas.faces[:, [1, 2, 0, 0, 1, 2]].ravel()
    count = len(canvas.vertices)
    links = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    links.data[:] = 1.0
    return sparse.diags(1.0 / np.maximum(np.asarray(links.sum(1)).ravel(), 1.0)) @ links


def smooth_waves(canvas: Canvas, count: int) -> np.ndarray:
    """(count,V) smoothest functions on the skin, unit root mean square, zero mean, zero off the skin."""
    skin = np.flatnonzero(canvas.part == 0)
    number = np.full(len(canvas.vertices), -1)
    number[skin] = np.arange(len(skin))
    faces = number[canvas.faces]
    faces = faces[(faces >= 0).all(1)]
    edges = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    length = np.linalg.norm(canvas.vertices[skin[edges[:, 0]]] - canvas.vertices[skin[edges[:, 1]]], axis=1)
    weight = 1.0 / np.maximum(length, 0.2)
    n = len(skin)
    links = sparse.csr_matrix((weight, (edges[:, 0], edges[:, 1])), shape=(n, n))
    links = links + links.T
    laplacian = sparse.diags(np.asarray(links.sum(1)).ravel()) - links
    # Mass: so that the face, with its many vertices, gets its share of the waves.
    start = np.random.default_rng(0).standard_normal(n)
    vectors = eigsh(laplacian.tocsc(), k=count + 1, sigma=-1e-6, which="LM", v0=start)[1][:, 1:]
    waves = np.zeros((count, len(canvas.vertices)))
    waves[:, skin] = (vectors / np.sqrt((vectors**2).mean(0))).T
    return waves


def _specular(canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Intensity by region (relative heights after Weyrich et al., SIGGRAPH 2006) and three components."""
    soft = {name: soften(mask.astype(float), canvas, 6) for name, mask in canvas.regions.items()}
    level = np.full(len(canvas.vertices), 0.18)
    for name, value in (("forehead", 0.27), ("nose", 0.34), ("cheek_left", 0.22), ("cheek_right", 0.22)):
        level = level + (value - 0.18) * soft[name]
    level = level + 0.16 * soft["lips"] + 0.06 * soft["chin"] + 0.05 * (soft["eye_left"] + soft["eye_right"])
    level[np.isin(canvas.part, (1, 2))] = 0.7
    level[canvas.part >= 3] = 0.45
    skin = (canvas.part == 0).astype(float)
    oily = 0.05 * np.clip(soft["forehead"] + soft["nose"] + soft["chin"], 0, 1)
    return level, np.stack([0.06 * skin, oily, 0.06 * soft["lips"]])
