"""Twists of the plane and of space: what the group of rigid motions adds to its rotations, for n = 2 and 3.

A twist is a pair of a rotation vector (the angle for n = 2) and a velocity, in this order; matrices on twists have
the blocks in this order too. With K the skew matrix of the rotation vector w of length t,

    V(w) = I + (1 - cos t)/t^2 K + (t - sin t)/t^3 K^2

is the left Jacobian of rotations, and the exponential of the twist is (exp K, V v).

References
----------
J. Solà, J. Deray, D. Atchuthan, A micro Lie theory for state estimation in robotics, arXiv:1812.01537, 2018, appendices
C and D. T. D. Barfoot, State Estimation for Robotics, 2nd ed., Cambridge, 2024, section 8.1.5.
"""

from __future__ import annotations

from typing import Any

from manifold_opt.linalg.namespace import Array, namespace, transpose
from manifold_opt.linalg.rotation import hat
from manifold_opt.linalg.scalars import cosc, cotc, safe_sqrt, sinc, sinc_slope, tsinc, tsinc_slope

__all__ = ["adjoint_matrix", "left_jacobian", "left_jacobian_inverse", "turned", "turned_back"]


def turned(w: Array, v: Array) -> Array:
    """``V(w) v``."""
    return v + _mixed(w, v, *_coefficients(_angle(w)))


def turned_back(w: Array, v: Array) -> Array:
    """The inverse of `turned`: ``V^-1 = I - K/2 + (1 - (t/2) cot(t/2))/t^2 K^2``, finite for angles below 2 pi."""
    t = _angle(w)
    return v + _mixed(w, v, -0.5, cotc(t))


def left_jacobian(c: Array) -> Array:
    """The derivative of the exponential of twists c: ``exp(c + dc) = exp(left_jacobian(c) dc) exp(c)`` to first order.

    For n = 3 the lower left block is the derivative of V(w) along v: a matrix function of ``[[K, 0], [L, K]]`` has its
    derivative along L there, and the twist acts on twists by such a matrix.
    """
    xp = namespace(c)
    if c.shape[-1] == 3:
        w, v = c[..., :1], c[..., 1:]
        V = _matrix(w)
        corner = w * tsinc(w) * v - cosc(w) * _quarter(xp, v)
        return _blocks(xp, xp.ones_like(w)[..., None], corner[..., None], V)
    w, v = c[..., :3], c[..., 3:]
    return _blocks(xp, _matrix(w), _slope(xp, w, v), _matrix(w))


def left_jacobian_inverse(c: Array) -> Array:
    """The inverse of `left_jacobian`, in closed form."""
    xp = namespace(c)
    k = 1 if c.shape[-1] == 3 else 3
    w = c[..., :k]
    J = left_jacobian(c)
    V = _inverse_matrix(w)
    first = xp.ones_like(w)[..., None] if k == 1 else V
    return _blocks(xp, first, -(V @ J[..., k:, :k] @ first), V)


def adjoint_matrix(R: Array, t: Array) -> Array:
    """The action of the rigid motion (R, t) on twists: ``(R, t) exp(c) (R, t)^-1 = exp(Ad c)``."""
    xp = namespace(R, t)
    if R.shape[-1] == 2:
        return _blocks(xp, xp.ones_like(t[..., :1, None]), -_quarter(xp, t)[..., None], R)
    return _blocks(xp, R, hat(t) @ R, R)


def _angle(w: Array) -> Array:
    """The angle: signed for n = 2, and with one more axis at the end for n = 3."""
    return w if w.shape[-1] == 1 else safe_sqrt(namespace(w).sum(w * w, axis=-1))[..., None]


def _coefficients(t: Array) -> tuple[Array, Array]:
    return cosc(t), tsinc(t)


def _mixed(w: Array, v: Array, b: Any, c: Array) -> Array:
    """``b K v + c K^2 v``."""
    xp = namespace(w, v)
    if w.shape[-1] == 1:
        return b * w * _quarter(xp, v) - c * w * w * v
    Kv = _cross(xp, w, v)
    return b * Kv + c * _cross(xp, w, Kv)


def _quarter(xp: Any, v: Array) -> Array:
    """V turned by a quarter of a circle."""
    return xp.stack((-v[..., 1], v[..., 0]), axis=-1)


def _cross(xp: Any, a: Array, b: Array) -> Array:
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack((y * w - z * v, z * u - x * w, x * v - y * u), axis=-1)


def _matrix(w: Array) -> Array:
    t = _angle(w)[..., None]
    K = hat(w)
    b, c = _coefficients(t)
    return namespace(w).eye(K.shape[-1], dtype=w.dtype) + b * K + c * (K @ K)


def _inverse_matrix(w: Array) -> Array:
    t = _angle(w)[..., None]
    K = hat(w)
    return namespace(w).eye(K.shape[-1], dtype=w.dtype) - 0.5 * K + cotc(t) * (K @ K)


def _slope(xp: Any, w: Array, v: Array) -> Array:
    """The derivative of V(w) along v, for n = 3."""
    t = _angle(w)[..., None]
    K, L = hat(w), hat(v)
    along = xp.sum(w * v, axis=-1)[..., None, None]
    b, c = _coefficients(t)
    KL = K @ L
    db = 0.25 * sinc(0.5 * t) * sinc_slope(0.5 * t)
    return b * L + c * (KL + transpose(KL)) + along * (db * K + tsinc_slope(t) * (K @ K))


def _blocks(xp: Any, A: Array, C: Array, D: Array) -> Array:
    """The matrix ``[[A, 0], [C, D]]``."""
    batch = tuple(C.shape[:-2])
    A, D = (xp.broadcast_to(a, batch + tuple(a.shape[-2:])) if tuple(a.shape[:-2]) != batch else a for a in (A, D))
    top = xp.concatenate((A, xp.zeros_like(A[..., :1]) + xp.zeros_like(D[..., :1, :])), axis=-1)
    return xp.concatenate((top, xp.concatenate((C, D), axis=-1)), axis=-2)
