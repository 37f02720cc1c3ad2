r"""Sparse Cholesky factorization A = L L' by dense fronts, of matrices of one pattern.

What depends on the pattern alone, `FrontTables`, is made once; then each matrix costs one pass over the fronts:
compiled (`CompiledFronts`, where numba is installed), or front by front in NumPy (`NumpyFronts`).
"""

from __future__ import annotations

import math
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np

from . import lapack
from .fronts import COARSE, RELAXED, Fronts, Relaxation, fronts
from .memory import Pool
from .normal_matrix import BlockPattern


class FrontTables:
    """Where the numbers of a block matrix and of the updates go, front by front; depends on the pattern alone.

    Parameters
    ----------
    pattern : BlockPattern
    order, relaxed : optional
        See `fronts`.

    Attributes
    ----------
    fronts : Fronts
    order : array of int, shape (size,)
        The column of the matrix at each place of the elimination.
    blocks : tuple of arrays
        For each block, sorted by fronts: where they start, front by front; place of its numbers; rows and columns it
        has in the front, and the first of each; whether it stands there transposed.
    runs : tuple of arrays
        Rows of each front's update that are neighbours in the parent, too: first row here, first row there, number.
    run_starts : array of int, shape (fronts + 1,)
    pool : Pool
        Memory of factors that are no longer used.
    """

    def __init__(self, pattern: BlockPattern, order: Any = None, relaxed: Relaxation = RELAXED) -> None:
        self.fronts = F = fronts(pattern.high, pattern.low, pattern.starts, order, relaxed)
        self.pattern, self.order = pattern, pattern.columns[F.order]
        self.pool = Pool()
        self.blocks = self._blocks(pattern, F)

    @staticmethod
    def _blocks(pattern: BlockPattern, F: Fronts) -> tuple[Any, ...]:
        high, low = pattern.high, pattern.low
        places, widths = F.node_places, pattern.widths
        transposed = places[low] > places[high]
        i, j = np.where(transposed, low, high), np.where(transposed, high, low)
        front = F.node_fronts[j]
        order = np.argsort(front, kind="stable")
        i, j, front, transposed = i[order], j[order], front[order], transposed[order]
        size = F.size + 1
        inside = F.node_fronts[i] == front
        below = np.searchsorted(np.repeat(np.arange(len(F.p)), F.q) * size + F.struct, front * size + places[i])
        row = np.where(inside, places[i] - F.pivots[front], F.p[front] + below - F.struct_starts[front])
        starts = np.searchsorted(front, np.arange(len(F.p) + 1))
        column = places[j] - F.pivots[front]
        return starts, pattern.offsets[:-1][order], widths[i], widths[j], row, column, transposed

    @cached_property
    def _runs(self) -> tuple[tuple[Any, ...], Any]:
        F = self.fronts
        owner = np.repeat(np.arange(len(F.q)), F.q)
        first = np.ones(len(owner), bool)
        first[1:] = (owner[1:] != owner[:-1]) | (F.relative[1:] != F.relative[:-1] + 1)
        begin = np.flatnonzero(first)
        length = np.diff(np.append(begin, len(owner)))
        starts = np.searchsorted(begin, F.struct_starts)
        return (begin - F.struct_starts[owner[begin]], F.relative[begin], length), starts

    @property
    def runs(self) -> tuple[Any, ...]:
        """See the class."""
        return self._runs[0]

    @property
    def run_starts(self) -> Any:
        """See the class."""
        return self._runs[1]

    @cached_property
    def scatter(self) -> tuple[Any, Any, Any, Any]:
        """Row, column and source of each number of the matrix, front by front, and where those of each front start."""
        starts, source, rows, columns, row, column, transposed = self.blocks
        sizes = rows * columns
        ends = np.cumsum(sizes)
        block = np.repeat(np.arange(len(sizes)), sizes)
        inner = np.arange(int(ends[-1]) if len(ends) else 0) - (ends - sizes)[block]
        i, j = inner // columns[block], inner % columns[block]
        at = source[block] + np.where(transposed[block], j * rows[block] + i, inner)
        return row[block] + i, column[block] + j, at, np.concatenate([[0], ends])[starts]


ORDERINGS = ("auto", "minimum-degree", "nested-dissection")
# operations from which on a second order of elimination is tried
_WORTH_ANOTHER = 1e9


def front_tables(pattern: BlockPattern, relaxed: Relaxation, ordering: str = "auto") -> FrontTables:
    """The tables of a pattern, made once for each way to make them.

    Parameters
    ----------
    pattern : BlockPattern
    relaxed : tuple
        See `fronts`.
    ordering : {"auto", "minimum-degree", "nested-dissection"}
        See `SparseCholesky`.

    Raises
    ------
    ImportError
        When nested dissection is asked for and pymetis is not installed.
    """
    key = relaxed, ordering
    tables = pattern.derived.get(key)
    if tables is None:
        order = nested_dissection if ordering == "nested-dissection" else None
        tables = FrontTables(pattern, order, relaxed)
        if ordering == "auto" and tables.fronts.operations > _WORTH_ANOTHER and find_spec("pymetis"):
            other = FrontTables(pattern, nested_dissection, relaxed)
            if other.fronts.operations < tables.fronts.operations:
                tables = other
        pattern.derived[key] = tables
    return tables


def nested_dissection(indptr: Any, indices: Any) -> Any:
    """The order of METIS."""
    try:
        import pymetis
    except ImportError:
        raise ImportError("the order of nested dissection needs the package pymetis, which is not installed.") from None
    graph = pymetis.CSRAdjacency(indptr, indices) if hasattr(pymetis, "CSRAdjacency") else None
    if graph is not None:
        return np.array(pymetis.nested_dissection(graph)[0])
    return np.array(pymetis.nested_dissection(xadj=indptr, adjncy=indices)[0])


class Factorization:
    """Base of the factorizations of symmetric positive definite matrices of one pattern.

    Parameters
    ----------
    pattern : BlockPattern

    Attributes
    ----------
    diagonal : array of shape (size,)
        Of the matrix that was factorized last.
    owner : object
        Who had it factorized, where several share the memory.
    """

    def __init__(self, pattern: BlockPattern) -> None:
        self.pattern = pattern
        self.diagonal: Any = None
        self.owner: Any = None

    def fresh(self) -> Factorization:
        """Another one that shares what is known of the pattern."""
        return type(self)(self.pattern)

    def factor(self, values: Any, damping: Any = None) -> None:
        """Factorize the matrix with these numbers, plus a diagonal.

        Raises
        ------
        numpy.linalg.LinAlgError
            When it is not positive definite, or not finite.
        """
        raise NotImplementedError

    def solve(self, b: Any) -> Any:
        """Solution x of A x = b, of shape (size,) or (size, k)."""
        raise NotImplementedError

    def factor_and_solve(self, values: Any, damping: Any, b: Any) -> Any:
        """Both, where one pass over the factor is saved."""
        self.factor(values, damping)
        return self.solve(b)

    def pivots(self) -> Any:
        """Squares of the diagonal of L, by the columns of the matrix; None where they are not known."""
        return None

    def smallest_pivot(self) -> float:
        """Smallest pivot relative to the diagonal entry that it came from; infinite where none is known."""
        pivots = self.pivots()
        return math.inf if pivots is None else float(np.min(pivots / self.diagonal, initial=math.inf))


class SelectedInverse:
    """Entries of the inverse of a matrix, at the places where its factor has numbers.

    Parameters
    ----------
    tables : FrontTables
    panels : list of array
        For each front the columns of its pivots, ``(p + q, p)``; above the diagonal anything.
    """

    def __init__(self, tables: FrontTables, panels: list[Any]) -> None:
        self.tables, self.panels = tables, panels
        self._places = np.empty(tables.fronts.size, np.int64)
        self._places[tables.order] = np.arange(tables.fronts.size)
        self._front = np.repeat(np.arange(len(panels)), tables.fronts.p)

    def diagonal(self) -> Any:
        """Diagonal entries, by the columns of the matrix."""
        out = np.empty(self.tables.fronts.size)
        out[self.tables.order] = np.concatenate([np.diagonal(panel) for panel in self.panels])
        return out

    def blocks(self, columns: Any) -> Any:
        """Blocks on the diagonal.

        Parameters
        ----------
        columns : array of int, shape (n, k)
            The columns that each block belongs to; they must have met in a row of J, or be those of one variable.

        Returns
        -------
        array of shape (n, k, k)

        Raises
        ------
        KeyError
            When an entry is not among those that are known.
        """
        i, j = np.broadcast_arrays(columns[:, :, None], columns[:, None, :])
        return self.of_columns(i.reshape(-1), j.reshape(-1)).reshape(i.shape)

    def of_columns(self, rows: Any, columns: Any) -> Any:
        """Entries one by one, with `KeyError` as `blocks`."""
        i, j = self._places[rows], self._places[columns]
        i, j = np.maximum(i, j), np.minimum(i, j)
        F = self.tables.fronts
        f = self._front[j]
        size = F.size + 1
        keys = np.repeat(np.arange(len(F.p)), F.q) * size + F.struct
        inside = i < F.pivots[f + 1]
        wanted = f * size + i
        found = np.searchsorted(keys, wanted)
        known = inside | (keys[np.minimum(found, len(keys) - 1)] == wanted if len(keys) else False)
        if not known.all():
            raise KeyError("an entry of the inverse that the factor has no place for: solve with a unit vector instead")
        row = np.where(inside, i - F.pivots[f], F.p[f] + found - F.struct_starts[f])
        column = j - F.pivots[f]
        out = np.empty(len(i))
        order = np.argsort(f, kind="stable")
        ends = np.flatnonzero(np.diff(f[order])) + 1
        for group in np.split(order, ends) if len(order) else ():
            out[group] = self.panels[f[group[0]]][row[group], column[group]]
        return out


def not_definite(column: int) -> np.linalg.LinAlgError:
    """The error of a matrix whose pivot of a column is not positive."""
    return np.linalg.LinAlgError(f"the matrix is not positive definite: column {column} depends on others")


class CompiledFronts(Factorization):
    """Dense fronts, compiled by numba; in double precision whatever the numbers come in.

    Parameters
    ----------
    pattern : BlockPattern
    tables : FrontTables, optional
        Default: those with the order of minimum degree.
    """

    def __init__(self, pattern: BlockPattern, tables: FrontTables | None = None) -> None:
        super().__init__(pattern)
        self.tables = front_tables(pattern, RELAXED) if tables is None else tables
        self.L: Any = None

    def fresh(self) -> CompiledFronts:
        """Another one for the same pattern."""
        return CompiledFronts(self.pattern, self.tables)

    def _allocate(self) -> None:
        from .blas_calls import addresses

        F, pool = self.tables.fronts, self.tables.pool
        self.L, self._U = pool.take((F.entries,), float), pool.take((F.updates[1],), float)
        self._work, self._none = np.empty(int(F.q.max(initial=0))), np.empty(0)
        self._calls, self._zeros = addresses(), np.zeros(F.size)

    def factor(self, values: Any, damping: Any = None) -> None:
        """See `Factorization`."""
        self._factor(values, damping, None)

    def factor_and_solve(self, values: Any, damping: Any, b: Any) -> Any:
        """See `Factorization`."""
        from .multifrontal_kernels import solve_upper

        order, F = self.tables.order, self.tables.fronts
        x = b[order].astype(float, copy=False)
        self._factor(values, damping, x)
        solve_upper(F.pivots, F.panels, F.struct, F.struct_starts, self.L, x, self._work)
        return self._sorted(x, b.dtype)

    def _factor(self, values: Any, damping: Any, x: Any) -> None:
        from .multifrontal_kernels import factorize

        self.diagonal = values[self.pattern.diagonal] if damping is None else values[self.pattern.diagonal] + damping
        F, T = self.tables.fronts, self.tables
        if self.L is None:
            self._allocate()
        damping = self._zeros if damping is None else damping[T.order].astype(float, copy=False)
        bad = factorize(
            self._calls, 1.0, values.astype(float, copy=False), damping, T.blocks, F.pivots, F.panels, F.q,
            F.updates[0], *F.children, T.runs, T.run_starts, F.struct, F.struct_starts, self.L, self._U,
            self._none if x is None else x, self._work,
        )  # fmt: skip
        if bad >= 0:
            raise not_definite(int(T.order[bad]))

    def solve(self, b: Any) -> Any:
        """See `Factorization`."""
        from .multifrontal_kernels import solve_lower, solve_upper

        if b.ndim == 2:
            return np.stack([self.solve(column) for column in b.T], axis=1)
        F = self.tables.fronts
        x = b[self.tables.order].astype(float, copy=False)
        arrays = F.pivots, F.panels, F.struct, F.struct_starts, self.L, x, self._work
        solve_lower(*arrays)
        solve_upper(*arrays)
        return self._sorted(x, b.dtype)

    def inverse(self) -> SelectedInverse:
        """The entries of the inverse at the places of L, after `factor`."""
        from .multifrontal_kernels import invert

        F, T = self.tables.fronts, self.tables
        Z, work = T.pool.take((F.entries,), float), np.empty(int((F.p * F.q).max(initial=0)))
        invert(
            self._calls, 1.0, F.pivots, F.panels, F.q, F.updates[0], *F.children, T.runs, T.run_starts, self.L,
            self._U, Z, work,
        )  # fmt: skip
        p, ends = F.p.tolist(), F.panels.tolist()
        panels = [Z[a:b].reshape(k, -1).T for a, b, k in zip(ends[:-1], ends[1:], p, strict=True)]
        return SelectedInverse(T, panels)

    def pivots(self) -> Any:
        """See `Factorization`."""
        F = self.tables.fronts
        within = np.arange(F.size) - np.repeat(F.pivots[:-1], F.p)
        at = np.repeat(F.panels[:-1], F.p) + within * (np.repeat(F.p + F.q, F.p) + 1)
        return self._sorted(self.L[at] ** 2, float)

    def _sorted(self, x: Any, dtype: Any) -> Any:
        out = np.empty(len(x), dtype)
        out[self.tables.order] = x
        return out


def _calls(single: bool) -> tuple[Any, Any, Any]:
    """potrf, trsm and syrk."""
    from scipy.linalg import blas

    if single:
        return lapack.spotrf, blas.strsm, blas.ssyrk
    return lapack.dpotrf, blas.dtrsm, blas.dsyrk


def _above_and_below(p: int, row: Any, column: Any, source: Any) -> tuple[Any, Any]:
    """Places and sources of the numbers of a front, those among the pivots and those in the rows below."""
    top = row < p
    places = (row[top], column[top]), (row[~top] - p, column[~top])
    return places, (source[top], source[~top])


# up to so many runs of neighbouring rows, slices are faster than lists of rows
_FEW = 5


def _pieces(relative: Any, p: int) -> tuple[Any, int, Any]:
    """Rows of a child in its parent, how many are pivots, and runs (here, there, number) of them if these are few.

    Runs end where the pivots of the parent do.
    """
    k = int(np.searchsorted(relative, p))
    first = np.ones(len(relative), bool)
    first[1:] = relative[1:] != relative[:-1] + 1
    if k < len(relative):
        first[k] = True
    begin = np.flatnonzero(first)
    if len(begin) > _FEW:
        return relative, k, None
    ends = np.append(begin[1:], len(relative))
    runs = [(int(b), int(relative[b]), int(e - b)) for b, e in zip(begin, ends, strict=True)]
    return relative, k, runs


def _add_update(C: Any, pieces: tuple[Any, int, Any], p: int, parent: tuple[Any, Any, Any]) -> None:
    """Add the lower triangle of a child's update into the pivots, the rows below and the update of its parent."""
    relative, k, runs = pieces
    top, below, update = parent
    if runs is None:
        above, under = relative[:k], relative[k:] - p
        top[above[:, None], above] += C[:k, :k]
        below[under[:, None], above] += C[k:, :k]
        update[under[:, None], under] += C[k:, k:]
        return
    for a, (j, column, width) in enumerate(runs):
        for i, row, height in runs[a:]:
            block = C[i : i + height, j : j + width]
            if row < p:
                top[row : row + height, column : column + width] += block
            elif column < p:
                below[row - p : row - p + height, column : column + width] += block
            else:
                update[row - p : row - p + height, column - p : column - p + width] += block


class NumpyFronts(Factorization):
    """Dense fronts, one after the other in NumPy.

    Parameters
    ----------
    pattern : BlockPattern
    tables : FrontTables, optional
        Default: those with the order of minimum degree, and larger fronts, since each costs calls.
    """

    def __init__(self, pattern: BlockPattern, tables: FrontTables | None = None) -> None:
        super().__init__(pattern)
        self.tables = front_tables(pattern, COARSE) if tables is None else tables
        self._factors: list[tuple[Any, Any]] = []

    def fresh(self) -> NumpyFronts:
        """Another one for the same pattern."""
        return NumpyFronts(self.pattern, self.tables)

    @cached_property
    def _plan(self) -> list[tuple[Any, ...]]:
        """For each front: pivots and rows below; rows, columns and sources of its numbers; its children."""
        F, (row, column, source, starts) = self.tables.fronts, self.tables.scatter
        children, child_starts = (x.tolist() for x in F.children)
        p, q, pivots, struct_starts = F.p.tolist(), F.q.tolist(), F.pivots.tolist(), F.struct_starts.tolist()
        starts = starts.tolist()
        return [
            (
                p[f],
                q[f],
                pivots[f],
                F.struct[struct_starts[f] : struct_starts[f + 1]],
                *_above_and_below(p[f], *(x[starts[f] : starts[f + 1]] for x in (row, column, source))),
                [
                    (c, _pieces(F.relative[struct_starts[c] : struct_starts[c + 1]], p[f]))
                    for c in children[child_starts[f] : child_starts[f + 1]]
                ],
            )
            for f in range(len(p))
        ]

    def factor(self, values: Any, damping: Any = None) -> None:
        """See `Factorization`."""
        order = self.tables.order
        self.diagonal = values[self.pattern.diagonal] if damping is None else values[self.pattern.diagonal] + damping
        single = bool(values.dtype == np.float32)
        potrf, trsm, syrk = _calls(single)
        damping = None if damping is None else damping[order].astype(values.dtype, copy=False)
        updates: dict[int, Any] = {}
        self._factors = []
        for f, (p, q, first, _, places, source, children) in enumerate(self._plan):
            # three arrays of their own, which LAPACK can work in
            top = np.zeros((p, p), values.dtype, order="F")
            below = np.zeros((q, p), values.dtype, order="F")
            update = np.zeros((q, q), values.dtype, order="F")
            top[places[0]] = values[source[0]]
            below[places[1]] = values[source[1]]
            if damping is not None:
                top.reshape(-1, order="F")[:: p + 1] += damping[first : first + p]
            for child, pieces in children:
                _add_update(updates.pop(child), pieces, p, (top, below, update))
            L, info = potrf(top, lower=1, clean=0, overwrite_a=1)
            if info != 0:
                raise not_definite(int(order[first + max(info, 1) - 1]))
            if q:
                below = trsm(1.0, L, below, side=1, lower=1, trans_a=1, overwrite_b=1)
                updates[f] = syrk(-1.0, below, beta=1.0, c=update, lower=1, overwrite_c=1)
                self._factors.append((L, below))
            else:
                self._factors.append((L, None))
        if not math.isfinite(sum(float(L.trace()) for L, _ in self._factors)):
            raise np.linalg.LinAlgError("the matrix is not finite")

    def solve(self, b: Any) -> Any:
        """See `Factorization`."""
        order, trtrs = self.tables.order, lapack.strtrs if self._factors[0][0].dtype == np.float32 else lapack.dtrtrs
        x = b[order].astype(self._factors[0][0].dtype, copy=False)
        for (L, below), (p, _, first, struct, *_) in zip(self._factors, self._plan, strict=True):
            y = trtrs(L, x[first : first + p], lower=1)[0]
            x[first : first + p] = y
            if below is not None:
                x[struct] -= below @ y
        for (L, below), (p, _, first, struct, *_) in zip(reversed(self._factors), reversed(self._plan), strict=True):
            y = x[first : first + p]
            if below is not None:
                y = y - below.T @ x[struct]
            x[first : first + p] = trtrs(L, y, lower=1, trans=1)[0]
        out = np.empty_like(x)
        out[order] = x
        return out

    def inverse(self) -> SelectedInverse:
        """The entries of the inverse at the places of L, after `factor`."""
        from scipy.linalg import blas

        F = self.tables.fronts
        single = self._factors[0][0].dtype == np.float32
        potri, trsm = (lapack.spotri, blas.strsm) if single else (lapack.dpotri, blas.dtrsm)
        fronts: list[Any] = [None] * len(self._factors)  # symmetric, in full, until the children are done
        panels: list[Any] = [None] * len(self._factors)
        waiting = np.bincount(F.parent[F.parent >= 0], minlength=len(fronts)).tolist()
        parents = F.parent.tolist()
        for f in range(len(fronts) - 1, -1, -1):
            L, below = self._factors[f]
            p, q, parent = len(L), 0 if below is None else len(below), parents[f]
            V = potri(L, lower=1)[0]
            V = np.tril(V) + np.tril(V, -1).T
            if q:
                rows = F.relative[F.struct_starts[f] : F.struct_starts[f + 1]]
                S = fronts[parent][rows[:, None], rows]
                Y = trsm(1.0, L, below, side=1, lower=1)
                W = -(S @ Y)
                Z = np.block([[V - Y.T @ W, W.T], [W, S]])
            else:
                Z = V
            if parent >= 0:
                waiting[parent] -= 1
                if waiting[parent] == 0:
                    fronts[parent] = None
            panels[f] = np.ascontiguousarray(Z[:, :p])
            if waiting[f]:
                fronts[f] = Z
        return SelectedInverse(self.tables, panels)

    def pivots(self) -> Any:
        """See `Factorization`."""
        out = np.empty(self.tables.fronts.size)
        out[self.tables.order] = np.concatenate([L.diagonal() for L, _ in self._factors]) ** 2
        return out
