"""Euclidean space of vectors, matrices or arrays of any shape."""

from __future__ import annotations

from dataclasses import dataclass, field

from manifold_opt.manifolds.flat import FlatSpace
from manifold_opt.manifolds.parameters import positive_integers, real_or_complex

__all__ = ["Euclidean"]


@dataclass(frozen=True, init=False, repr=False)
class Euclidean(FlatSpace):
    """The flat space of all arrays of one shape, with the Frobenius inner product.

    Parameters
    ----------
    *shape : int
        ``Euclidean(n)`` are vectors, ``Euclidean(m, n)`` matrices, and so on.
    field : {"real", "complex"}
        Complex arrays count as ``2 n`` real dimensions, with the inner product ``Re <X, Y>``.

    Raises
    ------
    ValueError
        If no axis is given or one is not a positive integer.

    Notes
    -----
    Coordinates are the entries in C order; for complex arrays all real parts, then all imaginary parts.

    References
    ----------
    N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge, 2023, chapter 3.
    """

    shape: tuple[int, ...]
    field: str = field(default="real")

    def __init__(self, *shape: int, field: str = "real") -> None:
        if len(shape) == 1 and isinstance(shape[0], tuple):
            shape = shape[0]
        object.__setattr__(self, "shape", positive_integers("the shape", shape, self))
        object.__setattr__(self, "field", real_or_complex(field))

    def __repr__(self) -> str:
        """As it is called."""
        listed = ", ".join(map(str, self.shape))
        return f"Euclidean({listed})" if self.field == "real" else f"Euclidean({listed}, field='complex')"

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.shape
