r"""What is known after a fit: errors, correlations, intervals, what is undetermined, and how good the fit is.

At the solution the residual is about r + J s along the tangent vector with orthonormal coordinates s. With independent
errors of variance sigma^2 the coordinates of the estimate about the truth have the covariance sigma^2 (J'J)^-1, and
sigma^2 is estimated by |r|^2 / (m - rank J). With a robust loss J is the Jacobian of the corrected model and sigma^2
that of an M-estimator with the score psi = rho' r,

    sigma^2 = sum psi^2 / (m - rank) / mean(psi')^2 * (mean weight of the corrected rows),

which is Huber's asymptotic variance, and |r|^2 / (m - rank) without a loss.

References
----------
.. [1] D. M. Bates and D. G. Watts, Nonlinear Regression Analysis and Its Applications, Wiley 1988, section 2.
.. [2] P. J. Huber, Robust Statistics, Wiley 1981, section 7.6.
.. [3] K. P. Burnham and D. R. Anderson, Model Selection and Multimodel Inference, Springer 2002, section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..linalg.automatic import Automatic, chosen
from ..linalg.schur import SchurComplement
from ..linalg.solvers import dense
from ..linalg.sparse_solvers import SparseCholesky
from ..objectives.evaluation import Counts, watched
from ..solvers.box import box_of
from .information import NullDirection, information, null_directions, singular_variables
from .intervals import profile_interval, quantile, scalar_function
from .quality import FitQuality
from .rounding import sharp_residuals
from .variables import Variable, selected_columns, variables

# A coordinate this near to a bound is there: methods from the inside never reach it.
_NEAR_BOUND = 1e-6
# Columns and rows of numbers from differentiation are exact to rounding, those from differences to about eps^(2/3).
_RCOND_EXACT, _RCOND_DIFFERENCES = 10.0, 1e-8


@dataclass(frozen=True, eq=False)
class _Solved:
    """The problem that was solved: the full one, or that of the free variables, whose coordinates lift to all."""

    manifold: Any
    point: Any
    functions: Any
    reduction: Any

    @classmethod
    def of(cls, result: Any, e: Any) -> _Solved:
        objective = result.problem.objective
        while not hasattr(objective, "reduction") and hasattr(objective, "objective"):
            objective = objective.objective  # counted, cached or scaled
        return cls(result.problem.manifold, e.point, e.functions, getattr(objective, "reduction", None))

    @property
    def full(self) -> tuple[Any, Any]:
        """The manifold of all variables, and the solution there."""
        R = self.reduction
        return (self.manifold, self.point) if R is None else (R.full, R.lift(self.point))

    @property
    def free(self) -> Any:
        """Coordinates that are not fixed."""
        return np.ones(self.manifold.dim, bool) if self.reduction is None else self.reduction.source >= 0

    def lifted(self, C: Any) -> Any:
        """Rows of coordinates among those of all variables."""
        return C if self.reduction is None else self.reduction.lift_coordinates(C)

    def scalar(self, h: Callable[[Any], tuple[float, Any]]) -> Callable[[Any], tuple[float, Any]]:
        """A function of all variables, with its gradient, as one of the free ones."""
        R = self.reduction
        if R is None:
            return h

        def restricted(q: Any) -> tuple[float, Any]:
            value, g = h(R.lift(q))
            return value, R.restrict_coordinates(g)

        return restricted


@dataclass(frozen=True, eq=False)
class FitStatistics(FitQuality):
    """Statistics of a least-squares fit, from `fit_statistics`.

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
        Standard deviation of a residual, estimated from the fit; 1 if the residuals were given in units of theirs
        (``absolute_sigma``). Infinite without a degree of freedom left.
    covariance : array of shape (dim, dim)
        Covariance of the solution in orthonormal coordinates of its tangent space; zero along null directions.
    weights : array
        rho' of each group of residuals: 1 for an inlier, less for an outlier.
    leverages : array of shape (m,)
        Diagonal of the projection onto the range of the (corrected) Jacobian.
    variables : list of Variable
        The named pieces of the point.
    null_directions : list of NullDirection
        A basis of what the data do not determine, named.
    singular_variables : dict of str to int
        Variables that would not be determined even if all others were known, and the rank that each has alone.
    condition : float
        Condition of the Jacobian with columns of length one.
    absolute_sigma : bool
    notes : list of str
        What a reader should know before trusting the numbers.
    free : array of bool, shape (dim,)
        Coordinates that were not held fixed; fixed ones have no variance. All numbers are about the full manifold,
        also where variables were fixed or tied by `fix`.
    """

    manifold: Any
    point: Any
    cost: float
    num_residuals: int
    rank: int
    sigma: float
    covariance: Any
    weights: Any
    leverages: Any
    variables: list[Variable]
    null_directions: list[NullDirection]
    singular_variables: dict[str, int]
    condition: float
    absolute_sigma: bool
    notes: list[str]
    free: Any
    result: Any = field(default=None, repr=False)
    solved: _Solved | None = field(default=None, repr=False)

    @cached_property
    def labels(self) -> list[str]:
        """One name per coordinate: ``"t[0]"`` in a Euclidean variable, ``"R.0"`` in another."""
        return [label for variable in self.variables for label in variable.labels]

    @cached_property
    def values(self) -> Any:
        """Entries of the Euclidean variables; zeros for others, whose coordinates start at the solution."""
        return np.concatenate([variable.coordinates for variable in self.variables])

    @cached_property
    def standard_errors(self) -> Any:
        """Standard errors of the coordinates; infinite for those that a null direction moves."""
        errors = np.sqrt(np.diagonal(self.covariance))
        for direction in self.null_directions:
            errors[direction.moved] = math.inf
        return errors

    @cached_property
    def correlations(self) -> Any:
        """Correlations of the coordinates; NaN where an error is zero."""
        s = np.sqrt(np.diagonal(self.covariance))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.covariance / np.outer(s, s)

    def covariance_of(self, variables: Any) -> Any:
        """Joint covariance of chosen variables, (K, K): one after the other, in the order given.

        Parameters
        ----------
        variables : str, sequence of str, or dict of str to (int, sequence of int, or None)
            Names of factors of the product; in a dict with the numbers of copies of a power, None for all.
        """
        columns = selected_columns(self.manifold, variables)
        return self.covariance[np.ix_(columns, columns)]

    def of_variable(self, name: str) -> Any:
        """Block of the covariance that belongs to one variable.

        Raises
        ------
        KeyError
            When there is no such variable, naming those there are.
        """
        for variable in self.variables:
            if variable.name == name:
                return self.covariance[variable.columns, variable.columns]
        raise KeyError(f"no variable {name!r}; there are {', '.join(v.name for v in self.variables)}.")

    # the embedding

    def embedded_covariance(self) -> Any:
        """Covariance of the entries of the point as it is embedded, P C P' with P the basis vectors as columns.

        Returns
        -------
        array of shape (N, N)
            N numbers in C order; for a complex embedding all real parts, then all imaginary ones.
        """
        P = self._embedded_basis()
        return P.T @ self.covariance @ P

    def embedded_standard_errors(self) -> Any:
        """Standard errors of the entries of the embedded point, in its shape; for a complex one two such arrays."""
        P = self._embedded_basis()
        errors = np.sqrt(np.einsum("ij,ik,kj->j", P, self.covariance, P))
        for direction in self.null_directions:
            errors[np.abs(direction.coordinates @ P) > 1e-9] = math.inf
        shape = tuple(self.manifold.embedding_shape)
        return errors.reshape((2, *shape) if errors.size != math.prod(shape) else shape)

    def _embedded_basis(self) -> Any:
        M, p = self.manifold, self.point
        E = np.asarray(M.embed_vector(p, M.get_basis(p))).reshape(M.dim, -1)
        return np.hstack([E.real, E.imag]) if E.dtype.kind == "c" else E

    # functions of the solution

    def propagate(self, h: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Value and covariance of a function of the solution, to first order.

        Parameters
        ----------
        h : callable
            p -> k numbers in any shape; differentiated.

        Returns
        -------
        value : array
            h at the solution.
        covariance : array of shape (k, k)
            Infinite in the rows and columns of values that a null direction changes.
        """
        from ..autodiff import choose_backend

        G = dense(choose_backend("auto", h, self.point).jacobian(_raveled(h), self.manifold)(self.point)[1])
        C = G @ self.covariance @ G.T
        for direction in self.null_directions:
            changed = np.abs(G @ direction.coordinates) > 1e-7 * np.linalg.norm(G, axis=1)
            C[changed] = C[:, changed] = math.inf
        return np.asarray(h(self.point)), C

    def margins(self, level: float = 0.95) -> Any:
        """Half lengths of the Wald intervals of all coordinates: standard errors times Student's quantile."""
        return quantile(level, self._freedom) * self.standard_errors

    def confidence_intervals(self, level: float = 0.95) -> Any:
        """Wald intervals of all coordinates, about `values`.

        Returns
        -------
        array of shape (dim, 2)
        """
        margins = self.margins(level)
        return np.stack([self.values - margins, self.values + margins], axis=1)

    def confidence_interval(self, h: Any, level: float = 0.95, *, method: str = "profile") -> tuple[float, float]:
        """Interval of a number that depends on the solution.

        Parameters
        ----------
        h : callable, str or int
            p -> a number, differentiated; or the label or number of a coordinate (on a curved manifold: that of the
            inverse retraction from the solution).
        level : float
            Probability with which the interval is to contain the truth.
        method : {"profile", "wald"}
            From refits with h held, or from standard errors.

        Returns
        -------
        low, high : float
            Infinite ends where the data do not limit h.

        Raises
        ------
        ValueError
            On an unknown method or label, or a level outside (0, 1).
        """
        factor = quantile(level, self._freedom)
        if method not in ("profile", "wald"):
            raise ValueError(f"`method` must be 'profile' or 'wald'; got {method!r}.")
        scalar = scalar_function(h if callable(h) else self._coordinate(h), self.manifold, self.point)
        center, g = scalar(self.point)
        error = math.sqrt(max(float(g @ self.covariance @ g), 0.0))
        norm = float(np.linalg.norm(g))
        if any(abs(float(g @ n.coordinates)) > 1e-7 * norm for n in self.null_directions):
            error = math.inf
        if method == "wald" or not math.isfinite(error) or not math.isfinite(factor):
            margin = factor * error if error > 0.0 else 0.0
            return center - margin, center + margin
        solved: Any = self.solved
        return profile_interval(
            solved.manifold,
            solved.functions,
            solved.point,
            solved.scalar(scalar),
            sigma=self.sigma,
            standard_error=error,
            factor=factor,
        )

    @property
    def _freedom(self) -> float:
        return math.inf if self.absolute_sigma else self.degrees_of_freedom

    def _coordinate(self, which: Any) -> Callable[[Any], Any]:
        if isinstance(which, str):
            if which not in self.labels:
                raise ValueError(f"no coordinate {which!r}; there are {', '.join(self.labels[:20])}.")
            which = self.labels.index(which)
        M, p, j, value = self.manifold, self.point, int(which), self.values[which]
        inverse = M.get_inverse_retraction()
        return lambda q: value + M.get_coordinates(p, inverse(p, q))[j]

    # text

    def report(self, *, level: float = 0.95, correlations: float = 0.5, timing: bool = True) -> str:
        """All of it as text, see `manifold_opt.statistics.report`."""
        from .report import report

        return report(self, level=level, least_correlation=correlations, timing=timing)

    def __str__(self) -> str:
        return self.report(timing=False)


def fit_statistics(result: Any, *, absolute_sigma: bool = False, rcond: float | None = None) -> Any:
    r"""Statistics of the result of a least-squares solver.

    Parameters
    ----------
    result : Result
        Of a least-squares problem, whichever solver found it.
    absolute_sigma : bool
        Whether the residuals are in units of their standard deviations, as SciPy's ``curve_fit`` calls it. Default:
        the standard deviation is estimated from the size of the residuals.
    rcond : float, optional
        Singular values of the column-scaled Jacobian below this part of the largest are null directions. Default:
        10 max(m, dim) eps for an exact Jacobian, 1e-8 for one from differences.

    Returns
    -------
    FitStatistics or SparseStatistics
        The latter for block and sparse Jacobians of more than 200 columns.

    Raises
    ------
    TypeError
        When the result is not that of a least-squares problem.
    ValueError
        When residuals or Jacobian at the solution are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, fit_statistics, levenberg_marquardt
    >>> t = np.linspace(0.0, 1.0, 50)
    >>> y = 2.0 * np.exp(-3.0 * t) + 0.01 * np.sin(40.0 * t)
    >>> result = levenberg_marquardt(Euclidean(2), lambda p: p[0] * np.exp(p[1] * t) - y, np.array([1.0, 0.0]))
    >>> fit = fit_statistics(result)
    >>> fit.rank, fit.degrees_of_freedom, np.round(fit.standard_errors, 4)
    (2, 48, array([0.0034, 0.0077]))
    """
    e = _evaluation(result)
    if isinstance(chosen(Automatic(), watched(e, "jacobian")), SparseCholesky | SchurComplement):
        from .sparse import sparse_statistics

        return sparse_statistics(result, e, absolute_sigma=absolute_sigma, rcond=rcond)
    r, J = watched(e, "residuals"), dense(watched(e, "jacobian"))
    functions, m = e.functions, len(r)
    corrected = dense(e.model_jacobian)
    cut = _default_rcond(functions, J) if rcond is None else float(rcond)
    decomposed = information(corrected, cut)
    solved = _Solved.of(result, e)
    M, p = solved.full
    pieces = variables(M, p)
    freedom = m - decomposed.rank
    sigma = 1.0 if absolute_sigma else math.inf
    if not absolute_sigma and freedom > 0:
        sigma = math.sqrt(_variance(e, r, J, cut, freedom))
    with np.errstate(invalid="ignore"):
        covariance = sigma**2 * decomposed.inverse
    covariance = solved.lifted(solved.lifted(covariance).T)
    null = null_directions(solved.lifted(decomposed.null), pieces)
    return FitStatistics(
        manifold=M,
        point=p,
        cost=e.cost,
        num_residuals=m,
        rank=decomposed.rank,
        sigma=sigma,
        covariance=covariance,
        weights=np.array(e.weights),
        leverages=np.einsum("ij,ij->i", decomposed.range, decomposed.range),
        variables=pieces,
        null_directions=null,
        singular_variables=singular_variables(corrected, variables(solved.manifold, solved.point), cut) if null else {},
        condition=decomposed.condition,
        absolute_sigma=absolute_sigma,
        notes=_notes(result, freedom, absolute_sigma, len(null)) + _at_bounds(result, solved),
        free=solved.free,
        result=result,
        solved=solved,
    )


def _evaluation(result: Any) -> Any:
    """What is known at the solution, of a least-squares problem."""
    e: Any = getattr(getattr(result, "state", None), "evaluation", None)
    if not hasattr(type(e), "model_jacobian"):
        raise TypeError(
            "statistics of a fit need the result of a least-squares problem, with residuals and a Jacobian; this is "
            f"{'one of ' + type(e).__name__ if e is not None else repr(type(result).__name__)}. Give the residual "
            "to levenberg_marquardt, least_squares or curve_fit."
        )
    if e.functions is None:
        e.attach(result.problem.functions(e.point, Counts()), e.counts)
    return e


def _default_rcond(functions: Any, J: Any) -> float:
    differences = any(name == "residual" and n > 1 for name, n in functions.counted)
    if differences and not functions.given_jacobian:
        return _RCOND_DIFFERENCES
    return _RCOND_EXACT * max(J.shape) * float(np.finfo(J.dtype).eps)


def _variance(e: Any, r: Any, J: Any, rcond: float, freedom: int) -> float:
    """Estimate of the number that (J'J)^-1 of the corrected model is to be multiplied with."""
    robust = e.functions.robust
    if robust is None:
        r = sharp_residuals(e, r, J)
        return float(r @ r) / freedom
    _, first, second = e.losses
    psi = robust.expand(first) * r
    slope = robust.expand(first) + 2.0 * robust.expand(second) * r * r
    U = information(J, rcond).range
    weight = float(np.sum(robust.corrected(r, U, e.losses)[1] ** 2)) / max(U.shape[1], 1)
    mean = float(np.mean(slope))
    if mean <= 0.1 * weight:  # mostly outliers to a redescending loss: its average slope says nothing
        mean = weight
    return float(psi @ psi) / freedom * weight / mean**2 if mean > 0.0 else math.inf


def _notes(result: Any, freedom: int, absolute_sigma: bool, undetermined: int) -> list[str]:
    notes = []
    if not result.converged:
        notes.append(
            f"The run did not converge ({result.status.name}): these numbers describe a point that is no solution."
        )
    if freedom <= 0 and not absolute_sigma:
        notes.append(
            "There are no more residuals than determined coordinates, so that their size says nothing about errors: "
            "standard errors are infinite unless absolute_sigma=True."
        )
    if undetermined:
        notes.append(
            f"The data leave {undetermined} direction{'s' if undetermined > 1 else ''} undetermined. Hold a variable "
            "there fixed, add a residual, or ask for functions that do not change along them."
        )
    return notes


def _at_bounds(result: Any, solved: _Solved) -> list[str]:
    """A note on coordinates that stopped at a bound, to which nothing here applies."""
    bounds = getattr(result.state, "bounds", None)
    box = None if bounds is None else box_of(solved.manifold, bounds)
    if box is None:
        return []
    x = box.position(solved.point)
    near = _NEAR_BOUND * np.maximum(1.0, np.abs(x))
    at = np.zeros(len(x), bool)
    at[box.coordinates] = ((x - box.lower <= near) | (box.upper - x <= near))[box.coordinates]
    labels = [label for variable in variables(solved.manifold, solved.point) for label in variable.labels]
    names = [label for label, there in zip(labels, at, strict=True) if there]
    if not names:
        return []
    return [
        f"{', '.join(names)} ended at a bound. Errors are those of a fit without bounds at this point; fix what is at "
        "a bound to have those of the others."
    ]


def _raveled(h: Callable[[Any], Any]) -> Callable[[Any], Any]:
    from ..linalg import namespace

    def vector(p: Any) -> Any:
        value = h(p)
        return namespace(value).reshape(value, (-1,))

    return vector
