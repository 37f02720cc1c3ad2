"""The named pieces of a point: which coordinates of the tangent space belong to which variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Variable:
    """A factor of a product, one copy of a power, or the whole point.

    Attributes
    ----------
    name : str
        ``"t"`` for a factor of a product, ``"poses[3]"`` for a copy, ``"p"`` for a point that has no names.
    manifold : Manifold
        Where it lives.
    columns : slice
        Its orthonormal coordinates among those of the whole tangent space.
    value : array
        What the point has there.
    """

    name: str
    manifold: Any
    columns: slice
    value: Any

    @property
    def flat(self) -> bool:
        """Whether the coordinates of the tangent space are those of the space itself."""
        return type(self.manifold).__name__ == "Euclidean"

    @property
    def labels(self) -> list[str]:
        """One name per coordinate: the entry of a Euclidean variable, the number of the basis vector of others."""
        M, name = self.manifold, self.name
        if not self.flat:
            return [f"{name}.{j}" for j in range(M.dim)]
        entries = [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*M.point_shape)]
        return [f"{e}.{part}" for part in ("real", "imag") for e in entries] if M.field == "complex" else entries

    @property
    def coordinates(self) -> Any:
        """Entries of a Euclidean variable; zeros for others, whose coordinates start at the point itself."""
        M = self.manifold
        return M.get_coordinates(self.value, self.value) if self.flat else np.zeros(M.dim)


def variables(M: Any, p: Any) -> list[Variable]:
    """All variables of a point of M, products and powers taken apart to the last."""
    return list(_taken_apart(M, p, "", 0))


def _taken_apart(M: Any, p: Any, name: str, start: int) -> Any:
    if hasattr(M, "names") and hasattr(M, "split"):
        prefix = name + "." if name else ""
        pieces = [(M[n], x, prefix + n) for n, x in zip(M.names, M.split(p), strict=True)]
    elif hasattr(M, "copies"):
        base = M.manifold
        copies = M.copies
        shape = tuple(base.point_shape)
        points = np.reshape(p, (*copies, *shape))
        pieces = [(base, points[i], f"{name or 'p'}[{','.join(map(str, i))}]") for i in np.ndindex(*copies)]
    else:
        yield Variable(name or "p", M, slice(start, start + M.dim), p)
        return
    for N, x, own in pieces:
        yield from _taken_apart(N, x, own, start)
        start += N.dim
