r"""Which variables of a block matrix can be eliminated, and what is left to be solved for: patterns, no numbers.

With J = [E F], E the columns of a variable of which no row has two instances, E'E is block-diagonal. An instance of a
residual then has one block of E (none, where it does not depend on the variable) and its blocks of F, which are put
side by side here: K columns, those of its *group*.

References
----------
.. [1] B. Triggs, P. McLauchlan, R. Hartley, A. Fitzgibbon, Bundle adjustment - a modern synthesis, LNCS 1883 (2000),
   section 6.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .block_matrix import BlockMatrix
from .grouped_products import GroupedProducts


@dataclass(frozen=True, eq=False)
class Rows:
    """A family of residuals: n instances of m rows each.

    Attributes
    ----------
    rows : slice
    n, m : int
    eliminated : int or None
        Number of the part with the blocks of E.
    kept : tuple of int
        Numbers of the parts with those of F.
    instance : array of int, shape (n,)
        Which instance of the eliminated variable; the number of them for none.
    group : array of int, shape (n,)
        Which combination of kept blocks, counted over all families.
    columns : array of int, shape (groups of this family, K)
        Reduced columns of each group of this family; -1 for those of fixed variables.
    first_group : int
        Number of the first of them.
    """

    rows: slice
    n: int
    m: int
    eliminated: int | None
    kept: tuple[int, ...]
    instance: Any
    group: Any
    columns: Any
    first_group: int

    @cached_property
    def squares(self) -> GroupedProducts:
        """Sums over the instances of each group."""
        order = np.argsort(self.group, kind="stable")
        return GroupedProducts(order, order, self.group[order] - self.first_group, len(self.columns))


@dataclass(frozen=True, eq=False)
class Elimination:
    """Columns to be eliminated, and the families as they are without them.

    Attributes
    ----------
    starts : array of int, shape (P,)
        First column of each eliminated instance.
    width : int
        e, the columns of each.
    kept : array of int, shape (dim - P e,)
        The other columns.
    families : tuple of Rows
    """

    starts: Any
    width: int
    kept: Any
    families: tuple[Rows, ...]

    @cached_property
    def columns(self) -> Any:
        """The eliminated columns, of shape (P, e)."""
        return self.starts[:, None] + np.arange(self.width)


class Pattern:
    """Where the blocks of a matrix stand, to recognize others that have theirs there, too."""

    def __init__(self, J: BlockMatrix) -> None:
        self._shapes = J.shape, [(part.row, *part.blocks.shape) for part in J.parts]
        self._columns = [part.columns for part in J.parts]

    def matches(self, J: BlockMatrix) -> bool:
        """Whether J has this pattern."""
        return (J.shape, [(part.row, *part.blocks.shape) for part in J.parts]) == self._shapes and all(
            part.columns is columns or np.array_equal(part.columns, columns)
            for part, columns in zip(J.parts, self._columns, strict=True)
        )


class Variable:
    """Blocks of columns that are instances of one variable: the slots of families that share some.

    Attributes
    ----------
    parts : list of int
    starts : array of int
        First columns, sorted.
    width : int or None
        None where the slots disagree.
    """

    def __init__(self, parts: list[int], J: BlockMatrix) -> None:
        self.parts = parts
        columns = np.concatenate([J.parts[i].columns for i in parts])
        self.starts = distinct(columns[columns >= 0])
        widths = {J.parts[i].blocks.shape[2] for i in parts}
        self.width = widths.pop() if len(widths) == 1 else None

    def can_go(self, J: BlockMatrix) -> bool:
        """Whether no row has two instances, and instances do not overlap."""
        if self.width is None or len(self.starts) < 2 or (np.diff(self.starts) < self.width).any():
            return False
        rows = [J.parts[i].row for i in self.parts]
        return len(set(rows)) == len(rows)

    @property
    def size(self) -> int:
        """Number of columns."""
        return len(self.starts) * (self.width or 0)


def variables_of(J: BlockMatrix) -> list[Variable]:
    """The variables that the parts of a block matrix show."""
    taken = -np.ones(J.shape[1], int)
    label = list(range(len(J.parts)))

    def root(i: int) -> int:
        while label[i] != i:
            i = label[i]
        return i

    for i, part in enumerate(J.parts):
        starts = distinct(part.columns[part.columns >= 0])
        columns = (starts[:, None] + np.arange(part.blocks.shape[2])).reshape(-1)
        for other in np.unique(taken[columns]).tolist():
            if other >= 0:
                label[root(other)] = root(i)
        taken[columns] = i
    members: dict[int, list[int]] = {}
    for i in range(len(J.parts)):
        members.setdefault(root(i), []).append(i)
    found = [Variable(parts, J) for parts in members.values()]
    return [v for v in found if len(v.starts)]


def best_variable(J: BlockMatrix) -> Variable | None:
    """The variable whose elimination leaves least to be solved for; None where none can be eliminated."""
    candidates = [v for v in variables_of(J) if v.can_go(J)]
    return max(candidates, key=lambda v: v.size, default=None)


def named_variable(J: BlockMatrix, name: str) -> Variable:
    """The variable of this name.

    Raises
    ------
    ValueError
        When there is none, or it cannot be eliminated.
    """
    names = J.variables or {}
    if name not in names:
        raise ValueError(
            f"`eliminate` names {name!r}; the variables of the residual blocks are "
            f"{', '.join(map(repr, names)) or 'not named'}."
        )
    start, stop = names[name]
    parts = [i for i, part in enumerate(J.parts) if ((part.columns >= start) & (part.columns < stop)).any()]
    variable = Variable(parts, J) if parts else None
    if variable is None or not variable.can_go(J):
        raise ValueError(
            f"{name!r} cannot be eliminated: some residual depends on two of its instances, or it has one only; "
            'choose another variable, or eliminate="auto".'
        )
    return variable


def distinct(numbers: Any) -> Any:
    """The numbers that occur among such that are not negative nor many times as large as they are many, sorted."""
    return np.flatnonzero(np.bincount(numbers)) if numbers.size else numbers


def ranks(numbers: Any) -> tuple[Any, Any]:
    """`distinct`, and which of them each number is."""
    counts = np.bincount(numbers)
    found = np.flatnonzero(counts)
    place = np.empty(len(counts), np.intp)
    place[found] = np.arange(len(found))
    return found, place[numbers]


def _combinations(first: Any) -> tuple[Any, Any]:
    """Rows that occur in an array of columns, which are -1 at least, and which of them each row is."""
    found, key = ranks(first[:, 0] + 1)
    rows = found[:, None] - 1
    for column in first.T[1:]:
        own, rank = ranks(column + 1)
        key = key * len(own) + rank
        # beyond a few times the rows, a table would be larger than what is sorted
        if len(rows) * len(own) <= 4 * len(key) + 1000:
            pairs, key = ranks(key)
        else:
            pairs, key = np.unique(key, return_inverse=True)
        rows = np.column_stack([rows[pairs // len(own)], own[pairs % len(own)] - 1])
    return rows, key.reshape(-1)


def plan(J: BlockMatrix, variable: Variable) -> Elimination:
    """Everything about the pattern of J that the elimination of a variable needs."""
    width = int(variable.width)  # type: ignore[arg-type]  # it can be eliminated
    gone = np.zeros(J.shape[1], bool)
    gone[(variable.starts[:, None] + np.arange(width)).reshape(-1)] = True
    place = np.where(gone, -1, np.cumsum(~gone) - 1)
    slots: dict[tuple[int, int, int], list[int]] = {}
    for i, part in enumerate(J.parts):
        slots.setdefault((part.row, *part.blocks.shape[:2]), []).append(i)
    families, groups = [], 0
    for (row, n, m), parts in slots.items():
        out = [i for i in parts if i in variable.parts]
        kept = tuple(i for i in parts if i not in variable.parts)
        instance = np.full(n, len(variable.starts))
        if out:
            columns = J.parts[out[0]].columns
            instance = np.where(columns >= 0, np.searchsorted(variable.starts, columns), instance)
        if kept:
            first = np.stack([J.parts[i].columns for i in kept], axis=1)
            unique, group = _combinations(first)
            indices = [
                np.where(unique[:, j : j + 1] >= 0, place[unique[:, j : j + 1] + np.arange(k)], -1)
                for j, k in enumerate(J.parts[i].blocks.shape[2] for i in kept)
            ]
            columns = np.concatenate(indices, axis=1)
        else:
            group, columns = np.zeros(n, int), np.empty((1, 0), int)
        families.append(
            Rows(
                slice(row, row + n * m),
                n,
                m,
                out[0] if out else None,
                kept,
                instance,
                group + groups,
                columns,
                groups,
            )
        )
        groups += len(columns)
    return Elimination(variable.starts, width, np.flatnonzero(~gone), tuple(families))
