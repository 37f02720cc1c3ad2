"""Matrices of fixed rank, as a submanifold of all matrices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import frame_qf, hermitian_inverse_sqrt, orthonormalize_frame, solve_batch
from manifold_opt.linalg.low_rank import LowRank, products
from manifold_opt.linalg.namespace import Array, adjoint, is_numpy, namespace
from manifold_opt.manifolds import frames, low_rank
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.layout import Layout
from manifold_opt.manifolds.low_rank_manifold import LowRankManifold

__all__ = ["FixedRank"]

# Steps of the iteration for dominant subspaces on arrays that are differentiated: each divides the error by the squared
# quotient of the smallest singular value kept and the largest dropped.
_STEPS = 10


@dataclass(frozen=True, repr=False)
class FixedRank(LowRankManifold):
    """The matrices of m rows, n columns and rank k, with the metric of all matrices.

    A point is one flat array of the factors of ``U S V^H``: ``U, S, V = M.split(p)`` are views, U (m, k) and V (n, k)
    with orthonormal columns, S (k, k) invertible, and ``p = M.join(U, S, V)``. A tangent vector is a flat array of
    ``Up, M, Vp = M.split_vector(X)`` with ``U^H Up = 0`` and ``V^H Vp = 0`` that stands for the matrix
    ``U M V^H + Up V^H + U Vp^H``. No operation but `embed_point` and `embed_vector` forms an (m, n) matrix.

    Parameters
    ----------
    m, n, k : int
        Rows, columns, and rank, ``1 <= k <= min(m, n)``.
    field : {"real", "complex"}
        What the entries are.

    Raises
    ------
    ValueError
        If the sizes do not fit or the field is unknown.

    Notes
    -----
    Euclidean gradients and Hessians are (m, n) arrays, sparse matrices, `scipy.sparse.linalg.LinearOperator` or
    `manifold_opt.linalg.LowRank`. A user's Euclidean Hessian gets its direction as a `LowRank`, and `low_rank` gives a
    point as one. A cost may be differentiated through ``M.split(p)``, and must depend on ``U S V^H`` only.

    References
    ----------
    B. Vandereycken, Low-rank matrix completion by Riemannian optimization, SIAM J. Optim. 23, 2013. P.-A. Absil, I. V.
    Oseledets, Low-rank retractions: a survey and new results, Comput. Optim. Appl. 62, 2015.
    """

    m: int
    n: int
    k: int
    field: str = "real"

    isometric: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner get_coordinates get_vector project_point project_vector tangentialize embed_point embed_vector
        riemannian_gradient riemannian_hessian riemannian_gradient_from_storage
        storage_vector storage_representer weingarten random_point check_point check_vector
        injectivity_radius injectivity_radius_at sectional_curvature_bounds max_step
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {
        "projection": "_retract_projection",
        "svd": "_retract_projection",
        "polar": "_retract_projection",
        "orthographic": "_retract_orthographic",
    }
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "projection": "_inverse_retract_projection",
        "svd": "_inverse_retract_projection",
        "polar": "_inverse_retract_projection",
        "orthographic": "_inverse_retract_orthographic",
    }
    default_retraction = "projection"
    default_inverse_retraction = "projection"

    def __post_init__(self) -> None:
        low_rank.set_sizes(self, "mnk")
        frames.check_field(self.field)

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {name: getattr(self, name) for name in ("m", "n", "k", "field")}

    @cached_property
    def _layout(self) -> Layout:
        return Layout(((self.m, self.k), (self.k, self.k), (self.n, self.k)), (False,) * 3)

    @property
    def _complex(self) -> bool:
        return self.field == "complex"

    @property
    def dim(self) -> int:
        """``k (m + n - k)``, twice that for complex matrices."""
        return (2 if self._complex else 1) * self.k * (self.m + self.n - self.k)

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return (self.m, self.n)

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The smallest singular value, the distance to lower rank; the least in a batch."""
        return float(np.min(self.singular_values(p)[..., -1]))

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """Flat at full rank, else unbounded below near lower rank, and above unless k = 1."""
        if self.k == min(self.m, self.n):
            return (0.0, 0.0)
        return (-math.inf, 0.0 if self.k == 1 else math.inf)

    # ---------------- parts

    def low_rank(self, p: Array) -> LowRank:
        """The point as a product of two thin factors: entries, products with arrays, sums."""
        U, S, V = self.split(p)
        return LowRank(U @ S, V)

    def low_rank_vector(self, p: Array, X: Array) -> LowRank:
        """The tangent vector as a product of two thin factors: ``[U M + Up, U] [V, Vp]^H``."""
        U, _, V = self.split(p)
        Up, M, Vp = self.split_vector(X)
        xp = namespace(p, X)
        return LowRank(
            xp.concatenate(low_rank.broadcast(U @ M + Up, U), axis=-1),
            xp.concatenate(low_rank.broadcast(V, Vp), axis=-1),
        )

    def entries(self, p: Array, rows: Any, columns: Any) -> Array:
        """The entries of the matrix at these places, O(k) each."""
        return self.low_rank(p).entries(rows, columns)

    def singular_values(self, p: Array) -> Array:
        """The k singular values, from the largest down."""
        S = self.split(p)[1]
        return np.linalg.svd(S, compute_uv=False) if type(S) is np.ndarray else namespace(S).linalg.svd(S)[1]

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``Re tr(X^H Y)``, the sum over the parts."""
        if type(X) is np.ndarray and type(Y) is np.ndarray and X.ndim == 1 == Y.ndim == p.ndim:
            return float(np.vdot(X, Y).real)
        xp = namespace(X, Y)
        value = frobenius(xp, X, Y, 1)
        return scalar(value) if p.ndim == 1 or value.ndim else xp.broadcast_to(value, p.shape[:-1])

    # ---------------- retractions

    def _retract_projection(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The matrix of rank k that is nearest to ``U S V^H + t X``, in the frames nearest to U and V; second order.

        By the singular value decomposition of a (2k, 2k) matrix (Vandereycken 2013, algorithm 6). On arrays that are
        differentiated the equations ``T (W + Gv R) = I`` and ``R (W^H + Gu T) = I`` of the dominant subspaces ``U + Up
        T`` and ``V + Vp R`` are iterated, ``Gu = Up^H Up``, ``W = S + M``, since the decomposition has no derivative at
        X = 0.
        """
        U, S, V = self.split(p)
        Up, M, Vp = self.split_vector(expanded(t, 1) * X)
        W = S + M
        if is_numpy(p, X):
            return self.join(*_truncated(U, W, V, Up, Vp), out=out)
        Gu, Gv = adjoint(Up) @ Up, adjoint(Vp) @ Vp
        I = frames.eye_like(W) + 0.0 * W
        R = 0.0 * W
        for _ in range(_STEPS):
            T = solve_batch(W + Gv @ R, I)
            R = solve_batch(adjoint(W) + Gu @ T, I)
        T = solve_batch(W + Gv @ R, I)
        left, right = hermitian_inverse_sqrt(I + adjoint(T) @ Gu @ T), hermitian_inverse_sqrt(I + adjoint(R) @ Gv @ R)
        middle = solve_batch(left, (W + Gv @ R) @ right)
        return self.join(_nearby(U + Up @ T, left), middle, _nearby(V + Vp @ R, right), out=out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The X with ``Uq^H (p + X - q) = 0`` and ``(p + X - q) Vq = 0``.

        With ``E = Uq^H U`` and ``C = V^H Vq``: ``Vp^H = E^-1 Sq Vq^H (I - V V^H)``, ``Up = (I - U U^H) Uq Sq C^-1`` and
        ``M = (U^H Uq Sq - Vp^H Vq) C^-1 - S``: all of the tangent space at p is determined by two of the four blocks of
        the difference in the frames of q.

        Raises
        ------
        ValueError
            If q is not the matrix of rank k nearest to p + X (NumPy arrays only).
        """
        U, S, V = self.split(p)
        Uq, Sq, Vq = self.split(q)
        E, C = adjoint(Uq) @ U, adjoint(V) @ Vq
        B = Vq @ adjoint(solve_batch(E, Sq))
        Vp = B - V @ (adjoint(V) @ B)
        A = low_rank.divided(Uq @ Sq, C)
        Up = A - U @ (adjoint(U) @ A)
        M = low_rank.divided(adjoint(E) @ Sq - adjoint(Vp) @ Vq, C) - S
        if is_numpy(p, q):
            self._require_nearest(U @ (S + M) + Up, U, V, Vp, Uq, Sq, Vq)
        return self.join_vector(Up, M, Vp, out=out)

    def _require_nearest(self, A: Array, U: Array, V: Array, Vp: Array, Uq: Array, Sq: Array, Vq: Array) -> None:
        """Raise unless what ``A V^H + U Vp^H`` has normal to q is smaller than the smallest singular value of q."""
        gram = []
        for parts, F in (((A, U), Uq), ((V, Vp), Vq)):
            Z = np.concatenate(low_rank.broadcast(*parts), axis=-1)
            W = adjoint(F) @ Z
            gram.append(adjoint(Z) @ Z - adjoint(W) @ W)
        dropped = np.sqrt(np.max(np.abs(np.linalg.eigvals(gram[0] @ gram[1])), axis=-1, initial=0.0))
        kept = np.linalg.svd(Sq, compute_uv=False)[..., -1]
        if not np.all(dropped < kept):
            raise ValueError(
                f"q is out of reach of the projection retraction of {self!r} at p: the matrix of rank {self.k} "
                "nearest to the only candidate p + X is another one; go there in several steps, or take "
                "method='orthographic'"
            )

    def _retract_orthographic(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``(U W + Up) W^-1 (W V^H + Vp^H)`` for ``W = S + M``: differs from p + X by a normal vector; second order.

        References
        ----------
        P.-A. Absil, I. V. Oseledets, Low-rank retractions, 2015, section 3.2.
        """
        U, S, V = self.split(p)
        Up, M, Vp = self.split_vector(expanded(t, 1) * X)
        W = S + M
        A, B = U + low_rank.divided(Up, W), V + low_rank.divided(Vp, adjoint(W))
        if is_numpy(p, X):
            # frames by singular value decompositions: their columns may be long where W is nearly singular
            left, right = low_rank.unit(A), low_rank.unit(B)
            return self.join(left, (adjoint(left) @ A) @ W @ adjoint(adjoint(right) @ B), right, out=out)
        left, right = (hermitian_inverse_sqrt(adjoint(Z) @ Z) for Z in (A, B))
        middle = solve_batch(left, adjoint(solve_batch(right, adjoint(W))))
        return self.join(_nearby(A, left), middle, _nearby(B, right), out=out)

    def _inverse_retract_orthographic(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The projection of ``q - p`` to the tangent space at p.

        Raises
        ------
        ValueError
            If q has a singular vector at a right angle to all of those of p (NumPy arrays only).
        """
        _, S, _ = self.split(p)
        Up, W, Vp = self.split_vector(self.project_vector(p, self.low_rank(q)))
        if is_numpy(p, q):
            values = np.linalg.svd(W, compute_uv=False)
            if not np.all(values[..., -1] > 8.0 * np.finfo(values.dtype).eps * values[..., 0]):
                raise ValueError(
                    f"q is out of reach of the orthographic retraction of {self!r} at p: U^H q V is singular; go there "
                    "in several steps"
                )
        return self.join_vector(Up, W - S, Vp, out=out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The entries of M, of ``Qu^H Up`` and of ``Qv^H Vp``, for block reflections that complete U and V."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        U, _, V = self.split(p)
        Up, M, Vp = self.split_vector(X)
        left, right = (frames.complement_coordinates(F, Z, 0.0 * M) for F, Z in ((U, Up), (V, Vp)))
        return self._coordinates.join([frames.pack(c, self._complex) for c in (left, M, right)], out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these coordinates: O((m + n) k^2)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        U, _, V = self.split(p)
        m, n, k = self.m, self.n, self.k
        left, M, right = (
            frames.unpack(part, shape, self._complex)
            for part, shape in zip(self._coordinates.split(c), ((m - k, k), (k, k), (n - k, k)))
        )
        return self.join_vector(frames.complement_vector(U, left), M, frames.complement_vector(V, right), out=out)

    @cached_property
    def _coordinates(self) -> Layout:
        parts = (self.m - self.k, self.k, self.n - self.k)
        return Layout(tuple(((2 if self._complex else 1) * self.k * j,) for j in parts), (False,) * 3)

    # ---------------- embedding

    def project_point(self, z: Any) -> Array:
        """The matrix of rank k nearest to an array, sparse matrix, operator or `LowRank`, S its singular values.

        Raises
        ------
        ValueError
            If the rank of z is below k (NumPy and SciPy only).
        """
        U, s, V = low_rank.dominant(z, self.k, (self.m, self.n))
        if s.shape[-1] < self.k or (is_numpy(U, s, V) and not np.all(s[..., -1] > 0)):
            raise ValueError(f"z has a rank below {self.k} and no nearest point on {self!r}; take a smaller k")
        return self.join(U, s[..., None] * frames.eye_like(U, self.k), V)

    def _projected(self, p: Array, Z: Any) -> tuple[Array, Array, Array]:
        """``M = U^H Z V``, ``Up = Z V - U M``, ``Vp = Z^H U - V M^H``."""
        U, _, V = self.split(p)
        ZV, ZU = products(Z, U, V)
        M = adjoint(U) @ ZV
        return ZV - U @ M, M, ZU - V @ adjoint(M)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """``Up - U U^H Up``, M, ``Vp - V V^H Vp``."""
        U, _, V = self.split(p)
        Up, M, Vp = self.split_vector(X)
        return self.join_vector(Up - U @ (adjoint(U) @ Up), M, Vp - V @ (adjoint(V) @ Vp))

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Any) -> Array:
        """The projection of G."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Any, H: Any, X: Array) -> Array:
        """The projection of H, plus ``(I - U U^H) G Vp S^-H`` in Up and ``(I - V V^H) G^H Up S^-1`` in Vp.

        References
        ----------
        B. Vandereycken, Low-rank matrix completion by Riemannian optimization, 2013, proposition 2.2, with S any
        invertible matrix.
        """
        U, _, V = self.split(p)
        HV, HU = products(H, U, V)
        A, B = self._curved(p, G, X)
        A, B = A + HV, B + HU
        return self.join_vector(A - U @ (adjoint(U) @ A), adjoint(U) @ HV, B - V @ (adjoint(V) @ B))

    def _curved(self, p: Array, N: Any, X: Array) -> tuple[Array, Array]:
        """``N Vp S^-H`` and ``N^H Up S^-1``."""
        _, S, _ = self.split(p)
        Up, _, Vp = self.split_vector(X)
        A, B = products(N, Up, Vp)
        return low_rank.divided(A, adjoint(S)), low_rank.divided(B, S)

    def weingarten(self, p: Array, X: Array, V: Any) -> Array:
        """``(I - U U^H) V Vp S^-H`` and ``(I - V V^H) V^H Up S^-1``, without a part M."""
        U, S, W = self.split(p)
        A, B = self._curved(p, V, X)
        return self.join_vector(A - U @ (adjoint(U) @ A), 0.0 * S, B - W @ (adjoint(W) @ B))

    def storage_vector(self, p: Array, X: Array) -> Array:
        """``(Up S^-1, M, Vp S^-H)``: the frames move without turning in their spans."""
        _, S, _ = self.split(p)
        Up, M, Vp = self.split_vector(X)
        return self.join(low_rank.divided(Up, S), M, low_rank.divided(Vp, adjoint(S)))

    def riemannian_gradient_from_storage(self, p: Array, g: Array) -> Array:
        """``((I - U U^H) g_U S^-H, g_S, (I - V V^H) g_V S^-1)``."""
        U, S, V = self.split(p)
        a, b, c = self.split(g)
        Up, Vp = low_rank.divided(a, adjoint(S)), low_rank.divided(c, S)
        return self.join_vector(Up - U @ (adjoint(U) @ Up), b, Vp - V @ (adjoint(V) @ Vp))

    def riemannian_hessian_from_storage(self, p: Array, g: Array, h: Array, X: Array) -> Array:
        """The projected derivative of the gradient field, whose parts are those of the gradient from storage.

        With primes for derivatives along ``(U + t Up S^-1, S + t M, V + t Vp S^-H)`` and (A, B, C) for the parts of the
        gradient: ``(I - U U^H)(U' B + A')``, ``B' - U'^H A - C^H V'`` and ``(I - V V^H)(V' B^H + C')``.
        """
        U, S, V = self.split(p)
        dU, dS, dV = self.split(self.storage_vector(p, X))
        a, B, c = self.split(g)
        da, dB, dc = self.split(h)
        A, dA = self._slope(U, adjoint(S), a, dU, adjoint(dS), da)
        C, dC = self._slope(V, S, c, dV, dS, dc)
        left, right = dU @ B + dA, dV @ adjoint(B) + dC
        middle = dB - adjoint(dU) @ A - adjoint(C) @ dV
        return self.join_vector(left - U @ (adjoint(U) @ left), middle, right - V @ (adjoint(V) @ right))

    @staticmethod
    def _slope(U: Array, S: Array, a: Array, dU: Array, dS: Array, da: Array) -> tuple[Array, Array]:
        """``A = (I - U U^H) a S^-1`` and its derivative, but for what lies in the span of U."""
        F = low_rank.divided(a, S)
        W = adjoint(U) @ F
        A = F - U @ W
        return A, low_rank.divided(da - F @ dS, S) - dU @ W

    def storage_representer(self, p: Array, X: Array) -> Array:
        """``(Up S^H, M, Vp S)``."""
        _, S, _ = self.split(p)
        Up, M, Vp = self.split_vector(X)
        return self.join(Up @ adjoint(S), M, Vp @ S)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform frames, signs as `project_point` has them, and separate random singular values between 1 and 3."""
        rng = np.random.default_rng(rng)
        U, V = (frame_qf(frames.gaussian(rng, (*size, n, self.k), self.field)) for n in (self.m, self.n))
        s = 3.0 - 2.0 * (np.arange(self.k) + rng.uniform(0.25, 0.75, (*size, self.k))) / self.k
        U, V = low_rank.signed(U, V)
        return self.join(U, s[..., None] * np.eye(self.k), V)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the field, U and V have orthonormal columns, and S is invertible."""
        p = frames.checked(p, "p", self.point_shape, self.field, NotOnManifold)
        U, S, V = self.split(p)
        for name, F in (("U", U), ("V", V)):
            low_rank.check_frame(self, F, f"the part {name} of p", frames.tolerance(p, atol))
        if not np.all(np.linalg.svd(S, compute_uv=False)[..., -1] > 0):
            raise NotOnManifold(
                f"the part S of a point of {self!r} must be invertible, but it is singular; take a smaller k, or "
                "M.project_point of the matrix"
            )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is finite, of the field, ``U^H Up = 0`` and ``V^H Vp = 0``."""
        X = frames.checked(X, "X", self.vector_shape, self.field, NotTangent)
        U, _, V = self.split(np.asarray(p))
        Up, _, Vp = self.split_vector(X)
        for F, Z, name in ((U, Up, "U^H Up"), (V, Vp, "V^H Vp")):
            low_rank.check_normal(self, F, Z, X, name, atol)


def _nearby(A: Array, root: Array) -> Array:
    """``A root`` made orthonormal to rounding, where root is nearly ``(A^H A)^(-1/2)``."""
    return orthonormalize_frame(A @ root)


def _truncated(U: Array, W: Array, V: Array, Up: Array, Vp: Array) -> tuple[Array, Array, Array]:
    """The best approximation of rank k of ``U W V^H + Up V^H + U Vp^H``, in the frames nearest to U and V."""
    k = W.shape[-1]
    (Qu, Ru), (Qv, Rv) = low_rank.qr(Up), low_rank.qr(Vp)
    upper = np.concatenate(low_rank.broadcast(W, adjoint(Rv)), axis=-1)
    lower = np.concatenate([Ru, np.zeros((*Ru.shape[:-1], k), dtype=Ru.dtype)], axis=-1)
    a, s, b = low_rank.svd(np.concatenate(low_rank.broadcast(upper, lower), axis=-2))
    a, b = a[..., :k], adjoint(b[..., :k, :])
    turn_a, turn_b = adjoint(low_rank.unit(a[..., :k, :])), adjoint(low_rank.unit(b[..., :k, :]))
    S = (adjoint(turn_a) * s[..., None, :k]) @ turn_b
    a, b = a @ turn_a, b @ turn_b
    left = U @ a[..., :k, :] + Qu @ a[..., k:, :]
    right = V @ b[..., :k, :] + Qv @ b[..., k:, :]
    return orthonormalize_frame(left), S, orthonormalize_frame(right)
