"""Tensors of fixed tensor-train rank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import frame_qf, hermitian_inverse_sqrt, orthonormalize_frame, solve_batch
from manifold_opt.linalg.namespace import Array, is_numpy, namespace, transpose
from manifold_opt.linalg.trains import TrainTensor, first, last, left, right, sides, stacked
from manifold_opt.manifolds import frames, low_rank
from manifold_opt.manifolds.arrays import expanded, frobenius, scalar
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.layout import Layout
from manifold_opt.manifolds.low_rank_manifold import LowRankManifold
from manifold_opt.manifolds.parameters import positive_integers

__all__ = ["TensorTrain"]

# Steps of the subspace iteration that stands for singular vectors on arrays that are differentiated.
_STEPS = 8


@dataclass(frozen=True, repr=False)
class TensorTrain(LowRankManifold):
    """The real tensors of a given size and tensor-train rank, with the metric of all tensors.

    A point is one flat array of cores G_d ``(r_(d-1), n_d, r_d)``, ``r_0 = r_D = 1``, whose product is the tensor:
    ``G_1, ..., G_D = M.split(p)``. All but the last are left-orthogonal: as matrices ``(r_(d-1) n_d, r_d)`` they have
    orthonormal columns. A tangent vector is a flat array of cores ``dG_1, ..., dG_D = M.split_vector(X)`` of the same
    sizes, with ``G_d'dG_d = 0`` for these matrices but the last, and stands for the sum of the trains in which one core
    is replaced.

    Parameters
    ----------
    shape : tuple of int
        Sizes ``n_d`` of D >= 2 modes.
    ranks : tuple of int
        The D - 1 ranks ``r_d``, those of the unfoldings of the first d against the other modes.

    Raises
    ------
    ValueError
        If the sizes do not fit.

    Notes
    -----
    Euclidean gradients and Hessians are arrays, `manifold_opt.linalg.SparseTensor` or
    `manifold_opt.linalg.TrainTensor`; a
    user's Euclidean Hessian gets its direction as the latter. Only `embed_point` and `embed_vector` form a tensor of
    full size.

    References
    ----------
    S. Holtz, T. Rohwedder, R. Schneider, On manifolds of tensors of fixed TT-rank, Numer. Math. 120, 2012. M.
    Steinlechner, Riemannian optimization for high-dimensional tensor completion, SIAM J. Sci. Comput. 38, 2016. M.
    Psenka, N. Boumal, Second-order optimization for tensors with fixed tensor-train rank, OPT 2020.
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
    retractions: ClassVar[Mapping[str, str]] = {"tt-svd": "_retract_svd", "orthographic": "_retract_orthographic"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "tt-svd": "_inverse_retract_svd",
        "orthographic": "_inverse_retract_orthographic",
    }
    default_retraction = "tt-svd"
    default_inverse_retraction = "tt-svd"

    def __post_init__(self) -> None:
        shape = positive_integers("the shape", tuple(self.shape), self)
        ranks = positive_integers("the ranks", tuple(self.ranks), self)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "ranks", ranks)
        if len(shape) < 2 or len(ranks) != len(shape) - 1:
            raise ValueError(
                "TensorTrain(shape, ranks) needs two modes or more and one rank less than modes, but shape = "
                f"{shape} and ranks = {ranks}"
            )
        for d, r in enumerate(ranks):
            most = min(self._bonds[d] * shape[d], shape[d + 1] * self._bonds[d + 2])
            if r > most:
                raise ValueError(
                    f"no tensor of shape {shape} has the tensor-train rank {ranks}: rank {d} can be {most} at most, "
                    "the rank before it times its mode, and the rank behind it times the next mode"
                )

    def __getstate__(self) -> dict[str, Any]:
        """The parameters alone, without what is cached."""
        return {"shape": self.shape, "ranks": self.ranks}

    @property
    def order(self) -> int:
        """The number D of modes."""
        return len(self.shape)

    @property
    def _bonds(self) -> tuple[int, ...]:
        return (1, *self.ranks, 1)

    @cached_property
    def _layout(self) -> Layout:
        cores = [(self._bonds[d], n, self._bonds[d + 1]) for d, n in enumerate(self.shape)]
        return Layout(tuple(cores), (False,) * self.order)

    @cached_property
    def _coordinates(self) -> Layout:
        sizes = [(math.prod(core[:2]) - core[2]) * core[2] for core in self._layout.shapes[:-1]]
        return Layout(tuple((j,) for j in (*sizes, math.prod(self._layout.shapes[-1]))), (False,) * self.order)

    @cached_property
    def dim(self) -> int:
        """``sum r_(d-1) n_d r_d - sum r_d^2``."""
        return self._coordinates.size

    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """Sizes of the modes."""
        return self.shape

    def injectivity_radius_at(self, p: Array, retraction: Any = None) -> float:
        """The smallest singular value of the unfoldings, the distance to lower rank; the least in a batch."""
        return min(float(np.min(np.linalg.svd(R, compute_uv=False))) for R in self._right_orthogonal(self.split(p))[1])

    # ---------------- parts

    def low_rank(self, p: Array) -> TrainTensor:
        """The point as a `TrainTensor`."""
        return TrainTensor(self.split(p))

    def low_rank_vector(self, p: Array, X: Array) -> TrainTensor:
        """The tangent vector as a `TrainTensor` of twice the ranks."""
        return TrainTensor(_slope(self.split(p), self.split_vector(X)))

    def entries(self, p: Array, indices: Any) -> Array:
        """The entries of the tensor at index tuples in the rows of an (N, D) array."""
        return self.low_rank(p).entries(indices)

    def _right_orthogonal(self, G: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Right-orthogonal V_2, ..., V_D and triangles R_1, ..., R_(D-1): right interfaces are ``R_d V_(d+1) ...``."""
        V: list[Array] = []
        R: list[Array] = []
        K = G[-1]
        for d in range(self.order - 1, 0, -1):
            M = transpose(right(K))
            Q = frame_qf(M)
            T = transpose(transpose(Q) @ M)
            V.insert(0, transpose(Q).reshape((*Q.shape[:-2], Q.shape[-1], *K.shape[-2:])))
            R.insert(0, T)
            K = last(G[d - 1], transpose(T))
        return V, R

    # ---------------- metric

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``sum <dG_d M_d, dG_d'>`` with the Gram matrices M_d of the right interfaces, that of the tensors."""
        G, a, b = self.split(p), self.split_vector(X), self.split_vector(Y)
        xp = namespace(p, X, Y)
        total = frobenius(xp, left(a[-1]), left(b[-1]), 2)
        M = right(G[-1]) @ transpose(right(G[-1]))
        for d in range(self.order - 2, -1, -1):
            total = total + frobenius(xp, left(a[d]) @ M, left(b[d]), 2)
            if d:
                M = right(last(G[d], M)) @ transpose(right(G[d]))
        return scalar(total)

    # ---------------- retractions

    def _retract_svd(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The truncated tensor-train decomposition of ``p + t X``, a train of twice the ranks; first order.

        On arrays that are differentiated the dominant subspaces are iterated, as in `FixedRank`.

        References
        ----------
        M. Steinlechner, 2016, section 3.3.
        """
        G, dG = self.split(p), self.split_vector(expanded(t, 1) * X)
        K = _slope(G, [*dG[:-1], G[-1] + dG[-1]])
        return self.join(*(self._rounded(K, G) if is_numpy(p, X) else self._iterated(K, G)), out=out)

    def _rounded(self, K: list[Array], like: Sequence[Array]) -> list[Array]:
        """A train rounded to the ranks, from the left, its frames turned to those of another."""
        K = _right_handed(K)
        for d, r in enumerate(self.ranks):
            A = left(K[d])
            F = low_rank.svd(A)[0][..., :r]
            F = orthonormalize_frame(F @ transpose(low_rank.unit(transpose(left(like[d])) @ F)))
            K[d + 1] = first(transpose(F) @ A, K[d + 1])
            K[d] = F.reshape((*F.shape[:-2], -1, self.shape[d], r))
        return K

    def _iterated(self, K: list[Array], like: Sequence[Array]) -> list[Array]:
        """As `_rounded`, by subspace iteration with Gram matrices of the right interfaces, smooth where ranks drop."""
        K = list(K)
        grams = [right(K[-1]) @ transpose(right(K[-1]))]
        for d in range(self.order - 2, 0, -1):
            grams.insert(0, right(last(K[d], grams[0])) @ transpose(right(K[d])))
        for d in range(self.order - 1):
            A, U = left(K[d]), left(like[d])
            F = U + 0.0 * A[..., :1]
            for _ in range(_STEPS):
                F = A @ (grams[d] @ (transpose(A) @ F))
                F = low_rank.divided(F, transpose(U) @ F)
            F = orthonormalize_frame(F @ hermitian_inverse_sqrt(transpose(F) @ F))
            K[d + 1] = first(transpose(F) @ A, K[d + 1])
            K[d] = F.reshape((*F.shape[:-2], -1, self.shape[d], self.ranks[d]))
        return K

    def _inverse_retract_svd(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """By the iteration ``X + P_p(q - R_p(X))``, whose error shrinks by a factor like the length of X."""
        return low_rank.inverse_by_iteration(self, self._retract_svd, p, q, out)

    def _retract_orthographic(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """The tensor that differs from p + X by a normal vector, core by core from the right; second order.

        With ``A_d = G_d + E_d`` and ``E_d = dG_d R_d W_d^-1``, where ``W_(D-1) = (G_D + dG_D) V_D'`` and
        ``W_(d-1) = A_d W_d
        V_d'`` over all indices but the first of A_d, the cores ``A_1, ..., A_(D-1), G_D + dG_D`` are those of the
        retraction, up to making them left-orthogonal.
        """
        G, dG = self.split(p), self.split_vector(expanded(t, 1) * X)
        V, R = self._right_orthogonal(G)
        K = [G[-1] + dG[-1]]
        W = right(K[0]) @ transpose(right(V[-1]))
        for d in range(self.order - 2, -1, -1):
            E = transpose(solve_batch(transpose(W), transpose(R[d])))
            K.insert(0, G[d] + last(dG[d], transpose(E)))
            if d:
                W = right(last(K[0], transpose(W))) @ transpose(right(V[d - 1]))
        for d in range(self.order - 1):
            A = left(K[d])
            F = orthonormalize_frame(A @ hermitian_inverse_sqrt(transpose(A) @ A))
            K[d + 1] = first(transpose(F) @ A, K[d + 1])
            K[d] = F.reshape((*F.shape[:-2], *K[d].shape[-3:]))
        return self.join(*K, out=out)

    def _inverse_retract_orthographic(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The projection of ``q - p`` to the tangent space at p."""
        *rest, end = self._projected(p, self.low_rank(q))
        return self.join_vector(*rest, end - self.split(p)[-1], out=out)

    # ---------------- coordinates

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The entries of ``Q_d'dG_d R_d``, for block reflections that complete the cores, and of the last dG."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        G, dG = self.split(p), self.split_vector(X)
        parts = []
        for U, Z, R in zip(G, dG, self._right_orthogonal(G)[1]):
            c = frames.complement_coordinates(left(U), left(Z), 0.0 * left(Z)[..., : U.shape[-1], :])
            parts.append(frames.pack(c @ R, False))
        return self._coordinates.join([*parts, frames.pack(left(dG[-1]), False)], out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The tangent vector with these coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        G = self.split(p)
        *rest, end = self._coordinates.split(c)
        parts = []
        for U, part, R in zip(G, rest, self._right_orthogonal(G)[1]):
            F = left(U)
            B = frames.unpack(part, (F.shape[-2] - F.shape[-1], F.shape[-1]), False)
            Z = frames.complement_vector(F, low_rank.divided(B, R))
            parts.append(Z.reshape((*Z.shape[:-2], *U.shape[-3:])))
        return self.join_vector(*parts, end.reshape((*end.shape[:-1], *G[-1].shape[-3:])), out=out)

    # ---------------- embedding

    def project_point(self, z: Any) -> Array:
        """The truncated tensor-train decomposition, at most sqrt(D - 1) times as far as the nearest point.

        Raises
        ------
        ValueError
            If an unfolding of z has too low a rank (NumPy arrays only).

        References
        ----------
        I. V. Oseledets, Tensor-train decomposition, SIAM J. Sci. Comput. 33, 2011, theorem 2.2.
        """
        self._check_size(z)
        if isinstance(z, TrainTensor):
            K = _right_handed(z.cores)
        else:
            if hasattr(z, "toarray"):
                z = z.toarray()
            K = [z.reshape((*z.shape[: z.ndim - self.order], 1, self.shape[0], -1))]
        cores = []
        A = left(K[0])
        for d, r in enumerate(self.ranks):
            U, s, V = low_rank.dominant(A, r, tuple(A.shape[-2:]))
            if is_numpy(U, s) and not np.all(s[..., r - 1 :] > 0):
                raise ValueError(
                    f"unfolding {d} of z has a rank below {r} and no point of {self!r} is near; take smaller ranks"
                )
            cores.append(U.reshape((*U.shape[:-2], -1, self.shape[d], r)))
            rest = s[..., :, None] * transpose(V)
            if len(K) > 1:
                A = left(first(rest, K[d + 1]))
            else:
                A = rest.reshape((*rest.shape[:-2], r * self.shape[d + 1], -1))
        return self.join(*cores, A.reshape((*A.shape[:-2], -1, self.shape[-1], 1)))

    def _check_size(self, Z: Any) -> None:
        if tuple(Z.shape[-self.order :]) != self.shape:
            raise ValueError(f"a tensor for {self!r} must have shape {('...', *self.shape)}, not {tuple(Z.shape)}")

    def _made_tangent(self, G: Sequence[Array], R: Sequence[Array], B: Sequence[Array]) -> list[Array]:
        """``(I - G_d G_d') B_d (R_d R_d')^-1`` for all cores but the last, which stays."""
        parts = []
        for U, Z, T in zip(G, B, R):
            A, F = low_rank.divided(low_rank.divided(left(Z), transpose(T)), T), left(U)
            A = A - F @ (transpose(F) @ A)
            parts.append(A.reshape((*A.shape[:-2], *U.shape[-3:])))
        return [*parts, B[-1]]

    def _projected(self, p: Array, Z: Any) -> list[Array]:
        """``(I - G_d G_d') B_d M_d^-1``, B_d being Z contracted with all other cores, and B_D in the last core.

        References
        ----------
        C. Lubich, I. V. Oseledets, B. Vandereycken, Time integration of tensor trains, SIAM J. Numer. Anal. 53, 2015,
        section 3.
        """
        self._check_size(Z)
        G = self.split(p)
        return self._made_tangent(G, self._right_orthogonal(G)[1], sides(Z, G[:-1], G[1:]))

    def tangentialize(self, p: Array, X: Array) -> Array:
        """``dG_d - G_d G_d'dG_d`` for all cores but the last."""
        G, dG = self.split(p), self.split_vector(X)
        parts = []
        for U, Z in zip(G[:-1], dG):
            A, F = left(Z), left(U)
            A = A - F @ (transpose(F) @ A)
            parts.append(A.reshape((*A.shape[:-2], *U.shape[-3:])))
        return self.join_vector(*parts, dG[-1])

    # ---------------- derivatives

    def riemannian_gradient(self, p: Array, G: Any) -> Array:
        """The projection of G."""
        return self.project_vector(p, G)

    def riemannian_hessian(self, p: Array, G: Any, H: Any, X: Array) -> Array:
        """The projection of H plus the Weingarten map of X and the normal part of G.

        References
        ----------
        M. Psenka, N. Boumal, 2020, section 4.
        """
        return self.project_vector(p, H) + self.weingarten(p, X, G)

    def weingarten(self, p: Array, X: Array, V: Any) -> Array:
        """From ``<N, B(X, Y)>`` with the mixed second derivative B of the product of cores and the normal part N of V.

        In core d it is ``(I - G_d G_d') (L' N R' + l' N r') M_d^-1`` with the interfaces l to the left and R to the
        right of p, L and r being their derivatives along X. V need not be normal.
        """
        self._check_size(V)
        G, dG = self.split(p), self.split_vector(X)
        lefts = [stacked([[G[0], dG[0]]])]
        lefts += [stacked([[U, Z], [None, U]]) for U, Z in zip(G[1:-1], dG[1:])]
        rights = [stacked([[U, None], [Z, U]]) for U, Z in zip(G[1:-1], dG[1:])]
        rights.append(stacked([[G[-1]], [dG[-1]]]))
        _, R = self._right_orthogonal(G)
        blocks = sides(V, lefts, rights)
        tangent = self._made_tangent(G, R, [self._corner(B, d, 0, 0) for d, B in enumerate(blocks)])
        others = sides(TrainTensor(_slope(G, tangent)), lefts, rights)
        slopes = []
        for d, (B, C) in enumerate(zip(blocks, others)):
            B = B - C
            parts = []
            if d:
                parts.append(self._corner(B, d, 1, 0))
            if d < self.order - 1:
                parts.append(self._corner(B, d, 0, 1))
            slopes.append(sum(parts[1:], parts[0]))
        return self.join_vector(*self._made_tangent(G, R, slopes))

    def _corner(self, B: Array, d: int, i: int, j: int) -> Array:
        """A block of an array of sides of doubled trains."""
        a, b = self._bonds[d], self._bonds[d + 1]
        return B[..., i * a : (i + 1) * a, :, j * b : (j + 1) * b]

    def riemannian_gradient_from_storage(self, p: Array, g: Array) -> Array:
        """``(I - G_d G_d') g_d M_d^-1``, and g_D."""
        G = self.split(p)
        return self.join_vector(*self._made_tangent(G, self._right_orthogonal(G)[1], self.split(g)))

    def riemannian_hessian_from_storage(self, p: Array, g: Array, h: Array, X: Array) -> Array:
        """The projected derivative along X of the gradient field, a train of four times the ranks."""
        G, dG = self.split(p), self.split_vector(X)
        _, R = self._right_orthogonal(G)
        A = self.split_vector(self.riemannian_gradient_from_storage(p, g))
        a, b = self.split(g), self.split(h)
        M = right(G[-1]) @ transpose(right(G[-1]))
        dM = right(dG[-1]) @ transpose(right(G[-1]))
        dM = dM + transpose(dM)
        dA = [b[-1]]
        for d in range(self.order - 2, -1, -1):
            F, dF, T = left(G[d]), left(dG[d]), R[d]
            g_d, h_d = (low_rank.divided(low_rank.divided(left(x[d]), transpose(T)), T) for x in (a, b))
            slope = h_d - F @ (transpose(F) @ h_d) - dF @ (transpose(F) @ g_d) - F @ (transpose(dF) @ g_d)
            turned = left(A[d]) @ dM
            slope = slope - low_rank.divided(low_rank.divided(turned, transpose(T)), T)
            dA.insert(0, slope.reshape((*slope.shape[:-2], *G[d].shape[-3:])))
            if d:
                moved = right(last(dG[d], M)) @ transpose(right(G[d]))
                dM = right(last(G[d], dM)) @ transpose(right(G[d])) + moved + transpose(moved)
                M = right(last(G[d], M)) @ transpose(right(G[d]))
        field = _slope(G, A)
        along = [stacked([[dA[0], dG[0]]])]
        along += [stacked([[U, None], [Z, U]]) for U, Z in zip(dG[1:-1], dA[1:-1])]
        along.append(stacked([[dG[-1]], [dA[-1]]]))
        return self.join_vector(*self._projected(p, TrainTensor(_slope(field, along))))

    def storage_representer(self, p: Array, X: Array) -> Array:
        """``dG_d M_d``, and dG_D."""
        G, dG = self.split(p), self.split_vector(X)
        R = self._right_orthogonal(G)[1]
        return self.join(*(last(last(Z, transpose(T)), T) for Z, T in zip(dG, R)), dG[-1])

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Uniform left-orthogonal cores and a well-conditioned last one, as `project_point` would return them."""
        rng = np.random.default_rng(rng)
        cores = []
        for a, n, b in self._layout.shapes[:-1]:
            cores.append(frame_qf(rng.standard_normal((*size, a * n, b))).reshape((*size, a, n, b)))
        r, n, _ = self._layout.shapes[-1]
        cores.append(transpose(frame_qf(rng.standard_normal((*size, n, r))))[..., None])
        # singular values between 1 and 3, well separated, at one bond after the other: a few sweeps settle all
        wanted = [3.0 - 2.0 * (np.arange(r) + rng.uniform(0.25, 0.75, (*size, r))) / r for r in self.ranks]
        for _ in range(4):
            cores = _right_handed(cores)
            for d, s in enumerate(wanted):
                U, _, V = low_rank.svd(left(cores[d]))
                cores[d] = U.reshape((*U.shape[:-2], *cores[d].shape[-3:-1], U.shape[-1]))
                cores[d + 1] = first(s[..., :, None] * V, cores[d + 1])
        return self.project_point(TrainTensor(cores))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real and finite, the cores are left-orthogonal, and the ranks full."""
        p = frames.checked(p, "p", self.point_shape, "real", NotOnManifold)
        G = self.split(p)
        for d, U in enumerate(G[:-1]):
            low_rank.check_frame(self, left(U), f"core {d} of p as a matrix", frames.tolerance(p, atol))
        for d, R in enumerate(self._right_orthogonal(G)[1]):
            if not np.all(np.linalg.svd(R, compute_uv=False)[..., -1] > 0):
                raise NotOnManifold(
                    f"unfolding {d} of p must have rank {self.ranks[d]} on {self!r}, but it is less; take smaller "
                    "ranks, or M.project_point of the tensor"
                )

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real, finite, and all cores but the last are normal to those of p."""
        X = frames.checked(X, "X", self.vector_shape, "real", NotTangent)
        for d, (U, Z) in enumerate(zip(self.split(np.asarray(p))[:-1], self.split_vector(X))):
            low_rank.check_normal(self, left(U), left(Z), X, f"G'dG in core {d}", atol)


def _slope(G: Sequence[Array], dG: Sequence[Array]) -> list[Array]:
    """The train of the sum over the cores of the trains in which one is replaced."""
    cores = [stacked([[dG[0], G[0]]])]
    cores += [stacked([[U, None], [Z, U]]) for U, Z in zip(G[1:-1], dG[1:-1])]
    return [*cores, stacked([[G[-1]], [dG[-1]]])]


def _right_handed(cores: Sequence[Array]) -> list[Array]:
    """The cores of the same tensor, all but the first right-orthogonal; signs as they come."""
    K = list(cores)
    for d in range(len(K) - 1, 0, -1):
        M = transpose(right(K[d]))
        Q, R = low_rank.qr(M) if type(M) is np.ndarray else namespace(M).linalg.qr(M)
        K[d] = transpose(Q).reshape((*Q.shape[:-2], Q.shape[-1], *K[d].shape[-2:]))
        K[d - 1] = last(K[d - 1], R)
    return K
