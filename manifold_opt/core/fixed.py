"""Front functions with some variables fixed or tied: solve the smaller problem, answer on the full manifold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..objectives.base import Objective
from ..objectives.reduced import fix
from .result import Result


def solve_fixed(
    solver: Callable[..., Result],
    M: Any,
    objective: Objective,
    p0: Any,
    *,
    fixed: Any = None,
    tied: Any = None,
    **keywords: Any,
) -> Result:
    """Call a front function with some variables fixed or tied.

    Parameters
    ----------
    solver : callable
        ``solver(N, objective, q0, **keywords)``.
    M : Manifold
    objective : Objective
    p0 : array
        Start point on M.
    fixed, tied : optional
        See `manifold_opt.fix`; without either the solver is called as it is.
    **keywords
        Those of the solver.

    Returns
    -------
    Result
        ``point`` is on M; ``state`` and ``problem`` are those of the smaller problem.

    Raises
    ------
    ValueError
        Without a start point to fix variables at.
    """
    if fixed is None and tied is None:
        return solver(M, objective, p0, **keywords)
    if p0 is None:
        raise ValueError("`p0` is needed where variables are fixed or tied: it says where they are.")
    small = fix(M, objective, p0, fixed, tied=tied)
    result = solver(small.manifold, small.objective, small.p0, **keywords)
    result.point = small.lift(result.point)
    return result
