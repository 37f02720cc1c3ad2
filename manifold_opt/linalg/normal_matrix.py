r"""The matrix J'J of a sparse J, kept as small dense blocks: its pattern is found once, its numbers again and again.

The columns of J fall into *nodes*, sets of columns that always occur together: the coordinates of one variable, or of
several that occur in the same residuals only, as the rotation and the translation of a pose. J'J has a block where two
nodes meet in a row of J. A family of residuals gives n products B'B at once, and each of their blocks is added to one
of J'J.

For a SciPy matrix each column is a node, and rows with equally many entries are a family.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np

from .block_matrix import BlockMatrix, stacked

ALL = slice(None)


class Family(NamedTuple):
    """Rows of J with equally many residuals and columns per instance.

    Attributes
    ----------
    slices : tuple of (int, int, int)
        Parts of the block matrix that stand side by side, each with the first and the last of its columns; empty for a
        SciPy matrix.
    entries : array or None
        For a SciPy matrix: where the numbers of each row are in its data, shape (n, K).
    n, m : int
        Instances, and residuals of each.
    nodes : array of int, shape (n, P)
        The nodes whose columns each instance has; -1 for columns that are not there.
    starts : array of int, shape (P + 1,)
        Where the columns of each node begin among the K of an instance.
    """

    slices: tuple[tuple[int, int, int], ...]
    entries: Any
    n: int
    m: int
    nodes: Any
    starts: Any


class BlockPattern:
    """Where the blocks of a symmetric matrix are.

    Parameters
    ----------
    columns : array of int, shape (size,)
    starts : array of int, shape (nodes + 1,)
    pairs : array of int
        ``low * nodes + high`` of blocks of the lower triangle, in any order, also repeated; those of the diagonal are
        added.

    Attributes
    ----------
    size : int
        Number of rows and columns.
    columns : array of int, shape (size,)
        The columns, node by node.
    starts : array of int, shape (nodes + 1,)
        Where the columns of each node begin in ``columns``.
    high, low : array of int, shape (blocks,)
        The two nodes of each block of the lower triangle, ``high >= low``, sorted by ``low``, then ``high``.
    offsets : array of int, shape (blocks + 1,)
        Where the numbers of each block begin, row by row; diagonal blocks are stored in full.
    diagonal_blocks : array of int, shape (nodes,)
        The block of each node with itself.
    derived : dict
        What others found out about the pattern and want to keep with it.
    """

    def __init__(self, columns: Any, starts: Any, pairs: Any) -> None:
        self.size, self.columns, self.starts = len(columns), columns, starts
        self.nodes = nodes = len(starts) - 1
        own = np.arange(nodes, dtype=np.int64) * (nodes + 1)
        found = np.sort(np.concatenate([own, pairs]))
        first = np.ones(len(found), bool)
        np.not_equal(found[1:], found[:-1], out=first[1:])
        self._found = found = found[first]
        self.low, self.high = (found // nodes, found % nodes) if nodes else (found, found)
        widths = self.widths
        self.offsets = np.concatenate([[0], np.cumsum(widths[self.high] * widths[self.low])])
        self.diagonal_blocks = np.searchsorted(found, own)
        self.derived: dict[Any, Any] = {}

    def find(self, high: Any, low: Any) -> Any:
        """Numbers of blocks that are there."""
        return np.searchsorted(self._found, low * np.int64(self.nodes) + high)

    @cached_property
    def widths(self) -> Any:
        """Number of columns of each node."""
        return np.diff(self.starts)

    @cached_property
    def diagonal(self) -> Any:
        """Where the diagonal entry of each column is among the numbers."""
        first, widths = self.offsets[self.diagonal_blocks], self.widths
        within = np.arange(self.size) - np.repeat(self.starts[:-1], widths)
        out = np.empty(self.size, np.int64)
        out[self.columns] = np.repeat(first, widths) + within * (np.repeat(widths, widths) + 1)
        return out

    @cached_property
    def triangle(self) -> tuple[Any, Any, Any]:
        """The lower triangle column by column: ``indptr``, ``indices``, and where each entry is among the numbers."""
        return self._compressed(*self.entries())

    @cached_property
    def full(self) -> tuple[Any, Any, Any]:
        """Both triangles, likewise."""
        rows, columns, at = self.entries()
        keep = rows > columns
        return self._compressed(
            *(np.concatenate([x, y[keep]]) for x, y in ((rows, columns), (columns, rows), (at, at)))
        )

    def _compressed(self, rows: Any, columns: Any, at: Any) -> tuple[Any, Any, Any]:
        order = np.argsort(columns * np.int64(self.size) + rows)
        counts = np.bincount(columns, minlength=self.size)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), rows[order].astype(np.int32), at[order]

    def entries(self) -> tuple[Any, Any, Any]:
        """Row and column in the lower triangle, and place of each stored number, each pair once."""
        widths = self.widths
        columns_of = widths[self.low]
        sizes = widths[self.high] * columns_of
        block = np.repeat(np.arange(len(sizes)), sizes)
        at = np.arange(int(self.offsets[-1]))
        inner = at - self.offsets[block]
        i, j = inner // columns_of[block], inner % columns_of[block]
        keep = (self.high[block] != self.low[block]) | (i >= j)
        rows = self.columns[(self.starts[self.high[block]] + i)[keep]]
        columns = self.columns[(self.starts[self.low[block]] + j)[keep]]
        return np.maximum(rows, columns), np.minimum(rows, columns), at[keep]


class MatrixPattern(BlockPattern):
    """Pattern of a symmetric SciPy matrix.

    Parameters
    ----------
    A : SciPy sparse matrix of shape (n, n)
        Its lower triangle is read.
    """

    def __init__(self, A: Any) -> None:
        A = canonical(A)
        n = A.shape[0]
        rows = np.repeat(np.arange(n), np.diff(A.indptr))
        lower = rows >= A.indices
        self._places = np.flatnonzero(lower)
        rows, columns = rows[lower], A.indices[lower].astype(np.int64)
        super().__init__(np.arange(n), np.arange(n + 1), columns * n + rows)
        self._targets = self.find(rows, columns)

    def values(self, A: Any) -> Any:
        """The numbers of a matrix of this pattern."""
        A = canonical(A)
        out = np.zeros(len(self.high), A.dtype)
        out[self._targets] = A.data[self._places]
        return out


class NormalPattern(BlockPattern):
    """Where the blocks of J'J are, and how they come from J.

    Parameters
    ----------
    J : BlockMatrix or SciPy sparse matrix

    Attributes
    ----------
    families : tuple of Family
    """

    def __init__(self, J: Any) -> None:
        self._key = _key(J)
        columns, starts, self.families = _block_families(J) if isinstance(J, BlockMatrix) else _row_families(J)
        nodes = len(starts) - 1
        keys = [np.empty(0, np.int64)]
        for family in self.families:
            i, j = family.nodes[:, :, None], family.nodes[:, None, :]
            keys.append((j * np.int64(nodes) + i)[(i >= j) & (j >= 0)])
        super().__init__(columns, starts, np.concatenate(keys))
        self._scatter: Any = None

    def matches(self, J: Any) -> bool:
        """Whether J has the pattern that this was made for."""
        key = _key(J)
        return len(key) == len(self._key) and all(_same(a, b) for a, b in zip(key, self._key, strict=True))

    @cached_property
    def blocks(self) -> list[Any]:
        """For each family, shape (n, P, P): the block that each product of two nodes is added to, or -1."""
        out = []
        for family in self.families:
            P = family.nodes.shape[1]
            i, j = (np.broadcast_to(family.nodes[:, s, t], (family.n, P, P)) for s, t in ((ALL, None), (None, ALL)))
            block = np.full(i.shape, -1, np.int32)
            at = (i >= j) & (j >= 0)
            block[at] = self.find(i[at], j[at])
            out.append(block)
        return out

    def values(self, J: Any, out: Any = None, *, compiled: bool = False) -> Any:
        """The numbers of all blocks, one after the other.

        Parameters
        ----------
        J : BlockMatrix or SciPy sparse matrix
            Of the pattern that this was made for.
        out : array, optional
            Memory for them.
        compiled : bool
            Whether to use numba, in double precision.
        """
        if compiled:
            return self._compiled_values(J, out)
        dtype = np.float32 if J.dtype == np.float32 else np.float64
        if self._scatter is None or self._scatter[0] != dtype:
            products = [np.empty((f.n, *(int(f.starts[-1]),) * 2), dtype) for f in self.families]
            self._scatter = dtype, self._sums(dtype), products
        total = np.zeros(int(self.offsets[-1]), dtype) if out is None else out
        if out is not None:
            out[:] = 0.0
        for family, sums, product in zip(self.families, *self._scatter[1:], strict=True):
            B = self.family_matrix(J, family)
            np.matmul(B.transpose(0, 2, 1), B, out=product)
            total += sums @ product.reshape(-1)
        return total

    def _compiled_values(self, J: Any, out: Any) -> Any:
        from .multifrontal_kernels import add_products

        out = np.empty(int(self.offsets[-1])) if out is None else out
        out[:] = 0.0
        for family, block in zip(self.families, self.blocks, strict=True):
            B = np.ascontiguousarray(self.family_matrix(J, family), float)
            add_products(B, family.starts, block, self.offsets, out)
        return out

    def _sums(self, dtype: Any) -> list[Any]:
        """For each family the matrix of zeros and ones that adds the numbers of its products up."""
        from scipy.sparse import csc_array

        matrices = []
        for family, block in zip(self.families, self.blocks, strict=True):
            first = self.offsets[:-1][block]
            K, widths = int(family.starts[-1]), np.diff(family.starts)
            if K == len(widths):
                target = np.where(block >= 0, first, -1)
            else:
                target = np.full((family.n, K, K), -1)
                for a, rows in enumerate(widths.tolist()):
                    for b, columns in enumerate(widths.tolist()):
                        i, j = family.starts[a], family.starts[b]
                        inner = np.arange(rows * columns).reshape(rows, columns)
                        target[:, i : i + rows, j : j + columns] = np.where(
                            block[:, a, b, None, None] >= 0, first[:, a, b, None, None] + inner, -1
                        )
            there = target.reshape(-1) >= 0
            index = np.int32 if len(there) < 2**31 else np.int64
            indices = target.reshape(-1)[there].astype(index)
            indptr = np.concatenate([[0], np.cumsum(there, dtype=index)], dtype=index)
            shape = int(self.offsets[-1]), len(there)
            matrices.append(csc_array((np.ones(len(indices), dtype), indices, indptr), shape=shape))
        return matrices

    def family_matrix(self, J: Any, family: Family) -> Any:
        """All columns of the instances of a family, (n, m, K)."""
        if family.entries is not None:
            return J.data[family.entries][:, None, :]
        return stacked([J.parts[i].blocks[:, :, a:b] for i, a, b in family.slices])


# patterns that somebody still holds: the next problem is often one with other numbers or losses
_KNOWN: WeakSet[NormalPattern] = WeakSet()


def known_pattern(J: Any) -> NormalPattern:
    """The pattern of J: one that is in use elsewhere, where it is the same, with all that was derived from it."""
    for pattern in list(_KNOWN):
        if pattern.matches(J):
            return pattern
    pattern = NormalPattern(J)
    _KNOWN.add(pattern)
    return pattern


def forget_patterns() -> None:
    """Let the next run analyse its pattern anew, whatever is in use elsewhere; for measurements."""
    _KNOWN.clear()


def canonical(A: Any) -> Any:
    """A SciPy matrix by rows, each entry once, of floats."""
    A = A.tocsr()
    A = A if A.dtype.char in "fd" else A.astype(float)
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()
    return A


def _key(J: Any) -> tuple[Any, ...]:
    if isinstance(J, BlockMatrix):
        shapes = tuple((part.row, *part.blocks.shape) for part in J.parts)
        return (J.shape, shapes, *(part.columns for part in J.parts))
    return (J.shape, J.indptr, J.indices)


def _same(a: Any, b: Any) -> bool:
    return a is b or (np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b)


class _Runs(NamedTuple):
    """Parts that share their rows, and the runs of columns that each instance has.

    Attributes
    ----------
    parts : list of int
    n, m : int
    runs : array of int, shape (n, P)
        -1 for none.
    cuts : list of (int, int, int)
        For each of the P: its part, and the first and last column of that part's blocks.
    """

    parts: list[int]
    n: int
    m: int
    runs: Any
    cuts: list[tuple[int, int, int]]


def _block_families(J: BlockMatrix) -> tuple[Any, Any, tuple[Family, ...]]:
    """Columns and nodes, and families, of a block matrix."""
    size = J.shape[1]
    cut = np.zeros(size + 1, bool)
    cut[[0, size]] = True
    for part in J.parts:
        there = part.columns[part.columns >= 0]
        cut[there] = cut[there + part.blocks.shape[2]] = True
    bounds = np.flatnonzero(cut)
    if not all(_splits_alike(part, bounds) for part in J.parts):
        bounds = np.arange(size + 1)
    rows: dict[tuple[int, int, int], list[int]] = {}
    for i, part in enumerate(J.parts):
        rows.setdefault((part.row, *part.blocks.shape[:2]), []).append(i)
    found = [_runs(J, bounds, parts) for parts in rows.values()]
    root, classes = _grouped(found, len(bounds) - 1)
    widths = np.diff(bounds)
    order = np.argsort(root, kind="stable")
    roots, members = np.unique(root, return_inverse=True)
    starts = np.concatenate([[0], np.cumsum(np.bincount(members, widths, len(roots)).astype(np.int64))])
    within = np.arange(size) - np.repeat(np.cumsum(widths[order]) - widths[order], widths[order])
    columns = np.repeat(bounds[:-1][order], widths[order]) + within
    return columns, starts, tuple(_family(f, own, members) for f, own in zip(found, classes, strict=True))


def _runs(J: BlockMatrix, bounds: Any, parts: list[int]) -> _Runs:
    """The runs of columns of each instance of a family."""
    runs, cuts = [], []
    place = np.zeros(J.shape[1] + 1, np.int64)
    place[bounds] = np.arange(len(bounds))
    for i in parts:
        columns, k = J.parts[i].columns, J.parts[i].blocks.shape[2]
        here = columns >= 0
        first = np.where(here, place[columns], -1)
        ends = _cuts(bounds, int(first[here][0]), k) if here.any() else [0, k]
        for j in range(len(ends) - 1):
            runs.append(np.where(here, first + j, -1))
            cuts.append((i, ends[j], ends[j + 1]))
    n, m = J.parts[parts[0]].blocks.shape[:2]
    return _Runs(parts, n, m, np.stack(runs, axis=1), cuts)


def _family(f: _Runs, classes: list[list[int]], members: Any) -> Family:
    """The family, with the runs of each node side by side."""
    nodes = np.stack([np.where(f.runs[:, c[0]] >= 0, members[f.runs[:, c[0]]], -1) for c in classes], axis=1)
    slices = tuple(f.cuts[a] for c in classes for a in c)
    widths = [sum(f.cuts[a][2] - f.cuts[a][1] for a in c) for c in classes]
    return Family(slices, None, f.n, f.m, nodes, np.concatenate([[0], np.cumsum(widths)]))


def _cuts(bounds: Any, first: int, k: int) -> list[int]:
    """Where a block of k columns that begins at a bound is cut by the others."""
    last = int(np.searchsorted(bounds, bounds[first] + k))
    return list((bounds[first : last + 1] - bounds[first]).tolist())


def _splits_alike(part: Any, bounds: Any) -> bool:
    """Whether all blocks of a part are cut at the same columns of theirs."""
    columns = part.columns[part.columns >= 0]
    if not columns.size:
        return True
    first = np.searchsorted(bounds, columns)
    cuts = _cuts(bounds, int(first[0]), part.blocks.shape[2])
    inside = np.minimum(first[:, None] + np.arange(len(cuts)), len(bounds) - 1)
    return bool((bounds[inside] - columns[:, None] == cuts).all())


def _grouped(families: list[_Runs], n: int) -> tuple[Any, list[list[list[int]]]]:
    """The node of each run of columns, named by its first run, and the places of each node in the families.

    Runs that occur in the same instances, and always at the same places, are one node.
    """
    rng = np.random.default_rng(0)
    sums = np.zeros(n, np.int64)
    for f in families:
        keys = np.broadcast_to(rng.integers(-(2**62), 2**62, f.n)[:, None], f.runs.shape)
        here = f.runs >= 0
        np.add.at(sums, f.runs[here], keys[here])
    root = np.arange(n)
    for f in families:
        marks = np.where(f.runs >= 0, sums[f.runs], 0)
        for places in _alike(marks, f.runs):
            runs = f.runs[:, places]
            runs = runs[runs[:, 0] >= 0]
            root[runs] = runs.min(axis=1, keepdims=True)
    sizes = np.bincount(root, minlength=n)
    classes = []
    for f in families:
        nodes = np.where(f.runs >= 0, root[f.runs], -1)
        own = []
        for places in _alike(nodes, f.runs):
            runs = f.runs[:, places]
            runs = runs[runs[:, 0] >= 0]
            order = np.argsort(runs[0]) if len(runs) else np.arange(len(places))
            if len(runs) and not (
                (np.diff(runs[:, order], axis=1) > 0).all() and (sizes[root[runs[:, 0]]] == len(places)).all()
            ):
                return np.arange(n), [[[a] for a in range(g.runs.shape[1])] for g in families]
            own.append([places[k] for k in order.tolist()])
        classes.append(own)
    return root, classes


def _alike(marks: Any, runs: Any) -> list[list[int]]:
    """Places with the same mark in each instance, and never the same run."""
    classes: list[list[int]] = []
    for a in range(marks.shape[1]):
        for places in classes:
            b = places[0]
            if np.array_equal(marks[:, a], marks[:, b]) and not np.any((runs[:, a] == runs[:, b]) & (runs[:, a] >= 0)):
                places.append(a)
                break
        else:
            classes.append([a])
    return classes


def _row_families(J: Any) -> tuple[Any, Any, tuple[Family, ...]]:
    """Columns, nodes and families of a SciPy matrix in CSR format."""
    counts = np.diff(J.indptr)
    families = []
    for k in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == k)
        entries = J.indptr[rows][:, None] + np.arange(k)
        families.append(Family((), entries, len(rows), 1, J.indices[entries], np.arange(k + 1)))
    return np.arange(J.shape[1]), np.arange(J.shape[1] + 1), tuple(families)
