"""Training of the specular method as a task of the training loop."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from facewright.core.assets import sha256
from facewright.core.errors import InputError
from facewright.core.tensor_records import Movable, device_of, on_device
from facewright.detection.recognition import FaceFeatures
from facewright.fitting.face_probe import face_of
from facewright.fitting.records import select_rows
from facewright.image.color import LUMA_WEIGHTS, srgb_from_linear
from facewright.methods.specular.examples import FACE, GREY, MOUTH, TRUTH, Examples
from facewright.methods.specular.losses import (
    LossTools,
    Targets,
    landmark_loss,
    mouth_area,
    paper_losses,
    regularisation_loss,
)
from facewright.methods.specular.model import (
    SpecularNetwork,
    decode,
    geometry_of,
    mean_start,
    start_from_imagenet,
    start_from_landmarker,
)
from facewright.methods.specular.rendering import render
from facewright.methods.specular.scales import EVALUATION_BATCH, SpecularTraining
from facewright.methods.specular.scores import (
    has_lamp,
    head_errors,
    highlight_correlation,
    landmark_errors,
    picture_errors,
)
from facewright.methods.specular.supervision import Truth, supervised_losses
from facewright.models.face_model import FaceModel
from facewright.networks.blocks import channels_last
from facewright.scene.parameters import HeadParameters
from facewright.training.precision import in_float32

PICTURES = 6
LEAST = 1e-6  # photos; where there are none nothing is divided by their number


@dataclass(frozen=True)
class SpecularBatch:
    """Photos of one part of a step; the first ``R`` of them are drawn.

    Attributes:
        crops: as the network sees them, sRGB.
        landmarks: as detected, pixels of the crop.
        start: rows of ``HeadLayout``.
        truth: likewise; where there is none, the start.
        true_landmarks: pixels of the crop.
        supervised: 1 where there is a truth that is told.
        expected: how many without and with it a part of the step has on average: means are taken over these,
            so that parts of any number add up to the same losses.
        photos: what drawings are compared with, sRGB.
        face: 1 where they show the face.
        skin: probability of skin.
        mouth: 1 where they show the inside of the mouth.
        grey: 1 where the photo has no colour.
    """

    crops: Float[Tensor, "B 3 S S"]
    landmarks: Float[Tensor, "B 478 2"]
    start: Float[Tensor, "B W"]
    truth: Float[Tensor, "B W"]
    true_landmarks: Float[Tensor, "B 478 2"]
    supervised: Float[Tensor, " B"]
    expected: tuple[float, float]
    photos: Float[Tensor, "R H H 3"]
    face: Float[Tensor, "R H H"]
    skin: Float[Tensor, "R H H"]
    mouth: Float[Tensor, "R H H"]
    grey: Float[Tensor, " R"]


@dataclass(frozen=True)
class Known:
    """What is asked of the head, wherever the network is.

    Attributes:
        model: that is drawn.
        tools: for the losses.
    """

    model: FaceModel
    tools: LossTools


class SpecularTask:
    """Trains ``SpecularNetwork``; made for the loop of ``facewright.training``.

    Args:
        model: the head.
        examples: of ``scripts/prepare_specular.py``.
        training: what to train with.
        recognition: for the identity loss, with a gradient to the pictures; needed where that has a weight.
        files: of what else the training is made: "recognition" (told apart by it), and "imagenet", weights
            that a ResNet-50 starts from.

    Raises:
        InputError: sizes do not fit one another, or there are no examples to train on.
        AssetError: a file is missing.
    """

    name = "specular"
    version = 1
    metric = "score"

    def __init__(
        self,
        model: FaceModel,
        examples: Examples,
        training: SpecularTraining | None = None,
        recognition: FaceFeatures | None = None,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        self.training = training or SpecularTraining()
        self.files = dict(files or {})
        self.digests = {name: sha256(path) for name, path in self.files.items()}
        whole, self.examples = model, examples
        self.model = face_of(whole) if self.training.face_alone else whole
        self.known = Movable(Known(self.model, LossTools.of(model, recognition)))
        network = self.training.network
        if network.input_size != examples.size:
            raise InputError(
                f"the network sees crops of {network.input_size} px, but the examples have "
                f"{examples.size} px: prepare them for this size."
            )
        if self.training.losses.weights.identity > 0 and recognition is None:
            raise InputError(
                "the identity loss needs a recognition network: give one, or set its weight to 0."
            )
        trained = [examples.rows(truth=truth, kept_out=False) for truth in (False, True)]
        self.held = examples.rows(truth=True, kept_out=True)[: self.training.evaluated]
        if self.training.supervision is None:  # what is known of synthetic photos is not looked at
            trained = [np.concatenate(trained), trained[1][:0]]
        self.photographs, self.synthetic = trained
        if len(self.synthetic) + len(self.photographs) == 0 or len(self.held) == 0:
            raise InputError(
                f"expected examples to train on and kept-out synthetic ones, got {len(self.photographs)} "
                f"photographs, {len(self.synthetic)} synthetic ones and {len(self.held)} kept out: prepare "
                "more, or keep fewer out."
            )

    def settings(self) -> Mapping[str, object]:
        """What a checkpoint must have been trained with to go on from it."""
        told = {"model": [self.model.name, self.model.version], "examples": self.examples.digest}
        seen = {"photographs": len(self.photographs), "synthetic": len(self.synthetic)}
        made = {"data": data} if (data := self.examples.sources) else {}
        return {**asdict(self.training), **told, **made, **seen, "kept_out": len(self.held), **self.digests}

    def build(self, seed: int) -> SpecularNetwork:
        """A network with random features; its heads give the start."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = SpecularNetwork(self.training.network)
        if self.training.landmarker_start:
            start_from_landmarker(network)
        if "imagenet" in self.files:
            start_from_imagenet(network, self.files["imagenet"])
        return channels_last(network)

    def batch(self, seed: int, step: int, part: int, parts: int) -> SpecularBatch:
        """The photos of a step, or a slice of them: always the same for the same arguments."""
        how, (rows, alone) = self.training, self._rows(seed, step)
        # Each kind is dealt out evenly; within a part the photos keep the order of the step.
        dealt = np.concatenate([np.flatnonzero(alone), np.flatnonzero(~alone)])
        places = np.sort(dealt[part::parts])
        generators = [np.random.default_rng([seed, step, int(place)]) for place in places]
        drawn = -(-how.render_rows // parts) if self._draws(step) else 0
        expected = int(alone.sum()) / parts, int((~alone).sum()) / parts
        own = rows[places]
        return self._batch(own, own[:drawn], generators, expected)

    def _rows(self, seed: int, step: int) -> tuple[ndarray, ndarray]:
        """Numbers of the photos of a whole step, and which of them have no truth that is told."""
        rng, count = np.random.default_rng([seed, step, 0, 1]), self.training.batch
        real = round(self.training.photos * count)
        if not (len(self.photographs) and len(self.synthetic)):
            real = count if len(self.photographs) else 0
        pools = [(self.photographs, real), (self.synthetic, count - real)]
        rows = np.concatenate([rng.choice(pool, number) for pool, number in pools if number])
        order = rng.permutation(count)
        return rows[order], (np.arange(count) < real)[order]

    def _draws(self, step: int) -> bool:
        how = self.training
        return step >= how.render_from and (step - how.render_from) % how.render_every == 0

    def _batch(
        self,
        rows: ndarray,
        drawn: ndarray,
        generators: Sequence[np.random.Generator] = (),
        expected: tuple[float, float] = (1.0, 1.0),
    ) -> SpecularBatch:
        """Examples of some rows, each disturbed by its generator if there are any."""
        arrays = self.examples.arrays
        clean = arrays["crops"][rows]
        crops = self._disturbed(clean, generators) if generators else clean
        flags = arrays["flags"][rows]
        told = (flags & TRUTH > 0) & (self.training.supervision is not None)
        size, masks = self.training.render.size, arrays["masks"][drawn]
        shown = _resized(torch.from_numpy(clean[: len(drawn)]).permute(0, 3, 1, 2).float() / 255, size)
        layers = np.stack([masks & FACE > 0, masks & MOUTH > 0, arrays["skin"][drawn] / 255], axis=1)
        face, mouth, skin = _resized(torch.from_numpy(layers).float(), size).unbind(1)
        return SpecularBatch(
            crops=torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255,
            landmarks=torch.from_numpy(arrays["landmarks"][rows]),
            start=torch.from_numpy(arrays["start"][rows]),
            truth=torch.from_numpy(arrays["truth"][rows]),
            true_landmarks=torch.from_numpy(arrays["true_landmarks"][rows]),
            supervised=torch.from_numpy(told.astype(np.float32)),
            expected=expected,
            photos=shown.permute(0, 2, 3, 1).contiguous(),
            face=face.contiguous(),
            skin=skin.contiguous(),
            mouth=mouth.contiguous(),
            grey=torch.from_numpy((flags[: len(drawn)] & GREY > 0).astype(np.float32)),
        )

    def _disturbed(self, crops: ndarray, generators: Sequence[np.random.Generator]) -> ndarray:
        """Without colour, with noise, with something before the face: some of them each."""
        how, changed = self.training, crops.astype(np.float32)
        size = crops.shape[1]
        for crop, rng in zip(changed, generators, strict=True):
            if rng.random() < how.grey:
                crop[:] = (crop @ np.array(LUMA_WEIGHTS, np.float32))[..., None]
            if rng.random() < how.patch:
                side = rng.integers(size // 8, size // 3, 2)
                y, x = rng.integers(0, size - side)
                crop[y : y + side[0], x : x + side[1]] = rng.uniform(0, 255, 3)
            if rng.random() < 0.5:
                strength = 255 * how.noise * rng.random()
                crop += strength * rng.standard_normal(crop.shape, dtype=np.float32)
        return np.clip(changed + 0.5, 0, 255).astype(np.uint8)

    def start(self, batch: SpecularBatch) -> HeadParameters:
        """Where the network starts from: the fit to the landmarks, or the mean head."""
        size = self.training.network.input_size
        if not self.training.network.guided:
            return mean_start(self.known.on(batch.crops.device).model, len(batch.crops), size)
        return self.examples.layout.unpacked(batch.start, size)

    def heads(self, network: nn.Module, batch: SpecularBatch) -> HeadParameters:
        """What a network finds in photos."""
        sizes, geometry = self.training.network, None
        with in_float32(batch.crops):
            start = self.start(batch)
            if sizes.guided:
                probe = self.known.on(batch.crops.device).tools.probe
                fitted = start.camera.project(probe.landmarks(start)[0])[..., :2]
                geometry = geometry_of(start, batch.landmarks, fitted)
        raw = network(batch.crops.contiguous(memory_format=torch.channels_last), geometry)
        with in_float32(batch.crops):
            return decode(raw.float(), start, sizes, self.training.render.camera)

    def losses(self, network: nn.Module, batch: SpecularBatch, step: int) -> dict[str, Tensor]:
        """Weighted terms of one batch."""
        head = self.heads(network, batch)
        with in_float32(batch.crops):
            return self._judged(head, batch, step)

    def _judged(self, head: HeadParameters, batch: SpecularBatch, step: int) -> dict[str, Tensor]:
        how, size = self.training, self.training.network.input_size
        tools = self.known.on(batch.crops.device).tools
        found: dict[str, Tensor] = {}
        points = head.camera.project(tools.probe.landmarks(head)[0])[..., :2]
        if how.supervision is not None:
            truth = Truth(self.examples.layout.unpacked(batch.truth, size), batch.true_landmarks)
            rows = batch.supervised / max(batch.expected[1], LEAST)
            found |= supervised_losses(head, points, truth, tools.probe, how.supervision, rows)
        if len(batch.photos):
            return found | self._drawn(head, batch, step)
        if not batch.expected[0]:
            return found
        alone = torch.nonzero(batch.supervised == 0)[:, 0]
        share, landmark = len(alone) / batch.expected[0], points.new_zeros(())
        rest = landmark
        if len(alone):
            landmark = landmark_loss(points[alone], batch.landmarks[alone], size, how.losses)
            rest = regularisation_loss(select_rows(head, alone), tools.prior)
        weights = how.losses.weights
        return found | {
            "landmark": weights.landmark * share * landmark,
            "regularisation": weights.regularisation * share * rest,
        }

    def _drawn(self, head: HeadParameters, batch: SpecularBatch, step: int) -> dict[str, Tensor]:
        how, count = self.training, len(batch.photos)
        chosen = select_rows(head, slice(0, count))
        factor = how.render.size / how.network.input_size
        targets = Targets(
            batch.photos, batch.face, batch.skin, batch.mouth, batch.landmarks[:count] * factor, batch.grey
        )
        known = self.known.on(batch.crops.device)
        drawn = render(known.model, chosen, how.render)
        return paper_losses(chosen, drawn, targets, known.tools, how.losses, step)

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Errors on kept-out synthetic photos, and the score.

        The score is the mean ratio of shape and albedo error to the start's where training is told the truth;
        else the error of the pixels, which is what it is told.
        """
        found: dict[str, list[Tensor]] = {}
        drawn, device = self.training.evaluated_drawn, device_of(network)
        known = self.known.on(device).tools.probe
        network.eval()
        with torch.no_grad():
            for first in range(0, len(self.held), EVALUATION_BATCH):
                rows = self.held[first : first + EVALUATION_BATCH]
                batch = on_device(self._batch(rows, rows[:drawn]), device)
                truth = self.examples.layout.unpacked(batch.truth, self.examples.size)
                head = self.heads(network, batch)
                errors = head_errors(known, head, truth)
                points = head.camera.project(known.landmarks(head)[0])[..., :2]
                errors |= landmark_errors(points, batch.true_landmarks, self.examples.size)
                errors["coefficients"] = head.identity.square().mean(1).sqrt()
                errors |= self._picture_errors(head, truth, batch)
                of_start = head_errors(known, self.start(batch), truth)
                errors |= {f"start_{name}": values for name, values in of_start.items()}
                for name, values in errors.items():
                    found.setdefault(name, []).append(values)
            trained = self._trained_error(network)
        whole = {name: torch.cat(values) for name, values in found.items()}
        # Photos without a lamp have no figure of highlights; NaN of photos there are is for the loop to tell.
        mean = {name: float(values.mean()) for name, values in whole.items() if len(values)} | trained
        mean["pixel_std"] = float(whole["pixel"].std(correction=0))
        ratios = [mean[name] / max(mean[f"start_{name}"], 1e-9) for name in ("shape", "albedo")]
        supervised = self.training.supervision is not None
        return {"score": sum(ratios) / len(ratios) if supervised else mean["pixel"], **mean}

    def _picture_errors(
        self, head: HeadParameters, truth: HeadParameters, batch: SpecularBatch
    ) -> dict[str, Tensor]:
        """Of the photos that are drawn; of highlights in those with a lamp alone."""
        rows = slice(0, len(batch.photos))
        how, chosen, true = self.training.render, select_rows(head, rows), select_rows(truth, rows)
        known = self.known.on(batch.crops.device)
        drawn = render(known.model, chosen, how)
        goal = render(known.model, true, how)
        highlights = highlight_correlation(drawn, goal, batch.face)[has_lamp(true)]
        camera = chosen.camera.scaled(how.size / self.examples.size)
        lips, deep = camera.project(known.tools.probe.lips(chosen)), how.camera != "weak"
        area = mouth_area(known.tools.patch, lips, how.size, perspective=deep)
        return {
            **picture_errors(drawn, batch.photos, batch.face),
            "highlights": highlights,
            "mouth_area": (area - batch.mouth).abs().mean((1, 2)),
        }

    def _trained_error(self, network: nn.Module) -> dict[str, float]:
        """Error of the pixels on photos that were trained on, as far as the training asks for it."""
        found, device = [], device_of(network)
        rows = np.concatenate([self.photographs, self.synthetic])[: self.training.evaluated_trained]
        for first in range(0, len(rows), EVALUATION_BATCH):
            part = rows[first : first + EVALUATION_BATCH]
            batch = on_device(self._batch(part, part), device)
            drawn = render(self.known.on(device).model, self.heads(network, batch), self.training.render)
            found.append(picture_errors(drawn, batch.photos, batch.face)["pixel"])
        return {"pixel_trained": float(torch.cat(found).mean())} if found else {}

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:
        """Kept-out photos, then what was found: whole, diffuse, highlights."""
        rows = np.concatenate([self.examples.rows(truth=False, kept_out=True)[:3], self.held])[:PICTURES]
        if len(rows) == 0:
            return {}
        network.eval()
        device = device_of(network)
        with torch.no_grad():
            batch = on_device(self._batch(rows, rows), device)
            drawn = render(self.known.on(device).model, self.heads(network, batch), self.training.render)
        flat = [batch.photos, drawn.image, drawn.diffuse, srgb_from_linear(drawn.gloss)]
        return {"heads": torch.cat([torch.cat(list(each), dim=0) for each in flat], dim=1).permute(2, 0, 1)}


def _resized(layers: Float[Tensor, "B C S S"], size: int) -> Float[Tensor, "B C _ _"]:
    if len(layers) == 0:
        return layers.new_zeros(0, layers.shape[1], size, size)
    if layers.shape[-1] == size:
        return layers
    return nn.functional.interpolate(
        layers, size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )
