"""Checks of the parameters of manifolds."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["positive_integers", "real_or_complex"]


def positive_integers(what: str, values: tuple[Any, ...], owner: object) -> tuple[int, ...]:
    """The values as Python integers.

    Raises
    ------
    ValueError
        Unless all are positive integers and there is one at least.
    """
    if not values or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in values):
        raise ValueError(
            f"{what} of {type(owner).__name__} must be one or more positive integers, but it is {values!r}"
        )
    return tuple(int(n) for n in values)


def real_or_complex(field: str) -> str:
    """The field.

    Raises
    ------
    ValueError
        Unless it is ``"real"`` or ``"complex"``.
    """
    if field not in ("real", "complex"):
        raise ValueError(f"field must be 'real' or 'complex', but it is {field!r}")
    return field
