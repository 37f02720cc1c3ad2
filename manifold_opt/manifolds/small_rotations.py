"""Rotations of the plane and of space, entry by entry: the NumPy road of `Rotations` for n = 2 and 3.

The same few lines of arithmetic serve one matrix, whose entries are Python floats, and a batch, whose entries
are arrays; both avoid the overhead of small matrix products.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array
from manifold_opt.linalg.rotation import rotation_log1p, vee
from manifold_opt.linalg.scalars import sinc

__all__ = ["angle_small", "exp_small", "log_small", "rotate_small"]

Entries = Any  # a float, or an array over the batch


def exp_small(p: Array, X: Array, t: Any, out: Array | None) -> Array:
    """``p exp(t X)`` by Rodrigues' formula, orthonormal to rounding whatever the rounding of p."""
    rows = _entries(X)
    if len(rows) == 2:
        angle = t * rows[1][0]
        single = type(angle) is float and abs(angle) < math.inf
        c, s = (math.cos(angle), math.sin(angle)) if single else (np.cos(angle), np.sin(angle))
        return _write(_turned2(_entries(p), c, s), p, X, out)
    x, y, z = rows[2][1], rows[0][2], rows[1][0]
    if type(t) is not float or t != 1.0:
        x, y, z = t * x, t * y, t * z
    angle = (x * x + y * y + z * z) ** 0.5
    if type(angle) is not float:
        a, half = sinc(angle), sinc(0.5 * angle)
        b = 0.5 * half * half
    elif angle < math.inf:
        a = math.sin(angle) / angle if angle else 1.0
        half = math.sin(0.5 * angle) / angle if angle else 0.5
        b = 2.0 * half * half
    else:
        a = b = math.nan
    return rotate_small(p, X, (x, y, z), a, b, out)


def rotate_small(
    p: Array, X: Array, v: tuple[Entries, Entries, Entries], a: Entries, b: Entries, out: Array | None
) -> Array:
    """``p (I + a [v] + b [v]^2)``, orthonormal to rounding: two rows by Gram-Schmidt, the third is their product.

    X gives its dtype only.
    """
    first, second, _ = _entries(p)
    return _write(_rotated3(first, second, v, a, b), p, X, out)


def log_small(p: Array, q: Array, out: Array | None) -> Array:
    """The logarithm of ``p' q`` from ``p' (q - p)``; see `rotation_log1p`."""
    if p.shape[-1] == 2:
        s, c = _sine_cosine2(_entries(p), _entries(q))
        angle = math.atan2(s, c) if type(s) is float else np.arctan2(s, c)
        return _write(((0.0, -angle), (angle, 0.0)), p, q, out)
    v, versine = _sine_versine3(_entries(p), _entries(q))
    s = _length(v)
    if type(s) is float:
        if not versine <= 1.9:
            X = rotation_log1p(p.T @ (q - p))
            return X if out is None else _copied(out, X)
        scale = math.atan2(s, 1.0 - versine) / s if s > 0.0 else 1.0
        x, y, z = scale * v[0], scale * v[1], scale * v[2]
    else:
        zero = s == 0
        scale = np.where(
            zero, s.dtype.type(1), np.arctan2(s, 1.0 - versine) / np.where(zero, s.dtype.type(1), s)
        )
        x, y, z = scale * v[0], scale * v[1], scale * v[2]
        near_pi = ~(versine <= 1.9)
        if near_pi.any():
            shape = near_pi.shape + (3, 3)
            P, Q = np.broadcast_to(p, shape)[near_pi], np.broadcast_to(q, shape)[near_pi]
            x[near_pi], y[near_pi], z[near_pi] = vee(rotation_log1p(P.swapaxes(-1, -2) @ (Q - P))).T
    return _write(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)), p, q, out)


def angle_small(p: Array, q: Array) -> Any:
    """The angle of ``p' q`` in radians, from 0 to pi."""
    if p.shape[-1] == 2:
        s, c = _sine_cosine2(_entries(p), _entries(q))
        s = abs(s)
    else:
        v, versine = _sine_versine3(_entries(p), _entries(q))
        s, c = _length(v), 1.0 - versine
    return math.atan2(s, c) if type(s) is float else np.arctan2(s, c)


def _entries(A: Array) -> Any:
    """Rows of entries: lists of floats for one matrix, contiguous arrays over the batch else."""
    return A.tolist() if A.ndim == 2 else np.moveaxis(A, (-2, -1), (0, 1)).copy()


def _length(v: tuple[Entries, Entries, Entries]) -> Entries:
    return (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]) ** 0.5


def _write(rows: Any, p: Array, X: Array, out: Array | None) -> Array:
    """A matrix from its rows of entries, which are complete before `out`, maybe an argument, is touched."""
    n = len(rows)
    if out is None:
        dtype = np.result_type(p, X) if p.dtype != X.dtype else p.dtype
        if type(rows[1][0]) is float:
            return np.array(sum(rows, ()), dtype).reshape(n, n)
        out = np.empty(np.shape(rows[1][0]) + (n, n), dtype)
    if type(rows[1][0]) is float:
        out[...] = rows
        return out
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            out[..., i, j] = entry
    return out


def _copied(out: Array, value: Array) -> Array:
    out[...] = value
    return out


def _turned2(p: Any, cos: Entries, sin: Entries) -> Any:
    c, s = p[0][0] + p[1][1], p[1][0] - p[0][1]  # the nearest rotation to p, up to its length
    c, s = c * cos - s * sin, c * sin + s * cos
    scale = 1.0 / (c * c + s * s) ** 0.5
    c, s = c * scale, s * scale
    return ((c, -s), (s, c))


def _sine_cosine2(p: Any, q: Any) -> tuple[Entries, Entries]:
    (a, b), (c, d) = p
    e, f, g, h = q[0][0] - a, q[0][1] - b, q[1][0] - c, q[1][1] - d
    return 0.5 * ((b * e - a * f) + (d * g - c * h)), 1.0 + 0.5 * ((a * e + b * f) + (c * g + d * h))


def _sine_versine3(p: Any, q: Any) -> tuple[tuple[Entries, Entries, Entries], Entries]:
    """``sin(t) u`` and ``1 - cos(t)`` of the rotation ``p' q`` by t about u, without cancellation for small t."""
    (a, b, c), (d, e, f), (g, h, i) = p
    (j, k, m), (n, o, r), (s, t, u) = q
    j, k, m, n, o, r, s, t, u = j - a, k - b, m - c, n - d, o - e, r - f, s - g, t - h, u - i
    x = k * c - m * b + o * f - r * e + t * i - u * h
    y = m * a - j * c + r * d - n * f + u * g - s * i
    z = j * b - k * a + n * e - o * d + s * h - t * g
    w = a * j + b * k + c * m + d * n + e * o + f * r + g * s + h * t + i * u
    return (0.5 * x, 0.5 * y, 0.5 * z), -0.5 * w


def _rotated3(r: Any, s: Any, v: tuple[Entries, Entries, Entries], a: Entries, b: Entries) -> Any:
    """Rows of the rotation whose first two are r and s times ``I + a [v] + b [v]^2``."""
    x, y, z = v
    bx, by, bz, ax, ay, az = b * x, b * y, b * z, a * x, a * y, a * z
    xx, yy, zz, xy, xz, yz = bx * x, by * y, bz * z, bx * y, bx * z, by * z
    e00, e01, e02 = 1.0 - (yy + zz), xy - az, xz + ay
    e10, e11, e12 = xy + az, 1.0 - (xx + zz), yz - ax
    e20, e21, e22 = xz - ay, yz + ax, 1.0 - (xx + yy)
    (x, y, z), (f, g, h) = r, s
    x, y, z = x * e00 + y * e10 + z * e20, x * e01 + y * e11 + z * e21, x * e02 + y * e12 + z * e22
    f, g, h = f * e00 + g * e10 + h * e20, f * e01 + g * e11 + h * e21, f * e02 + g * e12 + h * e22
    scale = 1.0 / (x * x + y * y + z * z) ** 0.5
    x, y, z = x * scale, y * scale, z * scale
    along = x * f + y * g + z * h
    f, g, h = f - along * x, g - along * y, h - along * z
    scale = 1.0 / (f * f + g * g + h * h) ** 0.5
    f, g, h = f * scale, g * scale, h * scale
    return (x, y, z), (f, g, h), (y * h - z * g, z * f - x * h, x * g - y * f)
