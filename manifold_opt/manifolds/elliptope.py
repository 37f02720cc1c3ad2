"""Correlation matrices of fixed rank."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import frame_qf
from manifold_opt.linalg.namespace import Array, adjoint, namespace
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import frobenius, written
from manifold_opt.manifolds.errors import NotOnManifold
from manifold_opt.manifolds.factor_quotient import SphericalFactors
from manifold_opt.manifolds.identified import paired, unpaired
from manifold_opt.manifolds.sphere import Sphere

__all__ = ["Elliptope"]


@dataclass(frozen=True, repr=False)
class Elliptope(SphericalFactors):
    """The correlation matrices of rank k, positive semidefinite (n, n) matrices with ones on the diagonal, as factors.

    A point is an (n, k) matrix p of rank k whose rows have length 1; it stands for ``p p^H``, and so does ``p Q`` with
    unitary Q. A tangent vector is horizontal: an (n, k) matrix X whose rows are orthogonal to those of p, ``Re
    diag(X p^H) = 0``, with ``p^H X`` Hermitian. At the factor ``p Q`` it is ``X Q``.

    Parameters
    ----------
    n, k : int
        Size and rank of the matrices, ``k <= n``; k of real ones is at least 2.
    field : {"real", "complex"}
        What the entries are.

    Raises
    ------
    ValueError
        If the sizes are not ``1 <= k <= n``, the dimension is zero, or the field is unknown.

    Notes
    -----
    The quotient of the product of the n spheres of rows. Geodesics are great circles of every row. There is no
    logarithm in closed form; the projection retraction is inverted by iteration. Every operation is O(n k^2) but the
    coordinates, which factorize a matrix of n (k - 1) rows and k (k - 1) / 2 columns, O(n k^5).

    A cost must depend on ``p p^H`` only. With the Euclidean gradient G of it at ``p p^H`` its Euclidean gradient at p
    is ``2 G p``. For matrices of full rank see `Correlation`.

    References
    ----------
    M. Journée, F. Bach, P.-A. Absil, R. Sepulchre, Low-rank optimization on the cone of positive semidefinite matrices,
    SIAM J. Optim. 20, 2010. N. Boumal, V. Voroninski, A. S. Bandeira, Deterministic guarantees for Burer-Monteiro
    factorizations of smooth semidefinite programs, Comm. Pure Appl. Math. 73, 2020.
    """

    n: int
    k: int
    field: str = "real"

    operations: ClassVar[frozenset[str]] = frozenset(
        "inner exp get_coordinates get_vector project_point project_vector tangentialize riemannian_gradient "
        "riemannian_hessian weingarten random_point check_point check_vector sectional_curvature_bounds".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "_retract_projection"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {"iterative": "_inverse_retract_iterative"}
    default_retraction = "projection"
    default_inverse_retraction = "iterative"
    _rule: ClassVar[str] = "rows orthogonal to those of p and p^H X Hermitian"

    def __post_init__(self) -> None:
        if self.k == 1 and self.field == "real":
            raise ValueError("k, the rank of the matrices of a real Elliptope, must be at least 2, but it is 1")
        super().__post_init__()

    @property
    def dim(self) -> int:
        """``n (k - 1) - k (k - 1) / 2``, complex ``n (2 k - 1) - k^2``."""
        return self._entries - self.n - self._turns

    @property
    def sectional_curvature_bounds(self) -> tuple[float, float]:
        """From 0, as products of spheres, up without bound towards lower rank."""
        return (0.0, math.inf) if self.dim > 1 and self.k > 1 else (0.0, 0.0)

    def _retract_default(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        return self._retract_projection(p, X, t, out=out)

    def _dot(self, A: Array, B: Array) -> Array:
        if type(A) is type(B) is np.ndarray and not self._complex:
            return np.einsum("...j,...j->...", A, B)[..., None]
        return frobenius(namespace(A, B), A, B, 1)[..., None]

    def _inverse_retract_iterative(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """``diag(a) q Q - p``, by turns: a makes its rows orthogonal to those of p, Q makes it horizontal.

        Raises
        ------
        ValueError
            If q is out of reach, or so far that the iteration does not settle.
        """
        eps = float(np.finfo(p.dtype).eps)
        Q = self._turn(p, q)
        for _ in range(500):
            cosine = self._dot(p, q @ Q)
            if not np.all(cosine > 0.0):
                break
            before, Q = Q, self._turn(p, (q @ Q) / cosine @ adjoint(Q))
            if np.max(np.abs(Q - before), initial=0.0) <= 8.0 * eps:
                q = q @ Q
                return written(self.project_vector(p, q / self._dot(p, q) - p), out)
        raise ValueError(
            f"no tangent vector found whose retraction on {self!r} is q: q is too far from p; go there in several steps"
        )

    # ---------------- coordinates

    # Rows have the coordinates of their spheres; the turns of the columns span a subspace of these, and a block
    # reflection that completes it gives coordinates of its complement. The reflection is smooth where the first entries
    # tell the turns apart, which coordinates of one row cannot: those of the first row leave the turns around it, of
    # which those of the second leave fewer, and so on. These are put in front.

    @functools.cached_property
    def _sphere(self) -> Sphere:
        return Sphere((2 if self._complex else 1) * self.k - 1)

    def _row_coordinates(self, p: Array, X: Array) -> Array:
        c = self._sphere.get_coordinates(self._rows(p), self._rows(X))
        return c.reshape((*c.shape[:-2], c.shape[-2] * c.shape[-1]))[..., self._order]

    @functools.cached_property
    def _order(self) -> np.ndarray:
        """The coordinates of the rows, those that tell the turns apart first."""
        size, step = self._sphere.n, 2 if self._complex else 1
        place = np.arange(self.n * size).reshape(self.n, size)
        first = np.arange(size) < size - step * np.arange(self.n)[:, None]
        return np.concatenate([place[first], place[~first]])

    def _rows(self, a: Array) -> Array:
        return paired(a) if self._complex else a

    def _vertical_frame(self, p: Array) -> Array:
        """An orthonormal frame of the vertical space, in coordinates of the rows, as columns."""
        xp = namespace(p)
        turns = frames.skew_from_coordinates(np.eye(self._turns), self.k, self._complex)
        turns = xp.asarray(turns.astype(p.dtype, copy=False) if xp is np else turns)
        P = p[..., None, :, :]
        rows = self._row_coordinates(P + 0.0 * (P @ turns), P @ turns)
        return frame_qf(rows.swapaxes(-1, -2))

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Orthonormal coordinates by the coordinates of the rows: O(n k^5)."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        c = self._row_coordinates(p, X)[..., None]
        if self._turns:
            U = self._vertical_frame(p)
            c = frames.complement_coordinates(U, c, adjoint(U) @ c)
        return written(c[..., 0], out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The horizontal vector with these coordinates: O(n k^5)."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        c = c[..., None]
        if self._turns:
            c = frames.complement_vector(self._vertical_frame(p), c)
        c = c[..., np.argsort(self._order), 0]
        c = c.reshape((*c.shape[:-1], self.n, self._sphere.n))
        X = self._sphere.get_vector(self._rows(p), c)
        return written(unpaired(X) if self._complex else X, out)

    # ---------------- random and checks

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """Rows uniform on the sphere."""
        return self._unit(frames.gaussian(rng, (*size, self.n, self.k), self.field))

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is finite, of the field, of rank k and its rows have length 1."""
        super().check_point(p, atol)
        p = np.asarray(p)
        atol = frames.tolerance(p, atol)
        off = float(np.max(np.abs(np.linalg.norm(p, axis=-1) - 1.0), initial=0.0))
        if not off <= atol:
            raise NotOnManifold(
                f"p must have rows of length 1 to be a point of {self!r}, but a length is off by {off:.3g} (tolerance "
                f"{atol:.3g}); divide by them with M.project_point(p)"
            )
