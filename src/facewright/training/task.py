"""What the loop asks of a method: a task."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

# A frozen dataclass of tensors, or of dataclasses, tuples and dicts of tensors.
Batch = TypeVar("Batch", covariant=True)


@runtime_checkable
class Task(Protocol[Batch]):
    """What is learned, from what, and how it is judged; the loop knows nothing else of a method.

    With worker processes a task travels to each of them, so it must be picklable: arrays that many samples
    share belong into files that are mapped into memory.

    Attributes:
        name: part of a checkpoint's identity.
        version: of the network's layout; a checkpoint of another version is refused.
        metric: key of ``evaluate``'s result by which the best weights are chosen; smaller is better.
    """

    @property
    def name(self) -> str:
        """See above; a plain attribute does."""
        ...

    @property
    def version(self) -> int:
        """See above; a plain attribute does."""
        ...

    @property
    def metric(self) -> str:
        """See above; a plain attribute does."""
        ...

    def settings(self) -> Mapping[str, object]:
        """Everything else that the numbers depend on, as JSON values; compared when a run goes on."""
        ...

    def build(self, seed: int) -> nn.Module:
        """A fresh network on the CPU; it may have ``parameter_groups(learning_rate)`` for an optimiser."""
        ...

    def batch(self, seed: int, step: int, part: int, parts: int) -> Batch:
        """One of the equal parts of a step's batch, on the CPU: a pure function of the arguments.

        Args:
            seed: of the run.
            step: from 0.
            part: which of the step's parts, from 0; processes and accumulation share out the parts.
            parts: how many.
        """
        ...

    def losses(self, network: nn.Module, batch: Any, step: int) -> dict[str, Tensor]:
        """Weighted losses by name, each a mean over the part; the loop minimises their sum.

        Whatever is drawn from torch's global generator here is the same in a resumed run. It is called
        under autocast where the precision is bfloat16: ``in_float32`` leaves that after the network.
        """
        ...

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Figures on kept-out data; ``network`` has averaged weights and is in evaluation mode."""
        ...

    def pictures(self, network: nn.Module) -> dict[str, Tensor]:
        """Pictures by name, each (3, H, W) sRGB in [0, 1]; there may be none."""
        ...
