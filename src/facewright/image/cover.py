"""What lies before a face in a photo: hair, glasses, a hat, a hand."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

# Probability (N) that something lies before the head at places (N, 2) of a photo, px.
Cover = Callable[[Float[Tensor, "N 2"]], Float[Tensor, " N"]]
SURE = (0.4, 0.7)  # probabilities from which on the skin is doubted, and not believed at all
