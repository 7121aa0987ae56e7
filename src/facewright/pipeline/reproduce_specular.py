"""The specular method's tables on the synthetic twin of its data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import cast, get_args

from facewright.core.device import DeviceName
from facewright.core.errors import InputError, UnavailableError
from facewright.core.files import read_marker
from facewright.data.protocols import photo_protocol
from facewright.data.shard_reader import ShardSet
from facewright.detection.landmarker import FIRST, SECOND
from facewright.detection.recognition import FILE as RECOGNITION
from facewright.detection.recognition import shipped_features
from facewright.evaluation.ablation import AblationTable, Variant
from facewright.methods.specular.examples import (
    FORMAT,
    INDEX,
    MAX_INDEX,
    Examples,
    digest_of,
    write_examples,
)
from facewright.methods.specular.prepare import Preparer, synthetic_photos
from facewright.methods.specular.recipe import RECIPE
from facewright.methods.specular.scales import SpecularTraining, training_of, without
from facewright.methods.specular.tables import TABLES
from facewright.methods.specular.train import SpecularTask
from facewright.models.base import BASE_HEAD, load_base_model
from facewright.pipeline.reproduce import first_difference
from facewright.pipeline.synthesize import SynthesisSettings, synthesize_into
from facewright.pipeline.versions import version_values
from facewright.training.loop import train
from facewright.training.recipe import Scale
from facewright.training.settings import TrainingSettings

PROTOCOL, TWIN_SEED = "synthetic-celeba", 20_220
TWIN, EXAMPLES = "twin", "examples"
MINI_STEPS = 600
KEPT_OUT = 5  # every so many-th photo of the twin, as far as evaluation asks for them


@dataclass(frozen=True)
class SpecularStudy:
    """Trains the method at a scale without one loss after the other.

    Attributes:
        scale: of training and data.
        examples: folders of prepared photos; the twin is made if there are none.
        steps: of each training; the scale's if None.
        device: of the trainings, which runs do not depend on but for rounding.
    """

    scale: Scale
    examples: tuple[Path, ...] = ()
    steps: int | None = None
    device: DeviceName = "auto"
    name: str = "specular"

    @classmethod
    def of(cls, scale: str, examples: Sequence[Path]) -> "SpecularStudy":
        """Check what is asked for.

        Raises:
            InputError: there is no such scale, or a folder holds no examples.
        """
        if scale not in get_args(Scale):
            raise InputError(f"expected a scale of {', '.join(get_args(Scale))}, got {scale!r}.")
        for folder in examples:
            if read_marker(folder / INDEX, MAX_INDEX) is None:
                raise InputError(
                    f"{folder} holds no examples: expected a folder of scripts/prepare_specular.py."
                )
        return cls(cast(Scale, scale), tuple(examples))

    def with_steps(self, steps: int) -> "SpecularStudy":
        """The same study with trainings of another length.

        Raises:
            InputError: there is no such length.
        """
        if steps < 1:
            raise InputError(f"expected at least 1 step, got {steps}.")
        return replace(self, steps=steps)

    def on_device(self, device: DeviceName) -> "SpecularStudy":
        """The same study with trainings on a device."""
        return replace(self, device=device)

    @property
    def tables(self) -> Mapping[str, AblationTable]:
        """Tables 1 and 2, and two on the uniform loss."""
        return TABLES

    def settings(self) -> Mapping[str, object]:
        """Scale, schedule, losses, data, and the files that the numbers depend on."""
        told = {k: value for k, value in asdict(self._schedule()).items() if k not in ("seed", "device")}
        training = asdict(self._training())
        assets = _checksums(BASE_HEAD, RECOGNITION, SECOND)  # whose backbone "mini" starts from
        return {
            "scale": self.scale,
            "schedule": told,
            "training": training,
            "data": self._data,
            "assets": assets,
        }

    @cached_property
    def _data(self) -> object:
        """What tells the examples from others."""
        if not self.examples:
            return {**self._source(), "size": self._size()}
        return [
            {**(read_marker(folder / INDEX, MAX_INDEX) or {}), "digest": digest_of(folder)}
            for folder in self.examples
        ]

    def _source(self) -> Mapping[str, object]:
        """What the twin's examples are prepared from."""
        told = {"protocol": PROTOCOL, "count": self._count(), "seed": TWIN_SEED, "format": FORMAT}
        drawn = asdict(photo_protocol(PROTOCOL).settings)
        assets = _checksums(BASE_HEAD, FIRST, SECOND)
        return json.loads(json.dumps({**told, "settings": drawn, "assets": assets}))

    def prepare(self, folder: Path) -> None:
        """Synthesise the twin and cut its crops, unless examples were given or it is there.

        Raises:
            InputError: there are examples of another twin.
            UnavailableError: the extra ``train`` is not installed.
        """
        if find_spec("lightning_fabric") is None:
            raise UnavailableError("training needs the extra train: pip install 'facewright[train]'.")
        if self.examples:
            return
        there = read_marker(folder / EXAMPLES / INDEX, MAX_INDEX)
        wanted = {"source": self._source(), "size": self._size()}
        if there is not None:
            found = {name: there.get(name) for name in wanted}
            if found != wanted:
                raise InputError(
                    f"{folder / EXAMPLES} was prepared from other photos "
                    f"({first_difference(found, wanted)}): choose another folder with --out."
                )
            return
        synthesize_into(folder / TWIN, SynthesisSettings(PROTOCOL, self._count(), TWIN_SEED), 1)
        model = load_base_model()
        preparer = Preparer.of(model, self._size())
        shards = ShardSet.open(folder / TWIN)
        photos = synthetic_photos(shards, len(shards) // KEPT_OUT, model)
        write_examples(folder / EXAMPLES, preparer.examples(photos), preparer.size, model, self._source())

    def run(self, variant: Variant, seed: int, folder: Path) -> Mapping[str, float]:
        """Train without the loss that the variant leaves out; figures of the last step's averaged weights.

        Raises:
            NotFiniteError: the training diverged.
        """
        settings = replace(self._schedule(), seed=seed, device=self.device)
        given = self.examples or (folder.parents[2] / EXAMPLES,)
        features = shipped_features()
        training, loss = self._training(), variant.changes.get("without")
        if loss is not None:
            training = without(training, str(loss))
        model = load_base_model()
        task = SpecularTask(model, Examples(given, model), training, features)
        return train(task, settings, folder, progress=False).metrics

    def _training(self) -> SpecularTraining:
        """Of the scale, with all losses; mini as the paper trains, but small."""
        if self.scale == "mini":
            return SpecularTraining.ablation(self._schedule().steps)
        schedule = self._schedule()
        return replace(training_of(self.scale, schedule.steps, identity=True), batch=schedule.batch)

    def _schedule(self) -> TrainingSettings:
        """Of the scale; mini is shorter than a single training's, since a table takes many."""
        if self.scale != "mini":
            schedule = RECIPE.scales[self.scale]
            return replace(schedule, steps=self.steps or schedule.steps)
        steps = self.steps or MINI_STEPS
        every = max(1, steps // 4)
        return replace(RECIPE.scales["mini"], steps=steps, evaluate_every=0, checkpoint_every=every)

    def _size(self) -> int:
        """Side of the crops, px."""
        return self._training().network.input_size

    def _count(self) -> int:
        return {"mini": 1250, "small": 6000, "full": 50_000}[self.scale]


def _checksums(*names: str) -> dict[str, str]:
    """Of shipped files."""
    shipped = version_values()["assets"]
    return {name: shipped[name] for name in names}
