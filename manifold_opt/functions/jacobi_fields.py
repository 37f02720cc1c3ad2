r"""Differentials of exponential, logarithm and geodesics on symmetric spaces, and their adjoints, by Jacobi fields.

A Jacobi field along gamma(t) = exp_p(t X) is a variation of geodesics, J'' + R(J, gamma') gamma' = 0. On a symmetric
space the curvature operator is parallel: with its eigenvalues kappa at X, the components in a parallel frame of
eigenvectors are

    J(t) = c(kappa t^2) J(0) + t s(kappa t^2) J'(0),    c(x) = cos sqrt(x),  s(x) = sin sqrt(x) / sqrt(x)

(cosh and sinh for x < 0). Every differential here is such a J with the right values at the ends: a function of the
curvature operator followed by a parallel transport. The operator is self-adjoint and the transport isometric, so that
the adjoint differs by the transport coming first.

References
----------
R. Bergmann, P.-Y. Gousenbourger, "A variational model for data fitting on manifolds by minimizing the acceleration of a
Bézier curve", Front. Appl. Math. Stat. 4 (2018), section 3.
J. Persch, "Optimization methods in manifold-valued image processing", dissertation, TU Kaiserslautern, 2018,
section 2.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linalg.namespace import Array, namespace
from ..manifolds import Manifold
from ..manifolds.arrays import expanded
from .curvature import Spectral, curvature_function


def generalized_cosine(x: Array) -> Array:
    """``cos sqrt(x)``, and ``cosh sqrt(-x)`` for negative x."""
    xp = namespace(x)
    root = xp.sqrt(xp.abs(x) + (x == 0))  # a safe argument at zero, where the slope of the root is infinite
    zero = x == 0
    return xp.where(zero, 1.0, xp.where(x > 0, xp.cos(root), xp.cosh(xp.where(x > 0, 0.0, root))))


def generalized_sinc(x: Array) -> Array:
    """``sin(sqrt x) / sqrt x``, and ``sinh(sqrt -x) / sqrt -x`` for negative x; 1 at zero."""
    xp = namespace(x)
    small = xp.abs(x) < 1e-8  # the next term of the series is x^2 / 120
    root = xp.sqrt(xp.where(small, 1.0, xp.abs(x)))
    far = xp.where(x > 0, xp.sin(root), xp.sinh(xp.where(x > 0, 0.0, root))) / root
    return xp.where(small, 1.0 - x / 6.0, far)


def _at_start(kappa: Array, t: Array) -> Array:
    """``J(t)`` for ``J(0) = 1``, ``J(1) = 0``."""
    r = 1.0 - t
    return r * generalized_sinc(kappa * r * r) / generalized_sinc(kappa)


def _at_end(kappa: Array, t: Array) -> Array:
    """``J(t)`` for ``J(0) = 0``, ``J(1) = 1``."""
    return t * generalized_sinc(kappa * t * t) / generalized_sinc(kappa)


_cosine: Spectral = lambda kappa, k: generalized_cosine(kappa)
_sine: Spectral = lambda kappa, k: generalized_sinc(kappa)
_inverse_sine: Spectral = lambda kappa, k: 1.0 / generalized_sinc(kappa)
_cotangent: Spectral = lambda kappa, k: generalized_cosine(kappa) / generalized_sinc(kappa)


def _together(M: Manifold, kinds: str, *arrays: Array) -> list[Array]:
    """Points (p) and vectors (X) of one batch."""
    shapes = [M.point_shape if kind == "p" else M.vector_shape for kind in kinds]
    batches = [tuple(a.shape[: a.ndim - len(shape)]) for a, shape in zip(arrays, shapes)]
    if all(batch == batches[0] for batch in batches):
        return list(arrays)
    batch = np.broadcast_shapes(*batches)
    return [
        a if own == batch else namespace(a).broadcast_to(a, batch + tuple(shape))
        for a, own, shape in zip(arrays, batches, shapes)
    ]


def _carried(M: Manifold, p: Array, Y: Array, X: Array) -> Array:
    """Y along ``exp(p, t X)`` to its end."""
    p, Y, X = _together(M, "pXX", p, Y, X)
    return M.parallel_transport_direction(p, Y, X)


def _carried_back(M: Manifold, p: Array, Y: Array, X: Array, t: Any = 1.0) -> Array:
    """Y from ``exp(p, t X)`` to p along the geodesic, however long it is."""
    p, Y, X = _together(M, "pXX", p, Y, X)
    tX = expanded(t, len(M.vector_shape)) * X
    q = M.exp(p, tX)
    return M.parallel_transport_direction(q, Y, -M.parallel_transport_direction(p, tX, tX))


def _between(M: Manifold, p: Array, Y: Array, q: Array) -> Array:
    """Y from p to q along the shortest geodesic, in the storage at that q."""
    return M.parallel_transport_to(*_together(M, "pXp", p, Y, q))


# ---------------- exponential


def differential_exp_basepoint(M: Manifold, p: Array, X: Array, V: Array) -> Array:
    """The derivative of ``exp(p, X)`` as p moves along V and X is carried along, a tangent vector at ``exp(p, X)``.

    Parameters
    ----------
    M : Manifold
        A symmetric space; see `has_curvature`.
    p, X, V : array
        Point, and tangent vectors at it. Batches broadcast, as in all of these functions.
    """
    return _carried(M, p, curvature_function(M, p, X, V, _cosine), X)


def differential_exp_argument(M: Manifold, p: Array, X: Array, V: Array) -> Array:
    """The derivative of ``exp(p, X)`` as X changes by V, a tangent vector at ``exp(p, X)``."""
    return _carried(M, p, curvature_function(M, p, X, V, _sine), X)


def adjoint_differential_exp_basepoint(M: Manifold, p: Array, X: Array, W: Array) -> Array:
    """The adjoint of `differential_exp_basepoint`: from W at ``exp(p, X)`` to a tangent vector at p."""
    return curvature_function(M, p, X, _carried_back(M, p, W, X), _cosine)


def adjoint_differential_exp_argument(M: Manifold, p: Array, X: Array, W: Array) -> Array:
    """The adjoint of `differential_exp_argument`: from W at ``exp(p, X)`` to a tangent vector at p."""
    return curvature_function(M, p, X, _carried_back(M, p, W, X), _sine)


# ---------------- logarithm


def differential_log_basepoint(M: Manifold, p: Array, q: Array, V: Array) -> Array:
    """The covariant derivative of ``log(p, q)`` as p moves along V, a tangent vector at p.

    Its negative is the Hessian of half the squared distance to q.
    """
    return -curvature_function(M, p, M.log(p, q), V, _cotangent)


def differential_log_argument(M: Manifold, p: Array, q: Array, W: Array) -> Array:
    """The derivative of ``log(p, q)`` as q moves along W, a tangent vector at p."""
    return curvature_function(M, p, M.log(p, q), _between(M, q, W, p), _inverse_sine)


def adjoint_differential_log_basepoint(M: Manifold, p: Array, q: Array, V: Array) -> Array:
    """The adjoint of `differential_log_basepoint`, which is self-adjoint: from p to p."""
    return differential_log_basepoint(M, p, q, V)


def adjoint_differential_log_argument(M: Manifold, p: Array, q: Array, V: Array) -> Array:
    """The adjoint of `differential_log_argument`: from V at p to a tangent vector at q."""
    return _between(M, p, curvature_function(M, p, M.log(p, q), V, _inverse_sine), q)


# ---------------- geodesics between points


def _timed(f: Any, t: Any) -> Spectral:
    return lambda kappa, k: f(kappa, expanded(t, k))


def differential_geodesic(M: Manifold, p: Array, q: Array, t: Any, V: Array, W: Array) -> Array:
    """The derivative of the shortest geodesic from p to q at time t as p moves along V and q along W.

    The sum of the next two, with one transport less.
    """
    X = M.log(p, q)
    k = len(M.vector_shape)
    Y = curvature_function(M, p, X, V, _timed(_at_start, t)) + curvature_function(
        M, p, X, _between(M, q, W, p), _timed(_at_end, t)
    )
    return _carried(M, p, Y, expanded(t, k) * X)


def differential_geodesic_startpoint(M: Manifold, p: Array, q: Array, t: Any, V: Array) -> Array:
    """The derivative of the shortest geodesic from p to q at time t as p moves along V, at ``exp(p, t log(p, q))``.

    The time is a number, or an array of the batch.
    """
    X = M.log(p, q)
    return _carried(M, p, curvature_function(M, p, X, V, _timed(_at_start, t)), expanded(t, len(M.vector_shape)) * X)


def differential_geodesic_endpoint(M: Manifold, p: Array, q: Array, t: Any, W: Array) -> Array:
    """The derivative of the shortest geodesic from p to q at time t as q moves along W."""
    X = M.log(p, q)
    Y = curvature_function(M, p, X, _between(M, q, W, p), _timed(_at_end, t))
    return _carried(M, p, Y, expanded(t, len(M.vector_shape)) * X)


def adjoint_differential_geodesic_startpoint(M: Manifold, p: Array, q: Array, t: Any, W: Array) -> Array:
    """The adjoint of `differential_geodesic_startpoint`: from W at time t to a tangent vector at p."""
    X = M.log(p, q)
    return curvature_function(M, p, X, _carried_back(M, p, W, X, t), _timed(_at_start, t))


def adjoint_differential_geodesic_endpoint(M: Manifold, p: Array, q: Array, t: Any, W: Array) -> Array:
    """The adjoint of `differential_geodesic_endpoint`: from W at time t to a tangent vector at q."""
    X = M.log(p, q)
    return _between(M, p, curvature_function(M, p, X, _carried_back(M, p, W, X, t), _timed(_at_end, t)), q)
