"""What a front function returns, whatever happened."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from ..objectives.evaluation import Counts, watched
from .status import Status


@dataclass
class Result:
    """Outcome of a run.

    Attributes
    ----------
    point : array
        Best point found.
    cost : float
        Cost there; NaN where a run was interrupted before it was known.
    gradient_norm : float
        Riemannian norm of the gradient there; NaN where the solver knows none and none was asked for.
    converged : bool
        Whether the run ended because a convergence criterion was met.
    status : Status
    message : str
        Why the run ended, in one sentence.
    iterations : int
    evaluations : Counts
        Name to number of calls: ``"cost"``, ``"gradient"``, ``"hessian"``, ``"residual"``, ``"jacobian"``, and those
        that watching and checking cost, ``"watched"`` and ``"check"``. A name never counted reads as 0.
    time : float
        Seconds in the solver.
    record : dict of str to list
        What ``record=`` asked for.
    state : SolverState
        The innermost state, to look at, continue, or hand on.
    problem : Problem
    absolute_sigma : bool
        Whether the residuals are in units of their standard deviations: what `statistics` assumes unless told.
    """

    point: Any
    cost: float
    gradient_norm: float
    converged: bool
    status: Status
    message: str
    iterations: int
    evaluations: Counts
    time: float
    record: dict[str, list[Any]] = field(default_factory=dict)
    state: Any = None
    problem: Any = None
    absolute_sigma: bool = False

    @classmethod
    def of(cls, problem: Any, state: Any) -> Result:
        """Result of a state, decorated or not.

        Only the cost is evaluated if still unknown (as ``"watched"``), and not even that after an interrupt.
        """
        from ..decorators import recorded, unwrap

        inner = unwrap(state)
        e = inner.evaluation
        if getattr(inner, "members", None) is not None:
            return cls._of_batch(problem, inner, recorded(state))
        status, message = inner.status, inner.message
        known = e is not None and (status is not Status.INTERRUPTED or e.known("cost"))
        cost = watched(e, "cost") if known else math.nan
        if status not in _UNVERIFIED:
            status, message = _verified(problem, inner, cost, status, message)
        return cls(
            point=inner.point,
            cost=cost,
            gradient_norm=e.gradient_norm if e is not None and e.known("gradient_norm") else math.nan,
            converged=status.converged,
            status=status,
            message=message,
            iterations=inner.iteration,
            evaluations=inner.evaluations,
            time=inner.elapsed,
            record=recorded(state),
            state=inner,
            problem=problem,
        )

    @classmethod
    def _of_batch(cls, problem: Any, state: Any, record: dict[str, list[Any]]) -> Result:
        """Result of a batch: cost, gradient norm, convergence, status and iterations are arrays ``(*batch,)``."""
        e, members = state.evaluation, state.members
        if not problem.manifold.is_point(e.point):
            for i in map(tuple, np.argwhere(members.converged)):
                if not problem.manifold.is_point(e.point[i]):
                    members.codes[i] = list(Status).index(Status.FALSE_CONVERGENCE)
        return cls(
            point=e.point,
            cost=watched(e, "cost"),
            gradient_norm=watched(e, "gradient_norm"),
            converged=members.converged,
            status=np.where(members.running, state.status, members.status),
            message=state.message,
            iterations=members.iterations,
            evaluations=state.evaluations,
            time=state.elapsed,
            record=record,
            state=state,
            problem=problem,
        )

    def statistics(self, *, absolute_sigma: bool | None = None, rcond: float | None = None) -> Any:
        """`FitStatistics` of a least-squares result: errors, intervals, what is undetermined.

        Parameters
        ----------
        absolute_sigma : bool, optional
            Whether the residuals are in units of their standard deviations; default: what the front function was told,
            and without a word that they are not, so that those are estimated.
        rcond : float, optional
            See `fit_statistics`.

        Raises
        ------
        TypeError
            When this is not the result of a least-squares problem.
        """
        # the only door that leads up, opened when asked for: importing results does not import statistics
        room = import_module("manifold_opt.statistics")
        absolute = self.absolute_sigma if absolute_sigma is None else absolute_sigma
        return room.fit_statistics(self, absolute_sigma=absolute, rcond=rcond)

    def covariance(self, variables: Any = None, *, absolute_sigma: bool | None = None) -> Any:
        """Covariance of a least-squares solution in orthonormal coordinates of its tangent space, see `statistics`.

        Where the data leave directions undetermined it is zero along them, and `statistics` names them; with a sparse
        Jacobian it is an error to ask for what they move.

        Parameters
        ----------
        variables : str, sequence of str, or dict of str to (int, sequence of int, or None), optional
            Joint covariance of these: names of factors of a product, in a dict with the numbers of copies of a power.
            Default: all. ``statistics().covariance_blocks(name)`` has the blocks of all copies one by one.
        absolute_sigma : bool, optional
            See `statistics`.
        """
        fit = self.statistics(absolute_sigma=absolute_sigma)
        return fit.covariance if variables is None else fit.covariance_of(variables)

    def report(self, *, absolute_sigma: bool | None = None, level: float = 0.95) -> str:
        """A page about a least-squares fit, to be printed: `FitStatistics.report`."""
        return str(self.statistics(absolute_sigma=absolute_sigma).report(level=level))

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in self.evaluations.items() if n)
        if isinstance(self.status, np.ndarray):
            return "\n".join(
                (
                    f"Result of a batch of shape {self.status.shape}",
                    f"  {self.message}",
                    f"  cost           {np.min(self.cost):.6g} to {np.max(self.cost):.6g}",
                    f"  gradient norm  {np.min(self.gradient_norm):.3e} to {np.max(self.gradient_norm):.3e}",
                    f"  iterations     {np.min(self.iterations)} to {np.max(self.iterations)}",
                    f"  evaluations    {counts or 'none'}",
                    f"  time           {self.time:.3g} s",
                )
            )
        point = " ".join(repr(self.point).split())
        return "\n".join(
            (
                f"Result: {self.status.name}, converged: {self.converged}",
                f"  {self.message}",
                f"  cost           {self.cost:.12g}",
                f"  gradient norm  {self.gradient_norm:.3e}",
                f"  iterations     {self.iterations}",
                f"  evaluations    {counts or 'none'}",
                f"  time           {self.time:.3g} s",
                f"  point          {point if len(point) <= 200 else point[:197] + '...'}",
            )
        )


# a run that did not end by itself, or already says that the function is bad
_UNVERIFIED = (Status.NOT_RUN, Status.RUNNING, Status.INTERRUPTED, Status.BAD_FUNCTION, Status.DIVERGED)


def _verified(problem: Any, state: Any, cost: float, status: Status, message: str) -> tuple[Status, str]:
    """A run never hides a cost that is no number, nor reports success at a point off the manifold."""
    if cost == -math.inf:
        return Status.DIVERGED, "the cost at the final point is -inf."
    if not math.isfinite(cost):
        return Status.BAD_FUNCTION, f"the cost at the final point is {cost}."
    if not status.converged:
        return status, message
    try:
        problem.manifold.check_point(state.point)
    except ValueError as error:
        return Status.FALSE_CONVERGENCE, f"the final point has left the manifold: {error}"
    return status, message
