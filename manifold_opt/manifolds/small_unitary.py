"""Unitary matrices of size 2, entry by entry: the NumPy road of `Unitary(2)` and `SpecialUnitary(2)` for one point.

A skew-Hermitian X is ``i tau I + Y`` with Y of trace zero, and ``Y^2 = -theta^2 I``.
"""

from __future__ import annotations

import cmath
import math

import numpy as np

from manifold_opt.linalg.namespace import Array

__all__ = ["exp_unitary2", "log_unitary2"]


def exp_unitary2(p: Array, X: Array, t: float, special: bool) -> Array | None:
    """``p expm(t X) = p e^(i tau) (cos(theta) I + sinc(theta) Y)``, unitary to rounding whatever the rounding of p.

    None where the angle is not finite.
    """
    (x00, x01), (x10, x11) = X.tolist()
    a, d, b = t * x00.imag, t * x11.imag, 0.5 * t * (x01 - x10.conjugate())
    tau, delta = 0.5 * (a + d), 0.5 * (a - d)
    theta = math.hypot(delta, abs(b))
    if not theta + abs(tau) < math.inf:
        return None
    k = math.sin(theta) / theta if theta else 1.0
    e = complex(math.cos(theta), k * delta)
    f = k * b
    (p00, p01), (p10, p11) = p.tolist()
    # p times [[e, f], [-conj f, conj e]]; the scalar phase comes last
    g, h = -f.conjugate(), e.conjugate()
    u, v, w, z = p00 * e + p01 * g, p00 * f + p01 * h, p10 * e + p11 * g, p10 * f + p11 * h
    if not special:
        phase = cmath.rect(1.0, tau)
        u, v, w, z = u * phase, v * phase, w * phase, z * phase
    scale = 1.0 / math.sqrt(u.real * u.real + u.imag * u.imag + v.real * v.real + v.imag * v.imag)
    u, v = u * scale, v * scale
    w, z, turn = -v.conjugate(), u.conjugate(), u * z - v * w
    if not special:  # the second row is determined up to a phase, that of the determinant
        turn = turn / abs(turn)
        w, z = turn * w, turn * z
    return np.array((u, v, w, z), p.dtype).reshape(2, 2)


def log_unitary2(p: Array, q: Array, special: bool) -> Array | None:
    """The shortest logarithm of ``p^H q``, from ``p^H (q - p)``; None near half turns, where it is ill conditioned."""
    (a, b), (c, d) = (p.T.conj() @ (q - p)).tolist()
    tau, turn = 0.0, 1.0 + 0.0j
    if not special:
        s = a + d + a * d - b * c  # the determinant less 1
        tau = 0.5 * math.atan2(s.imag, 1.0 + s.real)
        turn = cmath.rect(1.0, -tau)
    a, b, c, d = turn * a, turn * b, turn * c, turn * d
    delta, f = 0.5 * (a.imag - d.imag), 0.5 * (b - c.conjugate())
    sine, cosine = math.hypot(delta, abs(f)), turn.real + 0.5 * (a.real + d.real)
    if not cosine > -0.5:
        return None
    theta = math.atan2(sine, cosine)
    if theta + abs(tau) > 3.14:  # another branch may be shorter
        return None
    k = theta / sine if sine > 0.0 else 1.0
    delta, f = k * delta, k * f
    X = (complex(0.0, tau + delta), f, -f.conjugate(), complex(0.0, tau - delta))
    return np.array(X, np.result_type(p, q)).reshape(2, 2)
