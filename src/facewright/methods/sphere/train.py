"""Stage 2 as a task of the training loop: the encoder and the basis learn from photographs."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from facewright.core.errors import InputError
from facewright.core.ranges import check_range
from facewright.core.row_file import joined_digest, rows_digest
from facewright.core.tensor_records import Movable, device_of, map_tensors
from facewright.data.aligned_faces import (
    MARGIN,
    CropSet,
    crop_landmarks,
    kept_out_pairs,
    load_crops,
    people_of_folds,
    trained_people,
)
from facewright.data.crop_augmentation import AugmentationSettings, changed
from facewright.data.datasets.kept_out import is_kept_out
from facewright.evaluation.identity_metrics import pair_similarity, spread, verify
from facewright.fitting.face_probe import FaceProbe
from facewright.fitting.records import select_rows
from facewright.methods.sphere.codes import centre_loss
from facewright.methods.sphere.confidence import SIDE, ConfidenceNetwork, laplace_loss
from facewright.methods.sphere.drawing import draw_grey
from facewright.methods.sphere.encoder import (
    Decoder,
    EncoderSettings,
    SphereEncoder,
    SphereHead,
    mean_outputs,
)
from facewright.methods.sphere.head_encoder import HeadAxes, check_axes
from facewright.methods.sphere.losses import (
    MeshTerms,
    SphereWeights,
    expression_cost,
    mean_of,
    orthonormality,
    point_loss,
    reliability,
    scale_kl,
)
from facewright.methods.sphere.start import NORM, start_from_people
from facewright.models.sphere_model import SphereModel
from facewright.networks.recognition import MarginSoftmax
from facewright.training.batches import part_of
from facewright.training.precision import in_float32

CHUNK = 256
PICTURES = 6
CENTRE_RATE = 1.0  # of the centres' own Adam. Source: the authors' code
NOBODY = -1
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class SphereTraining:
    """All that the training depends on, beside the photos and the schedule.

    Attributes:
        kept_out_folds: of the verification pairs; nobody in them is seen in training.
        batch: crops a step.
        labelled: P, the share of a batch from the photos with landmarks; the rest has identities.
        all_landmarks: whether photos of the second kind, too, are held to their landmarks (ours have some).
        warm_up: steps on photos with landmarks alone; the trunk stays as it is in them.
        margin_scale: of the cosines.
        margin: taken from the cosine to the own person.
        margin_ramp: steps after the warm-up over which the margin is raised from 0.
        reliable: whether centres follow photos by how reliable these are.
        scale_share: of the model's mean scale and its spread, what photos are expected to tell.
        drawn: photos of a batch that are compared with pictures; each part of a step has its share of them,
            at least one, as of ``meshes``.
        draw_every: steps.
        meshes: photos of a batch whose meshes are held to be smooth, symmetric and near the mean.
        trunk_rate: learning rate of what recognition taught, over that of the rest.
        class_rate: of the people's directions, each of which few batches show.
        freeze_basis: train the encoder alone: the inference encoder.
        share: exponent by which a photo counts less, the more there are of its person.
        weights: of the losses.
        network: sizes of the encoder.
        augmentation: of the crops.
    """

    kept_out_folds: tuple[int, ...] = (8, 9)
    batch: int = 64
    labelled: float = 0.25
    all_landmarks: bool = True
    warm_up: int = 150
    margin_scale: float = 15.0
    margin: float = 0.2
    margin_ramp: int = 300
    reliable: bool = True
    scale_share: float = 0.5
    drawn: int = 6
    draw_every: int = 3
    meshes: int = 16
    trunk_rate: float = 0.5
    class_rate: float = 2.0
    freeze_basis: bool = False
    share: float = 0.5
    weights: SphereWeights = field(default_factory=SphereWeights)
    network: EncoderSettings = field(default_factory=EncoderSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        check_range(self, 0, 1, "labelled", "share")
        check_range(self, 1, math.inf, "batch", "draw_every")
        check_range(self, 0, math.inf, "warm_up", "margin_ramp", "drawn", "meshes", "margin_scale", "margin")
        check_range(self, 0, math.inf, "scale_share", "trunk_rate", "class_rate")


@dataclass(frozen=True)
class SphereBatch:
    """Crops, and what is known of each.

    Attributes:
        crops: as the network sees them.
        landmarks: px of these.
        labelled: whether the landmarks count.
        people: number of each one's person, -1 where identity does not count.
    """

    crops: Float[Tensor, "B 1 112 112"]
    landmarks: Float[Tensor, "B 478 2"]
    labelled: Bool[Tensor, " B"]
    people: Int64[Tensor, " B"]


class SphereNetworks(nn.Module):
    """What is trained: the encoder, which is kept, and what only training needs."""

    def __init__(self, training: SphereTraining, people: int, axes: HeadAxes) -> None:
        super().__init__()
        sizes = training.network
        self.axes = axes
        self.encoder = SphereEncoder(sizes)
        self.confidence = ConfidenceNetwork()
        self.classes = MarginSoftmax(
            people, sizes.dimensions, scale=training.margin_scale, angle=0.0, cosine=training.margin
        )
        self.centres = nn.Parameter(torch.randn(people, sizes.dimensions) * 10.0)
        self.rates = training.trunk_rate, training.class_rate
        self.encoder.mixing.requires_grad_(not training.freeze_basis)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """Trunk, basis (half the rate), centres (a rate of their own), people's directions, and the rest."""
        trunk, mixing = list(self.encoder.trunk.parameters()), self.encoder.mixing
        classes = list(self.classes.parameters())
        special = {id(parameter) for parameter in (*trunk, *classes, mixing, self.centres)}
        trunk_rate, class_rate = (rate * learning_rate for rate in self.rates)
        rest = [parameter for parameter in self.parameters() if id(parameter) not in special]
        groups: list[dict[str, object]] = [
            {"params": [p for p in trunk if p.ndim > 1], "lr": trunk_rate},
            {"params": [p for p in trunk if p.ndim <= 1], "lr": trunk_rate, "weight_decay": 0.0},
            {"params": classes, "lr": class_rate, "weight_decay": 0.0},
            {"params": [self.centres], "lr": CENTRE_RATE, "weight_decay": 0.0},
            {"params": rest, "lr": learning_rate, "weight_decay": 0.0},
        ]
        if mixing.requires_grad:
            groups.append({"params": [mixing], "lr": 0.5 * learning_rate, "weight_decay": 0.0})
        return groups


@dataclass(frozen=True)
class Known:
    """What is asked of the head, wherever the networks are.

    Attributes:
        decoder: of the encoder's outputs; it has the head.
        probe: its landmarks.
        meshes: terms of neutral meshes.
    """

    decoder: Decoder
    probe: FaceProbe
    meshes: MeshTerms


class SphereTask:
    """Learns faces from landmarks and pixels, and people from identities.

    Figures of ``evaluate`` on people kept out of all training: equal error rate, 10-fold accuracy of cosine
    and Euclidean distance (per cent), landmarks (px of the crop), and the ratio of the spread of one
    person's code to that between people.

    Args:
        sphere: the frozen model of stage 1.
        crops: of both labelled folders.
        landmarks: of ``crop_landmarks``.
        training: what to train with.
        trunk: weights of a recognition network to start from; None: random ones.
        networks: all networks of an earlier run on the same people to start from instead.
        features: of the trunk, of the photos that are trained on, if an earlier task made them.

    Raises:
        InputError: there are too few people, or sizes do not fit.
    """

    name = "sphere"
    version = 2
    metric = "score"

    def __init__(
        self,
        sphere: SphereModel,
        crops: CropSet,
        landmarks: Float[Tensor, "N 478 2"],
        training: SphereTraining = SphereTraining(),
        trunk: Mapping[str, Tensor] | None = None,
        networks: Mapping[str, Tensor] | None = None,
        features: Float[Tensor, "P F"] | None = None,
    ) -> None:
        if len(landmarks) != len(crops.pixels):
            raise InputError(f"{len(crops.pixels)} crops, but landmarks of {len(landmarks)}: cut them again.")
        self.training, self.sphere, self.crops, self.landmarks = training, sphere, crops, landmarks
        self.trunk, self.networks, self.features = trunk, networks, features
        people = trained_people(crops, training.kept_out_folds)
        if len(people) < 2:
            raise InputError(f"expected photos of at least 2 people to train on, got {len(people)}.")
        self.people = len(people)
        self.rows = np.array([row for rows in people.values() for row in rows])
        self.classes = np.repeat(np.arange(len(people)), [len(rows) for rows in people.values()])
        weight = np.bincount(self.classes)[self.classes].astype(np.float64) ** -training.share
        self.chances = np.cumsum(weight / weight.sum())
        tested = people_of_folds(crops, training.kept_out_folds)
        self.labelled = np.array(
            [
                n
                for n, who in enumerate(crops.identity)
                if who not in tested and not (who and is_kept_out(who))
            ]
        )
        self.pairs: Pairs = kept_out_pairs(crops, training.kept_out_folds)
        scale = training.scale_share * sphere.scale_mean
        self.decoder = Decoder.of(sphere.face_model, sphere.deviations, scale)
        probe = FaceProbe.of(sphere.face_model)
        self.known = Movable(Known(self.decoder, probe, MeshTerms.of(sphere)))
        self.mirror = mirror_of_landmarks(sphere)

    def settings(self) -> Mapping[str, object]:
        """What a checkpoint must have been trained with to go on from it."""
        model = self.sphere.face_model
        told = {"people": self.people, "photos": len(self.rows), "model": [model.name, model.version]}
        arrays = {"landmarks": self.landmarks, "deviations": self.sphere.deviations}
        data = {"crops": self.crops.digest} | {n: rows_digest(a.cpu().numpy()) for n, a in arrays.items()}
        told["data"] = joined_digest(data)
        begun = {"from_recognition": self.trunk is not None, "from_sphere": self.networks is not None}
        return {**asdict(self.training), **told, **begun}

    def build(self, seed: int) -> SphereNetworks:
        """Fresh networks, the trunk as recognition left it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            axes = HeadAxes.of(self.sphere, self.decoder.scale)
            networks = SphereNetworks(self.training, self.people, axes)
        if self.networks is not None:
            check_axes(self.networks, axes)
            try:
                networks.load_state_dict(dict(self.networks))
            except RuntimeError as error:
                raise InputError(
                    "the earlier run trained networks of other sizes, or other people: give one of the same."
                ) from error
        elif self.trunk is not None:
            try:
                networks.encoder.trunk.load_state_dict(dict(self.trunk))
            except RuntimeError as error:
                raise InputError(
                    "the recognition network has other sizes than the encoder's trunk: give one of the same."
                ) from error
            self._start(networks)
        return networks

    def start_features(self, networks: SphereNetworks) -> Float[Tensor, "P F"]:
        """The trunk's features of all photos that are trained on; some seconds for each 1,000 photos."""
        if self.features is None:
            trunk = networks.encoder.trunk.eval()
            chunks = [self.rows[k : k + CHUNK] for k in range(0, len(self.rows), CHUNK)]
            with torch.no_grad():
                self.features = torch.cat([trunk.look(self.crops.plain(rows.tolist()))[0] for rows in chunks])
            trunk.train()
        return self.features

    def _start(self, networks: SphereNetworks) -> None:
        """Directions as recognition tells people apart."""
        features = self.start_features(networks)
        people = torch.from_numpy(self.classes)
        directions = start_from_people(networks.encoder, features, people, self.sphere.deviations)
        networks.classes.directions.data.copy_(NORM * directions)
        networks.centres.data.copy_(self.decoder.scale * directions)

    def batch(self, seed: int, step: int, part: int, parts: int) -> SphereBatch:
        """The photos of a step: always the same for the same arguments."""
        rng = np.random.default_rng((seed, step, part, parts))
        count = -(-self.training.batch // parts)
        share = 1.0 if step < self.training.warm_up else self.training.labelled
        of_labels = part_of(round(share * self.training.batch), part, parts)
        chosen = np.searchsorted(self.chances, rng.random(count - of_labels)).clip(0, len(self.rows) - 1)
        rows = np.concatenate([rng.choice(self.labelled, of_labels), self.rows[chosen]])
        people = np.concatenate([np.full(of_labels, NOBODY), self.classes[chosen]])
        labelled = (np.arange(count) < of_labels) | self.training.all_landmarks
        order = rng.permutation(count)
        return self._batch(rows[order], people[order], labelled[order], rng)

    def _batch(
        self, rows: ndarray, people: ndarray, labelled: ndarray, rng: np.random.Generator
    ) -> SphereBatch:
        found = changed(self.crops.pixels[rows], rng, self.training.augmentation)
        points = found.moved(self.landmarks[torch.from_numpy(rows)])
        points = torch.where(found.mirrored[:, None, None], points[:, self.mirror], points)
        return SphereBatch(found.images, points, torch.from_numpy(labelled), torch.from_numpy(people))

    def heads(
        self, networks: SphereNetworks, crops: Float[Tensor, "B 1 112 112"], *, frozen_trunk: bool = False
    ) -> SphereHead:
        """What the encoder finds in crops."""
        encoder = networks.encoder
        outputs = map_tensors(Tensor.float, encoder(crops, frozen_trunk=frozen_trunk))
        decoder = self.known.on(crops.device).decoder
        with in_float32(crops):
            return decoder.decode(outputs, self.training.network, encoder.mixing)

    def losses(self, network: nn.Module, batch: SphereBatch, step: int) -> dict[str, Tensor]:
        """Weighted terms of one batch; each sees the photos that have its label."""
        networks = _checked(network)
        head = self.heads(networks, batch.crops, frozen_trunk=step < self.training.warm_up)
        with in_float32(batch.crops):
            return self._weighted(networks, head, batch, step)

    def _weighted(
        self, networks: SphereNetworks, head: SphereHead, batch: SphereBatch, step: int
    ) -> dict[str, Tensor]:
        how, weights = self.training, self.training.weights
        known, at = self.known.on(batch.crops.device), head.parameters
        points = at.camera.project(known.probe.landmarks(at)[0])[..., :2]
        mixing = networks.encoder.mixing
        found = {
            "landmark": mean_of(point_loss(points, batch.landmarks), batch.labelled),
            "kl": scale_kl(
                head.scale, how.scale_share * self.sphere.scale_mean, how.scale_share * self.sphere.scale_std
            ),
            "shape": at.identity.square().mean(),
            "expression": expression_cost(known.decoder.model, at.expression).mean(),
            "albedo": at.diffuse.square().mean(),
            "orthonormal": orthonormality(mixing),
            "basis": mixing.square().sum(),
            **known.meshes.costs((head.code + head.code @ mixing)[: self._share(how.meshes, batch)]),
            **self._of_people(networks, head, batch.people, step),
        }
        if weights.pixel > 0 and how.drawn and step >= how.warm_up // 2 and step % how.draw_every == 0:
            found["pixel"] = self._pixels(networks, head, batch.crops[: self._share(how.drawn, batch)])
        return {name: getattr(weights, name) * value for name, value in found.items()}

    def _share(self, photos: int, batch: SphereBatch) -> int:
        """Of so many photos of a step, those of a part: at least one, so that no part lacks the term."""
        return -(-photos * len(batch.crops) // self.training.batch)

    def _of_people(
        self, networks: SphereNetworks, head: SphereHead, people: Tensor, step: int
    ) -> dict[str, Tensor]:
        """The losses of those whose identity counts."""
        rows = torch.nonzero(people != NOBODY)[:, 0]
        how, weights = self.training, self.training.weights
        if step < how.warm_up or len(rows) == 0:
            return {}
        ramp = min(1.0, (step - how.warm_up) / max(1, how.margin_ramp))
        found: dict[str, Tensor] = {}
        if weights.identity > 0:
            found["identity"] = networks.classes(head.direction[rows], people[rows], ramp)[0]
        if weights.centre > 0:
            trust = None
            if how.reliable:
                at = head.parameters
                trust = reliability(at.pose.rotation[rows], at.expression[rows])
            present, own = torch.unique(people[rows], return_inverse=True)
            if len(present) > 1:
                found["centre"] = ramp * centre_loss(head.code[rows], networks.centres[present], own, trust)
        return found

    def _pixels(self, networks: SphereNetworks, head: SphereHead, crops: Tensor) -> Tensor:
        """Of the first heads, those whose crops are given."""
        model, rows = self.known.on(crops.device).decoder.model, slice(0, len(crops))
        drawn, skin = draw_grey(model, select_rows(head.parameters, rows), SIDE)
        photos = interpolate(crops, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        return laplace_loss((drawn - photos[:, 0]).abs(), networks.confidence(photos), skin)

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Figures on kept-out people; the score is the equal error rate plus 10 times the landmarks' px."""
        first, second, same = self.pairs
        rows = np.unique(np.concatenate([first, second]))
        codes, error = self.codes(_checked(network), rows)
        place = {row: number for number, row in enumerate(rows.tolist())}
        sides = [codes[[place[row] for row in side.tolist()]] for side in (first, second)]
        cosine = verify(pair_similarity(sides[0], sides[1], "cosine"), same)
        euclidean = verify(pair_similarity(sides[0], sides[1], "euclidean"), same)
        people = np.unique([self.crops.identity[row] for row in rows], return_inverse=True)[1]
        return {
            "score": 100 * cosine.equal_error_rate + 10 * error,
            "kept_out_error": 100 * cosine.equal_error_rate,
            "kept_out_cosine": 100 * cosine.accuracy,
            "kept_out_euclidean": 100 * euclidean.accuracy,
            "landmark_px": error,
            "spread_ratio": spread(codes, people).ratio,
            "scale": float(np.linalg.norm(codes, axis=1).mean()),
        }

    def codes(
        self, networks: SphereNetworks, rows: Int64[ndarray, " N"]
    ) -> tuple[Float[ndarray, "N D"], float]:
        """Codes of crops, by number, and how far their landmarks lie off on average, px."""
        networks.eval()
        with torch.no_grad():
            parts = [self._judged(networks, rows[k : k + CHUNK]) for k in range(0, len(rows), CHUNK)]
        error = float(torch.cat([distance for _, distance in parts]).mean())
        return torch.cat([code for code, _ in parts]).double().numpy(), error

    def _judged(self, networks: SphereNetworks, rows: ndarray) -> tuple[Tensor, Tensor]:
        """Codes of crops (mean with the mirror image), and how far their landmarks lie off, px."""
        device, sizes, mixing = device_of(networks), self.training.network, networks.encoder.mixing
        known, crops = self.known.on(device), self.crops.plain(rows.tolist()).to(device)
        outputs = networks.encoder(crops)
        at = known.decoder.decode(outputs, sizes, mixing).parameters
        points = at.camera.project(known.probe.landmarks(at)[0])[..., :2]
        distance = point_loss(points, self.landmarks[torch.from_numpy(rows)].to(device) - MARGIN)
        both = mean_outputs(outputs, networks.encoder(crops.flip(3)))
        both = known.decoder.decode(both, sizes, mixing)
        return both.code.cpu(), distance.cpu()

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:
        """Kept-out photos, the heads found in them, and how sure each pixel is."""
        networks = _checked(network)
        networks.eval()
        with torch.no_grad():
            crops = self.crops.plain(self.pairs[0][:PICTURES].tolist()).to(device_of(networks))
            head = self.heads(networks, crops)
            drawn, _ = draw_grey(self.known.on(crops.device).decoder.model, head.parameters, SIDE)
            photos = interpolate(crops, size=(SIDE, SIDE), mode="bilinear", antialias=True)
            spread = networks.confidence(photos).clamp(0, 1)
        rows = [torch.cat(list(row), 1) for row in (photos[:, 0], drawn, spread)]
        return {"heads": torch.cat(rows).expand(3, -1, -1)}


def mirror_of_landmarks(sphere: SphereModel) -> Int64[Tensor, " 478"]:
    """Of each landmark, the one on the other side of the face."""
    points = sphere.face_model.landmark_points(sphere.face_model.mean, "dense478")
    flipped = points * points.new_tensor([-1.0, 1.0, 1.0])
    return torch.cdist(flipped, points).argmin(1)


def _checked(network: nn.Module) -> SphereNetworks:
    if not isinstance(network, SphereNetworks):
        raise InputError(f"expected the networks of the sphere task, got {type(network).__name__}.")
    return network


def load_sphere_task(
    sphere: SphereModel,
    data: Path,
    cache: Path,
    training: SphereTraining,
    trunk: Mapping[str, Tensor] | None = None,
    networks: Mapping[str, Tensor] | None = None,
) -> SphereTask:
    """The task on the labelled folders in ``data``; crops are kept in ``cache`` (NAME.npy).

    Raises:
        DatasetError: a folder is missing or damaged.
    """
    return SphereTask(sphere, load_crops(data, cache), crop_landmarks(data), training, trunk, networks)
