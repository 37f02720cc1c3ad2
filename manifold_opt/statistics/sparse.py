r"""Statistics of large sparse fits: errors and covariances of chosen variables from the factor of J'J, never dense.

All blocks of (J'J)^-1 at the places of the factor, which hold the covariance of each variable and of each two that
share a residual, cost about twice a factorization (selected inversion); the joint covariance of any K coordinates costs
K solutions.

References
----------
.. [1] K. Takahashi, J. Fagan, M.-S. Chen, Formation of a sparse bus impedance matrix and its application to short
   circuit study, 8th PICA Conference 1973.
.. [2] L. Lin, C. Yang, J. C. Meza, J. Lu, L. Ying, W. E, SelInv, ACM TOMS 37 (2011), article 40 (by dense fronts).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..linalg.factorizations import factorization, is_installed
from ..linalg.normal_matrix import NormalPattern, canonical, known_pattern
from ..linalg.null_space import null_space
from ..objectives.evaluation import watched
from .fit import _at_bounds, _notes, _Solved
from .quality import FitQuality
from .undetermined import Undetermined, undetermined
from .variables import Factor, factors, selected_columns

# Singular values of J with columns of length one up to this count as zero: the factor of J'J cannot tell them apart
# from its rounding, and no pose graph or bundle that can be solved has them.
_RCOND = 1e-7


@dataclass(frozen=True, eq=False)
class SparseStatistics(FitQuality):
    """Statistics of a large sparse least-squares fit, from `fit_statistics`.

    Attributes
    ----------
    manifold : Manifold
    point : array
        The solution.
    cost : float
        1/2 |r|^2, or 1/2 the sum of the losses.
    num_residuals : int
        m.
    rank : int
        Of the Jacobian: the number of directions that the data determine.
    sigma : float
        Standard deviation of a residual, see `FitStatistics`.
    weights : array
        rho' of each group of residuals.
    undetermined : list of Undetermined
        What the data do not determine, by sets of variables that residuals connect, and what to fix.
    condition : float
        Estimate of the condition of the Jacobian with columns of length one.
    absolute_sigma : bool
    notes : list of str
    free : array of bool, shape (dim,)
        Coordinates that were not held fixed. All numbers are about the full manifold, also where variables were fixed.
    """

    manifold: Any
    point: Any
    cost: float
    num_residuals: int
    rank: int
    sigma: float
    weights: Any
    undetermined: list[Undetermined]
    condition: float
    absolute_sigma: bool
    notes: list[str]
    free: Any
    result: Any = field(default=None, repr=False)
    solved: Any = field(default=None, repr=False)
    factor: Any = field(default=None, repr=False)

    @cached_property
    def factors(self) -> list[Factor]:
        """The factors of the manifold, as coordinates."""
        return factors(self.manifold)

    @cached_property
    def _source(self) -> Any:
        """For each coordinate that of the problem that was solved, or -1."""
        R = self.solved.reduction
        return np.arange(self.manifold.dim) if R is None else R.source

    @cached_property
    def _moved(self) -> Any:
        """Coordinates that an undetermined direction moves."""
        moved = np.zeros(self.manifold.dim, bool)
        for entry in self.undetermined:
            size = np.linalg.norm(entry.basis, axis=0)
            moved |= size > 1e-6 * size.max()
        return moved

    @cached_property
    def _inverse(self) -> Any:
        return self.factor.inverse()

    @cached_property
    def standard_errors(self) -> Any:
        """Standard errors of the coordinates, (dim,): zero for fixed ones, infinite for those that are undetermined."""
        variance = np.where(self.free, self._inverse.diagonal()[np.maximum(self._source, 0)], 0.0)
        with np.errstate(invalid="ignore"):
            return np.where(self._moved, math.inf, np.where(self.free, self.sigma * np.sqrt(variance), 0.0))

    @property
    def covariance(self) -> Any:
        """All of it would be dense: an error that says what to ask for."""
        raise ValueError(
            f"the covariance of all {self.manifold.dim} coordinates is dense. Ask for variables, as in "
            f"covariance({{{self.factors[0].name!r}: [0, 1]}}), or for the block of each copy, "
            f"statistics().covariance_blocks({self.factors[0].name!r})."
        )

    def covariance_of(self, variables: Any) -> Any:
        """Joint covariance of chosen variables, (K, K), by K solutions; see `FitStatistics.covariance_of`.

        Raises
        ------
        ValueError
            When an undetermined direction moves one of them.
        """
        columns = selected_columns(self.manifold, variables)
        self._refuse(columns)
        source = self._source[columns]
        wanted, place = np.unique(source[source >= 0], return_inverse=True)
        units = np.zeros((self.factor.pattern.size, len(wanted)))
        units[wanted, np.arange(len(wanted))] = 1.0
        inverse = self.factor.solve(units)[wanted] if len(wanted) else np.zeros((0, 0))
        C = np.zeros((len(columns), len(columns)))
        there = np.flatnonzero(source >= 0)
        C[np.ix_(there, there)] = self.sigma**2 * (0.5 * (inverse + inverse.T))[np.ix_(place, place)]
        return C

    def covariance_blocks(self, name: str) -> Any:
        """Covariance of each copy of a power, (copies, k, k), or of another factor, (1, k, k); zero for fixed ones.

        Raises
        ------
        KeyError
            On an unknown name.
        ValueError
            When an undetermined direction moves one of them.
        """
        columns = next((f.columns for f in self.factors if f.name == name), None)
        if columns is None:
            raise KeyError(f"no variable {name!r}; there are {', '.join(repr(f.name) for f in self.factors)}.")
        self._refuse(columns.reshape(-1))
        source = self._source[columns]
        free = (source >= 0).all(axis=1)
        if not (free | (source < 0).all(axis=1)).all():
            return self.covariance_of(name)[None]  # some entries of a Euclidean factor are fixed
        out = np.zeros((*columns.shape, columns.shape[1]))
        try:
            out[free] = self._inverse.blocks(source[free])
        except KeyError:
            return np.stack([self.covariance_of({name: [i]}) for i in range(len(columns))])
        return self.sigma**2 * out

    def _refuse(self, columns: Any) -> None:
        if self._moved[columns].any():
            missing = "; ".join(map(str, self.undetermined))
            raise ValueError(f"what the data leave undetermined has no covariance: {missing}.")

    def report(self, *, level: float = 0.95, timing: bool = True) -> str:
        """A page about the fit: counts, quality, the errors of each factor, what is undetermined."""
        from .report import sparse_report

        return sparse_report(self, level=level, timing=timing)

    def __str__(self) -> str:
        return self.report(timing=False)


def sparse_statistics(result: Any, e: Any, *, absolute_sigma: bool, rcond: float | None) -> SparseStatistics:
    """`fit_statistics` of a result whose evaluation has a block matrix or a SciPy matrix for its Jacobian."""
    r, J, corrected = watched(e, "residuals"), _matrix(watched(e, "jacobian")), _matrix(e.model_jacobian)
    if not math.isfinite(float(r @ r)):
        raise ValueError("the residuals at the solution are not finite, so that nothing can be said about errors.")
    pattern = known_pattern(corrected)
    factor = factorization(pattern, "compiled" if is_installed("compiled") else "numpy")
    values = pattern.values(corrected).astype(float, copy=False)
    if not np.isfinite(values).all():
        raise ValueError("the Jacobian at the solution is not finite, so that nothing can be said about errors.")
    norms = np.sqrt(values[pattern.diagonal])
    null = null_space(corrected, norms, factor, values, _RCOND if rcond is None else float(rcond))
    if len(null.basis) == 0:
        factor.factor(values)  # without the damping
    solved = _Solved.of(result, e)
    M, p = solved.full
    rank = pattern.size - len(null.basis)
    freedom = len(r) - rank
    sigma = 1.0 if absolute_sigma else math.inf
    if not absolute_sigma and freedom > 0:
        sigma = math.sqrt(_variance(e, r, J, pattern, values, rank, freedom))
    groups = solved.lifted(_connected(pattern)[None])[0] if solved.reduction is not None else _connected(pattern)
    groups = np.where(solved.free, groups, -1).astype(int)
    missing = undetermined(solved.lifted(null.basis), factors(M), groups, null.complete)
    notes = [note for note in _notes(result, freedom, absolute_sigma, 0) + _at_bounds(result, solved) if note]
    return SparseStatistics(
        manifold=M,
        point=p,
        cost=e.cost,
        num_residuals=len(r),
        rank=rank,
        sigma=sigma,
        weights=np.array(e.weights),
        undetermined=missing,
        condition=null.condition,
        absolute_sigma=absolute_sigma,
        notes=notes + [f"{entry}." for entry in missing],
        free=solved.free,
        result=result,
        solved=solved,
        factor=factor,
    )


def _matrix(J: Any) -> Any:
    return canonical(J) if hasattr(J, "tocsr") else J


def _connected(pattern: NormalPattern) -> Any:
    """Number of the connected set of nodes that each column belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = pattern.nodes
    graph = coo_array((np.ones(len(pattern.high)), (pattern.high, pattern.low)), shape=(n, n)).tocsr()
    out = np.empty(pattern.size)
    out[pattern.columns] = np.repeat(connected_components(graph, directed=False)[1], pattern.widths)
    return out


def _variance(e: Any, r: Any, J: Any, pattern: NormalPattern, corrected: Any, rank: int, freedom: int) -> float:
    """See `manifold_opt.statistics.fit`; the mean weight of the corrected rows is a trace."""
    robust = e.functions.robust
    if robust is None:
        return float(r @ r) / freedom
    _, first, second = e.losses
    psi = robust.expand(first) * r
    slope = robust.expand(first) + 2.0 * robust.expand(second) * r * r
    raw = factorization(pattern, "compiled" if is_installed("compiled") else "numpy")
    values = pattern.values(J).astype(float, copy=False)
    norms = values[pattern.diagonal]
    raw.factor(values, 1e-12 * np.where(norms > 0.0, norms, norms.max(initial=0.0) or 1.0))
    # trace of (J'J)^-1 C'C, C the corrected Jacobian, from the lower triangles
    inverse, (rows, columns, at) = raw.inverse(), pattern.entries()  # type: ignore[attr-defined]  # it is one of ours
    products = inverse.of_columns(rows, columns) * corrected[at]
    weight = float(np.sum(np.where(rows == columns, products, 2.0 * products))) / max(rank, 1)
    mean = float(np.mean(slope))
    if mean <= 0.1 * weight:  # mostly outliers to a redescending loss: its average slope says nothing
        mean = weight
    return float(psi @ psi) / freedom * weight / mean**2 if mean > 0.0 else math.inf
