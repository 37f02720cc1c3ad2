"""Maps between three models of hyperbolic space: hyperboloid, Poincaré ball and half space, for points and vectors.

A point of the hyperboloid is (p_0, p_s), time first; of the half space (x, h) with the height h last, the last entry of
p_s being its direction upwards. Each map is an isometry, and each formula is written without cancellation where the
target permits it: a point of the ball at distance r from the center is within 2 exp(-r) of the boundary, and beyond
r = 36 the ball in double precision has no room for it.

References
----------
J. G. Ratcliffe, Foundations of Hyperbolic Manifolds, 3rd ed., Springer, 2019, sections 4.5 and 4.6.
"""

from __future__ import annotations

import math

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace

__all__ = [
    "ball_to_half_space",
    "ball_to_hyperboloid",
    "half_space_to_ball",
    "half_space_to_hyperboloid",
    "hyperboloid_to_ball",
    "hyperboloid_to_half_space",
]


def hyperboloid_to_ball(p: Array) -> Array:
    """``p_s / (1 + p_0)``."""
    return p[..., 1:] / (1.0 + p[..., :1])


def ball_to_hyperboloid(x: Array) -> Array:
    """``(1 + |x|^2, 2 x) / (1 - |x|^2)``, with ``1 - |x|^2`` as ``(1 - |x|)(1 + |x|)``."""
    xp = namespace(x)
    square = xp.sum(x * x, axis=-1)[..., None]
    gap = conformal_gap(x)
    return xp.concatenate(((1.0 + square) / gap, 2.0 * x / gap), axis=-1)


def conformal_gap(x: Array) -> Array:
    """``1 - |x|^2`` on the last axis, factored where x is long, so that no digit of ``1 - |x|`` is lost."""
    if type(x) is np.ndarray and x.ndim == 1:
        s = float(x.dot(x))
        return np.array([(1.0 - math.sqrt(s)) * (1.0 + math.sqrt(s)) if s > 0.25 else 1.0 - s], x.dtype)
    xp = namespace(x)
    square = xp.sum(x * x, axis=-1)[..., None]
    long = square > 0.25
    length = xp.sqrt(xp.where(long, square, xp.ones_like(square)))
    return xp.where(long, (1.0 - length) * (1.0 + length), 1.0 - square)


def hyperboloid_to_half_space(p: Array) -> Array:
    """``(p_1, ..., p_(n-1), 1) / (p_0 - p_n)``; for positive p_n the divisor is ``(1 + p_1^2 + ...)/(p_0 + p_n)``."""
    xp = namespace(p)
    p0, side, up = p[..., :1], p[..., 1:-1], p[..., -1:]
    across = xp.sum(side * side, axis=-1)[..., None]
    below = xp.where(up > 0, (1.0 + across) / (p0 + abs(up)), p0 - up)
    return xp.concatenate((side / below, 1.0 / below), axis=-1)


def half_space_to_hyperboloid(y: Array) -> Array:
    """``((1 + |y|^2)/(2 h), x/h, (|y|^2 - 1)/(2 h))`` for y = (x, h)."""
    xp = namespace(y)
    side, height = y[..., :-1], y[..., -1:]
    across = xp.sum(side * side, axis=-1)[..., None]
    time = (1.0 + across + height * height) / (2.0 * height)
    up = (across + (height - 1.0) * (height + 1.0)) / (2.0 * height)
    return xp.concatenate((time, side / height, up), axis=-1)


def ball_to_half_space(x: Array) -> Array:
    """``(2 x_1, ..., 2 x_(n-1), 1 - |x|^2) / |e_n - x|^2``."""
    xp = namespace(x)
    side, up = x[..., :-1], x[..., -1:]
    below = xp.sum(side * side, axis=-1)[..., None] + (1.0 - up) * (1.0 - up)
    return xp.concatenate((2.0 * side / below, conformal_gap(x) / below), axis=-1)


def half_space_to_ball(y: Array) -> Array:
    """``(2 x, |y|^2 - 1) / |y + e_n|^2`` for y = (x, h)."""
    xp = namespace(y)
    side, height = y[..., :-1], y[..., -1:]
    across = xp.sum(side * side, axis=-1)[..., None]
    below = across + (height + 1.0) * (height + 1.0)
    return xp.concatenate(
        (2.0 * side / below, (across + (height - 1.0) * (height + 1.0)) / below), axis=-1
    )
