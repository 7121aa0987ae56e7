"""Settings that make sense: one line for those that do not, before anything is computed with them."""

import math

from facewright.core.errors import InputError


def check_range(settings: object, least: int | float, most: int | float, *names: str) -> None:
    """Refuse numbers of a settings dataclass outside of a range; NaN and infinity are outside of any.

    Args:
        settings: the dataclass.
        least: smallest value that is taken.
        most: largest one; infinity: any number.
        names: of the fields.

    Raises:
        InputError: a value is outside.
    """
    for name in names:
        value = getattr(settings, name)
        if not (least <= value <= most and math.isfinite(value)):
            wanted = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
            raise InputError(f"expected {name} {wanted}, got {value}.")
