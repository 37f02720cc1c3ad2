"""Symplectic frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import hermitian_inverse_sqrt, matrix_exp, solve_batch
from manifold_opt.linalg.namespace import Array, broadcast_batch, namespace, transpose
from manifold_opt.linalg.small import lyapunov
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.unit_quaternions import real_and_cleared

__all__ = ["SymplecticStiefel"]


@dataclass(frozen=True, repr=False)
class SymplecticStiefel(Manifold):
    """The (n, k) matrices p with ``p' J p = J``, n and k even; ``J = [[0, I], [-I, 0]]`` of the size that fits.

    Their columns are a symplectic basis of a symplectic subspace. A tangent vector X at p is an (n, k) matrix with
    ``p' J X`` symmetric. Square ones, k = n, are the symplectic group.

    Parameters
    ----------
    n, k : int
        Even numbers of rows and columns, ``k <= n``.
    metric : {"canonical", "euclidean"}
        The right-invariant metric of Bendokat and Zimmermann, ``tr(X' (I - J' p M^-1 p' J / 2) Y M^-1)`` with ``M = p'
        p``, for which geodesics have a closed form; or that of the embedding.

    Raises
    ------
    ValueError
        If the sizes are not even with ``2 <= k <= n``, or the metric is unknown.

    Notes
    -----
    The manifold is not compact: entries of p have no bound. Every operation is O(n k^2) but coordinates, which take an
    orthonormal frame by Gram-Schmidt. There is no logarithm in closed form; `inverse_retract` inverts the Cayley
    retraction exactly.

    References
    ----------
    T. Bendokat, R. Zimmermann, The real symplectic Stiefel and Grassmann manifolds: metrics, geodesics and
    applications, arXiv:2108.12447, 2021. B. Gao, N. T. Son, P.-A. Absil, T. Stykel, Riemannian optimization on the
    symplectic Stiefel manifold, SIAM J. Optim. 31, 2021; and Geometry of the symplectic Stiefel manifold endowed with
    the Euclidean metric, GSI 2021.
    """

    n: int
    k: int
    metric: str = "canonical"

    retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "exp",
        "cayley": "_retract_cayley",
        "quasi-geodesic": "_retract_quasi_geodesic",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "cayley": "_inverse_retract_cayley",
        "iterative": "_inverse_retract_iterative",
    }
    transports: ClassVar[Mapping[str, str]] = {"projection": "_transport_projection"}
    default_retraction = "cayley"
    default_inverse_retraction = "cayley"
    default_transport = "projection"

    def __post_init__(self) -> None:
        n, k = frames.check_sizes("SymplecticStiefel", self.n, self.k)
        if n % 2 or k % 2:
            raise ValueError(
                f"SymplecticStiefel(n, k) holds n rows and k columns, both even, but n = {n}, k = {k}"
            )
        if self.metric not in ("canonical", "euclidean"):
            raise ValueError(f"metric must be 'canonical' or 'euclidean', but it is {self.metric!r}")
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "k", k)

    @property
    def operations(self) -> frozenset[str]:  # type: ignore[override]  # geodesics depend on the metric
        """The exponential for the canonical metric only."""
        names = """
            inner project_point project_vector tangentialize riemannian_gradient riemannian_hessian
            euclidean_representer weingarten random_point random_vector check_point check_vector
        """.split()
        return frozenset(names if self.isometric else [*names, "exp"])

    def has(self, name: str) -> bool:
        """As on all manifolds; geodesics for the canonical metric only."""
        return super().has(name) and (name not in ("exp", "geodesic") or not self.isometric)

    @property
    def isometric(self) -> bool:
        """Whether the metric is that of the embedding."""
        return self.metric == "euclidean"

    @property
    def dim(self) -> int:
        """``n k - k (k - 1) / 2``."""
        return self.n * self.k - self.k * (self.k - 1) // 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return (self.n, self.k)

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``tr(X' Y)``, or ``tr(X' Y M^-1) - tr((p' J X)' M^-1 p' J Y M^-1) / 2``."""
        xp = namespace(p, X, Y)
        if self.isometric:
            value = frobenius(xp, X, Y, 2)
        else:
            M, P = transpose(p) @ p, transpose(p)
            value = frobenius(xp, X, frames.right_divided(Y, M), 2)
            inside = solve_batch(M, frames.right_divided(P @ _J(Y), M))
            value = value - 0.5 * frobenius(xp, P @ _J(X), inside, 2)
        return scalar(value) if p.ndim == 2 or value.ndim else xp.broadcast_to(value, p.shape[:-2])

    # ---------------- geodesics and retractions

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``expm(W - W') expm(W') p`` for the Hamiltonian W of rank 2k with ``W p = X``: exponentials of size 4k.

        Raises
        ------
        MissingOperation
            For the Euclidean metric; use a retraction.
        """
        if self.isometric:
            raise self._missing("exp (the Riemannian exponential)", f"use {self._names('retraction')}")
        tX = expanded(t, 2) * X
        U, V = _hamiltonian_factors(p, tX)
        q = _exp_low_rank(V, U, p)
        xp = namespace(p, tX)
        left, right = xp.concatenate((U, -V), axis=-1), xp.concatenate((V, U), axis=-1)
        return written(self._corrected(_exp_low_rank(left, right, q)), out)

    def _retract_cayley(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``-p + (2 p + H) (I - A/2 + H+ H/4)^-1``, ``A = p+ X``, ``H = X - p A``, ``Z+ = J' Z' J``: (k, k) systems."""
        tX = expanded(t, 2) * X
        A = _plus(p) @ tX
        H = tX - p @ A
        half = 0.5 * A - 0.25 * (_plus(H) @ H)
        q = p + frames.right_divided(H + 2.0 * (p @ half), frames.eye_like(half) - half)
        return written(self._corrected(q), out)

    def _retract_quasi_geodesic(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``[p X] expm([[-J S, J X' J X], [I, -J S]]) [I; 0] expm(J S)``, ``S = p' J X``: exponentials of size 2k."""
        tX = expanded(t, 2) * X
        xp = namespace(p, tX)
        S = transpose(p) @ _J(tX)
        A = _J(0.5 * (S + transpose(S)))
        C = _J(transpose(tX) @ _J(tX))
        I = frames.eye_like(A) + 0.0 * A
        block = xp.concatenate((xp.concatenate((-A, C), axis=-1), xp.concatenate((I, -A), axis=-1)), axis=-2)
        E = matrix_exp(block)[..., : self.k] @ matrix_exp(A)
        return written(self._corrected(p @ E[..., : self.k, :] + tX @ E[..., self.k :, :]), out)

    def _inverse_retract_cayley(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``2 p (V - U) + 2 ((p + q) U - p)`` with ``U = (I + p+ q)^-1``, ``V = (I + q+ p)^-1``, from ``q - p``.

        Raises
        ------
        ValueError
            If ``I + p+ q`` is singular: no direction leads to q.
        """
        d = q - p
        D, E = _plus(p) @ d, _plus(d) @ p
        I = 2.0 * frames.eye_like(D)
        try:
            U, V = solve_batch(I + D, 0.5 * I + 0.0 * D), solve_batch(I + E, 0.5 * I + 0.0 * E)
        except np.linalg.LinAlgError:
            raise ValueError(
                "inverse_retract(method='cayley') on symplectic frames needs an invertible I + p+ q; go there in "
                "several steps"
            ) from None
        X = 2.0 * (p @ (V @ (D - E) @ U) + d @ U - p @ (U @ D))
        return written(self.tangentialize(p, X), out)

    def _corrected(self, q: Array) -> Array:
        """One Newton step ``q (I + J (q' J q - J) / 2)``: squares an error of the constraint that is small."""
        E = transpose(q) @ _J(q) - _unit_form(q)
        return q + 0.5 * (q @ _J(E))

    # ---------------- embedding

    def project_point(self, z: Array) -> Array:
        """A symplectic frame near z, by Newton's iteration ``z (I + J (z' J z - J) / 2)``.

        Raises
        ------
        ValueError
            If the iteration does not converge: z is too far from the manifold.
        """
        xp = namespace(z)
        for _ in range(30):
            E = transpose(z) @ _J(z) - _unit_form(z)
            z = z + 0.5 * (z @ _J(E))
            # the next error is the square of this one
            if xp is np and not np.max(np.abs(E), initial=0.0) > 0.1 * np.finfo(z.dtype).eps ** 0.5:
                return z
        if xp is np:
            raise ValueError(
                f"project_point on {self!r} needs a matrix near the manifold, but Newton's iteration does not converge"
            )
        return z

    def project_vector(self, p: Array, Z: Array) -> Array:
        """``Z + J p L`` with skew-symmetric L from ``M L + L M = p' J Z - (p' J Z)'``, ``M = p' p``."""
        return Z + _J(p) @ _multiplier(p, Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The nearest tangent vector in the embedding."""
        return self.project_vector(p, X)

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """The projection of G; for the canonical metric ``G p' p + J p G' J p``."""
        if self.isometric:
            return self.project_vector(p, G)
        return G @ (transpose(p) @ p) + _J(p) @ (transpose(G) @ _J(p))

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(H + J X L)`` with the multiplier L of G; for the canonical metric by the acceleration of geodesics.

        The geodesic has the second derivative ``(W^2 + W W' - W' W) p``. Its polar form in X and Y, multiplied by G, is
        the inner product of Y with an array E; the Hessian is the gradient conversion of ``H + E``.
        """
        if self.isometric:
            return self.project_vector(p, H + _J(X) @ _multiplier(p, G))
        return self.riemannian_gradient(p, H + _bent(p, G, X))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """X itself; for the canonical metric ``(I - J' p M^-1 p' J / 2) X M^-1``."""
        if self.isometric:
            return X
        M = transpose(p) @ p
        Y = frames.right_divided(X, M)
        return Y + 0.5 * (_J(p) @ solve_batch(M, transpose(p) @ _J(Y)))

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """``P(J X L)`` with the multiplier L of V, in the metric of the embedding."""
        return self.project_vector(p, _J(X) @ _multiplier(p, V))

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Columns of the exponential of a random Hamiltonian matrix ``J S``, S symmetric with norm about 0.7."""
        S = np.random.default_rng(rng).standard_normal((*size, self.n, self.n))
        S = (S + transpose(S)) * (0.25 / math.sqrt(self.n))
        h, c = self.n // 2, self.k // 2
        columns = [*range(c), *range(h, h + c)]
        return self._corrected(matrix_exp(_J(S))[..., columns])

    def random_vector(self, p: Array, rng: Any = None) -> Array:
        """Independent standard normal coordinates, without a frame: a normal matrix of the embedding, projected.

        The metric extends to the embedding; for the canonical one the normal matrix is multiplied by the root of it
        first.
        """
        Z = frames.gaussian(rng, (*self._batch(p), self.n, self.k), "real").astype(p.dtype, copy=False)
        if self.isometric:
            return self.project_vector(p, Z)
        M, u = transpose(p) @ p, _J(p)
        inside = u @ solve_batch(M, transpose(u) @ Z)
        return self.riemannian_gradient(p, (Z - (1.0 - math.sqrt(0.5)) * inside) @ hermitian_inverse_sqrt(M))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and ``p' J p = J``, relative to ``|p|^2``."""
        p = real_and_cleared(p, "p", self.point_shape, NotOnManifold)
        atol = frames.tolerance(p, atol)
        size = max(1.0, float(np.max(np.abs(transpose(p) @ p), initial=0.0)))
        off = float(np.max(np.abs(transpose(p) @ _J(p) - _unit_form(p)), initial=0.0))
        if not off <= atol * size:
            raise NotOnManifold(
                f"p' J p must be J for p to be a point of {self!r}, but differs from it by {off:.3g} (tolerance "
                f"{atol * size:.3g}); project it with M.project_point(p)"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and ``p' J X`` symmetric."""
        X = real_and_cleared(X, "X", self.point_shape, NotTangent)
        atol = frames.tolerance(X, atol)
        p = np.asarray(p)
        size = max(1.0, float(np.max(np.abs(X), initial=0.0))) * max(1.0, float(np.max(np.abs(p), initial=0.0)))
        S = transpose(p) @ _J(X)
        off = float(np.max(np.abs(S - transpose(S)), initial=0.0))
        if not off <= atol * size:
            raise NotTangent(
                f"X must have a symmetric p' J X to be tangent to {self!r}, but p' J X - (p' J X)' has an entry "
                f"{off:.3g} (tolerance {atol * size:.3g}); clean it with M.tangentialize(p, X)"
            )


def _J(X: Array) -> Array:
    """``J X``."""
    h = X.shape[-2] // 2
    return namespace(X).concatenate((X[..., h:, :], -X[..., :h, :]), axis=-2)


def _plus(X: Array) -> Array:
    """The symplectic inverse ``J' X' J``, where ``X' J = (J' X)' = -(J X)'``."""
    return _J(transpose(_J(X)))


def _unit_form(X: Array) -> Array:
    """J of the size of the columns of X."""
    return _J(frames.eye_like(X))


def _multiplier(p: Array, Z: Array) -> Array:
    """The skew-symmetric L for which ``Z + J p L`` is tangent at p."""
    S = transpose(p) @ _J(Z)
    L = lyapunov(*broadcast_batch(2, transpose(p) @ p, S - transpose(S)))
    return 0.5 * (L - transpose(L))


def _hamiltonian_factors(p: Array, X: Array) -> tuple[Array, Array]:
    """U and V, both (n, 2k), of the Hamiltonian ``W = U V'`` with ``W p = X`` and the length of X: the horizontal lift.

    ``W = X M^-1 p' + J p M^-1 X' Q J`` with ``M = p' p``, ``Q = I - J' p M^-1 p' J`` (Bendokat and Zimmermann, 2021).
    """
    xp = namespace(p, X)
    p, X = broadcast_batch(2, p, X)
    M = transpose(p) @ p
    R = frames.right_divided(p, M)
    JX = _J(X)
    # (X' Q J)' = J' Q X = -(J X - p M^-1 p' J X)
    QX = R @ (transpose(p) @ JX) - JX
    return xp.concatenate((X, _J(R)), axis=-1), xp.concatenate((R, QX), axis=-1)


def _exp_low_rank(A: Array, B: Array, Z: Array) -> Array:
    """``expm(A B') Z = Z + A phi(B' A) B' Z`` with ``phi(z) = (e^z - 1) / z``, from a block exponential."""
    xp = namespace(A, B, Z)
    A, B, Z = broadcast_batch(2, A, B, Z)
    S = transpose(B) @ A
    r = S.shape[-1]
    top = xp.concatenate((S, transpose(B) @ Z), axis=-1)
    low = 0.0 * xp.concatenate((transpose(Z) @ A, transpose(Z) @ Z), axis=-1)
    # expm([[S, C], [0, 0]]) has phi(S) C in its corner
    return Z + A @ matrix_exp(xp.concatenate((top, low), axis=-2))[..., :r, r:]


def _bent(p: Array, G: Array, X: Array) -> Array:
    """E with ``<E, Y> = <G, ((W W_Y + W_Y W + [W, W_Y'] + [W_Y, W']) / 2) p>`` for all tangent Y.

    The array in the middle is the inner product of ``W_Y`` with ``K = (W' N + N W' + N' W - W N' + N W - W N) / 2``,
    ``N = G p'``; and ``<K, W_Y> = <K p M^-1 + Q J K' J p M^-1, Y>``.
    """
    M, P = transpose(p) @ p, transpose(p)
    U, V = _hamiltonian_factors(p, X)

    def W(Z: Array) -> Array:
        return U @ (transpose(V) @ Z)

    def Wt(Z: Array) -> Array:
        return V @ (transpose(U) @ Z)

    GM, u = G @ M, _J(p)
    pGp, Gu = p @ (transpose(G) @ p), transpose(G) @ u
    S = P @ u  # J of the small size, to rounding
    Kp = Wt(GM) + G @ (transpose(X) @ p) + p @ (transpose(G) @ X) - W(pGp) + G @ (P @ X) - W(GM)
    Ku = p @ (transpose(G) @ (W(u) - Wt(u))) + W(p @ Gu) + Wt(G @ S + p @ Gu) - G @ (transpose(X) @ u)
    JKu = _J(Ku)
    # Q Z = Z - J' p M^-1 p' J Z = Z + J p M^-1 p' J Z
    QJKu = JKu + u @ solve_batch(M, P @ _J(JKu))
    return 0.5 * frames.right_divided(Kp + QJKu, M)
