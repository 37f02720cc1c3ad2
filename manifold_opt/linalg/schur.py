r"""Damped linear least squares by the Schur complement: one variable is eliminated, instance by instance.

With J = [E F], and E'E block-diagonal since no residual depends on two instances of the eliminated variable, the normal
equations (J'J + lam D^2) s = -J'r become, with L L' the Cholesky factors of the blocks of E'E + lam D_E^2,

    Q = E L^-T,    y = r - Q Q'r,    S = F'F + lam D_F^2 - (Q'F)'(Q'F),
    S s_F = -F'y,    s_E = -L^-T Q'(r + F s_F).

Elimination works on all instances at once: arrays keep the entries of the small blocks first and the instances last, so
that each operation runs over all instances. S is a dense matrix, a sparse one of blocks, or is never formed: then
conjugate gradients take products with it.

References
----------
.. [1] B. Triggs, P. McLauchlan, R. Hartley, A. Fitzgibbon, Bundle adjustment - a modern synthesis, LNCS 1883 (2000),
   section 6.1.
.. [2] S. Agarwal, N. Snavely, S. M. Seitz, R. Szeliski, Bundle adjustment in the large, ECCV 2010, section 4 (the
   implicit Schur complement and its preconditioners).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .block_matrix import BlockMatrix, stacked
from .elimination import Elimination, Pattern, Rows, best_variable, named_variable, plan
from .factorizations import METHODS
from .iterative_solvers import ForcingTerm, Iterative
from .reduced_systems import REDUCED, ReducedSystem, reduced_system
from .small_cholesky import inverse_cholesky

# damping of the projection onto the range of J, relative to its columns: what rounding of S allows, far below what a
# gauge or a weakly determined variable needs
_PROJECTION = 1e-11
# instances whose products stay in the cache until they are put where they belong
_AT_A_TIME = 4096
# forcing term of what is not a step
_EXACT = 1e-10


@dataclass(frozen=True)
class SchurComplement(Iterative):
    """The normal equations with one variable eliminated: the linear solver of bundle adjustment.

    Parameters
    ----------
    eliminate : str
        Name of the variable, or ``"auto"`` for the one that leaves least to be solved for: points seen by fewer
        cameras, or cameras that see few points.
    reduced : {"auto", "dense", "sparse", "iterative"}
        How the rest is solved: dense Cholesky, sparse Cholesky, or conjugate gradients without forming the matrix.
        ``"auto"`` takes dense up to 1000 columns or where most blocks are there, iterative where forming the matrix
        needs more than 50 million products of blocks, else sparse.
    method : str
        Factorization of the sparse matrix, see `SparseCholesky`.
    preconditioner : {"schur-jacobi", "block-jacobi", "jacobi", None}
        Of the conjugate gradients: the diagonal blocks of the reduced matrix, those of F'F, or its diagonal.
    gamma, alpha, least, largest, max_products
        Of the conjugate gradients, see `Iterative`; by default the forcing term is between 0.01 and 0.1 here, where
        products are dear, and ``max_products`` is 500 at most.

    Raises
    ------
    ValueError
        On an unknown choice; when the Jacobian comes, on a variable that cannot be eliminated.
    """

    sparse: ClassVar[bool] = True
    preconditioners: ClassVar[tuple[str | None, ...]] = ("schur-jacobi", "block-jacobi", "jacobi", None)
    eliminate: str = "auto"
    reduced: str = "auto"
    method: str = "auto"
    preconditioner: str | None = "schur-jacobi"
    least: float = 1e-2
    largest: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in (
            ("reduced", ("auto", *REDUCED)),
            ("method", ("auto", *METHODS)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(map(repr, choices))}; got {getattr(self, name)!r}."
                )

    def bind(self) -> BoundSchur:
        """Run-time object."""
        return BoundSchur(self)


class BoundSchur:
    """Keeps J by families, the sums over instances, and everything about patterns.

    Attributes
    ----------
    factorizations : int
        Numerical eliminations so far: one for each Jacobian and damping.
    elimination : Elimination
        What is eliminated, once a Jacobian is known.
    products : int
        Products with the reduced matrix so far, where it is not formed.
    """

    def __init__(self, rule: SchurComplement) -> None:
        self.rule = rule
        self.factorizations = 0
        unknown: Any = None
        self.elimination: Elimination = unknown
        self._pattern: Any = None
        self._system: ReducedSystem = unknown
        self._families: list[_Family] = []
        self._key: Any = None
        self._V: Any = None
        self._norms: Any = None
        self._r: Any = None
        self._g: Any = None
        self._step: Any = None
        self._forcing = ForcingTerm(rule)

    @property
    def products(self) -> int:
        """See the class."""
        return getattr(self._system, "products", 0)

    def fresh(self) -> BoundSchur:
        """Another one that shares what is known of the pattern, for another J."""
        other = BoundSchur(self.rule)
        if self._pattern is not None:
            other._pattern, other.elimination = self._pattern, self.elimination
            other._system = self._system.fresh()
        return other

    def factor(self, J: Any) -> None:
        """Take a new J, and form the sums that no damping changes."""
        if not isinstance(J, BlockMatrix):
            raise TypeError(
                "SchurComplement() needs a Jacobian of blocks, as families of ResidualBlock have; for other sparse "
                "matrices use SparseCholesky()."
            )
        self._analyze(J)
        elimination = self.elimination
        self._families = [_Family(J, rows, elimination.width) for rows in elimination.families]
        P, e = len(elimination.starts), elimination.width
        V = np.zeros((e, e, P + 1), J.dtype)
        for family in self._families:
            family.add_squares(V)
        V[range(e), range(e), P] = 1.0  # of residuals that do not depend on the variable
        self._V = V
        self._norms = self._key = self._r = self._step = None
        self._forcing.renew()

    def _analyze(self, J: BlockMatrix) -> None:
        if self._pattern is not None and self._pattern.matches(J):
            return
        if self.rule.eliminate == "auto":
            variable = best_variable(J)
            if variable is None:
                raise ValueError(
                    "no variable can be eliminated: each has residuals that depend on two of its instances; use "
                    "SparseCholesky()."
                )
        else:
            variable = named_variable(J, self.rule.eliminate)
        self.elimination = plan(J, variable)
        self._system = reduced_system(self.rule, self.elimination)
        self._pattern = Pattern(J)

    def column_norms(self) -> Any:
        """Norms of the columns of J."""
        if self._norms is None:
            elimination = self.elimination
            squares = np.zeros(elimination.columns.size + len(elimination.kept), self._V.dtype)
            squares[elimination.columns] = np.einsum("aap->pa", self._V[:, :, :-1])
            kept = np.zeros(len(elimination.kept) + 1, self._V.dtype)
            for family in self._families:
                kept += np.bincount(
                    family.rows.columns.reshape(-1) % len(kept),  # -1 is the last
                    np.einsum("gkk->gk", family.U).reshape(-1),
                    minlength=len(kept),
                )
            squares[elimination.kept] = kept[:-1]
            self._norms = np.sqrt(squares)
        return self._norms

    def gradient(self, r: Any) -> Any:
        """J'r."""
        if r is not self._r:
            elimination = self.elimination
            g = np.zeros(elimination.columns.size + len(elimination.kept), r.dtype)
            by_instance = np.zeros((elimination.width, len(elimination.starts) + 1), r.dtype)
            kept = np.zeros(len(elimination.kept), r.dtype)
            for family in self._families:
                rows = family.rows_of(r)
                family.add_to_instances(by_instance, family.E, rows)
                family.add_to_kept(kept, rows)
            g[elimination.columns] = by_instance[:, :-1].T
            g[elimination.kept] = kept
            self._r, self._g = r, g
        return self._g

    def projected_norm(self, r: Any) -> float:
        """|P r|: the length of J s for all but no damping, which leaves a gauge alone."""
        norms = self.column_norms()
        scale = np.where(norms > 0.0, norms, 1.0)
        _, Js = self._solved(r, _PROJECTION, scale, _EXACT)
        return math.sqrt(max(-float(r.dot(Js)), 0.0))

    def damped_projection(self, r: Any, lam: float, scale: Any = None) -> float:
        """Root of g'(J'J + lam D^2)^-1 g with g = J'r: at most |P r|, and no work once the step is known."""
        Js = self.solve(r, lam, scale)[1]
        return math.sqrt(max(-float(r.dot(Js)), 0.0))

    def solve(self, r: Any, lam: float, scale: Any = None) -> tuple[Any, Any]:
        """Minimizer s of |r + J s|^2 + lam |D s|^2, and J s."""
        known = self._step
        if known is not None and known[0] is r and known[1] == lam and known[2] is scale:
            return known[3]
        eta = self._forcing.at(r, lambda: self.gradient(r)) if self._system.iterative else 0.0
        step = self._solved(r, lam, scale, eta)
        self._step = r, lam, scale, step
        return step

    def _solved(self, r: Any, lam: float, scale: Any, eta: float) -> tuple[Any, Any]:
        self._eliminate(lam, scale)
        elimination, families, system = self.elimination, self._families, self._system
        P, e = len(elimination.starts), elimination.width
        rows = [family.rows_of(r) for family in families]
        z = np.zeros((e, P + 1), r.dtype)
        for family, x in zip(families, rows, strict=True):
            family.add_to_instances(z, family.Q, x)
        b = np.zeros(len(elimination.kept), r.dtype)
        for family, x in zip(families, rows, strict=True):
            family.add_to_kept(b, x - family.from_instances(family.Q, z))
        kept = -system.solve(b, eta)
        # back substitution
        moved = [family.from_kept(kept) for family in families]
        for family, x in zip(families, moved, strict=True):
            family.add_to_instances(z, family.Q, x)
        instances = -_transposed_product(self._inverse, z)
        s = np.empty(P * e + len(kept), r.dtype)
        s[elimination.kept] = kept
        s[elimination.columns] = instances[:, :-1].T
        Js = np.empty_like(r)
        for family, x in zip(families, moved, strict=True):
            y = x + family.from_instances(family.E, instances)
            Js[family.rows.rows] = y.T.reshape(-1)
        return s, Js

    def _eliminate(self, lam: float, scale: Any) -> None:
        """Factorize the blocks of the eliminated variable, and what is left; kept for the next residual."""
        key = self._key
        if key is not None and key[0] == lam and (lam == 0.0 or key[1] is scale):
            return
        self._key = None
        self.factorizations += 1
        elimination, V = self.elimination, self._V
        e, size = elimination.width, elimination.columns.size + len(elimination.kept)
        damping = np.full(size, lam, V.dtype) if scale is None else (lam * scale * scale).astype(V.dtype, copy=False)
        damped = V.copy()
        damped[range(e), range(e), :-1] += damping[elimination.columns].T
        try:
            self._inverse = inverse_cholesky(damped)
        except np.linalg.LinAlgError as error:
            raise np.linalg.LinAlgError(
                f"the eliminated variable is not determined by its residuals: {error}; give it damping, more residuals "
                "or a prior, or fix it"
            ) from None
        for family in self._families:
            family.scale(self._inverse)
        self._system.factor(self._families, damping[elimination.kept], len(elimination.starts))
        self._key = lam, scale


class _Family:
    """The numbers of a family: E of shape (m, e, n), F of shape (m, K, n), instances last.

    Attributes
    ----------
    U : array of shape (groups, K, K)
        Sums of F'F over the instances of each group.
    Q : array of shape (m, e, n)
        E L^-T, once the blocks are factorized.
    """

    __slots__ = ("E", "F", "Q", "U", "rows")

    def __init__(self, J: BlockMatrix, rows: Rows, width: int) -> None:
        self.rows = rows
        blocks = [J.parts[i].blocks for i in rows.kept]
        self.F = _instances_last(stacked(blocks) if blocks else np.empty((rows.n, rows.m, 0), J.dtype))
        self.E = None if rows.eliminated is None else _instances_last(J.parts[rows.eliminated].blocks)
        self.Q: Any = None
        K = self.F.shape[1]
        F = np.zeros((rows.n + 1, rows.m, K), self.F.dtype)
        F[:-1] = self.F.transpose(2, 0, 1)
        self.U = rows.squares(F, F)

    def add_squares(self, V: Any) -> None:
        """Add the sums of E'E over instances to V, of shape (e, e, P + 1)."""
        E, instance = self.E, self.rows.instance
        if E is None:
            return
        for a in range(len(V)):
            for b in range(a + 1):
                products = np.einsum("mn,mn->n", E[:, a], E[:, b])
                V[a, b] += np.bincount(instance, products, minlength=V.shape[2])
                V[b, a] = V[a, b]

    def scale(self, inverse: Any) -> None:
        """Form Q for the inverses (e, e, P + 1) of the triangles L."""
        E, instance = self.E, self.rows.instance
        if E is None:
            return
        Q = np.empty_like(E)
        for a in range(len(inverse)):
            Q[:, a] = E[:, 0] * inverse[a, 0][instance]
            for b in range(1, a + 1):
                Q[:, a] += E[:, b] * inverse[a, b][instance]
        self.Q = Q

    def coupling(self) -> Any:
        """Q'F of each instance, (n + 1, e, K), the last one zero."""
        Y = np.zeros((self.rows.n + 1, self.Q.shape[1], self.F.shape[1]), self.F.dtype)
        for a in range(0, self.rows.n, _AT_A_TIME):
            part = slice(a, min(a + _AT_A_TIME, self.rows.n))
            Y[part] = np.einsum("man,mkn->akn", self.Q[:, :, part], self.F[:, :, part]).transpose(2, 0, 1)
        return Y

    def rows_of(self, r: Any) -> Any:
        """The residuals of the family, (m, n)."""
        return np.ascontiguousarray(r[self.rows.rows].reshape(self.rows.n, self.rows.m).T)

    def add_to_instances(self, out: Any, A: Any, x: Any) -> None:
        """Add A'x, summed over instances, to ``out`` of shape (e, P + 1); A is E or Q."""
        if A is None:
            return
        for k, term in enumerate(np.einsum("man,mn->an", A, x)):
            out[k] += np.bincount(self.rows.instance, term, minlength=out.shape[1])

    def from_instances(self, A: Any, x: Any) -> Any:
        """A x of each instance, (m, n), for x of shape (e, P + 1)."""
        return 0.0 if A is None else np.einsum("man,an->mn", A, x.take(self.rows.instance, axis=1))

    def add_to_kept(self, out: Any, x: Any) -> None:
        """Add F'x to ``out`` of shape (kept,)."""
        rows = self.rows
        if not rows.columns.size:
            return
        sums = np.stack(
            [
                np.bincount(rows.group - rows.first_group, term, minlength=len(rows.columns))
                for term in np.einsum("mkn,mn->kn", self.F, x)
            ],
            axis=1,
        )
        there = rows.columns >= 0
        out += np.bincount(rows.columns[there], sums[there], minlength=len(out))

    def from_kept(self, x: Any) -> Any:
        """F x of each instance, (m, n)."""
        rows = self.rows
        values = np.where(rows.columns >= 0, x[rows.columns] if len(x) else 0.0, 0.0).T
        return np.einsum("mkn,kn->mn", self.F, np.take(values, rows.group - rows.first_group, axis=1))


def _instances_last(blocks: Any) -> Any:
    """Blocks (n, m, k) as (m, k, n), contiguous."""
    return np.ascontiguousarray(blocks.transpose(1, 2, 0))


def _transposed_product(X: Any, z: Any) -> Any:
    """X'z for lower triangles X of shape (e, e, n) and z of shape (e, n)."""
    return np.einsum("abn,an->bn", X, z)
