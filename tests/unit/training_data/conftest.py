"""The training scripts import ``training_data`` from their own folder; the tests do the same.

Under another name numba's cache of the kernels would serve scripts and tests wrong modules.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "scripts"))
