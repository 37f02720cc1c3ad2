"""Small helpers about batches, scalars and ``out=`` that every manifold uses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace

__all__ = [
    "batch_innermost",
    "cleared",
    "default_atol",
    "expanded",
    "flattened_sum",
    "frobenius",
    "repeated",
    "scalar",
    "written",
]


# Up to this length of a vector; measured with 10 to 1000 points of the sphere.
_SHORT = 8
_Method = TypeVar("_Method", bound=Callable[..., Any])


def batch_innermost(method: _Method) -> _Method:
    """Let ``method(M, p, X, ...)`` of batches ``(N, n)`` of short vectors see them with the batch innermost in memory.

    NumPy's inner loops, and those of broadcasting with an axis of length 1, then run over the batch and not over the
    few entries, which takes a half to a third of the time.
    """

    @functools.wraps(method)
    def relaid(self: Any, *arrays: Any, **keywords: Any) -> Any:
        if len(arrays) > 1 and type(arrays[1]) is np.ndarray and arrays[1].ndim == 2 and arrays[1].shape[1] <= _SHORT:
            arrays = tuple(np.asfortranarray(a) if type(a) is np.ndarray and a.ndim == 2 else a for a in arrays)
            value = method(self, *arrays, **keywords)
            # with an autograd box among the others, the value is one
            return np.ascontiguousarray(value) if type(value) is np.ndarray and "out" not in keywords else value
        return method(self, *arrays, **keywords)

    return relaid  # type: ignore[return-value]  # the same signature


def written(value: Array, out: Array | None) -> Array:
    """Write `value` into `out` and return it; without `out`, return `value`.

    The value is complete before anything is written, so `out` may alias any argument of the formula.
    """
    if out is None:
        return value
    out[...] = value
    return out


def scalar(value: Any) -> Any:
    """A Python float where `value` is a NumPy scalar or 0-d array, everything else unchanged."""
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        return float(value)
    return value


def expanded(t: Any, k: int) -> Any:
    """`t` with `k` further axes behind, so that a batch of numbers multiplies a batch of arrays.

    NumPy scalars become Python floats: under NumPy 1 a scalar that met a Python float is double precision, and with
    an axis added it would turn float32 arrays into float64.
    """
    if type(t) is float or type(t) is int:
        return t
    shape = getattr(t, "shape", None)
    if shape is None:
        return float(t)
    if len(shape) == 0:
        return float(t) if isinstance(t, (np.generic, np.ndarray)) else t
    return t.reshape(tuple(shape) + (1,) * k)


def flattened_sum(xp: Any, Z: Array, k: int) -> Array:
    """The sum over the last `k` axes."""
    return xp.sum(Z, axis=tuple(range(-k, 0)))


def repeated(X: Array, batch: tuple[int, ...], k: int) -> Array:
    """X, whose own axes are the last k, repeated over a larger batch; a new array."""
    xp = namespace(X)
    whole = xp.broadcast_to(X, batch + tuple(X.shape[X.ndim - k :]))
    return whole.copy() if xp is np else whole


def frobenius(xp: Any, A: Array, B: Array, k: int) -> Array:
    """``Re <A, B>`` summed over the last `k` axes, on any array library."""
    if xp is np:
        if A.dtype.kind == "c" and A.dtype == B.dtype and _in_pairs(A) and _in_pairs(B):
            # real and imaginary parts side by side: no conjugate, no products that are dropped again
            A, B = A.view(A.real.dtype), B.view(B.real.dtype)
        if k == 1:
            if A.dtype.kind == "c" or B.dtype.kind == "c":
                return np.real(np.einsum("...i,...i->...", np.conj(A), B))
            return np.einsum("...i,...i->...", A, B)
        if k == 2 and A.dtype.kind != "c" and B.dtype.kind != "c":
            return np.einsum("...ij,...ij->...", A, B)
    if "complex" in str(A.dtype) or "complex" in str(B.dtype):
        return flattened_sum(xp, xp.real(xp.conj(A) * B), k)
    return flattened_sum(xp, A * B, k)


def _in_pairs(A: Array) -> bool:
    """Whether a complex array can be seen as a real one with twice as many entries on the last axis."""
    return type(A) is np.ndarray and A.ndim > 0 and A.strides[-1] == A.itemsize


def default_atol(array: Array) -> float:
    """The absolute tolerance of checks: ``eps**(2/3)``, 3.7e-11 in double and 2.4e-5 in single precision.

    Looser than the rounding of any operation here, tighter than what a wrong formula leaves.
    """
    dtype = np.asarray(array).dtype
    eps = np.finfo(dtype).eps if dtype.kind in "fc" else np.finfo(float).eps
    return float(eps) ** (2 / 3)


def cleared(array: Any, name: str, shape: tuple[int, ...], error: type[ValueError]) -> Array:
    """`array` as an ndarray after the checks that every point and vector must pass.

    Raises
    ------
    error
        If the last axes are not `shape`, the dtype is not numeric, or an entry is not finite.
    """
    a = np.asarray(array)
    if a.dtype.kind not in "fciu":
        raise error(f"{name} must hold real or complex numbers, but its dtype is {a.dtype}; convert it first")
    if a.shape[a.ndim - len(shape) :] != shape or a.ndim < len(shape):
        raise error(
            f"{name} must have shape {('...', *shape)} (leading axes are a batch), but its shape is {a.shape}"
        )
    if not np.all(np.isfinite(a)):
        bad = int(np.count_nonzero(~np.isfinite(a)))
        raise error(f"{name} must be finite, but {bad} of its {a.size} entries are NaN or infinite")
    return a
