"""How two implementations are compared: by rows, in size and in direction, never by a loose tolerance."""

import torch
from torch import Tensor


def gradient_faults(
    found: Tensor | None, expected: Tensor | None, *, ratio: float = 1e-3, cosine: float = 1e-6
) -> list[str]:
    """Say what is wrong with a gradient: rows too small or large, rows that point elsewhere, missing rows."""
    if found is None or expected is None:
        return ["no gradient"]
    found, expected = (g.detach().double().reshape(-1, g.shape[-1]) for g in (found, expected))
    size, wanted = found.norm(dim=1), expected.norm(dim=1)
    floor = 1e-5 * wanted.max()
    rows = wanted > floor
    faults = []
    if not bool(torch.isfinite(found).all()):
        faults.append("not finite")
    if not bool(rows.any()):
        faults.append("the expected gradient is zero: nothing is tested")
    if bool((size[~rows] > 3 * floor).any()):
        faults.append("rows that should be (nearly) zero are not")
    off = (size[rows] / wanted[rows] - 1).abs()
    if bool((off > ratio).any()):
        faults.append(f"magnitude off by up to {float(off.max()):.2e}")
    turn = 1 - (found[rows] * expected[rows]).sum(1) / (size[rows] * wanted[rows]).clamp_min(1e-300)
    if bool((turn > cosine).any()):
        faults.append(f"direction off by up to 1 - cos = {float(turn.max()):.2e}")
    return faults


def id_disagreement(found: Tensor, expected: Tensor, band: Tensor) -> int:
    """Number of pixels off the boundary band whose triangle differs."""
    return int(((found != expected) & ~band).sum())
