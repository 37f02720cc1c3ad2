"""Tensors of fixed multilinear rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import frame_qf, hermitian_inverse_sqrt, orthonormalize_frame, solve_batch
from manifold_opt.linalg.namespace import Array, broadcast_batch, is_numpy, namespace, transpose
from manifold_opt.linalg.tensors import SparseTensor, TuckerTensor, contract, fold, mode_product, unfold
from manifold_opt.manifolds import frames, low_rank
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.layout import Layout
from manifold_opt.manifolds.low_rank_manifold import LowRankManifold
from manifold_opt.manifolds.parameters import positive_integers

__all__ = ["Tucker"]

# Steps of the subspace iteration that stands for singular vectors on arrays that are differentiated.
_STEPS = 8


@dataclass(frozen=True, repr=False)
class Tucker(LowRankManifold):
    """The real tensors of a given size and multilinear rank, with the metric of all tensors.

    A point is one flat array of a core C ``(r_1, ..., r_D)`` and frames U_d ``(n_d, r_d)`` for
    ``C x_1 U_1 ... x_D U_D``:
    ``C, U_1, ..., U_D = M.split(p)``. A tangent vector is a flat array of ``dC, dU_1, ..., dU_D = M.split_vector(X)``
    with ``U_d'dU_d = 0`` and stands for ``dC x_1 U_1 ... + C x_1 dU_1 x_2 U_2 ... + ...``.

    Parameters
    ----------
    shape : tuple of int
        Sizes ``n_d`` of D >= 2 modes.
    ranks : tuple of int
        Ranks ``r_d`` of the unfoldings, each at most ``n_d`` and at most the product of the others.

    Raises
    ------
    ValueError
        If the sizes do not fit.

    Notes
    -----
    Euclidean gradients and Hessians are arrays, `manifold_opt.linalg.SparseTensor` or
    `manifold_opt.linalg.TuckerTensor`;
    a user's Euclidean Hessian gets its direction as the latter. Only `embed_point` and `embed_vector` form a tensor of
    full size.

    References
    ----------
    D. Kressner, M. Steinlechner, B. Vandereycken, Low-rank tensor completion by Riemannian optimization, BIT 54, 2014.
    G. Heidel, V. Schulz, A Riemannian trust-region method for low-rank tensor completion, Numer. Linear Algebra Appl.
    25, 2018.
    """

    shape: tuple[int, ...]
    ranks: tuple[int, ...]

    isometric: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset(
        """
        inner get_coordinates get_vector project_point project_vector tangentialize embed_point embed_vector
        riemannian_gradient riemannian_hessian riemannian_gradient_from_storage
        storage_vector storage_representer weingarten random_point check_point check_vector
        injectivity_radius injectivity_radius_at max_step
        """.split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"hosvd": "_retract_hosvd", "orthographic": "_retract_orthographic"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "hosvd": "_inverse_retract_hosvd",
        "orthographic": "_inverse_retract_orthographic",
    }
    default_retraction = "hosvd"
    default_inverse_retraction = "hosvd"

    def __post_init__(self) -> None:
        shape = positive_integers("the shape", tuple(self.shape), self)
        ranks = positive_integers("the ranks", tuple(self.ranks), self)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "ranks", ranks)
        if len(shape) < 2 or len(shape) != len(ranks):
            raise ValueError(
                f"Tucker(shape, ranks) needs two modes or more and one rank for each, but shape = {shape} and ranks "
                f"= {ranks}"
            )
        for d, (n, r) in enumerate(zip(shape, ranks)):
            most = min(n, math.prod(ranks) // r)
            if r > most:
                raise ValueError(
                    f"no tensor of shape {shape} has the multilinear rank {ranks}: rank {d} can be {most} at most, "
                    "the size of its mode and the product of the other ranks"
                )

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {"shape": self.shape, "ranks": self.ranks}

    @property
    def order(self) -> int:
        """The number D of modes."""
        return len(self.shape)

    @cached_property
    def _layout(self) -> Layout:
        return Layout((self.ranks, *zip(self.shape, self.ranks)), (False,) * (self.order + 1))

    @cached_property
    def _coordinates(self) -> Layout:
        parts = [math.prod(self.ranks), *((n - r) * r for n, r in zip(self.shape, self.ranks))]
        return Layout(tuple((j,) for j in parts), (False,) * (self.order + 1))

    @cached_property
    def dim(self) -> int:
        """``prod r_d + sum r_d (n_d - r_d)``."""
        return self._coordinates.size

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """Sizes of the modes."""
        return self.shape

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The smallest singular value of the unfoldings, the distance to lower rank; the least in a batch."""
        C = self.split(p)[0]
        return min(float(np.min(np.linalg.svd(unfold(C, d, self.order), compute_uv=False))) for d in range(self.order))

    # ---------------- parts

    def low_rank(self, p: Array) -> TuckerTensor:
        """The point as a `TuckerTensor`."""
        C, *U = self.split(p)
        return TuckerTensor(C, U)

    def low_rank_vector(self, p: Array, X: Array) -> TuckerTensor:
        """The tangent vector as a `TuckerTensor` with factors ``[U_d, dU_d]`` and a core of twice the size."""
        C, *U = self.split(p)
        dC, *dU = self.split_vector(X)
        xp = namespace(p, X)
        factors = [xp.concatenate(broadcast_batch(2, A, B), axis=-1) for A, B in zip(U, dU)]
        return TuckerTensor(self._core(xp, dC, [C] * self.order), factors)

    def _core(self, xp: Any, first: Array, others: list[Array]) -> Array:
        """A core of twice the size with `first` in its first block and others[d] next to it in mode d."""
        D = self.order
        first, *others = broadcast_batch(D, first, *others)

        def block(place: tuple[int, ...]) -> Array:
            if not any(place):
                return first
            return others[place.index(1)] if sum(place) == 1 else 0.0 * first

        def assembled(place: tuple[int, ...]) -> Array:
            d = len(place)
            if d == D:
                return block(place)
            return xp.concatenate([assembled((*place, 0)), assembled((*place, 1))], axis=d - D)

        return assembled(())

    def entries(self, p: Array, indices: Any) -> Array:
        """The entries of the tensor at index tuples in the rows of an (N, D) array."""
        return self.low_rank(p).entries(indices)

    def _triangles(self, C: Array) -> list[tuple[Array, Array]]:
        """Q and R with ``C_(d)' = Q R`` for every mode."""
        found = []
        for d in range(self.order):
            M = transpose(unfold(C, d, self.order))
            Q = frame_qf(M)
            found.append((Q, transpose(Q) @ M))
        return found

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``<dC, dC'> + sum <dU_d C_(d), dU_d' C_(d)>``, that of the tensors."""
        C = self.split(p)[0]
        a, b = self.split_vector(X), self.split_vector(Y)
        xp = namespace(p, X, Y)
        total = frobenius(
            xp, a[0].reshape((*a[0].shape[: -self.order], -1)), b[0].reshape((*b[0].shape[: -self.order], -1)), 1
        )
        for d in range(self.order):
            M = unfold(C, d, self.order)
            total = total + frobenius(xp, a[d + 1] @ (M @ transpose(M)), b[d + 1], 2)
        return scalar(total)

    # ---------------- retractions

    def _retract_hosvd(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The truncated higher-order singular value decomposition of ``p + t X``, by one of a core of size (2 r)^D.

        Of first order: its acceleration has a tangential part.

        On arrays that are differentiated the dominant subspaces are iterated, as in `FixedRank`.

        References
        ----------
        D. Kressner, M. Steinlechner, B. Vandereycken, 2014, section 3.2.
        """
        C, *U = self.split(p)
        dC, *dU = self.split_vector(expanded(t, 1) * X)
        xp = namespace(p, X)
        K = self._core(xp, C + dC, [C] * self.order)
        if is_numpy(p, X):
            return self.join(*self._truncated(K, U, dU), out=out)
        grams = [transpose(B) @ B for B in dU]
        turned = [self._dominant(K, grams, d) for d in range(self.order)]
        for d, (A, _, root) in enumerate(turned):
            # K x_d (N A root)': inner products with the new frame, in the basis [U, dU] with Gram matrix N
            K = mode_product(K, transpose(_weighted(A @ root, grams[d])), d, self.order)
        new = [orthonormalize_frame((u + du @ T) @ root) for u, du, (_, T, root) in zip(U, dU, turned)]
        return self.join(K, *new, out=out)

    def _dominant(self, K: Array, grams: list[Array], d: int) -> tuple[Array, Array, Array]:
        """``[I; T]`` such that ``U + dU T`` spans the dominant subspace of mode d, T, and what makes it orthonormal."""
        other = K
        for j, G in enumerate(grams):
            if j != d:
                r = self.ranks[j]
                head, tail = _halves(other, j, self.order, r)
                xp = namespace(K, G)
                other = xp.concatenate([head, mode_product(tail, G, j, self.order)], axis=j - self.order)
        W = unfold(K, d, self.order) @ transpose(unfold(other, d, self.order))
        r = self.ranks[d]
        xp, G = namespace(K, *grams), grams[d]
        I = frames.eye_like(G) + 0.0 * G
        A = W[..., :, :r]
        for step in range(_STEPS):
            T = transpose(solve_batch(transpose(A[..., :r, :]), transpose(A[..., r:, :])))
            if step < _STEPS - 1:
                A = W[..., :, :r] + W[..., :, r:] @ (G @ T)
        return xp.concatenate([I, T], axis=-2), T, hermitian_inverse_sqrt(I + transpose(T) @ G @ T)

    def _truncated(self, K: Array, U: list[Array], dU: list[Array]) -> list[Array]:
        new, D = [], self.order
        bases = [low_rank.qr(B) for B in dU]
        for d, (_, R) in enumerate(bases):
            r = self.ranks[d]
            head, tail = _halves(K, d, D, r)
            K = np.concatenate(broadcast_batch(D, head, mode_product(tail, R, d, D)), axis=d - D)
        for d, (Q, _) in enumerate(bases):
            r = self.ranks[d]
            a = low_rank.svd(unfold(K, d, D))[0][..., :r]
            a = a @ transpose(low_rank.unit(a[..., :r, :]))
            new.append((a, orthonormalize_frame(U[d] @ a[..., :r, :] + Q @ a[..., r:, :])))
        for d, (a, _) in enumerate(new):
            K = mode_product(K, transpose(a), d, D)
        return [K, *(F for _, F in new)]

    def _inverse_retract_hosvd(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """By the iteration ``X + P_p(q - R_p(X))``, whose error shrinks by a factor like the length of X."""
        return low_rank.inverse_by_iteration(self, self._retract_hosvd, p, q, out)

    def _retract_orthographic(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``W x_d (U_d + dU_d (W_(d) C_(d)^+)^-1)`` with ``W = C + dC``: differs from p + X by a normal vector.

        References
        ----------
        P.-A. Absil, J. Malick, Projection-like retractions on matrix manifolds, SIAM J. Optim. 22, 2012, section 4.3,
        for orthographic retractions in general, which are of second order.
        """
        C, *U = self.split(p)
        dC, *dU = self.split_vector(expanded(t, 1) * X)
        W, new = C + dC, []
        core = W
        for d, (Q, R) in enumerate(self._triangles(C)):
            # W_(d) C_(d)^+ = W_(d) Q R^-T
            E = solve_batch(transpose(unfold(W, d, self.order) @ Q), R)
            F = U[d] + dU[d] @ transpose(E)
            root = hermitian_inverse_sqrt(transpose(F) @ F)
            frame = orthonormalize_frame(F @ root)
            core = mode_product(core, transpose(frame) @ F, d, self.order)
            new.append(frame)
        return self.join(core, *new, out=out)

    def _inverse_retract_orthographic(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The projection of ``q - p`` to the tangent space at p."""
        dC, *dU = self._projected(p, self.low_rank(q))
        return self.join_vector(dC - self.split(p)[0], *dU, out=out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The entries of dC and of ``Q_d'dU_d R_d'``: reflections complete the frames, and ``C_(d)' = Q R_d``."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        C, *U = self.split(p)
        dC, *dU = self.split_vector(X)
        parts = [dC.reshape((*dC.shape[: -self.order], -1))]
        for u, du, (_, R) in zip(U, dU, self._triangles(C)):
            c = frames.complement_coordinates(u, du, 0.0 * du[..., : u.shape[-1], :])
            parts.append(frames.pack(c @ transpose(R), False))
        return self._coordinates.join(parts, out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        C, *U = self.split(p)
        core, *rest = self._coordinates.split(c)
        parts = [core.reshape((*core.shape[:-1], *self.ranks))]
        for u, (_, R), part in zip(U, self._triangles(C), rest):
            B = frames.unpack(part, (u.shape[-2] - u.shape[-1], u.shape[-1]), False)
            parts.append(frames.complement_vector(u, low_rank.divided(B, transpose(R))))
        return self.join_vector(*parts, out=out)

    # ---------------- embedding

    def project_point(self, z: Any) -> Array:
        """The truncated higher-order singular value decomposition, at most sqrt(D) times as far as the nearest point.

        Raises
        ------
        ValueError
            If an unfolding of z has too low a rank (NumPy arrays only).

        References
        ----------
        L. De Lathauwer, B. De Moor, J. Vandewalle, A multilinear singular value decomposition, SIAM J. Matrix Anal.
        Appl. 21, 2000.
        """
        if isinstance(z, TuckerTensor):
            pairs = [namespace(A).linalg.qr(A) for A in z.factors]
            core = contract(z.core, [transpose(R) for _, R in pairs])
            inside = Tucker(tuple(core.shape[-self.order :]), self.ranks)
            C, *a = inside.split(inside.project_point(core))
            return self._signed(C, [Q @ b for (Q, _), b in zip(pairs, a)])
        self._check_size(z)
        U = []
        for d, r in enumerate(self.ranks):
            M = z.unfolded(d) if isinstance(z, SparseTensor) else unfold(z, d, self.order)
            u, s, _ = low_rank.dominant(M, r, tuple(M.shape[-2:]))
            if is_numpy(u, s) and not np.all(s[..., r - 1 :] > 0):
                raise ValueError(
                    f"unfolding {d} of z has a rank below {r} and no point of {self!r} is near; take smaller ranks"
                )
            U.append(u)
        return self._signed(contract(z, U), U)

    def _signed(self, C: Array, U: list[Array]) -> Array:
        """The same tensor with the largest entry of each column of the frames positive."""
        turned = []
        for d, u in enumerate(U):
            sign = low_rank.phases(u)
            turned.append(u * sign[..., None, :])
            C = C * sign.reshape((*sign.shape[:-1], *(1,) * d, sign.shape[-1], *(1,) * (self.order - d - 1)))
        return self.join(C, *turned)

    def _contracted(self, Z: Any, U: list[Array], d: int) -> Array:
        """The unfolding along mode d of ``Z x_j U_j'`` for all j but d."""
        return unfold(contract(Z, [None if j == d else u for j, u in enumerate(U)]), d, self.order)

    def _projected(self, p: Array, Z: Any) -> list[Array]:
        """``Z x_j U_j'`` and ``(I - U_d U_d') [Z x_j U_j']_(d) C_(d)^+``, j other than d."""
        self._check_size(Z)
        C, *U = self.split(p)
        parts = [None]
        for d, (Q, R) in enumerate(self._triangles(C)):
            A = self._contracted(Z, U, d)
            if d == 0:
                parts[0] = fold(transpose(U[0]) @ A, 0, self.ranks)
            B = low_rank.divided(A @ Q, transpose(R))
            parts.append(B - U[d] @ (transpose(U[d]) @ B))
        return parts

    def _check_size(self, Z: Any) -> None:
        if tuple(Z.shape[-self.order :]) != self.shape:
            raise ValueError(
                f"a tensor for {self!r} must have shape {('...', *self.shape)}, but it is {tuple(Z.shape)}"
            )

    def tangentialize(self, p: Array, X: Array) -> Array:
        """``dU_d - U_d U_d'dU_d``."""
        _, *U = self.split(p)
        dC, *dU = self.split_vector(X)
        return self.join_vector(dC, *(b - u @ (transpose(u) @ b) for u, b in zip(U, dU)))

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Any) -> Array:
        """The projection of G."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Any, H: Any, X: Array) -> Array:
        """The projection of H plus the Weingarten map of X and the normal part of G.

        References
        ----------
        G. Heidel, V. Schulz, 2018, section 3.
        """
        return self.project_vector(p, H) + self.weingarten(p, X, G)

    def weingarten(self, p: Array, X: Array, V: Any) -> Array:
        """From ``<V, B(X, Y)>`` with the mixed second derivative B of the map from core and factors to tensors.

        With N_d the part of ``[V x_j U_j']_(d)`` normal to U_d and to the rows of ``C_(d)``, and ``V_de`` as V_d with
        ``dU_e`` in place of ``U_e``: ``sum_d dU_d'N_d`` in the core, ``(I - U_d U_d') (N_d dC_(d)' + sum_e V_de C_(d)')
        (C_(d) C_(d)')^-1`` in frame d. V need not be normal.
        """
        C, *U = self.split(p)
        dC, *dU = self.split_vector(X)
        self._check_size(V)
        D = self.order
        core: Any = 0.0
        parts = []
        for d, (Q, R) in enumerate(self._triangles(C)):
            N = self._contracted(V, U, d)
            N = N - (N @ Q) @ transpose(Q)
            N = N - U[d] @ (transpose(U[d]) @ N)
            core = core + fold(transpose(dU[d]) @ N, d, self.ranks)
            B = N @ transpose(unfold(dC, d, D))
            for e in range(D):
                if e != d:
                    mixed = [dU[j] if j == e else u for j, u in enumerate(U)]
                    B = B + self._contracted(V, mixed, d) @ transpose(unfold(C, d, D))
            B = low_rank.divided(low_rank.divided(B, R), transpose(R))
            parts.append(B - U[d] @ (transpose(U[d]) @ B))
        return self.join_vector(core, *parts)

    def riemannian_gradient_from_storage(self, p: Array, g: Array) -> Array:
        """``(g_C, (I - U_d U_d') g_d (C_(d) C_(d)')^-1)``."""
        C, *U = self.split(p)
        a, *b = self.split(g)
        parts = [a]
        for u, B, (_, R) in zip(U, b, self._triangles(C)):
            B = low_rank.divided(low_rank.divided(B, R), transpose(R))
            parts.append(B - u @ (transpose(u) @ B))
        return self.join_vector(*parts)

    def riemannian_hessian_from_storage(self, p: Array, g: Array, h: Array, X: Array) -> Array:
        """The projected derivative along X of the gradient field, which has the parts of the gradient from storage."""
        C, *U = self.split(p)
        dC, *dU = self.split_vector(X)
        A_C, *A = self.split_vector(self.riemannian_gradient_from_storage(p, g))
        a, b = self.split(g), self.split(h)
        D = self.order
        core, parts = b[0], []
        for d, (Q, R) in enumerate(self._triangles(C)):
            u, du = U[d], dU[d]

            def over_gram(B: Array, R: Array = R) -> Array:
                return low_rank.divided(low_rank.divided(B, R), transpose(R))

            M, dM = unfold(C, d, D), unfold(dC, d, D)
            slope = dM @ transpose(M)
            slope = slope + transpose(slope)
            core = core - mode_product(C, transpose(du) @ A[d], d, D)
            B = over_gram(b[d + 1] - du @ (transpose(u) @ a[d + 1]) - A[d] @ slope)
            B = B + low_rank.divided((du @ unfold(A_C, d, D) + A[d] @ dM) @ Q, transpose(R))
            parts.append(B - u @ (transpose(u) @ B))
        return self.join_vector(core, *parts)

    def storage_representer(self, p: Array, X: Array) -> Array:
        """``(dC, dU_d C_(d) C_(d)')``."""
        C = self.split(p)[0]
        dC, *dU = self.split_vector(X)
        parts = [dC]
        for d, B in enumerate(dU):
            M = unfold(C, d, self.order)
            parts.append(B @ (M @ transpose(M)))
        return self.join(*parts)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform frames, and a core whose unfoldings are well conditioned, as `project_point` would return it."""
        rng = np.random.default_rng(rng)
        D = self.order
        U = [frame_qf(rng.standard_normal((*size, n, r))) for n, r in zip(self.shape, self.ranks)]
        C = rng.standard_normal((*size, *self.ranks))
        for sweep in range(4):
            for d, r in enumerate(self.ranks):
                M = unfold(C, d, D)
                C = mode_product(C, hermitian_inverse_sqrt(M @ transpose(M)), d, D)
                if sweep == 3:  # separate singular values, so that singular vectors are well determined
                    s = 3.0 - 2.0 * (np.arange(r) + rng.uniform(0.25, 0.75, (*size, r))) / r
                    C = mode_product(C, s[..., None] * np.eye(r), d, D)
        inside = [low_rank.svd(unfold(C, d, D))[0][..., :r] for d, r in enumerate(self.ranks)]
        return self._signed(contract(C, inside), [u @ a for u, a in zip(U, inside)])

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real and finite, frames are orthonormal, and the core is of full multilinear rank."""
        p = frames.checked(p, "p", self.point_shape, "real", NotOnManifold)
        C, *U = self.split(p)
        for d, u in enumerate(U):
            low_rank.check_frame(self, u, f"frame {d} of p", frames.tolerance(p, atol))
            if not np.all(np.linalg.svd(unfold(C, d, self.order), compute_uv=False)[..., -1] > 0):
                raise NotOnManifold(
                    f"unfolding {d} of the core of p must have rank {self.ranks[d]} on {self!r}, but it is less; "
                    "take smaller ranks, or M.project_point of the tensor"
                )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite, and ``U_d'dU_d = 0``."""
        X = frames.checked(X, "X", self.vector_shape, "real", NotTangent)
        _, *U = self.split(np.asarray(p))
        _, *dU = self.split_vector(X)
        for d, (u, b) in enumerate(zip(U, dU)):
            low_rank.check_normal(self, u, b, X, f"U'dU in mode {d}", atol)


def _halves(K: Array, d: int, order: int, r: int) -> tuple[Array, Array]:
    """The first r entries of mode d, and the others."""
    before = (slice(None),) * d
    after = (slice(None),) * (order - d - 1)
    return K[(..., *before, slice(None, r), *after)], K[(..., *before, slice(r, None), *after)]


def _weighted(A: Array, G: Array) -> Array:
    """``N A`` for the Gram matrix N = diag(I, G)."""
    r = G.shape[-1]
    return namespace(A, G).concatenate([A[..., :r, :], G @ A[..., r:, :]], axis=-2)
