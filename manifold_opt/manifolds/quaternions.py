"""Arithmetic of unit quaternions (w, x, y, z), entry by entry.

The same lines serve one quaternion, whose entries are Python floats, and a batch, whose entries are arrays of any
library; both avoid the overhead of small array operations.

References
----------
J. Solà, Quaternion kinematics for the error-state Kalman filter, arXiv:1711.02508, 2017, chapters 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, namespace
from manifold_opt.manifolds.sphere import angle_over_sine, cos_sinc

__all__ = [
    "apart",
    "cayley_quaternion",
    "cayley_vector",
    "conjugate",
    "cross",
    "dot",
    "entries",
    "matrix_quaternion",
    "packed",
    "polar_quaternion",
    "polar_vector",
    "product",
    "quaternion_matrix",
    "rotated",
    "rotation_quaternion",
    "rotation_vector",
    "rounding",
    "unit",
]

Entry = Any  # a float, or an array over the batch
Entries = Sequence[Entry]

# by the dtypes of NumPy, which are found fast, and by name
_EPS: dict[Any, float] = {
    key: float(np.finfo(name).eps) for name in ("float64", "float32", "float16") for key in (np.dtype(name), name)
}


def entries(a: Array) -> Entries:
    """The entries along the last axis: Python floats of one NumPy array, else arrays over the batch."""
    if type(a) is np.ndarray:
        return a.tolist() if a.ndim == 1 else tuple(np.moveaxis(a, -1, 0))
    return tuple(a[..., i] for i in range(a.shape[-1]))


def packed(parts: Entries, out: Array | None, *like: Array) -> Array:
    """The array with these entries, in the precision of the arrays `like`; all are complete before `out` is touched."""
    if type(parts[0]) is float:
        if out is None:
            dtype = like[0].dtype
            return np.array(parts, dtype if all(a.dtype == dtype for a in like) else np.result_type(*like))
        out[...] = parts
        return out
    xp = namespace(*parts)
    if xp is not np:
        return xp.stack(parts, axis=-1)
    if out is None:
        out = np.empty((*np.shape(parts[0]), len(parts)), np.result_type(*like))
    for i, part in enumerate(parts):
        out[..., i] = part
    return out


def rounding(a: Array) -> float:
    """The unit of rounding of the stored numbers."""
    return _EPS.get(a.dtype) or _EPS[str(a.dtype).rpartition(".")[2]]


def product(a: Entries, b: Entries) -> Entries:
    """The product of two quaternions: the rotation b, then a."""
    p, x, y, z = a
    q, u, v, w = b
    return (
        p * q - x * u - y * v - z * w,
        p * u + q * x + y * w - z * v,
        p * v + q * y + z * u - x * w,
        p * w + q * z + x * v - y * u,
    )


def conjugate(a: Entries) -> Entries:
    """The inverse of a unit quaternion."""
    return a[0], -a[1], -a[2], -a[3]


def dot(a: Entries, b: Entries) -> Entry:
    """The sum of the products of entries."""
    if len(a) == 3:
        return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]


def cross(a: Entries, b: Entries) -> Entries:
    """The vector product in space."""
    x, y, z = a
    u, v, w = b
    return y * w - z * v, z * u - x * w, x * v - y * u


def unit(a: Entries) -> Entries:
    """The quaternion divided by its length."""
    square = dot(a, a)
    scale = 1.0 / (math.sqrt(square) if type(square) is float else namespace(square).sqrt(square))
    return a[0] * scale, a[1] * scale, a[2] * scale, a[3] * scale


def rotated(a: Entries, v: Entries) -> Entries:
    """The image of the vector v under the rotation a: ``v + 2 w u x v + 2 u x (u x v)``."""
    u = a[1:]
    x, y, z = cross(u, v)
    t = (2.0 * x, 2.0 * y, 2.0 * z)
    x, y, z = cross(u, t)
    w = a[0]
    return v[0] + w * t[0] + x, v[1] + w * t[1] + y, v[2] + w * t[2] + z


def rotation_quaternion(v: Entries) -> Entries:
    """``(cos(t/2), sin(t/2) v / t)`` for the rotation vector v of length t."""
    square = 0.25 * dot(v, v)
    if type(square) is float:
        half = math.sqrt(square)
        if not half < math.inf:
            return (math.nan,) * 4
        c, k = math.cos(half), 0.5 * math.sin(half) / half if half else 0.5
    else:
        c, k = cos_sinc(namespace(square), square)
        k = 0.5 * k
    return c, k * v[0], k * v[1], k * v[2]


def apart(a: Entries, b: Entries, eps: float) -> tuple[Entries, Entry, Entry]:
    """The vector part s and the scalar part c of ``conj(a) b`` or of its negative, and 1 or -1: c is not negative.

    The vector part is that of ``conj(a) (b - a)``, whose error is relative to its own size. At a half turn, where c is
    zero to rounding, the largest component of s is positive.
    """
    w, x, y, z = a
    p, u, v, s = b
    c = w * p + x * u + y * v + z * s
    if type(c) is float:
        sign = -1.0 if c < 0.0 else 1.0
    else:
        xp = namespace(c)
        one = xp.ones_like(c)
        sign = xp.where(c < 0, -one, one)
    p, u, v, s = sign * p - w, sign * u - x, sign * v - y, sign * s - z
    vector = (w * u - p * x - y * s + z * v, w * v - p * y - z * u + x * s, w * s - p * z - x * v + y * u)
    c = 1.0 + (w * p + x * u + y * v + z * s)
    if type(c) is float:
        if c < 8.0 * eps and max(vector, key=abs) < 0.0:
            return (-vector[0], -vector[1], -vector[2]), c, -sign
        return vector, c, sign
    near = c < 8.0 * eps
    if xp is np and not near.any():
        return vector, c, sign
    x, y, z = vector
    largest = xp.where(abs(y) > abs(x), y, x)
    largest = xp.where(abs(z) > abs(largest), z, largest)
    flip = xp.where(near & (largest < 0), -one, one)
    return (flip * x, flip * y, flip * z), c, flip * sign


def rotation_vector(s: Entries, c: Entry) -> Entries:
    """Twice the angle with sine ``|s|`` and cosine c, along s: the logarithm of the quaternion (c, s) as a rotation."""
    square = dot(s, s)
    if type(square) is float:
        sine = math.sqrt(square)
        k = 2.0 * math.atan2(sine, c) / sine if sine > 0.0 else 2.0
    else:
        k = 2.0 * angle_over_sine(namespace(square), square, c)
    return k * s[0], k * s[1], k * s[2]


def cayley_quaternion(v: Entries) -> Entries:
    """``(1, v/2)``, not of unit length: the angle has the tangent ``|v| / 2`` at its half."""
    return 1.0, 0.5 * v[0], 0.5 * v[1], 0.5 * v[2]


def cayley_vector(s: Entries, c: Entry) -> Entries:
    """The inverse of `cayley_quaternion` for the quaternion (c, s); the angle must be below pi."""
    if not _all_above(c, 1e-15):
        raise _out_of_reach("cayley", "no half turn between p and q")
    k = 2.0 / c
    return k * s[0], k * s[1], k * s[2]


def polar_quaternion(v: Entries) -> Entries:
    """``(1 + sqrt(1 + |v|^2), v)``, not of unit length: the angle has the tangent ``|v|``."""
    square = 1.0 + dot(v, v)
    root = math.sqrt(square) if type(square) is float else namespace(square).sqrt(square)
    return 1.0 + root, v[0], v[1], v[2]


def polar_vector(s: Entries, c: Entry) -> Entries:
    """The inverse of `polar_quaternion` for the quaternion (c, s); the angle must be below pi/2."""
    cosine = c * c - dot(s, s)
    if not _all_above(cosine, 0.0):
        raise _out_of_reach("polar", "an angle below pi/2 between p and q")
    k = 2.0 * c / cosine
    return k * s[0], k * s[1], k * s[2]


def _all_above(x: Entry, low: float) -> bool:
    """Whether plain numbers are above a bound; arrays of other libraries are not looked at."""
    return x > low if type(x) is float else namespace(x) is not np or bool(np.all(x > low))


def _out_of_reach(name: str, rule: str) -> ValueError:
    return ValueError(
        f"inverse_retract(method={name!r}) on rotations needs {rule}; use M.log(p, q), which reaches every q"
    )


def quaternion_matrix(a: Array) -> Array:
    """The rotation matrices ``I + 2 w [u] + 2 [u]^2`` of unit quaternions (w, u): ``(*batch, 3, 3)``."""
    w, x, y, z = entries(a)
    u, v, t = 2.0 * x, 2.0 * y, 2.0 * z
    xx, yy, zz, xy, xz, yz = u * x, v * y, t * z, u * y, u * z, v * z
    wx, wy, wz = w * u, w * v, w * t
    rows = (1.0 - yy - zz, xy - wz, xz + wy, xy + wz, 1.0 - xx - zz, yz - wx, xz - wy, yz + wx, 1.0 - xx - yy)
    return packed(rows, None, a).reshape((*a.shape[:-1], 3, 3))


def matrix_quaternion(R: Array) -> Array:
    """Unit quaternions of rotation matrices, the first entry not negative.

    The matrix ``4 a a'`` follows from R without a root; its row with the largest diagonal entry, made of unit length,
    is the quaternion: no small number is divided by.

    References
    ----------
    S. W. Shepperd, Quaternion from rotation matrix, J. Guidance and Control 1, 1978.
    """
    flat = R.reshape((*R.shape[:-2], 9))
    a, b, c, d, e, f, g, h, i = entries(flat)
    rows = (
        (1.0 + a + e + i, h - f, c - g, d - b),
        (h - f, 1.0 + a - e - i, b + d, c + g),
        (c - g, b + d, 1.0 - a + e - i, f + h),
        (d - b, c + g, f + h, 1.0 - a - e + i),
    )
    if type(a) is float:
        best = max(range(4), key=lambda k: rows[k][k])
        q = unit(rows[best])
        return packed(tuple(-x for x in q) if q[0] < 0.0 else q, None, R)
    xp = namespace(R)
    chosen, largest = rows[0], rows[0][0]
    for k in (1, 2, 3):
        better = rows[k][k] > largest
        chosen = tuple(xp.where(better, x, y) for x, y in zip(rows[k], chosen))
        largest = xp.where(better, rows[k][k], largest)
    q = unit(chosen)
    one = xp.ones_like(q[0])
    sign = xp.where(q[0] < 0, -one, one)
    return packed(tuple(sign * x for x in q), None, R)
