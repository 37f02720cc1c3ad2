"""Linear subspaces of matrices: symmetric, skew-symmetric, Hermitian, centered."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manifold_opt.linalg.namespace import Array, adjoint, namespace
from manifold_opt.linalg.symmetric import smat, svec
from manifold_opt.manifolds.arrays import default_atol, expanded, written
from manifold_opt.manifolds.flat import FlatSpace
from manifold_opt.manifolds.frames import skew_coordinates, skew_from_coordinates
from manifold_opt.manifolds.parameters import positive_integers, real_or_complex

__all__ = ["Centered", "Hermitian", "LinearSubspace", "SkewSymmetric", "Symmetric"]


class LinearSubspace(FlatSpace):
    """A linear subspace of real or complex arrays, with the Frobenius metric.

    A subclass gives ``dim``, ``point_shape``, ``project_point``, the word for its arrays (``rule``), and
    coordinates without choices, ``_coordinates(X)`` and ``_vector(c)``.
    """

    rule: ClassVar[str]

    @abstractmethod
    def project_point(self, z: Array) -> Array:
        """The nearest array of the subspace."""

    def project_vector(self, p: Array, Z: Array) -> Array:
        """The nearest array of the subspace."""
        return self.project_point(Z)

    @abstractmethod
    def _coordinates(self, X: Array) -> Array: ...

    @abstractmethod
    def _vector(self, c: Array) -> Array: ...

    def get_coordinates(self, p: Array, X: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """Orthonormal coordinates, in the order that the class tells."""
        if basis is not None:
            return super().get_coordinates(p, X, basis, out=out)
        return written(self._coordinates(X), out)

    def get_vector(self, p: Array, c: Array, basis: Any = None, *, out: Array | None = None) -> Array:
        """The array with these orthonormal coordinates."""
        if basis is not None:
            return super().get_vector(p, c, basis, out=out)
        return written(self._vector(c), out)

    def _checked(self, a: Array, name: str, atol: float | None, error: type[ValueError]) -> Array:
        a = super()._checked(a, name, atol, error)
        atol = default_atol(a) if atol is None else atol
        size = max(1.0, float(np.max(np.abs(a), initial=0.0)))
        off = float(np.max(np.abs(self.project_point(a) - a), initial=0.0))
        if not off <= atol * size:
            raise error(
                f"{name} must be {self.rule} for {self!r}, but projecting it moves an entry by {off:.3g} (tolerance "
                f"{atol * size:.3g}); project it with M.project_point({name})"
            )
        return a


class _Square(LinearSubspace):
    """Square matrices equal to plus or minus their (conjugate) transpose."""

    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", positive_integers("n", (self.n,), self)[0])

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Square."""
        return self.n, self.n


@dataclass(frozen=True, repr=False)
class Symmetric(_Square):
    """Real symmetric matrices of shape (n, n), with the Frobenius metric.

    Parameters
    ----------
    n : int
        Rows.

    Notes
    -----
    Coordinates: the diagonal, then sqrt(2) times the strict lower triangle row by row.
    """

    n: int
    rule: ClassVar[str] = "symmetric"

    @property
    def dim(self) -> int:
        """``n (n + 1) / 2``."""
        return self.n * (self.n + 1) // 2

    def project_point(self, z: Array) -> Array:
        """The symmetric part."""
        return 0.5 * (z + z.swapaxes(-1, -2))

    def _coordinates(self, X: Array) -> Array:
        return svec(X)

    def _vector(self, c: Array) -> Array:
        return smat(c)


@dataclass(frozen=True, repr=False)
class SkewSymmetric(_Square):
    """Real skew-symmetric, or complex skew-Hermitian, matrices of shape (n, n), with the metric ``Re <X, Y>``.

    Parameters
    ----------
    n : int
        Rows; 2 or more for real matrices.
    field : {"real", "complex"}
        Complex ones are skew-Hermitian.

    Raises
    ------
    ValueError
        If n is not a positive integer, or 1 and the field real.

    Notes
    -----
    Coordinates: sqrt(2) times the strict lower triangle row by row; for complex matrices the imaginary diagonal, then
    sqrt(2) times the real parts, then the imaginary parts, of that triangle.
    """

    n: int
    field: str = "real"
    rule: ClassVar[str] = "skew-symmetric (skew-Hermitian)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if real_or_complex(self.field) == "real" and self.n == 1:
            raise ValueError("n must be 2 or more for real SkewSymmetric, but it is 1, where zero is the only matrix")

    @property
    def dim(self) -> int:
        """``n (n - 1) / 2``, or ``n^2`` if complex."""
        return self.n**2 if self.field == "complex" else self.n * (self.n - 1) // 2

    def project_point(self, z: Array) -> Array:
        """The skew part."""
        return 0.5 * (z - adjoint(z))

    def _coordinates(self, X: Array) -> Array:
        return skew_coordinates(X, self.field == "complex")

    def _vector(self, c: Array) -> Array:
        return skew_from_coordinates(c, self.n, self.field == "complex")


@dataclass(frozen=True, repr=False)
class Hermitian(_Square):
    """Complex Hermitian matrices of shape (n, n), with the metric ``Re <X, Y>``.

    Parameters
    ----------
    n : int
        Rows.

    Notes
    -----
    Coordinates: those of the skew-Hermitian i X, that is, the diagonal, then sqrt(2) times minus the imaginary parts of
    the strict lower triangle row by row, then sqrt(2) times its real parts. The dimension is n^2.
    """

    n: int
    field = "complex"
    rule: ClassVar[str] = "Hermitian"

    @property
    def dim(self) -> int:
        """``n^2``."""
        return self.n**2

    def project_point(self, z: Array) -> Array:
        """The Hermitian part."""
        return 0.5 * (z + adjoint(z))

    def _coordinates(self, X: Array) -> Array:
        return skew_coordinates(1j * X, True)

    def _vector(self, c: Array) -> Array:
        return -1j * skew_from_coordinates(c, self.n, True)


@dataclass(frozen=True, repr=False)
class Centered(LinearSubspace):
    """Real matrices of shape (m, n) whose columns have the sum zero: n points of R^m around their center.

    Parameters
    ----------
    m, n : int
        Rows and columns; the mean of the columns is zero.

    Raises
    ------
    ValueError
        If m or n is not a positive integer, or n is 1.

    Notes
    -----
    Coordinates: a Householder reflection of the columns takes ``(1, ..., 1)`` to the last axis, which is left out; row
    by row. Everything is O(m n).
    """

    m: int
    n: int
    rule: ClassVar[str] = "centered (the mean of its columns zero)"

    def __post_init__(self) -> None:
        m, n = positive_integers("the shape", (self.m, self.n), self)
        object.__setattr__(self, "m", m)
        object.__setattr__(self, "n", n)
        if n == 1:
            raise ValueError("n, the number of columns of Centered, must be 2 or more, but it is 1")

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Rows, columns."""
        return self.m, self.n

    @property
    def dim(self) -> int:
        """``m (n - 1)``."""
        return self.m * (self.n - 1)

    def exp(self, p: Array, X: Array, t: Any = 1.0, *, out: Array | None = None) -> Array:
        """``p + t X``, centered, since rounding of the sum would grow from step to step."""
        return written(self.project_point(p + expanded(t, 2) * X), out)

    def project_point(self, z: Array) -> Array:
        """The columns less their mean."""
        return z - namespace(z).mean(z, axis=-1)[..., None]

    # The reflection I - v v' / (1 + r) with v = r 1 + e_n and r = 1 / sqrt(n) takes 1 / sqrt(n) to -e_n.

    def _coordinates(self, X: Array) -> Array:
        r = 1.0 / math.sqrt(self.n)
        # v' x is the last entry, since the sum is zero
        c = X[..., :-1] - (r / (1.0 + r)) * X[..., -1:]
        return c.reshape(tuple(c.shape[:-2]) + (self.dim,))

    def _vector(self, c: Array) -> Array:
        xp = namespace(c)
        r = 1.0 / math.sqrt(self.n)
        c = c.reshape(tuple(c.shape[:-1]) + (self.m, self.n - 1))
        along = r * xp.sum(c, axis=-1)[..., None]
        return xp.concatenate([c - (r / (1.0 + r)) * along, -along], axis=-1)
