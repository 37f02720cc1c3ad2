"""Matrices of fixed rank, as products of two factors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import solve_batch
from manifold_opt.linalg.low_rank import LowRank, products
from manifold_opt.linalg.namespace import Array, is_numpy, namespace, transpose
from manifold_opt.linalg.small import qr_positive
from manifold_opt.linalg.square_root import matrix_sqrt
from manifold_opt.linalg.symmetric import sym
from manifold_opt.manifolds import frames, low_rank
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar, written
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.fixed_rank import FixedRank
from manifold_opt.manifolds.layout import Layout
from manifold_opt.manifolds.low_rank_manifold import LowRankManifold

__all__ = ["FixedRankFactors"]


@dataclass(frozen=True, repr=False)
class FixedRankFactors(LowRankManifold):
    """The real matrices of m rows, n columns and rank k as ``L R'``, with a metric that preconditions least squares.

    A point is one flat array of L (m, k) and R (n, k): ``L, R = M.split(p)``. ``(L A^-1, R A')`` is the same point. A
    tangent vector is horizontal: a flat array of ``dL, dR = M.split_vector(X)`` with ``(L'L)^-1 L'dL`` the transpose of
    ``(R'R)^-1 R'dR``, and stands for the matrix ``dL R' + L dR'``. At ``(L A^-1, R A')`` it is ``(dL A^-1, dR A')``.

    Parameters
    ----------
    m, n, k : int
        Rows, columns, and rank, ``1 <= k <= min(m, n)``.

    Raises
    ------
    ValueError
        If the sizes do not fit.

    Notes
    -----
    The metric is ``tr(R'R dL'dL') + tr(L'L dR'dR')``, from the diagonal blocks of the Hessian of ``|L R' - A|^2 / 2``.
    Euclidean derivatives are those of `FixedRank`: of functions of the matrix, as arrays, sparse matrices, operators or
    `manifold_opt.linalg.LowRank`. A cost may be differentiated through ``M.split(p)``, and must depend on ``L R'``
    only.

    References
    ----------
    B. Mishra, K. A. Apuroop, R. Sepulchre, A Riemannian geometry for low-rank matrix completion, arXiv:1211.1550, 2012.
    B. Mishra, G. Meyer, S. Bonnabel, R. Sepulchre, Fixed-rank matrix factorizations and Riemannian low-rank
    optimization, Comput. Stat. 29, 2014.
    """

    m: int
    n: int
    k: int

    isometric: ClassVar[bool] = False
    open_storage: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner get_coordinates get_vector project_point project_vector tangentialize embed_point embed_vector
        riemannian_gradient riemannian_hessian riemannian_gradient_from_storage
        euclidean_representer storage_vector storage_representer random_point check_point
        check_vector injectivity_radius injectivity_radius_at max_step
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"additive": "_retract_additive"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"additive": "_inverse_retract_additive"}
    default_retraction = "additive"
    default_inverse_retraction = "additive"

    def __post_init__(self) -> None:
        low_rank.set_sizes(self, "mnk")

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {name: getattr(self, name) for name in ("m", "n", "k")}

    @cached_property
    def _layout(self) -> Layout:
        return Layout(((self.m, self.k), (self.n, self.k)), (False, False))

    @cached_property
    def _coordinates(self) -> Layout:
        return Layout(tuple((self.k * j,) for j in (self.k, self.m - self.k, self.n - self.k)), (False,) * 3)

    @property
    def dim(self) -> int:
        """``k (m + n - k)``."""
        return self.k * (self.m + self.n - self.k)

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return (self.m, self.n)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The smallest singular value, the least in a batch."""
        return float(np.min(self.singular_values(p)[..., -1]))

    # ---------------- parts

    def low_rank(self, p: Array) -> LowRank:
        """The point as a `LowRank`."""
        return LowRank(*self.split(p))

    def low_rank_vector(self, p: Array, X: Array) -> LowRank:
        """The tangent vector as a `LowRank`: ``[dL, L] [R, dR]'``."""
        (L, R), (dL, dR) = self.split(p), self.split_vector(X)
        xp = namespace(p, X)
        return LowRank(
            xp.concatenate(low_rank.broadcast(dL, L), axis=-1), xp.concatenate(low_rank.broadcast(R, dR), axis=-1)
        )

    def entries(self, p: Array, rows: Any, columns: Any) -> Array:
        """The entries of the matrix at these places, O(k) each."""
        return self.low_rank(p).entries(rows, columns)

    def singular_values(self, p: Array) -> Array:
        """The k singular values of the matrix, from the largest down."""
        (_, A), (_, B) = (np.linalg.qr(F) for F in self.split(p))
        return np.linalg.svd(A @ transpose(B), compute_uv=False)

    def balanced(self, p: Array) -> Array:
        """The same point with ``L'L = R'R`` diagonal, which a long way can leave behind."""
        return self.project_point(self.low_rank(p))

    def _grams(self, p: Array) -> tuple[Array, Array, Array, Array]:
        L, R = self.split(p)
        return L, R, transpose(L) @ L, transpose(R) @ R

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``tr(R'R dL'dL') + tr(L'L dR'dR')``."""
        _, _, P, Q = self._grams(p)
        (a, b), (c, d) = self.split_vector(X), self.split_vector(Y)
        xp = namespace(p, X, Y)
        return scalar(frobenius(xp, a @ Q, c, 2) + frobenius(xp, b @ P, d, 2))

    # ---------------- retraction and transport

    def _retract_additive(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(L + t dL, R + t dR)``."""
        return written(p + expanded(t, 1) * X, out)

    def _inverse_retract_additive(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``(L_q H^-T - L, R_q H - R)`` with ``H = A^-1 (A B)^(1/2)``, ``A = (R'R)^-1 R'R_q``, ``B = L_q'L (L'L)^-1``.

        These are the factors of q for which the difference is horizontal: ``H A H = B``.

        Raises
        ------
        ValueError
            If ``A B`` has no principal square root (NumPy arrays only).
        """
        L, R, P, Q = self._grams(p)
        Lq, Rq = self.split(q)
        A, B = solve_batch(Q, transpose(R) @ Rq), low_rank.divided(transpose(Lq) @ L, P)
        C = A @ B
        if is_numpy(p, q):
            values = np.linalg.eigvals(C)
            size = np.max(np.abs(values), axis=-1, keepdims=True)
            if not np.all(np.real(values) > -np.abs(np.imag(values)) * 1e3 + 1e-12 * size):
                raise ValueError(
                    f"q is out of reach of the retraction of {self!r} at p: the factors of q can not be turned to "
                    "those of p; go there in several steps"
                )
        H = solve_batch(A, matrix_sqrt(C))
        return self.join_vector(low_rank.divided(Lq, transpose(H)) - L, Rq @ H - R, out=out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """With QR decompositions ``L = U S``, ``R = V T``: of ``sqrt(2) S a T'``, ``dL = L a + ...``, and normal parts.

        Those are ``Qu'dL T'`` and ``Qv'dR S'`` for block reflections that complete U and V: O((m + n) k^2).
        """
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        (L, R), (dL, dR) = self.split(p), self.split_vector(X)
        (U, S), (V, T) = qr_positive(L), qr_positive(R)
        dL, dR = dL @ transpose(T), dR @ transpose(S)
        middle = transpose(U) @ dL
        parts = (
            math.sqrt(2.0) * middle,
            frames.complement_coordinates(U, dL, middle),
            frames.complement_coordinates(V, dR, transpose(V) @ dR),
        )
        return self._coordinates.join([frames.pack(c, False) for c in parts], out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        L, R = self.split(p)
        (U, S), (V, T) = qr_positive(L), qr_positive(R)
        m, n, k = self.m, self.n, self.k
        middle, left, right = (
            frames.unpack(part, shape, False)
            for part, shape in zip(self._coordinates.split(c), ((k, k), (m - k, k), (n - k, k)))
        )
        middle = math.sqrt(0.5) * middle
        dL = low_rank.divided(U @ middle + frames.complement_vector(U, left), transpose(T))
        dR = low_rank.divided(V @ transpose(middle) + frames.complement_vector(V, right), transpose(S))
        return self.join_vector(dL, dR, out=out)

    # ---------------- embedding

    def project_point(self, z: Any) -> Array:
        """The matrix of rank k nearest to an array, sparse matrix, operator or `LowRank`, with ``L'L = R'R`` diagonal.

        Raises
        ------
        ValueError
            If the rank of z is below k (NumPy and SciPy only).
        """
        U, s, V = low_rank.dominant(z, self.k, (self.m, self.n))
        if s.shape[-1] < self.k or (is_numpy(U, s, V) and not np.all(s[..., -1] > 0)):
            raise ValueError(f"z has a rank below {self.k} and no nearest point on {self!r}; take a smaller k")
        root = namespace(s).sqrt(s)[..., None, :]
        return self.join(U * root, V * root)

    def _projected(self, p: Array, Z: Any) -> tuple[Array, Array]:
        """``(Z R Q^-1 - L K / 2, Z'L P^-1 - R K' / 2)``, ``P = L'L``, ``Q = R'R``, ``K = P^-1 L'Z R Q^-1``."""
        L, R, P, Q = self._grams(p)
        ZR, ZL = products(Z, L, R)
        ZR, ZL = low_rank.divided(ZR, Q), low_rank.divided(ZL, P)
        half = 0.5 * solve_batch(P, transpose(L) @ ZR)
        return ZR - L @ half, ZL - R @ transpose(half)

    def _horizontal(self, p: Array, dL: Array, dR: Array) -> tuple[Array, Array]:
        """The part orthogonal, in the metric, to all ``(L A, -R A')``."""
        L, R, P, Q = self._grams(p)
        a, b = solve_batch(P, transpose(L) @ dL), solve_batch(Q, transpose(R) @ dR)
        turn = 0.5 * (transpose(b) - a)
        return dL + L @ turn, dR - R @ transpose(turn)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The horizontal part."""
        return self.join_vector(*self._horizontal(p, *self.split_vector(X)))

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Any) -> Array:
        """``(G R (R'R)^-1, G'L (L'L)^-1)``."""
        L, R, P, Q = self._grams(p)
        GR, GL = products(G, L, R)
        return self.join_vector(low_rank.divided(GR, Q), low_rank.divided(GL, P))

    def riemannian_hessian(self, p: Array, G: Any, H: Any, X: Array) -> Array:
        """The horizontal part of the covariant derivative of the gradient in the space of factors.

        References
        ----------
        B. O'Neill, The fundamental equations of a submersion, Michigan Math. J. 13, 1966, for the horizontal part. N.
        Boumal, An Introduction to Optimization on Smooth Manifolds, 2023, section 9.12.
        """
        L, R = self.split(p)
        dL, dR = self.split_vector(X)
        (a, b), (c, d), (e, f) = products(G, L, R), products(H, L, R), products(G, dL, dR)
        return self._covariant(p, X, a, b, c + e, d + f)

    def riemannian_hessian_from_storage(self, p: Array, g: Array, h: Array, X: Array) -> Array:
        """The same from the derivatives of a cost with respect to L and R."""
        return self._covariant(p, X, *self.split(g), *self.split(h))

    def _covariant(self, p: Array, X: Array, a: Array, b: Array, c: Array, d: Array) -> Array:
        """From the derivatives a, b with respect to L and R, and their derivatives c, d along X.

        Gradient ``(a Q^-1, b P^-1)``. Koszul's formula for the metric gives the connection
        ``D_X Y + (dY_L Q_X + dX_L Q_Y
        - 2 L sym(dX_R'dY_R)) Q^-1 / 2`` in L, where Q_X is the derivative of Q along X, and likewise in R.
        """
        L, R, P, Q = self._grams(p)
        dL, dR = self.split_vector(X)
        gL, gR = low_rank.divided(a, Q), low_rank.divided(b, P)
        P_X, Q_X = 2.0 * sym(transpose(L) @ dL), 2.0 * sym(transpose(R) @ dR)
        P_g, Q_g = 2.0 * sym(transpose(L) @ gL), 2.0 * sym(transpose(R) @ gR)
        left = c + 0.5 * (dL @ Q_g - gL @ Q_X) - L @ sym(transpose(dR) @ gR)
        right = d + 0.5 * (dR @ P_g - gR @ P_X) - R @ sym(transpose(dL) @ gL)
        return self.join_vector(*self._horizontal(p, low_rank.divided(left, Q), low_rank.divided(right, P)))

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``dL R' + L dR' - L (L'L)^-1 L'dL R'``, an (m, n) array."""
        (L, R), (dL, dR) = self.split(p), self.split_vector(X)
        half = solve_batch(transpose(L) @ L, transpose(L) @ dL)
        return (dL - L @ half) @ transpose(R) + L @ transpose(dR)

    def riemannian_gradient_from_storage(self, p: Array, g: Array) -> Array:
        """``(g_L (R'R)^-1, g_R (L'L)^-1)``, made horizontal."""
        _, _, P, Q = self._grams(p)
        a, b = self.split(g)
        return self.join_vector(*self._horizontal(p, low_rank.divided(a, Q), low_rank.divided(b, P)))

    def storage_representer(self, p: Array, X: Array) -> Array:
        """``(dL R'R, dR L'L)``."""
        _, _, P, Q = self._grams(p)
        dL, dR = self.split_vector(X)
        return self.join(dL @ Q, dR @ P)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """A random point of `FixedRank`, with ``L'L = R'R`` diagonal."""
        N = FixedRank(self.m, self.n, self.k)
        U, S, V = N.split(N.random_point(rng, size))
        root = np.sqrt(S)
        return self.join(U @ root, V @ root)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real and finite, and both factors have linearly independent columns."""
        p = frames.checked(p, "p", self.point_shape, "real", NotOnManifold)
        eps = float(np.finfo(p.dtype).eps)
        for name, F in zip("LR", self.split(p)):
            s = np.linalg.svd(F, compute_uv=False)
            if not np.all(s[..., -1] > eps * s[..., 0]):
                raise NotOnManifold(
                    f"the factor {name} of a point of {self!r} must have rank {self.k}, but it is less; take a "
                    "smaller k"
                )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite and horizontal."""
        X = frames.checked(X, "X", self.vector_shape, "real", NotTangent)
        size = frames.tolerance(X, atol) * max(1.0, float(np.max(np.abs(X), initial=0.0)))
        off = float(np.max(np.abs(self.tangentialize(np.asarray(p), X) - X), initial=0.0))
        if not off <= size:
            raise NotTangent(
                f"X must be horizontal, (L'L)^-1 L'dL the transpose of (R'R)^-1 R'dR, to be tangent to {self!r}, but "
                f"its vertical part has an entry {off:.3g} (tolerance {size:.3g}); clean it with M.tangentialize(p, X)"
            )
