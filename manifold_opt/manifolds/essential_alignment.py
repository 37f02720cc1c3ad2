"""The rotation about the third axis that brings one pair of rotations nearest to another.

For the pairs (R1, R2) and (S1, S2) it minimizes over theta the sum of the squared angles of ``R_i' Z(theta) S_i``. With
the quaternions (w, x, y, z) of ``S_i R_i'``, half of an angle is ``a = arccos |r cos(theta/2 + phi)|``, where ``r^2 =
w^2 + z^2`` and ``tan(phi) = z / w``. As a function of theta/2 every ``a^2`` is convex between its kinks, which are a
half turn apart: it is a squared distance, below a right angle, along a great circle of the sphere of quaternions. The
kinks of both cut the circle into two arcs on which the sum is convex, and no kink is a minimum, so two safeguarded
Newton iterations find the global one.

References
----------
R. Tron, K. Daniilidis, The space of essential matrices as a Riemannian quotient manifold, SIAM J. Imaging Sci. 10,
2017, section 6, who treat the same function by cases.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace, transpose
from manifold_opt.manifolds.quaternions import matrix_quaternion
from manifold_opt.manifolds.sphere import angle_over_sine

__all__ = ["aligning_turn"]

# Newton steps converge within six, tried on 10^5 random pairs; an arc without a minimum inside bisects to its end and
# loses to the other one.
_STEPS = 20


def aligning_turn(p: Array, q: Array) -> tuple[Any, Any]:
    """The angle theta and the sum of squares of the angles that are left, for pairs ``(*batch, 2, 3, 3)``."""
    xp = namespace(p, q)
    if xp is np and p.ndim == 3 == q.ndim:
        return _aligning_turn_one(p, q)
    turns = matrix_quaternion(q @ transpose(p))
    w, z = turns[..., 0], turns[..., 3]
    square = turns[..., 1] * turns[..., 1] + turns[..., 2] * turns[..., 2]
    radius = xp.sqrt(xp.maximum(1.0 - square, 1e-30))
    phi = xp.arctan2(z, w + 1e-300)
    between = phi[..., 1] - phi[..., 0]
    between = between - math.pi * xp.floor(between / math.pi)
    v, value = _search(xp, radius, square, between)
    return 2.0 * (v - phi[..., 0]), 4.0 * value


def _aligning_turn_one(p: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    """The same for one pair, in Python floats."""
    turns = [matrix_quaternion(q[i].dot(p[i].T)).tolist() for i in (0, 1)]
    square = [x * x + y * y for _, x, y, _ in turns]
    r = [math.sqrt(max(1.0 - s, 0.0)) for s in square]
    phi = [math.atan2(z, w) for w, _, _, z in turns]
    arcs = [_search_one(r, square, (phi[1] - phi[0]) % math.pi, arc) for arc in (0, 1)]
    v, value = min(arcs, key=lambda arc: arc[1])
    return 2.0 * (v - phi[0]), 4.0 * value


def _arc(between: Any, arc: int) -> tuple[Any, Any, Any]:
    """Both ends in v = theta/2 + phi_1 and the offset of the second angle from v."""
    if arc == 0:
        return -0.5 * math.pi, 0.5 * math.pi - between, between
    return 0.5 * math.pi - between, 0.5 * math.pi, between - math.pi


def _search_one(r: list[float], square: list[float], between: float, arc: int) -> tuple[float, float]:
    low, high, offset = _arc(between, arc)
    v = -0.5 * offset
    value = 0.0
    for _ in range(_STEPS):
        value = slope = bend = 0.0
        for k, x in ((0, v), (1, v + offset)):
            sine, cosine = r[k] * math.sin(x), r[k] * math.cos(x)
            s2 = square[k] + sine * sine
            s = math.sqrt(s2)
            a = math.atan2(s, cosine)
            ratio = a / s if s > 0.0 else 1.0
            value += a * a
            slope += ratio * sine
            c = ratio * cosine
            bend += c + sine * sine * ((1.0 - c) / s2 if s2 > 1e-8 else 1.0 / 3.0)
        if slope > 0.0:
            high = v
        else:
            low = v
        new = v - slope / bend if bend > 0.0 else math.inf
        if not low <= new <= high:
            new = 0.5 * (low + high)
        if abs(new - v) <= 1e-16 + 2e-16 * abs(v):
            break
        v = new
    return v, value


def _search(xp: Any, r: Array, square: Array, between: Array) -> tuple[Array, Array]:
    """As `_search_one`, for both arcs of a batch at once; other libraries take a fixed number of steps.

    The last steps of those are Newton's without a bracket, so that derivatives are those of the implicit function.
    """
    ends = [_arc(between, arc) for arc in (0, 1)]
    low, high, offset = (xp.stack([part + 0.0 * between for part in parts]) for parts in zip(*ends))
    v = -0.5 * offset
    for _ in range(_STEPS if xp is np else 8):
        _, slope, bend = _slopes(xp, r, square, v, offset)
        right = slope > 0
        low, high = xp.where(right, low, v), xp.where(right, v, high)
        new = v - slope / xp.maximum(bend, 1e-30)
        new = xp.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        done = xp is np and bool(np.all(np.abs(new - v) <= 4.0 * np.finfo(v.dtype).eps))
        v = new
        if done:
            break
    for _ in range(0 if xp is np else 3):
        _, slope, bend = _slopes(xp, r, square, v, offset)
        v = v - slope / xp.maximum(bend, 1e-30)
    value = _slopes(xp, r, square, v, offset)[0]
    first = value[0] <= value[1]
    return xp.where(first, v[0], v[1]), xp.where(first, value[0], value[1])


def _slopes(xp: Any, r: Array, square: Array, v: Array, offset: Array) -> tuple[Any, Any, Any]:
    """The sum of the ``a^2`` and half of its first two derivatives in v."""
    value = slope = bend = 0.0
    for k, x in ((0, v), (1, v + offset)):
        sine, cosine = r[..., k] * xp.sin(x), r[..., k] * xp.cos(x)
        s2 = square[..., k] + sine * sine
        ratio = angle_over_sine(xp, s2, cosine)
        value = value + ratio * ratio * s2
        slope = slope + ratio * sine
        c = ratio * cosine
        far = s2 > 1e-8
        third = xp.where(far, (1.0 - c) / xp.where(far, s2, xp.ones_like(s2)), 1.0 / 3.0)
        bend = bend + c + sine * sine * third
    return value, slope, bend
