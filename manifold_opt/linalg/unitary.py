"""The logarithm of unitary matrices with its derivatives, accurate relative to itself however small it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manifold_opt.linalg.frames import antihermitian
from manifold_opt.linalg.namespace import Array, adjoint, namespace, transpose
from manifold_opt.linalg.rules import differentiable
from manifold_opt.linalg.scalars import asinc, safe_sqrt, sinc
from manifold_opt.linalg.symmetric import (
    SPECTRAL,
    first_derivative,
    from_eigenvectors,
    pairs,
    second_derivative,
    triples,
)

__all__ = ["unitary_log1p"]


def unitary_log1p(D: Array, *, traceless: bool = False) -> Array:
    """The shortest skew-Hermitian logarithm of the unitary matrices I + D.

    Where an eigenvalue is -1 to rounding its angle is pi, not -pi.

    Parameters
    ----------
    D : array, shape (*batch, n, n)
        Complex: unitary minus identity; compute it as ``p^H (q - p)`` to keep the digits of small angles.
    traceless : bool, default False
        The shortest logarithm of trace zero, for matrices of determinant 1: where the angles of the principal one add
        to a multiple of 2 pi, the largest (or smallest) of them go around once more.

    Returns
    -------
    array, shape (*batch, n, n)
        Skew-Hermitian.
    """
    return _log1p(D, traceless=traceless)


def _log_forward(D: Array, *, traceless: bool) -> Array:
    """Log U = g(C) K for the commuting parts C = (U + U^H)/2 and K = (U - U^H)/2, as for rotations.

    Their eigenvalues are cos t and i sin t, and g = t / sin t. The eigenvectors with cos t near -1 are split off at the
    widest gap between -0.8 and -0.2; there the angle is sign(x) pi - arcsin(x) of the Hermitian matrix -iK.
    """
    xp = namespace(D)
    n = D.shape[-1]
    eye = xp.eye(n, dtype=D.dtype)
    K = antihermitian(D)
    mu, V = xp.linalg.eigh(0.5 * (D + adjoint(D)))
    versine = xp.clip(-mu, 0.0, 2.0)
    high = _near_half_turn(xp, versine)
    y = xp.where(high, 0.0 * versine, safe_sqrt(0.5 * versine))
    g = xp.where(high, 0.0 * versine, asinc(y) / xp.sqrt(1.0 - y * y))
    L = antihermitian(from_eigenvectors(V, g) @ K)
    if xp is not np or high.any():
        P = from_eigenvectors(V, xp.where(high, 1.0 + 0.0 * versine, 0.0 * versine))
        x, U = xp.linalg.eigh(-1j * antihermitian(P @ K @ P) + 4.0 * (eye - P))  # the others are far from sin t
        inside = x < 2.0
        sine = xp.where(inside, xp.clip(x, -1.0, 1.0), 0.0 * x)
        backward = sine < -64.0 * float(np.finfo(str(x.dtype).rpartition(".")[-1]).eps)
        angle = xp.where(backward, -math.pi - xp.arcsin(sine), math.pi - xp.arcsin(sine))
        L = L + antihermitian(from_eigenvectors(U, 1j * xp.where(inside, angle, 0.0 * x)))
    if traceless:
        theta, U = xp.linalg.eigh(-1j * L)
        turns = xp.round(xp.sum(theta, axis=-1) / (2.0 * math.pi))[..., None]
        place = xp.asarray(np.arange(n), dtype=theta.dtype)
        one = xp.ones_like(theta)
        around = xp.where(place >= n - turns, -one, 0.0 * one) + xp.where(place < -turns, one, 0.0 * one)
        if xp is not np or around.any():
            L = L + antihermitian(from_eigenvectors(U, (2j * math.pi) * around))
        L = L - (xp.einsum("...ii->...", L) / n)[..., None, None] * eye
    return L.astype(D.dtype, copy=False) if type(L) is np.ndarray else L


def _near_half_turn(xp: Any, versine: Array) -> Array:
    """Which of the ascending eigenvalues are near -1, cut at the widest gap of ``1 - cos t`` between 1.2 and 1.8."""
    edge = xp.zeros_like(versine[..., :1])
    middle = xp.concatenate((edge + 1.8, xp.clip(versine, 1.2, 1.8), edge + 1.2), axis=-1)
    cut = xp.argmax(middle[..., :-1] - middle[..., 1:], axis=-1)
    return xp.asarray(np.arange(versine.shape[-1])) < cut[..., None]


def _slopes(xp: Any, D: Array, traceless: bool) -> tuple[Array, Array, Array]:
    """Angles, eigenvectors and first divided differences of the logarithm, finite at the cut locus too."""
    theta, U = xp.linalg.eigh(-1j * _log_forward(D, traceless=traceless))
    a, b = pairs(theta)
    eps = float(np.finfo(str(theta.dtype).rpartition(".")[-1]).eps)
    return theta, U, xp.exp(-0.5j * (a + b)) / xp.clip(sinc(0.5 * (a - b)), eps, 1.0)


def _derivative_forward(D: Array, E: Array, *, traceless: bool) -> Array:
    _, U, slopes = _slopes(namespace(D, E), D, traceless)
    return first_derivative(U, slopes, E)


def _second(D: Array, E: Array, H: Array, *, traceless: bool) -> Array:
    """The second derivative of an inverse function: -D log[D^2 exp[D log, D log]], entry by entry."""
    xp = namespace(D, E, H)
    theta, U, s = _slopes(xp, D, traceless)
    bend = SPECTRAL["expi"].second(xp, *triples(theta))
    psi = s[..., :, None, :] * s[..., :, :, None] * s[..., None, :, :] * bend
    return second_derivative(U, psi, E, H)


# The logarithm is holomorphic: its derivative is complex linear, and the transpose is the function on transposes.
_derivative: Callable[..., Array] = differentiable(
    vjps=(
        lambda G, value, D, E, traceless: transpose(_second(D, transpose(G), E, traceless=traceless)),
        lambda G, value, D, E, traceless: transpose(_derivative(D, transpose(G), traceless=traceless)),
    ),
    jvps=(
        lambda H, value, D, E, traceless: _second(D, E, H, traceless=traceless),
        lambda H, value, D, E, traceless: _derivative(D, H, traceless=traceless),
    ),
)(_derivative_forward)
_log1p = differentiable(
    vjps=(lambda G, value, D, traceless: transpose(_derivative(D, transpose(G), traceless=traceless)),),
    jvps=(lambda E, value, D, traceless: _derivative(D, E, traceless=traceless),),
)(_log_forward)
