"""Checks of retractions, their inverses and transports: is it one, and of which order.

All by slopes: the error against the geodesic (the straight line in the embedding, where there is no exponential), the
step that was to be found again, or the parallel transport, falls as a power of the step.

References
----------
.. [1] P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton 2008, sections 4.1,
   5.5 and 8.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linalg import Array
from .derivatives import _drawn, _eps, _point_and_direction
from .slopes import SlopeCheck, steps, taylor_check

__all__ = ["check_inverse_retraction", "check_retraction", "check_transport"]


def check_retraction(
    M: Any,
    retraction: Any = None,
    p: Array | None = None,
    X: Array | None = None,
    *,
    order: int = 1,
    scale: float = 0.1,
    rng: Any = None,
    plot: bool = False,
) -> SlopeCheck:
    """Check that a retraction stays on the manifold and leaves p as the geodesic does, to first or second order.

    Parameters
    ----------
    M : Manifold
    retraction : str or callable, optional
        As solvers take it. Default: the manifold's.
    p, X : array, optional
        Point and direction. Default: random.
    order : {1, 2}
        To which it must agree with the geodesic: the error falls as t^2 or t^3. The second needs an exponential map or
        an isometric embedding, and is what Hessians by differences of costs ask for.
    scale : float
        Longest step. Default 0.1.
    rng : seed or Generator, optional
    plot : bool
        Draw the error curve with matplotlib as well. Default False.

    Returns
    -------
    SlopeCheck

    Examples
    --------
    >>> from manifold_opt import Stiefel
    >>> from manifold_opt.checks import check_retraction
    >>> bool(check_retraction(Stiefel(5, 2), "polar", order=2, rng=0))
    True
    """
    if order not in (1, 2):
        raise ValueError(f"`order` must be 1 or 2; got {order!r}.")
    p, X = _point_and_direction(M, p, X, rng)
    retract = M.get_retraction(retraction)
    t = steps(scale, p.real.dtype)
    problems = [] if M.is_point(retract(p, X, float(t[-1]))) else [f"It leaves {M!r}."]
    start, velocity = M.embed_point(p), M.embed_vector(p, X)
    curve = lambda s: M.embed_point(retract(p, X, s))
    if M.has("exp"):
        value, line = curve, lambda s: M.embed_point(M.exp(p, X, s))
    elif order == 1:
        value, line = curve, lambda s: start + s * velocity
    elif M.isometric:  # the part of the second derivative that is tangent is the acceleration
        value = lambda s: M.embed_vector(p, M.project_vector(p, curve(s) - start))
        line = lambda s: s * velocity
    else:
        raise ValueError(f"{M!r} has no exponential map to compare with: `order` must be 1.")
    hint = "It is no retraction." if order == 1 else "It is one of first order only, or none."
    result = taylor_check(
        "retraction",
        lambda s: _numbers(value(float(s))),
        lambda s: _numbers(line(float(s))),
        order + 1,
        t,
        _eps(p),
        problems,
        {},
        hint,
    )
    return _drawn(result, plot)


def check_inverse_retraction(
    M: Any,
    inverse_retraction: Any = None,
    retraction: Any = None,
    p: Array | None = None,
    X: Array | None = None,
    *,
    scale: float = 0.1,
    rng: Any = None,
    plot: bool = False,
) -> SlopeCheck:
    """Check that an inverse retraction finds t X again from where a retraction leads: exactly, or up to t^2.

    Parameters
    ----------
    M, p, X, scale, rng, plot
        As for `check_retraction`.
    inverse_retraction : str or callable, optional
        Default: the manifold's.
    retraction : str or callable, optional
        Default: the manifold's. For one that is not undone exactly, as the exponential map by the inverse of a
        projection, the error falls as t^2 or t^3.

    Returns
    -------
    SlopeCheck
        ``exact`` where the one is the inverse of the other.
    """
    p, X = _point_and_direction(M, p, X, rng)
    retract, inverse = M.get_retraction(retraction), M.get_inverse_retraction(inverse_retraction)
    result = taylor_check(
        "inverse retraction",
        lambda s: _numbers(M.embed_vector(p, inverse(p, retract(p, X, float(s))))),
        lambda s: _numbers(float(s) * M.embed_vector(p, X)),
        2,
        steps(scale, p.real.dtype),
        _eps(p),
        [],
        {},
        "It does not undo the retraction, not even to first order.",
    )
    return _drawn(result, plot)


def check_transport(
    M: Any,
    transport: Any = None,
    p: Array | None = None,
    X: Array | None = None,
    Y: Array | None = None,
    *,
    order: int = 0,
    retraction: Any = None,
    scale: float = 0.1,
    rng: Any = None,
    plot: bool = False,
) -> SlopeCheck:
    """Check a vector transport along a retraction: tangent, linear, the identity at t = 0, and close to parallel.

    Parameters
    ----------
    M, p, scale, rng, plot
        As for `check_retraction`.
    transport : str or callable, optional
        Default: the manifold's.
    X, Y : array, optional
        Direction to go, and vector to take along. Default: random.
    order : {0, 1}
        To which it must agree with the parallel transport of the metric. With 0, the error falls as t; that of the
        left translation on a group does. With 1, as t^2: then differences of transported gradients are Hessians.
    retraction : str or callable, optional
        Default: the manifold's.

    Returns
    -------
    SlopeCheck
        ``figures`` has the relative deviations from linearity and from isometry at the longest step.
    """
    if order not in (0, 1):
        raise ValueError(f"`order` must be 0 or 1; got {order!r}.")
    if order and not M.has("parallel_transport_to"):
        raise ValueError(f"{M!r} has no parallel transport to compare with: `order` must be 0.")
    rng = np.random.default_rng(rng)
    p, X = _point_and_direction(M, p, X, rng)
    _, Y = _point_and_direction(M, p, Y, rng)
    retract, move = M.get_retraction(retraction), M.get_transport(transport)
    t = steps(scale, p.real.dtype)
    q = retract(p, X, float(t[-1]))
    problems, figures = _linear_and_isometric(M, p, X, Y, q, move)
    if M.has("parallel_transport_to"):
        parallel = lambda s: M.parallel_transport_to(p, Y, retract(p, X, s))
        line = lambda s: M.embed_vector(retract(p, X, s), parallel(s))
    else:
        line = lambda s: M.embed_vector(p, Y)
    result = taylor_check(
        "transport",
        lambda s: _numbers(M.embed_vector(retract(p, X, float(s)), move(p, Y, retract(p, X, float(s))))),
        lambda s: _numbers(line(float(s))),
        order + 1,
        t,
        _eps(p),
        problems,
        figures,
        "It belongs to another connection." if order else "It is not the identity where there is nowhere to go.",
    )
    return _drawn(result, plot)


def _linear_and_isometric(
    M: Any, p: Array, X: Array, Y: Array, q: Array, move: Any
) -> tuple[list[str], dict[str, float]]:
    there = [move(p, V, q) for V in (X, Y, 2.0 * X - Y)]
    size = max(float(M.norm(q, V)) for V in there)
    figures = {
        "nonlinearity": float(M.norm(q, there[2] - 2.0 * there[0] + there[1])) / size if size > 0.0 else 0.0,
        "anisometry": abs(float(M.norm(q, there[1])) / float(M.norm(p, Y)) - 1.0),
    }
    problems = []
    if not all(M.is_vector(q, V) for V in there):
        problems.append("What it returns is not tangent at the other end.")
    if figures["nonlinearity"] > 1e3 * _eps(p):
        problems.append("It is not linear.")
    return problems, figures


def _numbers(a: Array) -> Array:
    """The entries of an array as real numbers."""
    a = np.asarray(a).reshape(-1)
    return np.concatenate([a.real, a.imag]) if a.dtype.kind == "c" else a
