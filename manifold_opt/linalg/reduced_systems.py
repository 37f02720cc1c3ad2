r"""What is left after an elimination: the symmetric matrix S = F'F + D - (Q'F)'(Q'F), dense, sparse, or not formed.

Residuals with the same kept columns are a group. S is made of blocks, one for each pair of groups that see a common
eliminated instance; two groups may share columns (a lens that all cameras have), so that blocks may overlap.
"""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import numpy as np

from . import lapack
from .block_matrix import BlockMatrix, BlockPart
from .elimination import Elimination
from .factorizations import factorization
from .grouped_products import GroupedProducts
from .normal_matrix import NormalPattern

REDUCED = ("dense", "sparse", "iterative")
# "auto": up to so many columns a dense factorization takes milliseconds; pairs beyond which S is not formed
_DENSE_COLUMNS, _MOST_PAIRS = 1000, 50_000_000
# products with S for one step, beyond which a step that is less exact serves better
_MOST_PRODUCTS = 500
# columns that several groups share have one block of a preconditioner up to this size
_MOST_SHARED = 100


def reduced_system(rule: Any, elimination: Elimination) -> ReducedSystem:
    """The system of the kind that a `SchurComplement` asks for."""
    kind = rule.reduced
    if kind == "auto" and number_of_pairs(elimination) > _MOST_PAIRS:
        kind = "iterative"
    if kind == "iterative":
        return ImplicitSystem(elimination, rule)
    blocks = ReducedBlocks(elimination)
    if kind == "auto":
        size = len(elimination.kept)
        # a sparse factorization of a matrix that is a third full does no less work
        kind = "dense" if size <= _DENSE_COLUMNS or blocks.numbers() > size * size / 6 else "sparse"
    return DenseSystem(blocks) if kind == "dense" else SparseSystem(blocks, rule.method)


class ReducedSystem:
    """Base of the three: ``factor`` takes the families, ``solve`` a right-hand side.

    Attributes
    ----------
    iterative : bool
        Whether ``solve`` stops at a forcing term.
    """

    iterative = False

    def fresh(self) -> ReducedSystem:
        """Another one of the same pattern."""
        raise NotImplementedError

    def factor(self, families: list[Any], damping: Any, instances: int) -> None:
        """Take the numbers: families after ``scale``, the damping (kept,), the number of eliminated instances."""
        raise NotImplementedError

    def solve(self, b: Any, eta: float) -> Any:
        """Solution x of S x = b."""
        raise NotImplementedError


def number_of_pairs(elimination: Elimination) -> int:
    """Pairs of residuals with a common eliminated instance, each with itself included."""
    P = len(elimination.starts)
    counts = np.zeros(P + 1, np.int64)
    for f in elimination.families:
        if f.eliminated is not None:
            counts += np.bincount(f.instance, minlength=P + 1)
    return int((counts[:-1] * (counts[:-1] + 1) // 2).sum())


class ReducedBlocks:
    """The blocks of S: for which pairs of groups, and from which pairs of residuals they come.

    Attributes
    ----------
    elimination : Elimination
    products : list of (int, int, GroupedProducts, array, array)
        Two families, the sums of their products, and the two groups of each of them.
    """

    def __init__(self, elimination: Elimination) -> None:
        self.elimination = elimination
        families = elimination.families
        self.size = len(elimination.kept)
        first, second = _pairs(elimination)
        family = np.repeat(np.arange(len(families)), [f.n for f in families])
        within = np.concatenate([np.arange(f.n) for f in families])
        group = np.concatenate([f.group for f in families])
        groups = sum(len(f.columns) for f in families)
        a, b = group[first], group[second]
        swap = a < b
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        # two residuals of one group: both orders add to its block
        twice = (group[first] == group[second]) & (first != second)
        first, second = np.concatenate([first, second[twice]]), np.concatenate([second, first[twice]])
        self.products = []
        for f in range(len(families)):
            for g in range(f + 1):
                here = (family[first] == f) & (family[second] == g)
                if not here.any() or not families[f].kept or not families[g].kept:
                    continue
                i, j = first[here], second[here]
                key = group[i].astype(np.int64) * groups + group[j]
                order = np.argsort(key)
                key = key[order]
                new = np.diff(key, prepend=-1) > 0
                pairs = key[new]
                sums = GroupedProducts(within[i][order], within[j][order], np.cumsum(new) - 1, len(pairs))
                self.products.append((f, g, sums, pairs // groups, pairs % groups))

    def blocks(self) -> list[tuple[Any, Any, Any]]:
        """Columns of both sides of all blocks, and whether they are of a group with itself, which are symmetric.

        First those of F'F, one entry for each family that has columns, then those of ``products``.
        """
        families = self.elimination.families
        found = [(f.columns, f.columns, np.ones(len(f.columns), bool)) for f in families if f.kept]
        for f, g, _, a, b in self.products:
            rows = families[f].columns[a - families[f].first_group]
            columns = families[g].columns[b - families[g].first_group]
            found.append((rows, columns, a == b))
        return found

    def numbers(self) -> int:
        """About how many numbers the lower triangle has."""
        return sum(rows.shape[1] * columns.size for rows, columns, _ in self.blocks())

    def values(self, families: list[Any]) -> list[Any]:
        """The numbers of all blocks, in the order of ``blocks``."""
        coupling = [None if family.Q is None else family.coupling() for family in families]
        found = [family.U for family in families if family.rows.kept]
        return found + [-sums(coupling[f], coupling[g]) for f, g, sums, _, _ in self.products]


def _pairs(elimination: Elimination) -> tuple[Any, Any]:
    """All pairs of residuals with a common eliminated instance, by their number over all families."""
    P = len(elimination.starts)
    instance = np.concatenate(
        [f.instance if f.eliminated is not None else np.full(f.n, P) for f in elimination.families]
    )
    order = np.argsort(instance, kind="stable")
    order = order[: np.searchsorted(instance[order], P)]
    counts = np.bincount(instance[order], minlength=P)
    ends = np.repeat(np.cumsum(counts), counts)
    at = np.arange(len(order))
    left = ends - at  # residuals of the same instance from here on
    i = np.repeat(at, left)
    j = i + np.arange(len(i)) - np.repeat(np.cumsum(left) - left, left)
    return order[i], order[j]


class _Scatter:
    """Where the numbers of a list of blocks go, and how they are added there.

    Parameters
    ----------
    rows, columns : array of int of shapes (blocks, K) and (blocks, L)
        Of the matrix; -1 for what is not there.
    symmetric : array of bool, shape (blocks,)
        Blocks of which the upper half repeats the lower one.
    place : callable
        ``place(row, column)`` -> position among the numbers of the matrix, for arrays with row >= column.
    """

    def __init__(self, rows: Any, columns: Any, symmetric: Any, place: Any) -> None:
        shape = (len(rows), rows.shape[1], columns.shape[1])
        r = np.broadcast_to(rows[:, :, None], shape)
        c = np.broadcast_to(columns[:, None, :], shape)
        keep = (r >= 0) & (c >= 0) & ((r >= c) | ~symmetric[:, None, None])
        self.keep = None if keep.all() else np.flatnonzero(keep)
        self.target = place(np.maximum(r, c)[keep], np.minimum(r, c)[keep])
        # where two groups share a column, a pair of residuals adds to its diagonal from both sides
        self.both = np.flatnonzero(((r == c) & ~symmetric[:, None, None])[keep])
        self.distinct = not self.target.size or int(np.bincount(self.target).max()) == 1

    def add(self, out: Any, values: Any) -> None:
        values = values.reshape(-1)
        values = values if self.keep is None else values[self.keep]
        if self.both.size:
            values = values.copy()
            values[self.both] *= 2.0
        if self.distinct:
            out[self.target] += values
        else:
            out += np.bincount(self.target, values, minlength=len(out))


class DenseSystem(ReducedSystem):
    """S as a dense matrix, of which the lower triangle is filled, and its Cholesky factor."""

    def __init__(self, blocks: ReducedBlocks, scatters: Any = None) -> None:
        self.blocks = blocks
        n = self.size = blocks.size
        if scatters is None:
            scatters = [_Scatter(*b, lambda r, c: r * n + c) for b in blocks.blocks()]
        self._scatters = scatters
        self._factor: Any = None

    def fresh(self) -> DenseSystem:
        """Another one of the same pattern."""
        return DenseSystem(self.blocks, self._scatters)

    def matrix(self, families: list[Any], damping: Any) -> Any:
        """S; only its lower triangle is right."""
        S = np.zeros(self.size * self.size, damping.dtype)
        for scatter, values in zip(self._scatters, self.blocks.values(families), strict=True):
            scatter.add(S, values)
        S[:: self.size + 1] += damping
        return S.reshape(self.size, self.size)

    def factor(self, families: list[Any], damping: Any, instances: int) -> None:
        """See `ReducedSystem.factor`."""
        S = self.matrix(families, damping)
        potrf = lapack.spotrf if S.dtype == np.float32 else lapack.dpotrf
        # the lower triangle by rows is the upper one by columns
        R, info = potrf(S.T, lower=0, overwrite_a=1)
        if info != 0 or not math.isfinite(float(R[-1, -1]) if R.size else 0.0):
            column = int(self.blocks.elimination.kept[max(info, 1) - 1])
            raise np.linalg.LinAlgError(
                f"the reduced normal equations are singular at column {column}: raise the damping, or fix what is free"
            )
        self._factor = R

    def solve(self, b: Any, eta: float) -> Any:
        """See `ReducedSystem.solve`."""
        potrs = lapack.spotrs if b.dtype == np.float32 else lapack.dpotrs
        return potrs(self._factor, b, lower=0)[0] if len(b) else b


class SparseSystem(ReducedSystem):
    """S by blocks in a sparse pattern, and its sparse Cholesky factor."""

    def __init__(self, blocks: ReducedBlocks, method: str) -> None:
        self.blocks = blocks
        self.pattern = _pattern(blocks)
        places = _Places(self.pattern)
        self._scatters = [_Scatter(*b, places) for b in blocks.blocks()]
        self._upper, self._lower = places.mirrored()
        self._factorization = factorization(self.pattern, method)

    def fresh(self) -> SparseSystem:
        """Another one of the same pattern."""
        other = copy(self)
        other._factorization = self._factorization.fresh()
        return other

    def factor(self, families: list[Any], damping: Any, instances: int) -> None:
        """See `ReducedSystem.factor`."""
        values = np.zeros(int(self.pattern.offsets[-1]), damping.dtype)
        for scatter, numbers in zip(self._scatters, self.blocks.values(families), strict=True):
            scatter.add(values, numbers)
        values[self._upper] = values[self._lower]
        self._factorization.factor(values, damping)

    def solve(self, b: Any, eta: float) -> Any:
        """See `ReducedSystem.solve`."""
        return np.asarray(self._factorization.solve(b)).astype(b.dtype, copy=False)


class _Places:
    """Where an entry of the lower triangle stands among the numbers of a pattern."""

    def __init__(self, pattern: NormalPattern) -> None:
        self.pattern = pattern
        widths = pattern.widths
        self._node = np.empty(pattern.size, np.int64)
        self._within = np.empty(pattern.size, np.int64)
        self._node[pattern.columns] = np.repeat(np.arange(len(widths)), widths)
        self._within[pattern.columns] = np.arange(pattern.size) - np.repeat(pattern.starts[:-1], widths)

    def __call__(self, r: Any, c: Any) -> Any:
        node, within, pattern = self._node, self._within, self.pattern
        # within a node the lower half is the one that counts
        swap = (node[r] < node[c]) | ((node[r] == node[c]) & (within[r] < within[c]))
        r, c = np.where(swap, c, r), np.where(swap, r, c)
        block = pattern.find(node[r], node[c])
        return pattern.offsets[block] + within[r] * pattern.widths[node[c]] + within[c]

    def mirrored(self) -> tuple[Any, Any]:
        """Positions of the upper halves of the diagonal blocks, and of the entries they repeat."""
        pattern, upper, lower = self.pattern, [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for width in np.unique(pattern.widths).tolist():
            first = pattern.offsets[pattern.diagonal_blocks[pattern.widths == width]][:, None]
            i, j = np.tril_indices(width, -1)
            upper.append((first + j * width + i).reshape(-1))
            lower.append((first + i * width + j).reshape(-1))
        return np.concatenate(upper), np.concatenate(lower)


def _pattern(blocks: ReducedBlocks) -> NormalPattern:
    """The pattern of S: that of J'J for a J with one row of zeros for each pair of groups."""
    parts, row = [], 0
    for rows, columns, _ in blocks.blocks():
        for side in (rows, columns):
            starts = np.flatnonzero(np.any(np.diff(side, axis=1) != 1, axis=0)) + 1
            for piece in np.split(side, starts, axis=1):
                first = np.where(piece[:, -1] >= 0, piece[:, 0], -1)
                parts.append(BlockPart(row, first, np.zeros((len(side), 1, piece.shape[1]))))
        row += len(rows)
    return NormalPattern(BlockMatrix((row, blocks.size), parts))


class ImplicitSystem(ReducedSystem):
    """Products with S, and preconditioned conjugate gradients.

    Attributes
    ----------
    products : int
        So far.
    """

    iterative = True

    def __init__(self, elimination: Elimination, rule: Any) -> None:
        self.elimination, self.rule = elimination, rule
        self.products = 0
        self._families: list[Any] = []
        self._damping: Any = None
        self._instances = 0
        self._precondition: Any = None

    def fresh(self) -> ImplicitSystem:
        """Another one of the same pattern."""
        return ImplicitSystem(self.elimination, self.rule)

    def factor(self, families: list[Any], damping: Any, instances: int) -> None:
        """Take the numbers, and factorize the preconditioner."""
        self._families, self._damping, self._instances = families, damping, instances
        self._precondition = self._preconditioner()

    def product(self, x: Any) -> Any:
        """S x."""
        families = self._families
        self.products += 1
        moved = [family.from_kept(x) for family in families]
        z = np.zeros((self.elimination.width, self._instances + 1), x.dtype)
        for family, y in zip(families, moved, strict=True):
            family.add_to_instances(z, family.Q, y)
        out = self._damping * x
        for family, y in zip(families, moved, strict=True):
            family.add_to_kept(out, y - family.from_instances(family.Q, z))
        return out

    def solve(self, b: Any, eta: float) -> Any:
        """Conjugate gradients until the residual is eta times the right-hand side, in the preconditioner's norm."""
        precondition = self._precondition
        x, r = np.zeros_like(b), b.copy()
        z = precondition(r)
        p, square = z, float(r.dot(z))
        target = eta * eta * square
        for _ in range(self.rule.max_products or min(max(20, 4 * len(b)), _MOST_PRODUCTS)):
            if not square > target:
                break
            Sp = self.product(p)
            curvature = float(p.dot(Sp))
            if not curvature > 0.0:
                break
            t = square / curvature
            x, r = x + t * p, r - t * Sp
            z = precondition(r)
            before, square = square, float(r.dot(z))
            p = z + (square / before) * p
        return x

    def _preconditioner(self) -> Any:
        kind = self.rule.preconditioner
        if kind is None:
            return lambda r: r
        diagonal = self._diagonal()
        if kind == "jacobi" or not any(family.rows.kept for family in self._families):
            return diagonal
        parts = [self._own(kind == "schur-jacobi"), self._shared()]
        return _Blockwise(diagonal, [part for part in parts if part is not None])

    def _diagonal(self) -> Any:
        diagonal = self._damping.copy()
        for family in self._families:
            there = family.rows.columns >= 0
            squares = np.einsum("gkk->gk", family.U)
            diagonal += np.bincount(family.rows.columns[there], squares[there], minlength=len(diagonal))
        inverse = 1.0 / np.where(diagonal > 0.0, diagonal, 1.0)
        return lambda r: inverse * r

    @property
    def _main(self) -> Any:
        """The family with most residuals, whose groups the blocks are."""
        return max((family for family in self._families if family.rows.kept), key=lambda family: family.rows.n)

    def _own(self, with_elimination: bool) -> Any:
        """Columns that only one group has, as cameras have, and inverses of their blocks of S, or of F'F."""
        main = self._main
        columns, counts = main.rows.columns, np.zeros(len(self._damping) + 1, int)
        np.add.at(counts, columns, 1)
        alone = (counts[columns] == 1).all(axis=0, where=columns >= 0)
        own = columns[:, alone]
        if not own.size:
            return None
        U = main.U[:, alone][:, :, alone]
        if with_elimination and main.Q is not None:
            Y = np.ascontiguousarray(main.coupling()[:, :, alone])
            U -= main.rows.squares(Y, Y)
        for family in self._families:
            if family is not main and family.rows.kept:
                _add_blocks(U, own, family.U, family.rows.columns)
        return self._inverted(own, U)

    def _shared(self) -> Any:
        """Columns that several groups have, as those of one lens, and the inverse of their block of F'F."""
        main, counts = self._main, np.zeros(len(self._damping) + 1, int)
        np.add.at(counts, main.rows.columns, 1)
        shared = np.flatnonzero(counts[:-1] > 1)[None]
        if not 0 < shared.size <= _MOST_SHARED:
            return None
        U = np.zeros((1, shared.size, shared.size), self._damping.dtype)
        for family in self._families:
            if family.rows.kept:
                _add_blocks(U, shared, family.U, family.rows.columns)
        return self._inverted(shared, U)

    def _inverted(self, columns: Any, U: Any) -> Any:
        """Columns (G, K), and inverses of the triangles of U with the damping; None where one is singular."""
        there = columns >= 0
        U[:, range(U.shape[1]), range(U.shape[1])] += np.where(there, self._damping[columns], 1.0)
        try:
            return columns, there, np.linalg.inv(np.linalg.cholesky(U))
        except np.linalg.LinAlgError:
            return None


class _Blockwise:
    """Solutions with diagonal blocks, and with the diagonal where there are none."""

    def __init__(self, diagonal: Any, parts: list[Any]) -> None:
        self._diagonal, self._parts = diagonal, parts

    def __call__(self, r: Any) -> Any:
        out = self._diagonal(r)
        for columns, there, inverse in self._parts:
            x = np.where(there, r[columns], 0.0)[:, :, None]
            out[columns[there]] = (inverse.transpose(0, 2, 1) @ (inverse @ x))[there, 0]
        return out


def _add_blocks(U: Any, own: Any, blocks: Any, columns: Any) -> None:
    """Add blocks of other families where all their columns are in one block; what couples two is left out."""
    place = np.full(max(own.max(), columns.max()) + 2, -1)  # the last for columns that are not there
    inner = place.copy()
    G, K = own.shape
    place[own[own >= 0]] = np.repeat(np.arange(G), K).reshape(G, K)[own >= 0]
    inner[own[own >= 0]] = np.tile(np.arange(K), (G, 1))[own >= 0]
    g, k = place[columns], inner[columns]
    same = (g[:, :, None] >= 0) & (g[:, :, None] == g[:, None, :])
    b, i, j = np.nonzero(same)
    np.add.at(U, (g[b, i], k[b, i], k[b, j]), blocks[b, i, j])
