"""Positive semidefinite matrices of low rank as factors Y of S = Y Y^H, up to a rotation of the columns."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import frame_polar, hermitian, solve_batch
from manifold_opt.linalg.increments import sqrt_increment
from manifold_opt.linalg.namespace import Array, adjoint, is_numpy, namespace, transpose
from manifold_opt.linalg.pair_functions import pair_function
from manifold_opt.linalg.small import cholesky, eigh, svd
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.positive_definite import gram, hermitian_coordinates, hermitian_matrix, solved
from manifold_opt.manifolds.sphere import cos_sinc

__all__ = ["FactorQuotient", "SphericalFactors"]


class FactorQuotient(Manifold):
    """Matrices Y of shape (n, k) and rank k, where Y and Y Q are one point for every orthogonal or unitary Q.

    A tangent vector is horizontal: a matrix Z with ``Y^H Z`` Hermitian, of the Frobenius metric. At ``Y Q`` it is ``Z
    Q``. The horizontal part of any matrix is ``Z - Y Omega`` with the skew-Hermitian solution of ``A Omega + Omega A =
    Y^H Z - Z^H Y``, ``A = Y^H Y``.
    """

    n: int
    k: int

    isometric: ClassVar[bool] = True
    transports: ClassVar[Mapping[str, str]] = {"projection": "_transport_projection"}
    default_transport = "projection"

    def __post_init__(self) -> None:
        n, k = frames.check_sizes(type(self).__name__, self.n, self.k)
        frames.check_field(self.field)
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "k", k)
        if self.dim == 0:
            raise ValueError(f"{self!r} is a set of single points, of dimension 0; take more rows or columns")

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Rows and columns of a factor."""
        return (self.n, self.k)

    @property
    def _complex(self) -> bool:
        return self.field == "complex"

    @property
    def _entries(self) -> int:
        """The number of real numbers in a factor."""
        return (2 if self._complex else 1) * self.n * self.k

    @property
    def _turns(self) -> int:
        """The dimension of the orthogonal or unitary group."""
        return self.k**2 if self._complex else self.k * (self.k - 1) // 2

    # ---------------- matrices

    def matrix(self, p: Array) -> Array:
        """The matrix ``p p^H`` that a factor stands for."""
        return gram(p)

    def from_matrix(self, S: Array) -> Array:
        """A factor of the nearest positive semidefinite matrix of rank k, made a point by `project_point`.

        Raises
        ------
        ValueError
            If fewer than k eigenvalues of S are positive.
        """
        w, V = np.linalg.eigh(hermitian(np.asarray(S)))
        w, V = w[..., -self.k :], V[..., -self.k :]
        if not np.all(w > 0.0):
            raise ValueError(
                f"from_matrix of {self!r} needs {self.k} positive eigenvalues, but the smallest of the largest "
                f"{self.k} is {np.min(w):.3g}; take a smaller k"
            )
        return self.project_point(V * np.sqrt(w)[..., None, :])

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re tr(X^H Y)``."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 2 == Y.ndim == p.ndim:
            return float(np.vdot(X, Y).real)
        xp = namespace(X, Y)
        value = frobenius(xp, X, Y, 2)
        return scalar(value) if p.ndim == 2 or value.ndim else xp.broadcast_to(value, p.shape[:-2])

    def retract(self, p: Array, X: Array, t: Any = 1.0, *, method: Any = None, out: Array | None = None) -> Array:
        """The default retraction, unless another is named; see `Manifold.retract`."""
        if method is None:
            return self._retract_default(p, X, t, out=out)
        return self.get_retraction(method)(p, X, t, out=out)

    @abstractmethod
    def _retract_default(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The default retraction."""

    # ---------------- horizontal vectors and nearest factors

    def _turning(self, p: Array, Z: Array) -> Array | None:
        """The Omega of the vertical part ``p Omega`` of Z, or None where it is zero."""
        if self.k == 1 and not self._complex:
            return None
        if self.k == 2 and not self._complex and type(p) is type(Z) is np.ndarray and p.ndim == 2 == Z.ndim:
            C = p.T.dot(Z)
            turn = (C.item(1) - C.item(2)) / float(np.vdot(p, p))
            return np.array([[0.0, turn], [-turn, 0.0]], dtype=C.dtype)
        C = adjoint(p) @ Z
        C = C - adjoint(C)
        A = adjoint(p) @ p
        xp = namespace(A, C)
        if self.k == 2 and not self._complex:
            return C / xp.sum(p * p, axis=(-2, -1))[..., None, None]  # A J + J A = tr(A) J
        if xp is not np:
            return pair_function(A, C, name="inverse")
        w, V = eigh(A)
        W = adjoint(V)
        return V @ ((W @ C @ V) / (w[..., :, None] + w[..., None, :])) @ W

    def _horizontal(self, p: Array, Z: Array) -> Array:
        """Z less its vertical part."""
        turning = self._turning(p, Z)
        return Z if turning is None else Z - p @ turning

    def _nearest_difference(self, p: Array, q: Array, D: Array | None = None) -> Array:
        """``q Q - p`` for the unitary Q that brings q nearest to p, accurate relative to itself for close p and q.

        With ``D = q - p``, which may be given more accurately, ``F = p^H D`` and the polar decomposition ``A + F = P
        W``, Q is W^H; the increments ``P - A`` and ``W - I = P^-1 (F - (P - A))`` do not cancel.
        """
        D = q - p if D is None else D
        if not is_numpy(p, q):
            F, A = adjoint(p) @ D, adjoint(p) @ p
            rise = sqrt_increment(A, A @ adjoint(F) + F @ A + F @ adjoint(F))
            return D + q @ adjoint(solve_batch(A + rise, F - rise))
        if self.k == 2 and not self._complex:
            return _difference_of_pairs(p, q, D)
        near = frobenius(np, D, D, 2) < 0.01 * frobenius(np, p, p, 2)
        if near.all():
            return _close_difference(p, q, D)
        U, _, Vh = svd(adjoint(p) @ q)
        far = q @ adjoint(U @ Vh) - p
        return np.where(near[..., None, None], _close_difference(p, q, D), far) if near.any() else far

    def _turn(self, p: Array, q: Array) -> Array:
        """The unitary Q that brings q nearest to p."""
        if is_numpy(p, q):
            U, _, Vh = svd(adjoint(q) @ p)
            return U @ Vh
        return frame_polar(adjoint(q) @ p)

    def _transport_projection(self, p: Array, X: Array, q: Array, *, out: Array | None = None) -> Array:
        """The horizontal part of ``X Q^H``: X at the factor of p nearest to q, projected."""
        return written(self.project_vector(q, X @ adjoint(self._turn(p, q))), out)

    # ---------------- coordinates of horizontal vectors

    # Z = Y A^-1 S + N with Hermitian S = Y^H Z and Y^H N = 0; |Z|^2 = tr(S A^-1 S) + |N|^2.

    def _horizontal_coordinates(self, p: Array, X: Array) -> Array:
        """Of S, with the root of its metric, then of N in a completion of the columns of p: O(n k^2)."""
        L, half = self._half_inverse(p)
        S = hermitian(adjoint(p) @ X)
        U = adjoint(solved(L, adjoint(p)))
        B = frames.complement_coordinates(U, X, adjoint(U) @ X)
        c = hermitian_coordinates(pair_function(half, S, name="sqrt"), self.field)
        return namespace(c, B).concatenate([c, frames.pack(B, self._complex)], axis=-1)

    def _horizontal_vector(self, p: Array, c: Array) -> Array:
        """The inverse of `_horizontal_coordinates`."""
        L, half = self._half_inverse(p)
        size = self.k**2 if self._complex else self.k * (self.k + 1) // 2
        S = pair_function(half, hermitian_matrix(c[..., :size], self.k, self.field), name="rsqrt")
        U = adjoint(solved(L, adjoint(p)))
        B = frames.unpack(c[..., size:], (self.n - self.k, self.k), self._complex)
        return U @ solved(L, S) + frames.complement_vector(U, B)

    def _own_coordinates(self, p: Array) -> Array:
        """The first of the `_horizontal_coordinates` of p itself, whose others are zero: those of the root of A."""
        half = self._half_inverse(p)[1]
        return hermitian_coordinates(pair_function(half, adjoint(p) @ p, name="sqrt"), self.field)

    def _half_inverse(self, p: Array) -> tuple[Array, Array]:
        """The Cholesky factor L of A, and half of the inverse of A."""
        A = adjoint(p) @ p
        L = cholesky(A)
        inverse = solved(L, frames.eye_like(A))
        return L, 0.5 * (adjoint(inverse) @ inverse)

    # ---------------- embedding

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z - p Omega``."""
        return self._horizontal(p, Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The projection."""
        return self.project_vector(p, X)

    # ---------------- checks

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the field and of rank k."""
        p = frames.checked(p, "p", self.point_shape, self.field, NotOnManifold)
        s = np.linalg.svd(p, compute_uv=False)
        limit = 8.0 * float(np.finfo(p.dtype if p.dtype.kind in "fc" else float).eps)
        if not np.all(s[..., -1] > limit * s[..., 0]):
            raise NotOnManifold(
                f"p must have rank {self.k} to be a point of {self!r}, but its smallest singular value is "
                f"{np.min(s[..., -1]):.3g} (the largest is {np.max(s):.3g}); take a smaller k"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, of the field and horizontal."""
        X = frames.checked(X, "X", self.point_shape, self.field, NotTangent)
        atol = frames.tolerance(X, atol)
        size = max(1.0, float(np.max(np.abs(X), initial=0.0)))
        off = float(np.max(np.abs(self.project_vector(np.asarray(p), X) - X), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must be horizontal, {self._rule}, to be tangent to {self!r}, but its projection differs by "
                f"{off:.3g} (tolerance {atol * size:.3g}); project it with M.project_vector(p, X)"
            )

    _rule: ClassVar[str] = "p^H X Hermitian"


def _close_difference(p: np.ndarray, q: np.ndarray, D: np.ndarray) -> np.ndarray:
    """The formula of `_nearest_difference` in the basis of the right singular vectors of p, where A is diagonal.

    There the rows of F are as small as the singular values, and the columns of q too, which keeps the digits of the
    small ones.
    """
    W, s, Vh = svd(p)
    V = adjoint(Vh)
    q, D = q @ V, D @ V
    F = s[..., :, None] * (adjoint(W) @ D)
    U, r, _ = svd(s[..., :, None] * (adjoint(W) @ q))
    a = (s * s)[..., :, None]
    rise = a * adjoint(F) + F * np.swapaxes(a, -1, -2) + F @ adjoint(F)
    rise = hermitian(((rise @ U) / (a + r[..., None, :])) @ adjoint(U))
    turned = adjoint(F - rise) @ (U / np.where(r > 0.0, r, 1.0)[..., None, :]) @ adjoint(U)
    return (D + q @ turned) @ Vh


def _difference_of_pairs(p: np.ndarray, q: np.ndarray, D: np.ndarray) -> np.ndarray:
    """``q Q - p`` for two real columns, where Q is a rotation or a reflection of the plane, in closed form.

    With ``M = p' q`` the trace of ``M Q`` is largest, over rotations, at the angle with the tangent ``(M_01 - M_10) /
    (M_00 + M_11)``; over reflections likewise. The skew part of M is that of ``p' D``, relative to the size of D.
    """
    if p.ndim == 2 == D.ndim:
        return _difference_of_one_pair(p, q, D)
    F, M = transpose(p) @ D, transpose(p) @ q
    f, t = F[..., 0, 1] - F[..., 1, 0], M[..., 0, 0] + M[..., 1, 1]
    g, u = M[..., 0, 1] + M[..., 1, 0], M[..., 0, 0] - M[..., 1, 1]
    h, reflected = np.hypot(f, t), np.hypot(g, u)
    turning = (h >= reflected)[..., None, None]
    one = np.ones_like(h)
    safe = np.where(h > 0.0, h, one)
    sine = f / safe
    # cos - 1 without cancellation where the angle is small
    less = np.where(t > 0.0, -sine * f / np.where(t > 0.0, h + t, one), t / safe - one)
    turn = _matrices(less, -sine, sine, less)
    near = D + q @ turn
    if turning.all():
        return near
    safe = np.where(reflected > 0.0, reflected, one)
    far = q @ _matrices(u / safe, g / safe, g / safe, -u / safe) - p
    return np.where(turning, near, far)


def _difference_of_one_pair(p: np.ndarray, q: np.ndarray, D: np.ndarray) -> np.ndarray:
    """The same in Python floats."""
    (_, f), (low, _) = p.T.dot(D).tolist()
    f -= low
    (m00, m01), (m10, m11) = p.T.dot(q).tolist()
    t, g, u = m00 + m11, m01 + m10, m00 - m11
    h, reflected = math.hypot(f, t), math.hypot(g, u)
    if h < reflected:
        return q.dot(np.array([[u / reflected, g / reflected], [g / reflected, -u / reflected]], dtype=D.dtype)) - p
    if h == 0.0:
        return D
    sine = f / h
    less = -sine * f / (h + t) if t > 0.0 else t / h - 1.0
    return D + q.dot(np.array([[less, -sine], [sine, less]], dtype=D.dtype))


def _matrices(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The matrices ``[[a, b], [c, d]]``."""
    return np.stack([a, b, c, d], axis=-1).reshape((*np.shape(a), 2, 2))


class SphericalFactors(FactorQuotient):
    """Factors on a sphere, or on one sphere for each row: a subclass says along which axes the products are.

    The total space is a product of unit spheres, and rotations of the columns are isometries of it, so its horizontal
    geodesics, great circles, are those of the quotient.
    """

    @abstractmethod
    def _dot(self, A: Array, B: Array) -> Array:
        """The real inner products on the spheres, with both axes kept."""

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``cos(t |X|) p + t sinc(t |X|) X`` on each sphere, divided by its norm."""
        tX = X if type(t) is float and t == 1.0 else expanded(t, 2) * X
        cos, sinc = cos_sinc(namespace(p, tX), self._dot(tX, tX))
        return written(self._unit(cos * p + sinc * tX), out)

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t X`` divided by its norm on each sphere; second order."""
        return written(self._unit(p + (X if type(t) is float and t == 1.0 else expanded(t, 2) * X)), out)

    def _unit(self, z: Array) -> Array:
        if type(z) is np.ndarray:
            return z / np.sqrt(self._dot(z, z))
        return z / namespace(z).sqrt(self._dot(z, z))

    def project_point(self, z: Array) -> Array:
        """z divided by its norm on each sphere.

        Raises
        ------
        ValueError
            If a norm is zero.
        """
        size = self._dot(z, z)
        if namespace(z) is np and not np.all(size > 0):
            raise ValueError(f"project_point of {self!r} needs rows that are not zero, but z has some that are")
        return z / namespace(z).sqrt(size)

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Tangent to each sphere, then without the vertical part, which is tangent too."""
        return self._horizontal(p, Z - self._dot(p, Z) * p)

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The projection."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(H - <p, G> X)``, the products on each sphere; G of a cost of ``p p^H`` has no vertical part."""
        return self.project_vector(p, H - self._dot(p, G) * X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``-P(<p, V> X + X Omega)`` for the vertical part ``p Omega`` of V."""
        W = self._dot(p, V) * X
        turning = self._turning(p, V)
        return -self.project_vector(p, W if turning is None else W + X @ turning)
