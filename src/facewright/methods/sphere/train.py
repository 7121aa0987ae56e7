"""Stage 2 as a task of the training loop: the encoder and the basis learn from photographs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from facewright.core.errors import InputError
from facewright.core.row_file import joined_digest, rows_digest
from facewright.core.tensor_records import Movable, device_of, map_tensors
from facewright.data.aligned_faces import (
    MARGIN,
    CropSet,
    crop_landmarks,
    kept_out_pairs,
    load_crops,
    people_of_folds,
    plain_crops,
    trained_people,
)
from facewright.data.crop_augmentation import changed
from facewright.data.datasets.kept_out import is_kept_out
from facewright.data.known_crops import KnownCrops, load_known_crops
from facewright.evaluation.identity_metrics import pair_similarity, spread, verify
from facewright.fitting.face_probe import FaceProbe
from facewright.fitting.records import select_rows
from facewright.methods.sphere.codes import centre_loss
from facewright.methods.sphere.confidence import SIDE, ConfidenceNetwork, laplace_loss
from facewright.methods.sphere.drawing import draw_grey
from facewright.methods.sphere.encoder import (
    Decoder,
    EncoderOutputs,
    SphereEncoder,
    SphereHead,
    mean_outputs,
)
from facewright.methods.sphere.head_encoder import HeadAxes, check_axes
from facewright.methods.sphere.known import KnownFaces, face_errors, shape_figures
from facewright.methods.sphere.likeness_start import Examples, start_from_shapes
from facewright.methods.sphere.losses import (
    MeshTerms,
    expression_cost,
    mean_of,
    orthonormality,
    point_loss,
    reliability,
    scale_kl,
)
from facewright.methods.sphere.photo_settings import SphereTraining
from facewright.methods.sphere.start import NORM, seen_in, start_from_people
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
class SphereBatch:
    """Crops, and what is known of each.

    Attributes:
        crops: as the network sees them.
        landmarks: px of these.
        truth: code of the face, where that is known.
        labelled: whether the landmarks count.
        people: number of each one's person, -1 where identity does not count.
        known: whether the face is.
    """

    crops: Float[Tensor, "B 1 112 112"]
    landmarks: Float[Tensor, "B 478 2"]
    truth: Float[Tensor, "B D"]
    labelled: Bool[Tensor, " B"]
    people: Int64[Tensor, " B"]
    known: Bool[Tensor, " B"]


class SphereNetworks(nn.Module):
    """What is trained: the encoder, which is kept, and what only training needs."""

    def __init__(self, training: SphereTraining, people: int, axes: HeadAxes, *, shapes: bool) -> None:
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
        self.encoder.likeness.requires_grad_(shapes)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """Trunk, basis (half the rate), centres (a rate of their own), people's directions, and the rest."""
        trunk, mixing = list(self.encoder.trunk.parameters()), self.encoder.mixing
        classes = list(self.classes.parameters())
        special = {id(parameter) for parameter in (*trunk, *classes, mixing, self.centres)}
        trunk_rate, class_rate = (rate * learning_rate for rate in self.rates)
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in special]
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
    person's code to that between people; on synthetic photos kept out, where there are some, how far faces
    are from the true ones (mm).

    Args:
        sphere: the frozen model of stage 1.
        crops: of both labelled folders.
        landmarks: of ``crop_landmarks``.
        training: what to train with.
        start: weights of parts of the encoder to start from, by their names; None: random ones.
        networks: all networks of an earlier run on the same people to start from instead.
        features: of the trunk, of the photos that are trained on, if an earlier task made them.
        known: synthetic photos, which teach shapes, too.

    Raises:
        InputError: there are too few people, sizes do not fit, or synthetic photos are of another head.
    """

    name = "sphere"
    version = 3
    metric = "score"

    def __init__(
        self,
        sphere: SphereModel,
        crops: CropSet,
        landmarks: Float[Tensor, "N 478 2"],
        training: SphereTraining | None = None,
        start: Mapping[str, Tensor] | None = None,
        networks: Mapping[str, Tensor] | None = None,
        features: Float[Tensor, "P F"] | None = None,
        known: KnownCrops | None = None,
    ) -> None:
        if len(landmarks) != len(crops.pixels):
            raise InputError(f"{len(crops.pixels)} crops, but landmarks of {len(landmarks)}: cut them again.")
        training = training or SphereTraining()
        self.training, self.sphere, self.crops, self.landmarks = training, sphere, crops, landmarks
        self.start, self.networks, self.features = start, networks, features
        self.known_faces = None if known is None else KnownFaces.of(known, sphere)
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
        told["basis"] = self.sphere.digest
        arrays = {"landmarks": self.landmarks, "deviations": self.sphere.deviations}
        arrays["basis"] = model.identity_basis  # its signs are arbitrary, and codes are of these
        data = {"crops": self.crops.digest} | {n: rows_digest(a.cpu().numpy()) for n, a in arrays.items()}
        told["data"] = joined_digest(data)
        if self.known_faces is not None:
            told["synthetic"] = self.known_faces.crops.digest
        parts = sorted({name.partition(".")[0] for name in self.start or {}})
        begun = {"from_parts": parts, "from_sphere": self.networks is not None}
        return {**asdict(self.training), **told, **begun}

    def build(self, seed: int) -> SphereNetworks:
        """Fresh networks, the trunk as recognition left it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            axes = HeadAxes.of(self.sphere, self.decoder.scale)
            networks = SphereNetworks(self.training, self.people, axes, shapes=self.known_faces is not None)
            if self.networks is not None:
                check_axes(self.networks, axes)
                what = "earlier run trained networks of other sizes, or other people"
                _load(networks, self.networks, what)
            elif self.start is not None:
                what = "weights to start from are of other sizes than the encoder"
                _load(networks.encoder, networks.encoder.state_dict() | dict(self.start), what)
                self._start(networks)
        return networks

    def start_features(self, networks: SphereNetworks) -> Float[Tensor, "P F"]:
        """The trunk's features of all photos that are trained on; some seconds for each 1,000 photos."""
        if self.features is None:
            self.features = seen_in(networks.encoder, self.crops.pixels, self.rows, flipped=False)[0]
        return self.features

    def _start(self, networks: SphereNetworks) -> None:
        """Directions as recognition tells people apart, and, where faces are known, as shapes are."""
        people = torch.from_numpy(self.classes)
        encoder, faces = networks.encoder, self.known_faces
        if faces is None:
            features = self.start_features(networks)
            directions = start_from_people(encoder, features, people, self.sphere.deviations)
            networks.classes.directions.data.copy_(NORM * directions)
            networks.centres.data.copy_(self.decoder.scale * directions)
            return
        seen, known = (
            torch.cat([torch.cat(seen_in(encoder, pixels, rows, flip), 1) for flip in (False, True)])
            for pixels, rows in ((self.crops.pixels, self.rows), (faces.crops.pixels, faces.seen))
        )
        chances = torch.from_numpy(np.diff(self.chances, prepend=0.0)).float().repeat(2)
        codes = faces.codes[faces.seen].repeat(2, 1)
        examples = Examples(seen, people.repeat(2), chances, known, codes)
        vertices = self.known.on(torch.device("cpu")).meshes.vertices
        centres = start_from_shapes(
            encoder, networks.classes, examples, self.decoder, vertices, self.training.weights
        )
        networks.centres.data.copy_(centres)

    def batch(self, seed: int, step: int, part: int, parts: int) -> SphereBatch:
        """The photos of a step: always the same for the same arguments."""
        rng = np.random.default_rng((seed, step, part, parts))
        how, faces = self.training, self.known_faces
        count = -(-how.batch // parts)
        of_known = 0 if faces is None else part_of(round(how.known * how.batch), part, parts)
        share = 1.0 if step < how.warm_up else how.labelled
        of_labels = min(count - of_known, part_of(round(share * how.batch), part, parts))
        of_people = count - of_known - of_labels
        chosen = np.searchsorted(self.chances, rng.random(of_people)).clip(0, len(self.rows) - 1)
        rows = np.concatenate([rng.choice(self.labelled, of_labels), self.rows[chosen]])
        pixels, points = self.crops.pixels[rows], self.landmarks[torch.from_numpy(rows)]
        truth = torch.zeros(count, self.sphere.dimensions)
        if faces is not None:
            drawn = rng.choice(faces.seen, of_known)
            pixels = np.concatenate([pixels, faces.crops.pixels[drawn]])
            points = torch.cat([points, torch.from_numpy(faces.crops.landmarks[drawn])])
            truth[count - of_known :] = faces.codes[drawn]
        kind = np.repeat(["labels", "people", "known"], [of_labels, of_people, of_known])
        people = np.full(count, NOBODY)
        people[kind == "people"] = self.classes[chosen]
        order = rng.permutation(count)
        found = changed(pixels[order], rng, how.augmentation)
        points = found.moved(points[order])
        points = torch.where(found.mirrored[:, None, None], points[:, self.mirror], points)
        labelled = (kind != "people") | how.all_landmarks
        told = (torch.from_numpy(values[order]) for values in (labelled, people, kind == "known"))
        return SphereBatch(found.images, points, truth[order], *told)

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
        mixing, codes = networks.encoder.mixing, at.identity * known.decoder.deviations
        off = face_errors(codes, batch.truth, known.meshes.vertices)
        found = {
            "landmark": mean_of(point_loss(points, batch.landmarks), batch.labelled),
            "truth": mean_of(off, batch.known),
            "kl": scale_kl(
                head.scale, how.scale_share * self.sphere.scale_mean, how.scale_share * self.sphere.scale_std
            ),
            "shape": at.identity.square().mean(),
            "expression": expression_cost(known.decoder.model, at.expression).mean(),
            "albedo": at.diffuse.square().mean(),
            "orthonormal": orthonormality(mixing),
            "basis": mixing.square().sum(),
            **known.meshes.costs(codes[: self._share(how.meshes, batch)]),
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
        shapes = self._shapes(_checked(network))
        return {
            "score": 100 * cosine.equal_error_rate + 10 * error + 10 * shapes.get("shape_mm", 0.0),
            "kept_out_error": 100 * cosine.equal_error_rate,
            "kept_out_cosine": 100 * cosine.accuracy,
            "kept_out_euclidean": 100 * euclidean.accuracy,
            "landmark_px": error,
            "spread_ratio": spread(codes, people).ratio,
            "scale": float(np.linalg.norm(codes, axis=1).mean()),
            **shapes,
        }

    def _shapes(self, networks: SphereNetworks) -> dict[str, float]:
        """How near faces of synthetic photos that are kept out are to the true ones."""
        faces = self.known_faces
        if faces is None:
            return {}
        found = []
        with torch.no_grad():
            for first in range(0, len(faces.held), CHUNK):
                crops = plain_crops(faces.crops.pixels, faces.held[first : first + CHUNK])
                found.append(self._met(networks, crops)[1].parameters.identity.cpu())
        vertices = self.known.on(torch.device("cpu")).meshes.vertices
        deviations = self.sphere.deviations.cpu()
        return shape_figures(torch.cat(found) * deviations, faces.codes[faces.held], vertices)

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
        outputs, head = self._met(networks, self.crops.plain(rows))
        known = self.known.on(outputs.code.device)
        at = known.decoder.decode(outputs, self.training.network, networks.encoder.mixing).parameters
        points = at.camera.project(known.probe.landmarks(at)[0])[..., :2]
        distance = point_loss(points, self.landmarks[torch.from_numpy(rows)].to(points.device) - MARGIN)
        return head.code.cpu(), distance.cpu()

    def _met(
        self, networks: SphereNetworks, crops: Float[Tensor, "B 1 112 112"]
    ) -> tuple[EncoderOutputs, SphereHead]:
        """What the encoder says of crops, and the heads that it finds in them and their mirror images."""
        crops = crops.to(device_of(networks))
        outputs, other = networks.encoder(crops), networks.encoder(crops.flip(3))
        decoder = self.known.on(crops.device).decoder
        both = mean_outputs(outputs, other)
        return outputs, decoder.decode(both, self.training.network, networks.encoder.mixing)

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:
        """Kept-out photos, the heads found in them, and how sure each pixel is."""
        networks = _checked(network)
        networks.eval()
        with torch.no_grad():
            crops = self.crops.plain(self.pairs[0][:PICTURES]).to(device_of(networks))
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


def _load(network: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise InputError(f"the {what}: give one of the same.") from error


def _checked(network: nn.Module) -> SphereNetworks:
    if not isinstance(network, SphereNetworks):
        raise InputError(f"expected the networks of the sphere task, got {type(network).__name__}.")
    return network


def load_sphere_task(
    sphere: SphereModel,
    data: Path,
    cache: Path,
    training: SphereTraining,
    start: Mapping[str, Tensor] | None = None,
    networks: Mapping[str, Tensor] | None = None,
    synthetic: Sequence[Path] = (),
) -> SphereTask:
    """The task on the labelled folders in ``data``; crops are kept in ``cache`` (NAME.npy).

    Args:
        sphere: the frozen model of stage 1.
        data: folder of the labelled folders.
        cache: crops of sets of synthetic photos are kept beside it (NAME.synthetic.npy).
        training: what to train with.
        start: as of ``SphereTask``.
        networks: likewise.
        synthetic: sets of ``facewright synthesize`` of the same head, which teach shapes.

    Raises:
        DatasetError: a folder is missing or damaged.
        InputError: a set has no whole shards, or is of another head.
    """
    crops = load_crops(data, cache)
    known = load_known_crops(synthetic, cache.with_suffix(".synthetic.npy")) if synthetic else None
    return SphereTask(sphere, crops, crop_landmarks(data), training, start, networks, known=known)
