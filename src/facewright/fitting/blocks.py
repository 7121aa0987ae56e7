"""A large batch as blocks of persons: each stays in the processor's cache, and several run side by side."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Int64
from torch import Tensor

from facewright.core.threads import run_tasks
from facewright.fitting.observed import Observed
from facewright.fitting.start import State

PHOTOS = 128  # of a block, unless one person has more

Solve = Callable[[Observed, State], State]


def in_blocks(solve: Solve, observed: Observed, state: State) -> State:
    """Solve for every person, block by block on a CPU and at once elsewhere.

    The blocks depend on the photos alone, and so does the result: not on the number of threads.

    Args:
        solve: from the observed photos and a state to a state; persons do not depend on one another.
        observed: all photos.
        state: of all.
    """
    if observed.rays.device.type != "cpu" or len(observed.person) <= PHOTOS:
        return solve(observed, state)
    photos = torch.bincount(observed.person, minlength=len(state.identity))
    block = torch.div(photos.cumsum(0) - 1, PHOTOS, rounding_mode="floor")  # of each person
    chosen = [(block == number).nonzero()[:, 0] for number in block.unique().tolist()]
    solved: list[State | None] = [None] * len(chosen)

    def task(number: int) -> None:
        torch.set_num_threads(1)  # of this thread: the blocks are what is shared out
        persons = chosen[number]
        own = torch.isin(observed.person, persons).nonzero()[:, 0]
        renumbered = torch.searchsorted(persons, observed.person[own])
        solved[number] = solve(_photos(observed, own, renumbered), _select(state, own, persons))

    threads = torch.get_num_threads()
    try:
        run_tasks(task, [(number,) for number in range(len(chosen))])
    finally:
        torch.set_num_threads(threads)
    rotation, translation = state.rotation.clone(), state.translation.clone()
    identity, expression = state.identity.clone(), state.expression.clone()
    for persons, part in zip(chosen, solved, strict=True):
        if part is None:
            raise RuntimeError("a block of persons was not solved")
        own = torch.isin(observed.person, persons)
        rotation[own], translation[own] = part.rotation, part.translation
        identity[persons], expression[own] = part.identity, part.expression
    return State(rotation, translation, identity, expression)


def _photos(observed: Observed, own: Int64[Tensor, " N"], person: Int64[Tensor, " N"]) -> Observed:
    return replace(
        observed,
        rays=observed.rays[own],
        weights=observed.weights[own],
        person=person,
        distance=observed.distance[own],
        turn=observed.turn[own],
        radius=observed.radius[own],
        expressions=observed.expressions.rows(own),
    )


def _select(state: State, own: Int64[Tensor, " N"], persons: Int64[Tensor, " Q"]) -> State:
    return State(state.rotation[own], state.translation[own], state.identity[persons], state.expression[own])
