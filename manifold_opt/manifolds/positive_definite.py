"""What all geometries of positive definite matrices share: the set, its checks, its projections."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from manifold_opt.linalg import lapack
from manifold_opt.linalg.frames import hermitian, hermitian_exp
from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, namespace
from manifold_opt.linalg.small import cholesky, solve_triangular
from manifold_opt.linalg.symmetric import smat, svec
from manifold_opt.manifolds.arrays import cleared, default_atol, frobenius
from manifold_opt.manifolds.base import Manifold, real_dtype
from manifold_opt.manifolds.errors import NotOnManifold, NotTangent
from manifold_opt.manifolds.frames import skew_coordinates, skew_from_coordinates
from manifold_opt.manifolds.parameters import positive_integers

__all__ = [
    "PositiveDefinite",
    "check_definite",
    "check_hermitian",
    "diagonal",
    "gram",
    "hermitian_coordinates",
    "hermitian_matrix",
    "solved",
    "whitened",
]

_DOUBLE, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)


class PositiveDefinite(Manifold):
    """An open set of symmetric or Hermitian matrices, those with positive eigenvalues; a subclass gives the metric."""

    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", positive_integers("n, the size of the matrices", (self.n,), self)[0])

    @property
    def dim(self) -> int:
        """The number of real numbers on and below the diagonal: ``n (n + 1) / 2``, complex ``n^2``."""
        return self.n**2 if self.field == "complex" else self.n * (self.n + 1) // 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Square matrices."""
        return (self.n, self.n)

    def coincidence_tolerance(self, p: Array, q: Array) -> Any:
        """8 eps times a bound of the condition of p, ``|p| |p^-1|`` in Frobenius norms."""
        xp = namespace(p)
        L = cholesky(p)
        inverse = solve_triangular(L, xp.eye(self.n, dtype=p.dtype) + xp.zeros_like(L))
        size = xp.sqrt(frobenius(xp, p, p, 2)) * frobenius(xp, inverse, inverse, 2)
        return 8.0 * float(np.finfo(real_dtype(p)).eps) * size

    def project_point(self, z: Array) -> Array:
        """The symmetric part with eigenvalues below sqrt(eps) times the largest raised to that.

        The set is open, so there is no nearest point; this one is as near as a usable condition number
        allows.

        Raises
        ------
        ValueError
            If no eigenvalue is positive.
        """
        xp = namespace(z)
        w, V = xp.linalg.eigh(hermitian(z))
        top = w[..., -1:]
        if xp is np and not np.all(top > 0):
            raise ValueError(
                "project_point on positive definite matrices needs a positive eigenvalue, but the largest one of z is "
                f"{np.min(top):.3g}; shift z by a multiple of the identity"
            )
        w = xp.maximum(w, math.sqrt(np.finfo(real_dtype(z)).eps) * top)
        return hermitian((V * w[..., None, :]) @ adjoint(V))

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The symmetric part."""
        return hermitian(Z)

    def tangentialize(self, p: Array, X: Array) -> Array:
        """The symmetric part."""
        return hermitian(X)

    def weingarten(self, p: Array, X: Array, V: Array) -> Array:
        """Zero: the symmetric matrices are flat in the embedding, whose metric is another than this one."""
        return 0.0 * hermitian(V + X)

    def random_point(self, rng: Any = None, size: tuple[int, ...] = ()) -> Array:
        """``expm(S)`` for a symmetric S with independent normal coordinates of variance 1/n.

        The distribution is centered at the identity and does not change under rotations; the condition is
        moderate for every n.
        """
        c = np.random.default_rng(rng).standard_normal((*size, self._size_of_all)) / math.sqrt(self.n)
        return gram(hermitian_exp(0.5 * self._matrix(c)))

    @property
    def _size_of_all(self) -> int:
        """The dimension of all symmetric matrices."""
        return PositiveDefinite.dim.fget(self)  # type: ignore[attr-defined]

    def _coordinates(self, S: Array) -> Array:
        return hermitian_coordinates(S, self.field)

    def _matrix(self, c: Array) -> Array:
        return hermitian_matrix(c, self.n, self.field)

    def check_point(self, p: Array, atol: float | None = None) -> None:
        """Raise unless p is of the field, finite, symmetric (Hermitian) and positive definite."""
        p = cleared(p, "p", self.point_shape, NotOnManifold)
        check_hermitian(self, p, "p", atol, NotOnManifold, "M.project_point(p)")
        check_definite(self, p)

    def check_vector(self, p: Array, X: Array, atol: float | None = None) -> None:
        """Raise unless X is of the field, finite and symmetric (Hermitian)."""
        X = cleared(X, "X", self.vector_shape, NotTangent)
        check_hermitian(self, X, "X", atol, NotTangent, "M.project_vector(p, X)")


def hermitian_coordinates(S: Array, field: str) -> Array:
    """Orthonormal coordinates: diagonal, sqrt(2) times lower triangle; of complex matrices those of `Hermitian`."""
    return skew_coordinates(1j * S, True) if field == "complex" else svec(S)


def hermitian_matrix(c: Array, n: int, field: str) -> Array:
    """The symmetric or Hermitian matrix with these coordinates."""
    return -1j * skew_from_coordinates(c, n, True) if field == "complex" else smat(c)


def check_hermitian(M: Manifold, a: Array, name: str, atol: float | None, error: type[ValueError], cure: str) -> None:
    """Raise unless the matrices are of the field of M and symmetric or Hermitian."""
    if a.dtype.kind == "c" and M.field == "real":
        raise error(f"{name} must be real, but its dtype is {a.dtype}; take its real part")
    atol = default_atol(a) if atol is None else atol
    size = np.max(np.abs(a), initial=0.0)
    off = np.max(np.abs(a - adjoint(a)), initial=0.0)
    if not off <= atol * size:
        rule, mark = ("symmetric", "'") if M.field == "real" else ("Hermitian", "^H")
        raise error(
            f"{name} must be {rule}, but {name} - {name}{mark} has an entry {off:.3g} (tolerance {atol * size:.3g}); "
            f"symmetrize it with {cure}"
        )


def check_definite(M: Manifold, p: Array) -> None:
    """Raise unless the symmetric or Hermitian matrices are positive definite."""
    w = np.linalg.eigvalsh(p)
    low = w[..., 0].min(initial=np.inf)
    if not low > 0:
        raise NotOnManifold(
            f"p must be positive definite to be a point of {M!r}, but its smallest eigenvalue is {low:.3g} "
            f"(the largest is {w.max():.3g}); M.project_point(p) raises eigenvalues, or add a multiple of the "
            "identity"
        )


def gram(A: Array) -> Array:
    """``A A^H``, exactly symmetric: BLAS does that for one real matrix."""
    if type(A) is np.ndarray and A.ndim == 2 and A.dtype.kind != "c":
        return A.dot(A.T)
    return hermitian(A @ adjoint(A))


def solved(L: Array, X: Array, adjoint: bool = False) -> Array:
    """``L^-1 X``, or ``L^-H X``, whatever the batch axes."""
    if namespace(L, X) is not np:
        L, X = broadcast_batch(2, L, X)
    return solve_triangular(L, X, adjoint=adjoint)


def whitened(L: Array, X: Array) -> Array:
    """``L^-1 X L^-H``."""
    if type(L) is np.ndarray and type(X) is np.ndarray and L.ndim == 2 == X.ndim:
        if L.dtype is _DOUBLE and X.dtype is _DOUBLE:
            return lapack.dtrtrs(L, lapack.dtrtrs(L, X, lower=1)[0].T, lower=1)[0]
        if L.dtype is _COMPLEX and X.dtype is _COMPLEX:
            return lapack.ztrtrs(L, lapack.ztrtrs(L, X, lower=1)[0].conj().T, lower=1)[0]
    return solved(L, adjoint(solved(L, X)))


def diagonal(A: Array) -> Array:
    """The diagonals of square matrices."""
    if type(A) is np.ndarray:
        return A.diagonal(axis1=-2, axis2=-1)
    every = np.arange(A.shape[-1])
    return A[..., every, every]
