"""Where a photo shows no skin of a face: hair, glasses, hat or hand before it, the inside of its mouth."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

# Probability (N) that something else than the head's skin or eyes is seen at places (N, 2) of a photo, px.
Cover = Callable[[Float[Tensor, "N 2"]], Float[Tensor, " N"]]
SURE = (0.4, 0.7)  # probabilities from which on the skin is doubted, and not believed at all
