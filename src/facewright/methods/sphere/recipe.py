"""How ``facewright train sphere`` trains the encoder and the basis on photographs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from facewright.core.assets import asset_path, read_safetensors
from facewright.core.errors import AssetError, InputError
from facewright.data.aligned_faces import folds_kept_out
from facewright.methods.sphere.encoder import EncoderSettings
from facewright.methods.sphere.photo_settings import SphereTraining
from facewright.methods.sphere.train import SphereTask, load_sphere_task
from facewright.models.base import load_base_model
from facewright.models.sphere_model import FACE, SphereModel, load_sphere_model, sphere_model
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.networks.weights import read_weights
from facewright.training.checkpoint import FORMAT as RUN_FORMAT
from facewright.training.flags import changed, with_flags
from facewright.training.recipe import Recipe, Scale
from facewright.training.settings import TrainingSettings

RECOGNITION = "recognition.safetensors"
LATE_IDENTITY = 6.0  # weight once the basis stands: landmarks have taught the shape, people count now


@dataclass(frozen=True)
class SphereOptions:
    """What may be chosen beside the loop's settings."""

    data: Path = Path("../shared/data")
    """Folder of faces_in_the_wild and faces_in_colour."""
    crops: Path = Path("build/recognition_crops.npy")
    """Array file of all crops; written by the first run (about a minute and a half of one core, 260 MB)."""
    sphere: Path | None = None
    """A Sphere Face Model of stage 1; the shipped head with orthonormal axes over the face if not given.
    What is trained on it then needs it as the head: ``scripts/ship_network.py --head FILE`` and
    ``--model FILE``."""
    recognition: Path | None = None
    """Weights of the recognition network to start from; the shipped ones if not given. Refused where
    their training may have shown people of the folds that are kept out."""
    kept_out_folds: tuple[int, ...] = (8, 9)
    """Folds of the verification pairs whose people no batch shows; only those may be asked afterwards."""
    labelled: float = 0.25
    """P, the share of a batch that is held to landmarks alone; the rest has identities."""
    synthetic: tuple[Path, ...] = ()
    """Sets of ``facewright synthesize`` of the same head, whose true faces teach shapes; their crops are kept
    beside the others (4 minutes for 9,000 photos)."""
    encoder: Path | None = None
    """Weights of an encoder, of any version of the head, to start from instead of recognition's: how it tells
    identities is learned anew, from ``--synthetic``, too; the basis stays."""
    earlier: Path | None = None
    """best.safetensors of an earlier run on the same people: keep its basis and train the encoder on (the
    paper's inference encoder)."""


def default_sphere() -> SphereModel:
    """The shipped head with axes that are orthonormal over the face."""
    model = load_base_model()
    return sphere_model(model, model.regions[FACE])


def sphere_task(options: SphereOptions, scale: Scale, settings: TrainingSettings) -> SphereTask:
    """The task of a scale.

    Raises:
        InputError: there is no such fold, or the recognition network was trained on its people.
        DatasetError: a folder is missing or damaged.
        AssetError: a model or weight file is missing, damaged or of another kind.
    """
    wrong = sorted(set(options.kept_out_folds) - set(range(10)))
    if wrong:
        raise InputError(f"the verification pairs have the folds 0 to 9, not {wrong[0]}.")
    sphere = load_sphere_model(options.sphere) if options.sphere else default_sphere()
    face = sphere.face_model
    network = EncoderSettings(
        dimensions=sphere.dimensions, expression=face.expression_count, diffuse=face.diffuse_count
    )
    own = SphereTraining(
        kept_out_folds=tuple(sorted(set(options.kept_out_folds))),
        batch=settings.batch,
        labelled=options.labelled,
        freeze_basis=options.earlier is not None,
        network=EncoderSettings.of_paper(sphere) if scale == "full" else network,
    )
    if options.encoder is not None and not options.synthetic:
        raise InputError("--encoder needs --synthetic: how identities are told is learned from known shapes.")
    if options.synthetic and scale != "full":  # shapes need more of what recognition sees than people do
        own = replace(own, network=replace(own.network, bottleneck=own.network.features))
    if scale == "mini":
        own = replace(own, warm_up=20, margin_ramp=20)
    if scale == "full":
        own = replace(own, labelled=max(options.labelled, 0.5), warm_up=10_000, trunk_rate=1.0)
    if options.earlier is not None:
        weights = replace(own.weights, identity=LATE_IDENTITY)
        own = changed(replace(own, warm_up=0, margin_ramp=0, weights=weights), options)
        earlier = _earlier(options.earlier, sphere)
        return load_sphere_task(
            sphere, options.data, options.crops, own, networks=earlier, synthetic=options.synthetic
        )
    start: dict[str, Tensor] | None = None
    if options.encoder is not None:
        own = replace(own, warm_up=0, margin_ramp=0, freeze_basis=True)
        _refuse_known_people(options.encoder, options.kept_out_folds, "--encoder")
        start = _seeing_parts(options.encoder)
    elif scale != "full":
        path = options.recognition or asset_path(RECOGNITION)
        _refuse_known_people(path, options.kept_out_folds, "--recognition")
        trunk = read_weights(path, RecognitionNetwork, RecognitionNetworkSettings)
        start = {f"trunk.{name}": values for name, values in trunk.state_dict().items()}
    own = changed(own, options)
    return load_sphere_task(sphere, options.data, options.crops, own, start, synthetic=options.synthetic)


def _refuse_known_people(path: Path, kept_out_folds: Sequence[int], flag: str) -> None:
    known = folds_kept_out(path)
    seen = sorted(set(kept_out_folds) - (known or set()))
    if seen:
        told = f"those of {' '.join(map(str, sorted(known)))}" if known else "nobody that its header tells of"
        wanted = " ".join(map(str, sorted(set(kept_out_folds))))
        raise InputError(
            f"{path} kept out {told}: it may have seen the people of fold {seen[0]}. Give weights with "
            f"{flag} that were trained with --kept-out-folds {wanted}."
        )


def _seeing_parts(path: Path) -> dict[str, Tensor]:
    """All of an encoder but what says in which axes of which head identities are."""
    tensors, _ = read_safetensors(path)
    told = ("encoder.code.", "encoder.spread.", "encoder.likeness", "encoder.mixing")
    parts = {n: v.float() for n, v in tensors.items() if n.startswith("encoder.") and not n.startswith(told)}
    if not parts:
        raise AssetError(f"{path}: expected weights of the sphere's encoder, found another file.")
    return {name.removeprefix("encoder."): values for name, values in parts.items()}


def _earlier(path: Path, sphere: SphereModel) -> dict[str, Tensor]:
    tensors, header = read_safetensors(path)
    if (header.get("format"), header.get("task")) != (RUN_FORMAT, "sphere"):
        raise AssetError(f"{path}: expected best.safetensors of facewright train sphere, found another file.")
    try:
        settings = json.loads(header["settings"])
        told, basis = settings["sphere.model"], settings["sphere.basis"]
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        raise AssetError(f"{path} does not say on which head it was trained ({error}).") from error
    own = [sphere.face_model.name, sphere.face_model.version]
    if told != own:
        raise InputError(f"{path} was trained on the head {told}, this run would be on {own}: train anew.")
    if basis != sphere.digest:
        raise InputError(f"{path} was trained on another basis of {own[0]!r}: give the same --sphere.")
    return tensors


_SMALL = TrainingSettings(
    steps=2400,
    batch=64,
    learning_rate=1e-3,
    warmup=100,
    weight_decay=0.05,
    clip=10.0,
    ema=0.998,
    evaluate_every=500,
    checkpoint_every=250,
    journal_every=50,
)
RECIPE = Recipe(
    options=with_flags(SphereOptions, SphereTraining, leave_out=("batch", "freeze_basis")),
    scales={
        "mini": replace(_SMALL, steps=200, batch=16, evaluate_every=100, checkpoint_every=100),
        "small": _SMALL,
        "full": TrainingSettings(
            steps=200_000,
            batch=40,
            learning_rate=5e-5,
            optimizer="adam",
            weight_decay=5e-4,
            clip=0.0,
            accumulate=4,
        ),
    },
    make=sphere_task,
)
