"""What is on heads and before them: which of it there is, and all of it as one mesh."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from facewright.data import hair, occluders
from facewright.data.face_frame import FaceFrame
from facewright.data.hair import HairShell
from facewright.data.props import Prop, absent_prop, joined
from facewright.data.sampling import OccluderSettings

NECK = 12.0  # mm above the lowest skin that still is the neck's end
LOW = 60.0  # and that may be, on any head
NEAR_NOSE = 40.0  # mm around it whose colour is that of hands
NOSE = 29  # of iBUG's 68
STAND_IN = 0  # seed of draws that nobody sees


@dataclass(frozen=True)
class ThingsDraw:
    """What is random of the things on heads.

    Attributes:
        shown: whether there is hair, hanging hair, clothes, glasses, a hand, a round thing.
        style: of the hair.
        shell: of the hair on the head.
        hanging: of the hair that hangs.
        clothes: shoulders.
        glasses: before the eyes.
        hand: before the face.
        thing: before the face.
    """

    shown: Bool[Tensor, "B 6"]
    style: hair.HairStyle
    shell: hair.ShellDraw
    hanging: hair.HangingDraw
    clothes: occluders.ClothesDraw
    glasses: occluders.GlassesDraw
    hand: occluders.HandDraw
    thing: occluders.ThingDraw


@dataclass(frozen=True)
class Skin:
    """What things are placed by, of one model.

    Attributes:
        vertex: vertices of the skin.
        low: those of them that may lie at the neck's end.
        shell: where hair may grow.
    """

    vertex: Int64[Tensor, " N"]
    low: Int64[Tensor, " M"]
    shell: HairShell

    def meshes(self) -> list[tuple[ndarray, int]]:
        """Triangles and number of vertices of each thing, in the order of ``ThingsDraw.shown``."""
        return [
            (self.shell.faces.cpu().numpy(), self.shell.count),
            (hair.HANGING_FACES, hair.HANGING_COUNT),
            (occluders.CLOTHES_FACES, occluders.CLOTHES_COUNT),
            (occluders.GLASSES_FACES, occluders.GLASSES_COUNT),
            (occluders.HAND_FACES, occluders.HAND_COUNT),
            (occluders.THING_FACES, occluders.THING_COUNT),
        ]


def draw_things(often: OccluderSettings, yaw: float, hair_count: int, rng: np.random.Generator) -> ThingsDraw:
    """Things at random.

    Args:
        often: how often there are some.
        yaw: of the head, radians; shoulders turn less.
        hair_count: vertices of the model's hair.
        rng: of the drawing; what there is not takes no numbers from it.
    """
    haired, hangs, dressed, glassed, dark, handed, thing = rng.random(7) < [
        often.hair,
        often.long_hair,
        often.clothes,
        often.glasses,
        often.dark_glasses,
        often.hand,
        often.thing,
    ]
    style = hair.draw_hair(rng, long=bool(hangs))
    shell = hair.draw_shell(hair_count, rng) if haired else _unseen_shell(hair_count)
    hanging = hair.draw_hanging(rng) if haired and hangs else _unseen_hanging()
    turned = -yaw * rng.uniform(0.2, 0.9)
    clothes = occluders.draw_clothes(turned, rng) if dressed else _unseen_clothes()
    glasses = occluders.draw_glasses(rng, dark=bool(dark)) if glassed else _unseen_glasses()
    hand = occluders.draw_hand(rng) if handed else _unseen_hand()
    ball = occluders.draw_round_thing(rng) if thing else _unseen_thing()
    shown = torch.tensor([[haired, haired and hangs, dressed, glassed, handed, thing]])
    return ThingsDraw(shown, style, shell, hanging, clothes, glasses, hand, ball)


# Draws in the place of those that there are not: a batch has a row of everything for each head.


@lru_cache(maxsize=2)
def _unseen_shell(count: int) -> hair.ShellDraw:
    return hair.draw_shell(count, np.random.default_rng(STAND_IN))


@lru_cache(maxsize=1)
def _unseen_hanging() -> hair.HangingDraw:
    return hair.draw_hanging(np.random.default_rng(STAND_IN))


@lru_cache(maxsize=1)
def _unseen_clothes() -> occluders.ClothesDraw:
    return occluders.draw_clothes(0.0, np.random.default_rng(STAND_IN))


@lru_cache(maxsize=1)
def _unseen_glasses() -> occluders.GlassesDraw:
    return occluders.draw_glasses(np.random.default_rng(STAND_IN), dark=False)


@lru_cache(maxsize=1)
def _unseen_hand() -> occluders.HandDraw:
    return occluders.draw_hand(np.random.default_rng(STAND_IN))


@lru_cache(maxsize=1)
def _unseen_thing() -> occluders.ThingDraw:
    return occluders.draw_round_thing(np.random.default_rng(STAND_IN))


def things_on(
    skin: Skin,
    at: ThingsDraw,
    wanted: Sequence[bool],
    head: tuple[Float[Tensor, "B V 3"], Float[Tensor, "B V 3"], Float[Tensor, "B V 3"]],
    landmarks: Float[Tensor, "B 68 3"],
) -> Prop:
    """All things as one mesh, in the order of ``Skin.meshes``.

    Args:
        skin: of the model.
        at: what is random of them.
        wanted: which kinds any head of the batch has; the others are not computed.
        head: vertices (mm, head frame), normals, albedo.
        landmarks: iBUG's points on the heads, mm.
    """
    vertices, normals, albedo = head
    device, own = vertices.device, vertices[:, skin.vertex]
    frame = FaceFrame.of(landmarks, own)

    def hand() -> Prop:
        return occluders.hand(frame, _face_tone(landmarks, vertices, albedo), at.hand)

    makers: Sequence[Callable[[], Prop]] = (
        lambda: skin.shell.on(vertices, normals, frame, at.style, at.shell),
        lambda: hair.hanging_hair(frame, at.style, at.hanging),
        lambda: occluders.clothes(frame, _neck(vertices[:, skin.low], frame), at.clothes),
        lambda: occluders.glasses(frame, at.glasses),
        hand,
        lambda: occluders.round_thing(frame, at.thing),
    )
    props = []
    for number, (make, (_, count)) in enumerate(zip(makers, skin.meshes(), strict=True)):
        absent = not wanted[number]
        prop = absent_prop(len(vertices), count, device) if absent else make().shown(at.shown[:, number])
        props.append(prop)
    return joined(props)


def _neck(skin: Float[Tensor, "B M 3"], frame: FaceFrame) -> Float[Tensor, "B 2 3"]:
    """Corners of the box around the neck's end."""
    end = (skin[..., 1] < frame.neck[:, None] + NECK)[..., None]
    low, high = (torch.where(end, skin, sign * torch.inf) for sign in (1, -1))
    return torch.stack([low.amin(1), high.amax(1)], 1)


def _face_tone(
    landmarks: Float[Tensor, "B 68 3"], vertices: Float[Tensor, "B V 3"], albedo: Float[Tensor, "B V 3"]
) -> Float[Tensor, "B 3"]:
    """Colour of the skin around the nose."""
    away = (vertices - landmarks[:, NOSE, None]).square().sum(-1, keepdim=True)
    return torch.where(away < NEAR_NOSE**2, albedo, torch.nan).nanmedian(1).values
