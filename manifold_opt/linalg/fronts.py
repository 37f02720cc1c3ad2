r"""How a symmetric matrix of blocks is eliminated: the order, and the dense fronts that the work is done in.

The nodes of a graph (variables of some width) are eliminated one by one; those that are left and touch the eliminated
one become neighbours. Columns of the factor L with nearly the same pattern are kept as one dense *front*: p columns of
*pivots*, and below them q rows of the nodes that they touch. The fronts form a tree; what a front leaves for the rows
below its pivots (its *update*, q x q) is added into the front of its parent. All of it depends on the pattern alone.

Nodes that touch the same nodes are taken for one before anything else is done, so that a pose stored as a rotation
here and a translation there is one node of the graph.

References
----------
.. [1] J. W. H. Liu, The multifrontal method for sparse matrix solution: theory and practice, SIAM Review 34 (1992).
.. [2] C. Ashcraft, R. Grimes, The influence of relaxed supernode partitions on the multifrontal method, ACM TOMS 15
   (1989), 291-309.
.. [3] J. W. H. Liu, Modification of the minimum-degree algorithm by multiple elimination, ACM TOMS 11 (1985) (the
   order that SciPy's SuperLU finds).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

# Fronts are joined with their parent while at most this part of the result is zeros: up to so many pivots, and so on,
# the less the more pivots there are.
# Zeros cost arithmetic, small fronts cost calls; the numbers were found on pose graphs, and matter by some 10 %.
RELAXED = ((12, 0.8), (32, 0.3), (64, 0.1), (10**9, 0.05))
# the same where a call costs as much as some 10^4 operations
COARSE = ((48, 0.9), (96, 0.6), (192, 0.3), (10**9, 0.1))

Relaxation = tuple[tuple[int, float], ...]
Ordering = Callable[[Any, Any], Any]


@dataclass(frozen=True, eq=False)
class Fronts:
    """Fronts in the order of their elimination, children before parents.

    Attributes
    ----------
    order : array of int, shape (size,)
        The scalar unknown at each place of the elimination.
    pivots : array of int, shape (fronts + 1,)
        First place of the pivots of each front.
    struct : array of int
        Places of the rows below the pivots, front by front, ascending.
    struct_starts : array of int, shape (fronts + 1,)
    parent : array of int, shape (fronts,)
        -1 for a root.
    relative : array of int
        For each entry of ``struct`` its row in the front of the parent.
    node_places : array of int
        First place of each node of the graph.
    node_fronts : array of int
        The front whose pivots each node belongs to.
    """

    order: Any
    pivots: Any
    struct: Any
    struct_starts: Any
    parent: Any
    relative: Any
    node_places: Any
    node_fronts: Any

    @property
    def size(self) -> int:
        """Number of scalar unknowns."""
        return len(self.order)

    @cached_property
    def p(self) -> Any:
        """Pivots of each front."""
        return np.diff(self.pivots)

    @cached_property
    def q(self) -> Any:
        """Rows below the pivots of each front."""
        return np.diff(self.struct_starts)

    @cached_property
    def panels(self) -> Any:
        """Where the columns of each front begin in the storage of L, ``(p + q) x p`` column by column."""
        return np.concatenate([[0], np.cumsum((self.p + self.q).astype(np.int64) * self.p)])

    @property
    def entries(self) -> int:
        """Numbers stored for L."""
        return int(self.panels[-1])

    @property
    def operations(self) -> float:
        """Multiplications and additions of a factorization."""
        p, q = self.p.astype(float), self.q.astype(float)
        return float(np.sum(p**3 / 3.0 + p * p * q + p * q * q))

    @cached_property
    def children(self) -> tuple[Any, Any]:
        """Children of each front one after the other, and where those of each begin."""
        n = len(self.parent)
        order = np.argsort(self.parent, kind="stable")
        order = order[np.searchsorted(self.parent[order], 0) :]
        counts = np.bincount(self.parent[self.parent >= 0], minlength=n)
        return order, np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def updates(self) -> tuple[Any, int]:
        """Where the update of each front lies in a common memory, and the size of that memory.

        An update is made when its front is eliminated and gone when that of the parent is. Those of even depth in the
        tree are on one stack, those of odd depth on another: children are then on top of theirs.
        """
        sizes = (self.q.astype(np.int64) ** 2).tolist()
        parent = self.parent.tolist()
        n = len(sizes)
        odd, freed = [0] * n, [0] * n
        for front in range(n - 1, -1, -1):
            if parent[front] >= 0:
                odd[front] = 1 - odd[parent[front]]
        for front, size in enumerate(sizes):
            if parent[front] >= 0:
                freed[parent[front]] += size
        places, top, most = [0] * n, [0, 0], [0, 0]
        for front, size in enumerate(sizes):
            k = odd[front]
            places[front] = top[k]
            top[k] += size
            most[k] = max(most[k], top[k])
            top[1 - k] -= freed[front]
        return np.array(places, np.int64) + most[0] * np.array(odd, np.int64), sum(most)


def fronts(
    high: Any, low: Any, starts: Any, order: Ordering | None = None, relaxed: Relaxation = RELAXED
) -> Fronts:
    """Fronts of a symmetric matrix of blocks.

    Parameters
    ----------
    high, low : array of int, shape (blocks,)
        The nodes of each block of the lower triangle, ``high >= low``; those on the diagonal may be among them.
    starts : array of int, shape (nodes + 1,)
        First scalar unknown of each node.
    order : callable, optional
        ``order(indptr, indices)`` returns the order in which the nodes of a graph are to be eliminated; default
        minimum degree.
    relaxed : tuple of (int, float)
        Up to how many pivots how large a part of a front may be zeros.
    """
    widths = np.diff(starts)
    off = high != low
    high, low = high[off], low[off]
    group = _same_neighbours(high, low, len(widths))
    groups = int(group.max()) + 1 if len(group) else 0
    width = np.bincount(group, widths, minlength=groups).astype(np.int64)
    place, L = _factor_pattern(group[high], group[low], groups, order)
    at = np.argsort(place)
    columns = _Columns(L, width[at])
    front_of, top, parent = columns.joined(relaxed)
    # new places: fronts one after the other, inside a front the columns in their old order
    sequence = np.lexsort((np.arange(groups), front_of))
    places = np.empty(groups, np.int64)
    starts_of = np.concatenate([[0], np.cumsum(columns.width[sequence])])
    places[sequence] = starts_of[:-1]
    count = len(top)
    firsts = np.searchsorted(front_of[sequence], np.arange(count + 1))
    pivots = starts_of[firsts]
    struct, struct_starts, relative = _structs(columns, front_of, top, parent, places, pivots)
    # scalars: nodes of a group keep their order
    nodes = np.lexsort((np.arange(len(widths)), places[place[group]]))
    node_places = np.empty(len(widths), np.int64)
    node_places[nodes] = np.concatenate([[0], np.cumsum(widths[nodes])])[:-1]
    order_of = np.empty(int(starts[-1]), np.int64)
    within = np.arange(int(starts[-1])) - np.repeat(starts[:-1], widths)
    order_of[np.repeat(node_places, widths) + within] = np.arange(int(starts[-1]))
    return Fronts(
        order_of, pivots, struct, struct_starts, parent, relative, node_places, front_of[place[group]]
    )


def _same_neighbours(high: Any, low: Any, n: int) -> Any:
    """Number of the group of each node: nodes of a group touch the same nodes, and one another."""
    keys = np.random.default_rng(0).integers(-(2**62), 2**62, n)
    sums = keys.copy()
    np.add.at(sums, high, keys[low])
    np.add.at(sums, low, keys[high])
    _, first, group = np.unique(sums, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[group]


def _factor_pattern(high: Any, low: Any, n: int, order: Any) -> tuple[Any, Any]:
    """Place of each node in the order of elimination, and the pattern of L in that order."""
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    off = high != low
    i, j = np.concatenate([high[off], low[off]]), np.concatenate([low[off], high[off]])
    pattern = csc_matrix((np.ones(len(i)), (i, j)), shape=(n, n))
    pattern.sum_duplicates()
    place = None
    if order is not None:
        place = np.empty(n, np.int64)
        place[np.asarray(order(pattern.indptr, pattern.indices))] = np.arange(n)
        pattern = csc_matrix((np.ones(len(i)), (place[i], place[j])), shape=(n, n))
        pattern.sum_duplicates()
    # any matrix of this pattern whose diagonal dominates: nothing cancels, and no row is exchanged. It dominates by
    # little, for else what fills in along a long chain decays until it is zero and drops out of the pattern
    pattern.data[:] = -1.0
    diagonal = np.maximum(np.diff(pattern.indptr) * (1.0 + 1e-10), 1.0)
    pattern = pattern + csc_matrix((diagonal, (np.arange(n), np.arange(n))), shape=(n, n))
    method = "MMD_AT_PLUS_A" if order is None else "NATURAL"
    found = splu(pattern.tocsc(), permc_spec=method, diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    L = found.L
    L.sort_indices()
    if place is None:
        place = found.perm_c.astype(np.int64)
    else:
        place = found.perm_c.astype(np.int64)[place]
    return place, L


class _Columns:
    """The columns of L of a graph, and which of them share a front."""

    def __init__(self, L: Any, width: Any) -> None:
        self.L, self.width = L, width
        n = L.shape[0]
        ends = L.indptr[1:]
        lengths = ends - L.indptr[:-1]
        self.parent = np.full(n, -1, np.int64)
        many = lengths > 1
        self.parent[many] = L.indices[L.indptr[:-1][many] + 1]
        # rows below the diagonal, in scalars
        sums = np.concatenate([[0], np.cumsum(width[L.indices])])
        self.below = sums[ends] - sums[L.indptr[:-1]] - width

    def joined(self, relaxed: Relaxation) -> tuple[Any, Any, Any]:
        """Front of each column, last column of each front, and parents of the fronts; children first."""
        n = len(self.parent)
        parent, q = self.parent.tolist(), self.below.tolist()
        p, zeros = self.width.tolist(), [0] * n
        into = list(range(n))
        limits, shares = [most for most, _ in relaxed], [share for _, share in relaxed]
        # areas of the triangles and rectangles that the columns fill, zeros included
        area = [k * (k + 1) // 2 + k * below for k, below in zip(p, q, strict=True)]
        for c in range(n):
            a = parent[c]
            if a < 0:
                continue
            pivots = p[c] + p[a]
            whole = pivots * (pivots + 1) // 2 + pivots * q[a]
            empty = whole - area[c] - area[a] + zeros[c] + zeros[a]
            if empty > 0 and empty > shares[bisect_left(limits, pivots)] * whole:
                continue
            into[c] = a
            p[a], zeros[a], area[a] = pivots, empty, whole
        # the column that each was joined to in the end; parents come later
        for c in range(n - 1, -1, -1):
            into[c] = into[into[c]]
        tops = [c for c in range(n) if into[c] == c]
        up = {c: (into[parent[c]] if parent[c] >= 0 else -1) for c in tops}
        sequence = _postorder(tops, up, q)
        number = {c: i for i, c in enumerate(sequence)}
        front_of = np.array([number[c] for c in into], np.int64)
        above = np.array([number.get(up[c], -1) for c in sequence], np.int64)
        return front_of, np.array(sequence, np.int64), above


def _postorder(tops: list[int], up: dict[int, int], q: list[int]) -> list[int]:
    """Children before parents, those with large updates last, so that they wait for less time."""
    below: dict[int, list[int]] = {}
    for c in tops:
        below.setdefault(up[c], []).append(c)
    for children in below.values():
        children.sort(key=lambda c: q[c])
    out: list[int] = []
    stack = list(below.get(-1, ()))
    while stack:
        c = stack.pop()
        out.append(c)
        stack.extend(below.get(c, ()))
    out.reverse()
    return out


def _structs(columns: _Columns, front_of: Any, top: Any, parent: Any, places: Any, pivots: Any) -> tuple[Any, ...]:
    """Scalar rows below the pivots of each front, and where they are in the parent's."""
    L, width = columns.L, columns.width
    counts = np.diff(L.indptr)[top] - 1
    owner = np.repeat(np.arange(len(top)), counts)
    first = L.indptr[:-1][top] + 1
    rows = L.indices[np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())]
    order = np.lexsort((places[rows], owner))
    rows = rows[order]  # the owners stay as they are
    sizes = width[rows]
    ends = np.cumsum(sizes)
    inner = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - sizes, sizes)
    struct = np.repeat(places[rows], sizes) + inner
    owners = np.repeat(owner, sizes)
    struct_starts = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(top)))])
    above = parent[owners]
    as_pivot = struct - pivots[above]
    size = int(pivots[-1]) + 1
    keys = owners * size + struct
    p = np.diff(pivots)
    found = np.searchsorted(keys, above * size + struct)
    relative = np.where(struct < pivots[above + 1], as_pivot, p[above] + found - struct_starts[above])
    return struct, struct_starts, relative
