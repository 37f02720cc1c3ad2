"""Products of unit spheres in the form of one array: matrices with unit columns, unit complex numbers, unit arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from manifold_opt.linalg.namespace import Array
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.identified import Identified, paired, unpaired
from manifold_opt.manifolds.parameters import positive_integers, real_or_complex
from manifold_opt.manifolds.power import PowerManifold
from manifold_opt.manifolds.sphere import Sphere

__all__ = ["ArraySphere", "ComplexCircle", "Oblique"]


@dataclass(frozen=True, repr=False)
class Oblique(Identified):
    """Matrices of shape (m, n) whose n columns have length 1, with the Frobenius metric: a product of n spheres.

    Parameters
    ----------
    m, n : int
        Rows and columns.
    field : {"real", "complex"}
        Complex columns have length 1 in C^m, and the inner product is ``Re <X, Y>``.

    Raises
    ------
    ValueError
        If m or n is not a positive integer, or m is 1 and the field real.

    Notes
    -----
    The transpose is a point of the power of a sphere, and all operations are done there in one batch. Coordinates are
    those of the columns, one after the other.

    References
    ----------
    P.-A. Absil, K. A. Gallivan, Joint diagonalization on the oblique manifold for independent component analysis,
    ICASSP 2006.
    """

    m: int
    n: int
    field: str = "real"

    def __post_init__(self) -> None:
        m, n = positive_integers("the shape", (self.m, self.n), self)
        object.__setattr__(self, "m", m)
        object.__setattr__(self, "n", n)
        if real_or_complex(self.field) == "real" and m == 1:
            raise ValueError("m, the number of rows, must be 2 or more on a real Oblique, but it is 1")

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Rows, columns."""
        return self.m, self.n

    @cached_property
    def model(self) -> Manifold:
        """Columns as copies of a real sphere."""
        return PowerManifold(Sphere(self.m * (2 if self.field == "complex" else 1) - 1), self.n)

    def _to(self, a: Array) -> Array:
        a = a.swapaxes(-1, -2)
        return paired(a) if self.field == "complex" else a

    def _back(self, a: Array) -> Array:
        return (unpaired(a) if self.field == "complex" else a).swapaxes(-1, -2)


@dataclass(frozen=True, repr=False)
class ComplexCircle(Identified):
    """Arrays of n complex numbers of absolute value 1, with the inner product ``Re <X, Y>``.

    Parameters
    ----------
    n : int
        How many, default 1.

    Raises
    ------
    ValueError
        If n is not a positive integer.

    Notes
    -----
    Each number is a point of the circle in the plane of real and imaginary parts. Distances are angles in radians. A
    vector at p is ``i theta p`` with real theta, and its coordinates are theta up to sign.

    References
    ----------
    N. Boumal, Nonconvex phase synchronization, SIAM J. Optim. 26, 2016, section 3.
    """

    n: int = 1
    field = "complex"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", positive_integers("n", (self.n,), self)[0])

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One axis."""
        return (self.n,)

    @cached_property
    def model(self) -> Manifold:
        """Copies of the circle in the plane."""
        return PowerManifold(Sphere(1), self.n)

    def _to(self, a: Array) -> Array:
        pairs = paired(a)
        return pairs.reshape(tuple(pairs.shape[:-1]) + (self.n, 2))

    def _back(self, a: Array) -> Array:
        return unpaired(a)[..., 0]


@dataclass(frozen=True, init=False, repr=False)
class ArraySphere(Identified):
    """Arrays of any shape, real or complex, with Frobenius norm 1.

    Parameters
    ----------
    *shape : int
        ``ArraySphere(m, n)`` are matrices of norm 1; ``ArraySphere(n, field="complex")`` is the sphere of C^n.
    field : {"real", "complex"}
        The complex sphere has the inner product ``Re <X, Y>``.

    Raises
    ------
    ValueError
        If the shape is not positive integers, or leaves one real number.

    Notes
    -----
    The entries in C order, of complex arrays the parts of each side by side, are a point of `Sphere`.
    """

    shape: tuple[int, ...]
    field: str = "real"

    def __init__(self, *shape: int, field: str = "real") -> None:
        if len(shape) == 1 and isinstance(shape[0], tuple):
            shape = shape[0]
        object.__setattr__(self, "shape", positive_integers("the shape", shape, self))
        object.__setattr__(self, "field", real_or_complex(field))
        if math.prod(self.shape) == 1 and field == "real":
            raise ValueError(
                "the shape of a real ArraySphere must have two entries or more, since 1 and -1 are no manifold "
                "to optimize on"
            )

    def __repr__(self) -> str:
        """As it is called."""
        listed = ", ".join(map(str, self.shape))
        return f"ArraySphere({listed})" if self.field == "real" else f"ArraySphere({listed}, field='complex')"

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.shape

    @cached_property
    def model(self) -> Manifold:
        """Vectors of real numbers."""
        return Sphere(math.prod(self.shape) * (2 if self.field == "complex" else 1) - 1)

    def _to(self, a: Array) -> Array:
        flat = a.reshape(tuple(a.shape[: a.ndim - len(self.shape)]) + (math.prod(self.shape),))
        return paired(flat) if self.field == "complex" else flat

    def _back(self, a: Array) -> Array:
        flat = unpaired(a) if self.field == "complex" else a
        return flat.reshape(tuple(a.shape[:-1]) + self.shape)
