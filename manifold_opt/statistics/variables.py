"""The named pieces of a point: which coordinates of the tangent space belong to which variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class Factor(NamedTuple):
    """A factor of a product, or the whole manifold, as coordinates of the tangent space.

    Attributes
    ----------
    name : str
    start : int
        First coordinate.
    copies : int or None
        Number of copies of a power; None for another manifold.
    width : int
        Coordinates of each copy.
    """

    name: str
    start: int
    copies: int | None
    width: int

    @property
    def columns(self) -> Any:
        """Coordinates of each copy, (copies, width)."""
        n = 1 if self.copies is None else self.copies
        return self.start + np.arange(n * self.width).reshape(n, self.width)


def factors(M: Any) -> list[Factor]:
    """The factors of M, powers not taken apart."""
    if hasattr(M, "names") and hasattr(M, "split"):
        pieces = [(name, M[name]) for name in M.names]
    else:
        pieces = [("p", M)]
    found, start = [], 0
    for name, N in pieces:
        copies = getattr(N, "copies", None)
        n = None if copies is None else int(np.prod(copies))
        found.append(Factor(name, start, n, N.dim if n is None else N.manifold.dim))
        start += N.dim
    return found


def selected_columns(M: Any, variables: Any) -> Any:
    """Coordinates of chosen variables, see `FitStatistics.covariance_of`.

    Raises
    ------
    KeyError, ValueError
        On a name or a number that does not exist.
    """
    known = {factor.name: factor for factor in factors(M)}
    if isinstance(variables, str):
        variables = {variables: None}
    elif not isinstance(variables, Mapping):
        variables = dict.fromkeys(variables)
    columns = []
    for name, copies in variables.items():
        if name not in known:
            raise KeyError(f"no variable {name!r}; there are {', '.join(map(repr, known))}.")
        factor = known[name]
        if copies is None:
            columns.append(factor.columns.reshape(-1))
            continue
        numbers = np.atleast_1d(np.asarray(copies))
        n = factor.copies
        if n is None or numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= n:
            where = "which is no power" if n is None else f"of which there are 0..{n - 1}"
            raise ValueError(f"copies of {name!r} must be given by number, {where}; got {copies!r}.")
        columns.append(factor.columns[numbers].reshape(-1))
    return np.concatenate(columns)


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
