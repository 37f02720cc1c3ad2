"""Statistics of a fit as text."""

from __future__ import annotations

import math
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .intervals import quantile

if TYPE_CHECKING:
    from .fit import FitStatistics
    from .sparse import SparseStatistics

# lines of a list before the rest is only counted
_LONG = 30


def report(fit: FitStatistics, *, level: float = 0.95, least_correlation: float = 0.5, timing: bool = True) -> str:
    """A page about a fit.

    Parameters
    ----------
    fit : FitStatistics
    level : float
        Probability of the intervals.
    least_correlation : float
        Correlations below this are not listed.
    timing : bool
        Whether to split the time by calling residual and Jacobian once more each.

    Returns
    -------
    str
    """
    sections = [_run(fit, timing), _quality(fit), _estimates(fit, level)]
    sections += [_correlated(fit, least_correlation), _weights(fit), _undetermined(fit), _notes(fit)]
    return "\n".join(line for section in sections for line in section)


def sparse_report(fit: SparseStatistics, *, level: float = 0.95, timing: bool = True) -> str:
    """A page about a large sparse fit: the errors of each factor by their quantiles.

    Parameters
    ----------
    fit : SparseStatistics
    level : float
        Probability of the intervals.
    timing : bool
        Whether to split the time by calling residual and Jacobian once more each.

    Returns
    -------
    str
    """
    half = quantile(level, math.inf if fit.absolute_sigma else fit.degrees_of_freedom)
    interval = f"half of the {100 * level:g} % interval"
    lines = [f"{'variable':<14} {'coordinates':>12}  std. errors: median, largest   {interval}"]
    for factor in fit.factors:
        errors = fit.standard_errors[factor.columns]
        free = fit.free[factor.columns]
        number = f"{free.sum()}" if free.all() else f"{free.sum()} of {free.size}"
        if free.any():
            errors = errors[free]
            lines.append(
                f"  {factor.name:<12} {number:>12}  {np.median(errors):18.5g}, {errors.max():10.5g}   "
                f"{half * np.median(errors):.5g}, {half * errors.max():.5g}"
            )
        else:
            lines.append(f"  {factor.name:<12} {'fixed':>12}")
    sections = [_run(fit, timing), _quality(fit), lines, _weights(fit), _notes(fit)]
    return "\n".join(line for section in sections for line in section)


def _run(fit: FitStatistics | SparseStatistics, timing: bool) -> list[str]:
    result = fit.result
    counts = ", ".join(f"{n} {name}" for name, n in result.evaluations.items() if n)
    lines = [
        f"Fit on {fit.manifold!r}",
        f"  {result.status.name}: {result.message}",
        f"  iterations            {result.iterations}",
        f"  evaluations           {counts or 'none'}",
        f"  time                  {_seconds(result.time)}",
    ]
    return lines + (_timing(fit) if timing and result.iterations else [])


def _timing(fit: FitStatistics | SparseStatistics) -> list[str]:
    """Where the time went: calls of each function times the time of one more call of it."""
    solved: Any = fit.solved
    result, functions, p = fit.result, solved.functions, solved.point
    spent = {}
    if functions.residual is not None:
        spent["residual"] = result.evaluations["residual"] * _duration(functions.residual, p)
    spent["jacobian"] = result.evaluations["jacobian"] * _duration(functions.jacobian, p)
    if any(name == "residual" for name, n in functions.counted if n):
        spent.pop("residual", None)  # the Jacobian's own calls are counted there
    rest = result.time - sum(spent.values())
    lines = [f"    about {_seconds(min(t, result.time))} in the {name}" for name, t in spent.items()]
    return lines + ([f"    about {_seconds(rest)} in the solver"] if rest > 0.0 else [])


def _duration(function: Any, p: Any) -> float:
    clock = perf_counter()
    function(p)
    return perf_counter() - clock


def _quality(fit: FitStatistics | SparseStatistics) -> list[str]:
    solved: Any = fit.solved
    sigma = "1 (given)" if fit.absolute_sigma else f"{fit.sigma:.6g}"
    return [
        f"  residuals             {fit.num_residuals}",
        f"  dimension, rank       {solved.manifold.dim}, {fit.rank}  (condition {fit.condition:.1e})",
        f"  degrees of freedom    {fit.degrees_of_freedom}",
        f"  chi-square            {fit.chi_square:.8g}",
        f"  reduced chi-square    {fit.reduced_chi_square:.8g}",
        f"  sigma of a residual   {sigma}",
        f"  AIC, BIC              {fit.aic:.6g}, {fit.bic:.6g}",
    ]


def _estimates(fit: FitStatistics, level: float) -> list[str]:
    intervals, errors = fit.confidence_intervals(level), fit.standard_errors
    width = max(12, *(len(label) for label in fit.labels[:_LONG])) if fit.labels else 12
    lines = [f"{'coordinate':<{width + 2}} {'value':>16} {'std. error':>12}   {100 * level:g} % interval (Wald)"]
    flat = np.concatenate([np.full(v.manifold.dim, v.flat) for v in fit.variables])
    for i, label in enumerate(fit.labels[:_LONG]):
        value = f"{fit.values[i]:16.9g}" if flat[i] else f"{'tangent':>16}"
        low, high = intervals[i]
        if not fit.free[i]:
            lines.append(f"  {label:<{width}} {value} {'fixed':>12}")
            continue
        lines.append(f"  {label:<{width}} {value} {errors[i]:12.5g}   [{low:.6g}, {high:.6g}]")
    return lines + _more(len(fit.labels), "coordinates")


def _correlated(fit: FitStatistics, least: float) -> list[str]:
    C = np.nan_to_num(np.tril(fit.correlations, -1))
    pairs = np.argwhere(np.abs(C) >= least)
    if not len(pairs):
        return []
    pairs = pairs[np.argsort(-np.abs(C[pairs[:, 0], pairs[:, 1]]), kind="stable")]
    lines = [f"correlations of at least {least:g}"]
    lines += [f"  {fit.labels[j]}, {fit.labels[i]}  {C[i, j]:+.4f}" for i, j in pairs[:_LONG]]
    return lines + _more(len(pairs), "pairs")


def _weights(fit: FitStatistics | SparseStatistics) -> list[str]:
    number = len(fit.weights)
    if not number or (fit.weights >= 1.0).all():
        return []
    outliers = fit.outliers
    shown = ", ".join(f"{i} ({fit.weights[i]:.2g})" for i in outliers[:10])
    more = ", ..." if len(outliers) > 10 else ""
    return [f"outliers (weight below one half): {len(outliers)} of {number}" + (f": {shown}{more}" if shown else "")]


def _undetermined(fit: FitStatistics) -> list[str]:
    if not fit.null_directions:
        return []
    lines = [f"undetermined directions: {len(fit.null_directions)}"]
    lines += [f"  {direction}" for direction in fit.null_directions[:_LONG]]
    lines += _more(len(fit.null_directions), "directions")
    dims = {variable.name: variable.manifold.dim for variable in fit.variables}
    singular = [f"  {name} by itself has rank {k} of {dims[name]}" for name, k in fit.singular_variables.items()]
    return lines + singular[:_LONG] + _more(len(singular), "variables")


def _notes(fit: FitStatistics | SparseStatistics) -> list[str]:
    return [f"note: {note}" for note in fit.notes]


def _more(number: int, things: str) -> list[str]:
    return [f"  ... {number - _LONG} more {things}"] if number > _LONG else []


def _seconds(t: float) -> str:
    if not math.isfinite(t):
        return str(t)
    return f"{t:.3g} s" if t >= 1.0 else f"{1e3 * t:.3g} ms"
