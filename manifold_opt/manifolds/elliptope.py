"""Correlation matrices of fixed rank."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.frames import frame_qf
from manifold_opt.linalg.namespace import Array, adjoint, is_numpy, namespace
from manifold_opt.manifolds import frames
from manifold_opt.manifolds.arrays import frobenius, written
from manifold_opt.manifolds.errors import NotOnManifold
from manifold_opt.manifolds.factor_quotient import SphericalFactors
from manifold_opt.manifolds.identified import paired, unpaired
from manifold_opt.manifolds.sphere import Sphere, angle_over_sine
from manifold_opt.manifolds.stiefel_log import implicit_log, plain_values

__all__ = ["Elliptope"]

# For angles of 0.3 about 15 are needed, for angles of 1 some 100.
_ITERATIONS = 500


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
    The quotient of the product of the n spheres of rows. Geodesics are great circles of every row. Their logarithm, and
    the inverse of the projection retraction, are found by iteration, to rounding. Every operation is O(n k^2) but the
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
        "inner exp log get_coordinates get_vector project_point project_vector tangentialize riemannian_gradient "
        "riemannian_hessian weingarten random_point check_point check_vector sectional_curvature_bounds".split()
    )
    retractions: ClassVar[Mapping[str, str]] = {"exponential": "exp", "projection": "_retract_projection"}
    inverse_retractions: ClassVar[Mapping[str, str]] = {
        "exponential": "log",
        "logarithmic": "log",
        "projection": "_inverse_retract_projection",
    }
    default_retraction = "projection"
    default_inverse_retraction = "projection"
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

    # ---------------- inverses, by iteration

    # The vector ``w (q Q - p)``, its rows made tangent and weighed by the angle over its sine, or by 1 over the cosine,
    # leads to q. It is horizontal where Q is the turn that brings the rows nearest when they have these weights, which
    # depend on Q in turn, but little: for angles t the iteration shrinks its error by the order of t^2.

    def log(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """The horizontal vector of a geodesic to a factor of q, by iteration to rounding, from the nearest factor.

        Where several geodesics lead to q it is the one that this finds, which need not be the shortest.

        Raises
        ------
        ValueError
            If the iteration does not settle: q is too far.
        """
        return written(self._inverted(angle_over_sine, self.exp, p, q), out)

    def _inverse_retract_projection(self, p: Array, q: Array, *, out: Array | None = None) -> Array:
        """By iteration to rounding; ValueError if q is out of reach, or too far for it."""
        return written(self._inverted(_secant, self._retract_projection, p, q), out)

    def _inverted(self, weigh: Callable[..., Array], move: Callable[..., Array], p: Array, q: Array) -> Array:
        if is_numpy(p, q):
            return self._matched(weigh, p, q)[0]

        def inverse(p: Array, q: Array) -> Array:
            return self._matched(weigh, p, q)[0]

        start, end = plain_values(p), plain_values(q)
        turn = self._turn(self._matched(weigh, start, end)[1], end)
        return implicit_log(self, p, q @ namespace(p, q).asarray(turn), inverse, move)

    def _matched(self, weigh: Callable[..., Array], p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vector, and the factor of q that it leads to."""
        eps = float(np.finfo(p.dtype).eps)
        E = self._nearest_difference(p, q)
        last = math.inf
        for _ in range(_ITERATIONS):
            along = self._dot(p, E)
            Y = E - along * p
            w = weigh(np, self._dot(Y, Y), 1.0 + along)
            if not np.all((w > 0.0) & np.isfinite(w)):
                break
            root = np.sqrt(w)
            before, E = E, self._nearest_difference(root * p, root * q, root * (q - p)) / root
            change, size = (np.max(np.abs(a), axis=(-2, -1)) for a in (E - before, E))
            worst = float(np.max(change, initial=0.0))
            # relative to a small difference; absolute where q had to be turned, and rounding is that of q
            if np.all(change <= 8.0 * eps * size) or (worst <= 64.0 * eps and worst >= 0.5 * last):
                return self.project_vector(p, w * Y), p + E
            last = worst
        raise ValueError(
            f"no tangent vector found that leads to q on {self!r}: q is too far from p; go there in several steps"
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


def _secant(xp: Any, s2: Array, c: Array) -> Array:
    """One over the cosine, for the projection retraction; where that is not positive, no weight."""
    return xp.where(c > 0.0, 1.0 / xp.where(c > 0.0, c, 1.0), -1.0)
