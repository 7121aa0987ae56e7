"""How ``facewright train specular`` trains."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from facewright.core.assets import asset_path
from facewright.data.protocols import photo_protocol
from facewright.detection.recognition import FILE, NetworkFeatures
from facewright.methods.specular.examples import Examples
from facewright.methods.specular.scales import SpecularTraining, training_of
from facewright.methods.specular.settings import SupervisionWeights
from facewright.methods.specular.streamed import ExampleStream
from facewright.methods.specular.train import SpecularTask
from facewright.models.base import load_base_model
from facewright.networks.recognition import RecognitionNetwork, RecognitionNetworkSettings
from facewright.training.checkpoint import trained_network
from facewright.training.flags import OnOff, changed, with_flags
from facewright.training.recipe import Recipe, Scale
from facewright.training.settings import TrainingSettings

EXAMPLES = Path("build/specular_examples")


@dataclass(frozen=True)
class SpecularOptions:
    """What the method is trained on."""

    examples: tuple[Path, ...] = ()
    """Folders of scripts/prepare_specular.py; build/specular_examples if there is no --stream either."""
    stream: str | None = None
    """Photos of this protocol of `facewright synthesize`, made while the training goes on, without files."""
    identity: bool = False
    """With the identity loss; scale full has it in any case."""
    recognition: Path | None = None
    """Recognition network of the identity loss: best.safetensors of `facewright train recognition`; the
    shipped one if not given."""
    imagenet: Path | None = None
    """Of scale full: weights of a ResNet-50 to start from, safetensors with torchvision's names."""
    supervision: OnOff | None = None
    """All terms on the truth of synthetic photos, or none, as in the paper; the scale's if not given. Where
    there are none, --supervision-shape 1 and the like switch on that term alone."""


def _training(options: SpecularOptions, scale: Scale, settings: TrainingSettings) -> SpecularTraining:
    training = training_of(scale, settings.steps, identity=options.identity)
    if options.supervision is not None:
        told = SupervisionWeights() if options.supervision == "on" else None
        training = replace(training, supervision=told)
    terms = [getattr(options, f"supervision_{one.name}", None) for one in fields(SupervisionWeights)]
    if training.supervision is None and any(term is not None for term in terms):
        training = replace(training, supervision=SupervisionWeights.none())
    training = changed(replace(training, batch=settings.batch), options)
    nothing = training.supervision is not None and not training.supervision.used()
    return replace(training, supervision=None) if nothing else training


def _task(options: SpecularOptions, scale: Scale, settings: TrainingSettings) -> SpecularTask:
    training = _training(options, scale, settings)
    files = {} if options.imagenet is None else {"imagenet": options.imagenet}
    recognition = None
    if training.losses.weights.identity > 0:
        files["recognition"] = options.recognition or asset_path(FILE)
        kinds = RecognitionNetwork, RecognitionNetworkSettings
        network, _ = trained_network(files["recognition"], "recognition", *kinds, "network.")
        recognition = NetworkFeatures(network)
    model = load_base_model()
    made = None
    if options.stream is not None:
        protocol = photo_protocol(options.stream)
        made = ExampleStream(protocol, settings.seed, model, training.network.input_size)
    examples = Examples(options.examples or (() if made else (EXAMPLES,)), model, made)
    return SpecularTask(model, examples, training, recognition, files)


RECIPE = Recipe(
    options=with_flags(SpecularOptions, SpecularTraining, leave_out=("batch",)),
    scales={
        "mini": TrainingSettings(
            steps=400,
            batch=8,
            learning_rate=1e-3,
            warmup=20,
            clip=5.0,
            ema=0.98,
            evaluate_every=200,
            checkpoint_every=100,
            journal_every=50,
        ),
        "small": TrainingSettings(
            steps=6000,
            batch=32,
            learning_rate=1.5e-3,
            warmup=200,
            weight_decay=0.02,
            clip=5.0,
            ema=0.998,
            evaluate_every=500,
            checkpoint_every=250,
            journal_every=100,
        ),
        "full": TrainingSettings(
            steps=200_000,
            batch=32,
            learning_rate=5e-5,
            schedule="constant",
            optimizer="adam",
            clip=0.0,
            ema=0.0,
            evaluate_every=5000,
            checkpoint_every=1000,
        ),
    },
    make=_task,
)
