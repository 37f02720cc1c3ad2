"""Symmetric matrices: parts, coordinates, and functions of them with exact derivatives at repeated eigenvalues.

A spectral function F(A) = V f(w) V' has the derivative V (f[w_i, w_j] * (V'EV)) V' with the divided
differences of f (Daleckii and Krein), and the second derivative likewise with f[w_i, w_k, w_j]. The
differences are evaluated by formulas without cancellation, so nothing happens where eigenvalues meet. The
same code serves Hermitian matrices, and through exp(i x) the skew ones.

References
----------
N. J. Higham, Functions of Matrices, SIAM 2008, sections 3.2 and B.16. R. Bhatia, Matrix Analysis, 1997,
section V.3.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from manifold_opt.linalg import scalars
from manifold_opt.linalg.namespace import Array, adjoint, namespace, transpose
from manifold_opt.linalg.rules import differentiable


def sym(A: Array) -> Array:
    """Symmetric part (A + A') / 2 over the last two axes."""
    return 0.5 * (A + A.swapaxes(-1, -2))


def skew(A: Array) -> Array:
    """Skew-symmetric part (A - A') / 2 over the last two axes."""
    return 0.5 * (A - A.swapaxes(-1, -2))


def svec(A: Array) -> Array:
    """Coordinates of symmetric matrices: the diagonal, then sqrt(2) times the strict lower triangle row by row.

    An isometry: the dot product of coordinates is tr(AB).
    """
    rows, columns, weight = _svec_table(A.shape[-1])
    return A[..., rows, columns] * namespace(A).asarray(weight, dtype=A.dtype)


def smat(c: Array) -> Array:
    """Symmetric matrices from their coordinates; the inverse of svec."""
    n = (math.isqrt(8 * c.shape[-1] + 1) - 1) // 2
    place, weight = _smat_table(n)
    return (c * namespace(c).asarray(weight, dtype=c.dtype))[..., place]


@functools.lru_cache(maxsize=64)
def _svec_table(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, columns = np.tril_indices(n, -1)
    weight = np.full(n + rows.size, math.sqrt(2.0))
    weight[:n] = 1.0
    return np.concatenate((np.arange(n), rows)), np.concatenate((np.arange(n), columns)), weight


@functools.lru_cache(maxsize=64)
def _smat_table(n: int) -> tuple[np.ndarray, np.ndarray]:
    place = np.empty((n, n), dtype=np.intp)
    rows, columns = np.tril_indices(n, -1)
    place[np.arange(n), np.arange(n)] = np.arange(n)
    place[rows, columns] = place[columns, rows] = np.arange(n, n + rows.size)
    weight = np.ones(n + rows.size)
    weight[n:] = math.sqrt(0.5)
    return place, weight


class Spectral(NamedTuple):
    """A scalar function with its first and second divided differences, written for any array namespace."""

    value: Callable[[Any, Array], Array]
    first: Callable[[Any, Array, Array], Array]
    second: Callable[[Any, Array, Array, Array], Array]


def _exp_first(xp: Any, a: Array, b: Array) -> Array:
    top = xp.maximum(a, b)
    return xp.exp(top) * scalars.expm1c(xp.minimum(a, b) - top)


def _expi_first(xp: Any, a: Array, b: Array) -> Array:
    return 1j * xp.exp(0.5j * (a + b)) * scalars.sinc(0.5 * (a - b))


def _exp_second(xp: Any, a: Array, b: Array, c: Array, unit: Any = 1.0) -> Array:
    """Second divided difference of exp(unit x): a Taylor series for close arguments, else the definition.

    With the mean subtracted the series is sum_k unit^(k+2) h_k / (k + 2)!, h_k the complete homogeneous
    symmetric polynomials, which follow h_k = -e_2 h_(k-2) + e_3 h_(k-3) from the elementary ones. The
    definition divides by the largest of the three gaps.
    """
    first = _exp_first if unit == 1.0 else _expi_first
    low, high = xp.minimum(xp.minimum(a, b), c), xp.maximum(xp.maximum(a, b), c)
    middle, mean = a + b + c - low - high, (a + b + c) / 3.0
    close = high - low < 0.5
    zero = xp.zeros_like(low)
    x, y, z = (xp.where(close, v - mean, zero) for v in (low, middle, high))
    e2, e3 = x * y + y * z + z * x, x * y * z
    h = [zero + 1.0, zero, -e2]
    for _ in range(3, 13):
        h.append(-e2 * h[-2] + e3 * h[-3])
    series = sum(unit ** (k + 2) / math.factorial(k + 2) * h_k for k, h_k in enumerate(h))
    gap = xp.where(close, zero + 1.0, low - high)
    definition = (first(xp, low, middle) - first(xp, middle, high)) / gap
    return xp.where(close, xp.exp(unit * mean) * series, definition)


def _log_first(xp: Any, a: Array, b: Array) -> Array:
    """log(a/b) / (a - b) by artanh where the ratio is below 3, and by the definition elsewhere."""
    x = (a - b) / (a + b)
    near = abs(x) < 0.5
    zero = xp.zeros_like(x)
    close = scalars.atanhc(xp.where(near, x, zero)) * 2.0 / (a + b)
    return xp.where(near, close, (xp.log(a) - xp.log(b)) / xp.where(near, zero + 1.0, a - b))


def _log_second(xp: Any, a: Array, b: Array, c: Array) -> Array:
    """The derivative of an inverse function: D^2 log = -D log[D^2 exp[D log, D log]], entry by entry."""
    slopes = _log_first(xp, a, b) * _log_first(xp, b, c) * _log_first(xp, a, c)
    return -slopes * _exp_second(xp, xp.log(a), xp.log(b), xp.log(c))


def _sqrt_first(xp: Any, a: Array, b: Array) -> Array:
    return 1.0 / (xp.sqrt(a) + xp.sqrt(b))


def _sqrt_second(xp: Any, a: Array, b: Array, c: Array) -> Array:
    x, y, z = xp.sqrt(a), xp.sqrt(b), xp.sqrt(c)
    return -1.0 / ((x + y) * (y + z) * (x + z))


def _rsqrt_first(xp: Any, a: Array, b: Array) -> Array:
    x, y = xp.sqrt(a), xp.sqrt(b)
    return -1.0 / (x * y * (x + y))


def _rsqrt_second(xp: Any, a: Array, b: Array, c: Array) -> Array:
    x, y, z = xp.sqrt(a), xp.sqrt(b), xp.sqrt(c)
    return (x + y + z) / (x * y * z * (x + y) * (y + z) * (x + z))


SPECTRAL = {
    "exp": Spectral(lambda xp, x: xp.exp(x), _exp_first, _exp_second),
    "expi": Spectral(
        lambda xp, x: xp.exp(1j * x), _expi_first, lambda xp, a, b, c: _exp_second(xp, a, b, c, unit=1j)
    ),
    "log": Spectral(lambda xp, x: xp.log(x), _log_first, _log_second),
    "log1p": Spectral(
        lambda xp, x: xp.log1p(x),
        lambda xp, a, b: _log_first(xp, 1.0 + a, 1.0 + b),
        lambda xp, a, b, c: _log_second(xp, 1.0 + a, 1.0 + b, 1.0 + c),
    ),
    "sqrt": Spectral(lambda xp, x: xp.sqrt(x), _sqrt_first, _sqrt_second),
    "inverse": Spectral(
        lambda xp, x: 1.0 / x, lambda xp, a, b: -1.0 / (a * b), lambda xp, a, b, c: 1.0 / (a * b * c)
    ),
    "rsqrt": Spectral(lambda xp, x: 1.0 / xp.sqrt(x), _rsqrt_first, _rsqrt_second),
}


def from_eigenvectors(V: Array, w: Array) -> Array:
    """Return V diag(w) V^H."""
    return (V * w[..., None, :]) @ adjoint(V)


def first_derivative(V: Array, phi: Array, E: Array) -> Array:
    """Daleckii-Krein: V (phi * (V^H E V)) V^H for the matrix phi of first divided differences."""
    W = adjoint(V)
    return V @ (phi * (W @ E @ V)) @ W


def second_derivative(V: Array, psi: Array, E: Array, H: Array) -> Array:
    """D^2 F(A)[E, H] for the divided differences psi[..., i, k, j]."""
    xp = namespace(V, E, H)
    W = adjoint(V)
    E, H = W @ E @ V, W @ H @ V
    middle = xp.einsum("...ikj,...ik,...kj->...ij", psi, E, H) + xp.einsum(
        "...ikj,...ik,...kj->...ij", psi, H, E
    )
    return V @ middle @ W


def pairs(w: Array) -> tuple[Array, Array]:
    """Broadcast w into w_i, w_j."""
    return w[..., :, None], w[..., None, :]


def triples(w: Array) -> tuple[Array, Array, Array]:
    """Broadcast w into w_i, w_k, w_j."""
    one = namespace(w).zeros_like(w)
    i, k, j = w[..., :, None, None], w[..., None, :, None], w[..., None, None, :]
    zero = one[..., :, None, None] + one[..., None, :, None] + one[..., None, None, :]
    return i + zero, k + zero, j + zero


def _function_second(A: Array, E: Array, H: Array, *, name: str) -> Array:
    xp = namespace(A, E, H)
    w, V = xp.linalg.eigh(A)
    return second_derivative(V, SPECTRAL[name].second(xp, *triples(w)), E, H)


def _derivative_forward(A: Array, E: Array, *, name: str) -> Array:
    xp = namespace(A, E)
    w, V = xp.linalg.eigh(A)
    return first_derivative(V, SPECTRAL[name].first(xp, *pairs(w)), E)


# tr(G' D^2 F(A)[E, H]) is symmetric in G', E, H, and A is symmetric: every adjoint is the function itself on
# transposes.
_function_derivative: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, value, A, E, name: transpose(_function_second(A, transpose(G), E, name=name)),
        lambda G, value, A, E, name: _function_derivative(A, G, name=name),
    ),
    jvps=(
        lambda H, value, A, E, name: _function_second(A, E, H, name=name),
        lambda H, value, A, E, name: _function_derivative(A, H, name=name),
    ),
)(_derivative_forward)


def _function_forward(A: Array, *, name: str) -> Array:
    xp = namespace(A)
    w, V = xp.linalg.eigh(A)
    return from_eigenvectors(V, SPECTRAL[name].value(xp, w))


_function = differentiable(
    vjps=(lambda G, value, A, name: _function_derivative(A, G, name=name),),
    jvps=(lambda E, value, A, name: _function_derivative(A, E, name=name),),
)(_function_forward)


def symmetric_derivative(A: Array, E: Array, *, name: str) -> Array:
    """The derivative of a function of symmetric matrices (a name in ``SPECTRAL``) at A along E, symmetric both."""
    return _function_derivative(A, E, name=name)


def symmetric_second_derivative(A: Array, E: Array, H: Array, *, name: str) -> Array:
    """The second derivative of a function of symmetric matrices at A along E and H."""
    return _function_second(A, E, H, name=name)


def symmetric_exp(A: Array) -> Array:
    """Matrix exponential of the symmetric part of A, batched over leading axes."""
    return _function(sym(A), name="exp")


def symmetric_log(A: Array) -> Array:
    """Matrix logarithm of the symmetric part of A, which must be positive definite."""
    return _function(sym(A), name="log")


def symmetric_log1p(A: Array) -> Array:
    """Matrix logarithm of I + A for the symmetric part of A, accurate relative to itself for small A."""
    return _function(sym(A), name="log1p")


def symmetric_sqrt(A: Array) -> Array:
    """Matrix square root of the symmetric part of A, which must be positive definite."""
    return _function(sym(A), name="sqrt")


def symmetric_inverse_sqrt(A: Array) -> Array:
    """Inverse matrix square root of the symmetric part of A, which must be positive definite."""
    return _function(sym(A), name="rsqrt")
