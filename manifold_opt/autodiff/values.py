"""What functions return, as one number or one vector of residuals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linalg import Array

__all__ = ["as_cost", "as_residuals", "describe"]


def as_cost(value: Any) -> float:
    """Turn what a cost returned into a Python float.

    Parameters
    ----------
    value : number or array of size 1
        Of NumPy, JAX or PyTorch.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        When the value is not one real number; the message names its type and shape.
    """
    if type(value) is float:
        return value
    if value is None:
        raise TypeError("`f` must return one real number; it returned None: is its `return` missing?")
    array = _plain(value)
    if array.size != 1 or array.dtype.kind not in "fiub":
        hint = "take its real part" if array.dtype.kind == "c" else "sum over it, or use a least-squares solver"
        raise TypeError(f"`f` must return one real number; it returned {describe(value)}: {hint}.")
    return float(array.reshape(()))


def as_residuals(value: Any) -> Array:
    """Turn what a residual function returned into a vector of shape (m,), in C order.

    Parameters
    ----------
    value : array, or list of arrays and numbers
        Of NumPy, JAX or PyTorch.

    Raises
    ------
    TypeError
        When the value is not made of real numbers.
    """
    if isinstance(value, list | tuple):
        value = np.concatenate([_plain(part).reshape(-1) for part in value]) if value else np.zeros(0)
    array = _plain(value)
    if array.dtype.kind in "iub":
        array = array.astype(float)
    if array.dtype.kind != "f":
        hint = "return real and imaginary parts" if array.dtype.kind == "c" else "return one array of numbers"
        raise TypeError(f"`residual` must return real numbers; it returned {describe(value)}: {hint}.")
    return array if array.ndim == 1 else array.reshape(-1)


def _plain(value: Any) -> Array:
    detach = getattr(value, "detach", None)  # a PyTorch tensor that carries a graph refuses np.asarray
    return np.asarray(value if detach is None else detach().cpu())


def describe(value: Any) -> str:
    """Say in a few words what ``value`` is: its type, and its shape or itself."""
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if shape is None:
        text = repr(value)
        return f"{kind} {text if len(text) <= 60 else text[:57] + '...'}"
    dtype = getattr(value, "dtype", None)
    return f"{kind} of shape {tuple(shape)}" + (f" and dtype {dtype}" if dtype is not None else "")
