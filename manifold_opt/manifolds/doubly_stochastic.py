"""Positive matrices whose rows and columns have sum 1, with the Fisher metric."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg import Array, namespace, qf, smat, svec, sym
from manifold_opt.linalg.sinkhorn import scaling_directions, sinkhorn
from manifold_opt.manifolds.arrays import cleared, default_atol, expanded, frobenius, scalar, written
from manifold_opt.manifolds.base import Manifold, real_dtype
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.frames import complement_coordinates, complement_vector
from manifold_opt.manifolds.parameters import positive_integers
from manifold_opt.manifolds.probability_simplex import check_positive, log_ratio

__all__ = ["DoublyStochastic"]

# Entries change by a factor of 1e13 at most in one step: scaling matrices of larger contrast takes too many iterations.
_LONGEST = 30.0


@dataclass(frozen=True, repr=False)
class DoublyStochastic(Manifold):
    """Positive matrices of shape (n, n) whose rows and columns have sum 1, with the metric ``sum X Y / p``.

    Parameters
    ----------
    n : int
        Rows, 2 or more.
    symmetric : bool
        Whether the matrices are symmetric as well, default False.

    Raises
    ------
    ValueError
        If n is not an integer above 1.

    Notes
    -----
    The interior of the polytope whose corners are the permutations. Exponential, logarithm and curvature have no closed
    form. The retraction ``"sinkhorn"`` scales ``p exp(X / p)`` to row and column sums 1, and has a closed inverse.
    A step changes entries by a factor of e^30 at most, and entries are kept above eps^2, where no sum notices them.
    Projections orthogonal in the metric solve one system of n equations: O(n^3). Coordinates take O(n^4).

    References
    ----------
    A. Douik, B. Hassibi, Manifold optimization over the set of doubly stochastic matrices: a second-order geometry,
    IEEE Trans. Signal Process. 67, 2019, sections III and IV.
    """

    n: int
    symmetric: bool = False

    isometric: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset(
        "inner get_coordinates get_vector project_point project_vector riemannian_gradient riemannian_hessian "
        "euclidean_representer weingarten random_point check_point check_vector".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"sinkhorn": "_retract_sinkhorn"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"sinkhorn": "_inverse_retract_sinkhorn"}
    transports: ClassVar[Mapping[str, str]] = {"projection": "_transport_projection"}
    default_retraction = "sinkhorn"
    default_inverse_retraction = "sinkhorn"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", positive_integers("n", (self.n,), self)[0])
        if self.n == 1:
            raise ValueError("n must be 2 or more for DoublyStochastic, but it is 1, where 1 is the only point")

    @property
    def dim(self) -> int:
        """``(n - 1)^2``, or ``n (n - 1) / 2`` if symmetric."""
        return self.n * (self.n - 1) // 2 if self.symmetric else (self.n - 1) ** 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Square."""
        return self.n, self.n

    def _part(self, Z: Array) -> Array:
        return sym(Z) if self.symmetric else Z

    # ---------------- metric and retraction

    def inner(self, p: Array, X: Array, Y: Array) -> Any:
        """``sum X Y / p``."""
        return scalar(frobenius(namespace(p, X, Y), X / p, Y, 2))

    def _retract_sinkhorn(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p exp(t X / p)``, exponents clipped to 30 in size, scaled to row and column sums 1."""
        xp = namespace(p, X, t)
        e = expanded(t, 2) * X / p
        return written(self._scaled(xp.log(p) + xp.maximum(xp.minimum(e, _LONGEST), -_LONGEST)), out)

    def _scaled(self, L: Array) -> Array:
        return namespace(L).maximum(self._part(sinkhorn(L)), float(np.finfo(real_dtype(L)).eps) ** 2)

    def _inverse_retract_sinkhorn(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The projection, orthogonal in the metric, of ``p log(q / p)``."""
        return written(self._orthogonal(p, p * log_ratio(p, q)), out)

    # ---------------- embedding and derivatives

    def project_point(self, z: Array) -> Array:
        """The scaling of z to row and column sums 1; entries below eps times the largest are raised to that.

        Raises
        ------
        ValueError
            If no entry is positive.
        """
        xp = namespace(z)
        z = self._part(z)
        top = xp.max(xp.max(z, axis=-1), axis=-1)[..., None, None]
        if xp is np and not np.all(top > 0):
            raise ValueError(
                "project_point on doubly stochastic matrices needs a positive entry of z, but there is none"
            )
        return self._scaled(xp.log(xp.maximum(z, float(np.finfo(real_dtype(z)).eps) * top)))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """Z less the means of its rows and columns, orthogonal in the embedding."""
        xp = namespace(p, Z)
        Z = self._part(Z) + 0.0 * p
        Z = Z - xp.mean(Z, axis=-1)[..., None]
        return Z - xp.mean(Z, axis=-2)[..., None, :]

    def _normal(self, p: Array, Z: Array) -> Array:
        """The part ``a 1' + 1 b'`` of which p times has the row and column sums of Z."""
        xp = namespace(p, Z)
        a, b = scaling_directions(p, xp.sum(Z, axis=-1), xp.sum(Z, axis=-2))
        return a[..., :, None] + b[..., None, :]

    def _orthogonal(self, p: Array, Z: Array) -> Array:
        """The projection orthogonal in the metric, ``Z - (a 1' + 1 b') p``."""
        Z = self._part(Z)
        # near the boundary the sums are right only to rounding over the distance to it
        return self.project_vector(p, Z - p * self._normal(p, Z))

    def riemannian_gradient(self, p: Array, G: Array) -> Array:
        """``P(p G)`` with the projection P orthogonal in the metric."""
        return self._orthogonal(p, p * G)

    def riemannian_hessian(self, p: Array, G: Array, H: Array, X: Array) -> Array:
        """``P(p H + X S / 2)`` where the gradient is ``p S``."""
        G = self._part(G)
        S = G - self._normal(p, p * G)
        return self._orthogonal(p, p * H + 0.5 * X * S)

    def euclidean_representer(self, p: Array, X: Array) -> Array:
        """``X / p``, projected in the embedding."""
        return self.project_vector(p, X / p)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: the set is flat in the embedding, whose metric is another than this one."""
        return 0.0 * X

    # ---------------- coordinates

    # Vectors of entries on which row and column sums are independent in the first ones: then the block reflection of
    # their normals is well conditioned. The diagonal of symmetric matrices, the first row and column of others.

    def _entries(self, A: Array) -> Array:
        return svec(A) if self.symmetric else A.reshape(tuple(A.shape[:-2]) + (self.n**2,))[..., _star(self.n)[0]]

    def _matrix(self, w: Array) -> Array:
        return smat(w) if self.symmetric else w[..., _star(self.n)[1]].reshape(tuple(w.shape[:-1]) + self.point_shape)

    def _frame(self, p: Array) -> tuple[Array, Array]:
        """The root s of p, and an orthonormal frame of what is normal to ``X / s``: s times a row or a column."""
        s = namespace(p).sqrt(p)
        lines = namespace(p).asarray(_lines(self.n, self.symmetric), dtype=p.dtype)
        return s, qf(self._entries(s[..., None, :, :] * lines).swapaxes(-1, -2))

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Orthonormal coordinates by a block reflection that takes the normals of ``X / sqrt(p)`` to the first axes."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        s, U = self._frame(p)
        w = self._entries(X / s)[..., None]
        return written(complement_coordinates(U, w, 0.0 * (U.swapaxes(-1, -2) @ w))[..., 0], out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The vector with these orthonormal coordinates, in O(n^4)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        s, U = self._frame(p)
        return written(s * self._matrix(complement_vector(U, c[..., None])[..., 0]), out)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """The scaling of independent uniform numbers."""
        z = np.random.default_rng(rng).uniform(np.finfo(float).eps, 1.0, (*size, self.n, self.n))
        return self._scaled(np.log(self._part(z)))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is real, finite and positive with row and column sums 1 (and symmetric)."""
        p = check_positive(cleared(p, "p", self.point_shape, NotOnManifold), self)
        self._check_sums(p, "p", 1.0, atol, NotOnManifold, "M.project_point(p)")

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is real and finite with row and column sums 0 (and symmetric)."""
        X = cleared(X, "X", self.point_shape, NotTangent)
        if X.dtype.kind == "c":
            raise NotTangent(f"X must be real, but its dtype is {X.dtype}; take its real part")
        self._check_sums(X, "X", 0.0, atol, NotTangent, "M.project_vector(p, X)")

    def _check_sums(
        self, a: Array, name: str, total: float, atol: float | None, error: type[ValueError], cure: str
    ) -> None:
        atol = (default_atol(a) if atol is None else atol) * max(1.0, float(np.max(np.abs(a), initial=0.0)))
        for what, axis in (("rows", -1), ("columns", -2)):
            off = float(np.max(np.abs(np.sum(a, axis=axis) - total), initial=0.0))
            if not off <= atol:
                raise error(
                    f"the {what} of {name} must have sum {total:.0f} on {self!r}, but one is off by {off:.3g} "
                    f"(tolerance {atol:.3g}); project it with {cure}"
                )
        if self.symmetric:
            off = float(np.max(np.abs(a - a.swapaxes(-1, -2)), initial=0.0))
            if not off <= atol:
                raise error(
                    f"{name} must be symmetric on {self!r}, but {name} - {name}' has an entry {off:.3g} (tolerance "
                    f"{atol:.3g}); project it with {cure}"
                )


@functools.lru_cache(maxsize=64)
def _star(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The order of entries with the first row, then the first column, in front, and its inverse."""
    place = np.arange(n * n).reshape(n, n)
    order = np.concatenate([place[0], place[1:, 0], place[1:, 1:].ravel()])
    return order, np.argsort(order)


@functools.lru_cache(maxsize=64)
def _lines(n: int, symmetric: bool) -> np.ndarray:
    """Matrices with ones in one row, and in one column but the last, whose sum follows; half of both if symmetric."""
    rows = np.broadcast_to(np.eye(n)[:, :, None], (n, n, n))
    columns = rows.swapaxes(-1, -2)
    return 0.5 * (rows + columns) if symmetric else np.concatenate([rows, columns[:-1]])
