"""One of the processes that torchrun starts: trains the toy into the folder of its first argument."""

import sys
from dataclasses import replace
from pathlib import Path

from toy_task import SETTINGS, WaveTask

from facewright.training.loop import train

if __name__ == "__main__":
    poison = int(sys.argv[2]) if len(sys.argv) > 2 else None
    task = WaveTask(statistics=False, poison=poison)
    train(task, replace(SETTINGS, accumulate=1), Path(sys.argv[1]), progress=False)
