r"""The matrix J'J of a sparse J, kept as small dense blocks: its pattern is found once, its numbers again and again.

The columns of J fall into *nodes*, runs of neighbouring columns that always occur together (the coordinates of one
variable). J'J has a block where two nodes meet in a row of J. A family of residuals gives n products B'B at once,
which one product with a matrix of zeros and ones adds up to the blocks of J'J.

For a SciPy matrix each column is a node, and rows with equally many entries are a family.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .block_matrix import BlockMatrix


class Family(NamedTuple):
    """Rows of J with equally many residuals and columns per instance.

    Attributes
    ----------
    parts : tuple of int
        Numbers of the parts of the block matrix that stand side by side; empty for a SciPy matrix.
    entries : array or None
        For a SciPy matrix: where the numbers of each row are in its data, shape (n, K).
    n, m : int
        Instances, and residuals of each.
    nodes : array of int, shape (n, P)
        The nodes whose columns each instance has; -1 for columns that are not there.
    starts : array of int, shape (P + 1,)
        Where the columns of each node begin among the K of an instance.
    """

    parts: tuple[int, ...]
    entries: Any
    n: int
    m: int
    nodes: Any
    starts: Any


class NormalPattern:
    """Where the blocks of J'J are, and how they come from J.

    Parameters
    ----------
    J : BlockMatrix or SciPy sparse matrix

    Attributes
    ----------
    size : int
        Number of columns of J.
    starts : array of int, shape (nodes + 1,)
        First column of each node.
    high, low : array of int, shape (blocks,)
        The two nodes of each block of the lower triangle, ``high >= low``, sorted by ``low``, then ``high``.
    offsets : array of int, shape (blocks + 1,)
        Where the numbers of each block begin, row by row; diagonal blocks are stored in full.
    """

    def __init__(self, J: Any) -> None:
        self.size = int(J.shape[1])
        self._key = _key(J)
        blocks = isinstance(J, BlockMatrix)
        self.starts, families = _block_families(J) if blocks else _row_families(J)
        self.families = tuple(families)
        self._sources = np.cumsum([0, *(f.n * int(f.starts[-1]) ** 2 for f in families)])
        self._collect()

    def matches(self, J: Any) -> bool:
        """Whether J has the pattern that this was made for."""
        key = _key(J)
        return len(key) == len(self._key) and all(_same(a, b) for a, b in zip(key, self._key, strict=True))

    @property
    def widths(self) -> Any:
        """Number of columns of each node."""
        return np.diff(self.starts)

    def _collect(self) -> None:
        """Find the blocks, and for each of their numbers the entries of the products B'B that it is the sum of."""
        nodes, widths = len(self.starts) - 1, self.widths
        pairs = []
        for family, source in zip(self.families, self._sources.tolist(), strict=False):
            K, P = int(family.starts[-1]), family.nodes.shape[1]
            for a in range(P):
                for b in range(P):
                    i, j = family.nodes[:, a], family.nodes[:, b]
                    at = np.flatnonzero((i >= j) & (j >= 0))
                    if at.size:
                        first = source + at * (K * K) + int(family.starts[a]) * K + int(family.starts[b])
                        pairs.append((j[at].astype(np.int64) * nodes + i[at], first, K))
        own = np.arange(nodes, dtype=np.int64) * (nodes + 1)  # diagonal blocks are there even where J has no numbers
        keys = np.unique(np.concatenate([own, *(key for key, _, _ in pairs)]))
        self.low, self.high = keys // nodes, keys % nodes
        self.offsets = np.concatenate([[0], np.cumsum(widths[self.high] * widths[self.low])])
        self.diagonal_blocks = np.searchsorted(keys, own)
        targets, sources = [], []
        for key, first, K in pairs:
            block = np.searchsorted(keys, key)
            rows, columns = widths[self.high[block]], widths[self.low[block]]
            # all pairs of one call have the same shape
            inner = np.arange(rows[0] * columns[0])
            targets.append((self.offsets[block][:, None] + inner).reshape(-1))
            sources.append((first[:, None] + inner // columns[0] * K + inner % columns[0]).reshape(-1))
        target, source = np.concatenate(targets), np.concatenate(sources)
        order = np.argsort(target, kind="stable")
        index = np.int32 if max(int(self._sources[-1]), len(order)) < 2**31 else np.int64
        self._indices = source[order].astype(index)
        self._indptr = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=int(self.offsets[-1])))]).astype(
            index
        )
        self._sum: Any = None
        self._buffer: Any = None

    @cached_property
    def diagonal(self) -> Any:
        """Where the diagonal entry of each column is among the numbers."""
        first, widths = self.offsets[self.diagonal_blocks], self.widths
        within = np.arange(self.size) - np.repeat(self.starts[:-1], widths)
        return np.repeat(first, widths) + within * (np.repeat(widths, widths) + 1)

    def values(self, J: Any, out: Any = None) -> Any:
        """The numbers of all blocks, one after the other.

        Parameters
        ----------
        J : BlockMatrix or SciPy sparse matrix
            Of the pattern that this was made for.
        out : array, optional
            Memory for them.
        """
        from scipy.sparse import csr_array

        dtype = np.float32 if J.dtype == np.float32 else np.float64
        if self._sum is None or self._sum.dtype != dtype:
            ones = np.ones(len(self._indices), dtype)
            shape = (int(self.offsets[-1]), int(self._sources[-1]))
            self._sum = csr_array((ones, self._indices, self._indptr), shape=shape)
            self._buffer = np.empty(shape[1], dtype)
        for family, a, b in zip(self.families, self._sources[:-1], self._sources[1:], strict=True):
            B = self._stacked(J, family)
            K = int(family.starts[-1])
            np.matmul(B.transpose(0, 2, 1), B, out=self._buffer[a:b].reshape(family.n, K, K))
        values = self._sum @ self._buffer
        if out is None:
            return values
        out[:] = values
        return out

    def _stacked(self, J: Any, family: Family) -> Any:
        """All columns of the instances of a family, (n, m, K)."""
        if family.entries is not None:
            return J.data[family.entries][:, None, :]
        blocks = [J.parts[i].blocks for i in family.parts]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=2)

    @cached_property
    def triangle(self) -> tuple[Any, Any, Any]:
        """The lower triangle column by column: ``indptr``, ``indices``, and where each entry is among the numbers."""
        rows, columns, at = self._entries()
        keep = rows >= columns
        rows, columns, at = rows[keep], columns[keep], at[keep]
        order = np.lexsort((rows, columns))
        counts = np.bincount(columns, minlength=self.size)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), rows[order].astype(np.int32), at[order]

    @cached_property
    def full(self) -> tuple[Any, Any, Any]:
        """Both triangles, likewise."""
        rows, columns, at = self._entries()
        keep = rows > columns
        rows, columns, at = (
            np.concatenate([x, y[keep]]) for x, y in ((rows, columns), (columns, rows), (at, at))
        )
        order = np.lexsort((rows, columns))
        counts = np.bincount(columns, minlength=self.size)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), rows[order].astype(np.int32), at[order]

    def _entries(self) -> tuple[Any, Any, Any]:
        """Row, column and place of each stored number, upper halves of the diagonal blocks left out."""
        widths = self.widths
        rows_of, columns_of = widths[self.high], widths[self.low]
        sizes = rows_of * columns_of
        block = np.repeat(np.arange(len(sizes)), sizes)
        at = np.arange(int(self.offsets[-1]))
        inner = at - self.offsets[block]
        rows = self.starts[self.high[block]] + inner // columns_of[block]
        columns = self.starts[self.low[block]] + inner % columns_of[block]
        keep = rows >= columns
        return rows[keep], columns[keep], at[keep]


def _key(J: Any) -> tuple[Any, ...]:
    if isinstance(J, BlockMatrix):
        shapes = tuple((part.row, *part.blocks.shape) for part in J.parts)
        return (J.shape, shapes, *(part.columns for part in J.parts))
    return (J.shape, J.indptr, J.indices)


def _same(a: Any, b: Any) -> bool:
    return a is b or (np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b)


def _block_families(J: BlockMatrix) -> tuple[Any, list[Family]]:
    """Nodes and families of a block matrix."""
    size = J.shape[1]
    ends = [np.array([0, size])]
    for part in J.parts:
        there = part.columns[part.columns >= 0]
        ends += [there, there + part.blocks.shape[2]]
    bounds = np.unique(np.concatenate(ends))
    if not all(_splits_alike(part, bounds) for part in J.parts):
        bounds = np.arange(size + 1)
    rows: dict[tuple[int, int, int], list[int]] = {}
    for i, part in enumerate(J.parts):
        rows.setdefault((part.row, *part.blocks.shape[:2]), []).append(i)
    families = []
    for (_, n, m), parts in rows.items():
        nodes, starts = [], [0]
        for i in parts:
            columns, k = J.parts[i].columns, J.parts[i].blocks.shape[2]
            here = columns >= 0
            first = np.searchsorted(bounds, columns)
            example = int(first[here][0]) if here.any() else None
            cuts = [0, k] if example is None else _cuts(bounds, example, k)
            for j in range(len(cuts) - 1):
                nodes.append(np.where(here, first + j, -1))
                starts.append(starts[-1] + cuts[j + 1] - cuts[j])
        families.append(Family(tuple(parts), None, n, m, np.stack(nodes, axis=1), np.array(starts)))
    return bounds, families


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


def _row_families(J: Any) -> tuple[Any, list[Family]]:
    """Nodes and families of a SciPy matrix in CSR format."""
    counts = np.diff(J.indptr)
    families = []
    for k in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == k)
        entries = J.indptr[rows][:, None] + np.arange(k)
        families.append(Family((), entries, len(rows), 1, J.indices[entries], np.arange(k + 1)))
    return np.arange(J.shape[1] + 1), families
