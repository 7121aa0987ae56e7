"""Device, precision and processes of a training: Lightning Fabric, imported here only."""

import logging
import os
from typing import TYPE_CHECKING

import torch

from facewright.core.device import resolve_device
from facewright.core.errors import UnavailableError
from facewright.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}
MISSING = "training needs packages that are not installed: pip install 'facewright[train]'."


def open_machine(settings: TrainingSettings) -> "Fabric":
    """One device, or one of many where ``torchrun`` started this process.

    Raises:
        UnavailableError: the extra ``train`` is not installed, or the device is not there.
    """
    device = resolve_device(settings.device)
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise UnavailableError(MISSING) from error
    # It sets its own logger to talk on import.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    processes, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if processes == 1 or not torch.distributed.is_torchelastic_launched():
        fabric = Fabric(accelerator=device.type, devices=1, precision=PRECISIONS[settings.precision])  # pyright: ignore[reportArgumentType]
        fabric.launch()
        return fabric
    if device.type == "cuda" and torch.cuda.device_count() < local:
        raise UnavailableError(
            f"expected a CUDA device for each of the {local} processes here, found "
            f"{torch.cuda.device_count()}: start fewer with --nproc-per-node, or use --device cpu."
        )
    fabric = Fabric(
        accelerator=device.type,
        devices=local,
        num_nodes=processes // local,
        # A loss that starts late, or a head that half of the samples ask, leaves parameters unused.
        strategy=DDPStrategy(find_unused_parameters=True),
        precision=PRECISIONS[settings.precision],  # pyright: ignore[reportArgumentType]
    )
    fabric.launch()
    return fabric
