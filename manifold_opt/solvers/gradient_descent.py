r"""Gradient descent: from p go along the steepest descent direction, p <- retract(p, -t grad f(p)).

The direction may be changed, by momentum or a preconditioner for example. Where a line search needs descent and the
changed direction has none, its memory is dropped and the step goes along minus the gradient.

The other freedom is the step size t. The default, backtracking from the Barzilai-Borwein step, needs one cost per trial
and one gradient per iteration, and no knowledge of the scale of f.

References
----------
.. [1] P.-A. Absil, R. Mahony, R. Sepulchre, Optimization Algorithms on Matrix Manifolds, Princeton 2008, section 4.2.
.. [2] N. Boumal, An Introduction to Optimization on Smooth Manifolds, Cambridge 2023, sections 4.3 and 4.4.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.front import Common, batched_cost_objective, cost_objective, run
from ..core.result import Result
from ..directions.base import Direction, Gradient, check_direction
from ..stepsizes import ArmijoLinesearch, StepSize
from ..stopping import StopAfterIteration, StopWhenGradientNormLess
from . import batched_descent, batches
from .line_search import LineSearchState

if TYPE_CHECKING:
    from typing_extensions import Unpack


class GradientDescentState(LineSearchState):
    """State of `gradient_descent`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    direction : Direction, optional
        Default ``Gradient()``.
    stepsize : StepSize, optional
        Default ``ArmijoLinesearch()``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)``.
    batched : bool
        Whether p0 is a batch of starts, with leading axes, and the objective one of batches.

    Attributes
    ----------
    members : Members or None
        Of a batch: who runs, and how the others have ended. Step sizes are arrays then.
    """

    transient: ClassVar[tuple[str, ...]] = (*LineSearchState.transient, "_direction")

    def __init__(
        self, p0: Any, *, direction: Direction | None = None, batched: bool = False, **keywords: Any
    ) -> None:
        super().__init__(p0, **keywords)
        self.direction = Gradient() if direction is None else direction
        check_direction(self.direction)
        self.batched = batched
        if batched:
            batched_descent.check_rules(self)

    @classmethod
    def default_stepsize(cls) -> StepSize:
        """Backtracking from the Barzilai-Borwein step."""
        return ArmijoLinesearch()

    @classmethod
    @cache
    def default_stopping(cls) -> Any:
        """1000 iterations or a gradient norm below 1e-8."""
        return StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)

    def _clear(self) -> None:
        super()._clear()
        self.members: Any = None
        self._last: Any = None

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate at the start."""
        if self.batched:
            batches.begin(self, problem, evaluation)
        else:
            super().initialize(problem, evaluation)

    def should_stop(self, problem: Any) -> bool:
        """Whether the run is over; a batch, when all its members have ended."""
        return batches.should_stop(self, problem) if self.batched else super().should_stop(problem)

    def step_batched(self, problem: Any) -> None:
        """One step of all members that run."""
        batched_descent.step(self, problem)

    def attach(self, problem: Any) -> None:
        """Bind the direction rule too; the plain gradient needs none."""
        batches.resume(self)
        super().attach(problem)
        plain = type(self.direction) is Gradient
        self._direction = None if plain else self.bound("direction", self.direction, problem)

    def advance(self, problem: Any) -> None:
        """One step along the direction."""
        if self.batched:
            return self.step_batched(problem)
        direction = self._direction
        if direction is None:
            e = self.evaluation
            norm = e.gradient_norm
            self.follow(problem, -e.gradient, -norm * norm, norm)
        else:
            self.descend(problem, direction.compute(problem, self))
        return None

    def restart(self) -> None:
        """Forget the directions of the past."""
        if self._direction is not None:
            self._direction.restart()


def gradient_descent(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    gradient: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    direction: Direction | None = None,
    stepsize: StepSize | None = None,
    retraction: Any = None,
    transport: Any = None,
    batched: bool = False,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize a cost by gradient descent.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        The cost ``f(p)``; ``Fused(f_and_gradient)``; or an objective.
    p0 : array, optional
        Start point; default a random one.
    gradient : callable or InPlace, optional
        ``gradient(p)``; default by differentiation.
    objective_type : {"riemannian", "euclidean"}
        What the given gradient is.
    autodiff : str
        Source of a missing gradient, see `CostObjective`.
    direction : Direction, optional
        Which way to go; default minus the gradient, ``Gradient()``.
    stepsize : StepSize, optional
        Default ``ArmijoLinesearch()``.
    retraction, transport : str or callable, optional
        Default the manifold's. The transport serves the Barzilai-Borwein guess.
    batched : bool
        Whether p0 is a batch of starts ``(*batch, *point_shape)``: the functions then take and return leading axes, all
        numbers of the result are arrays ``(*batch,)``, and members that have ended stay where they are. For
        `ArmijoLinesearch` and `ConstantLength`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result

    Raises
    ------
    TypeError
        On an unknown keyword.
    ValueError
        On a point that is not on M, a gradient of the wrong shape, a derivative that contradicts the cost.

    Notes
    -----
    Needs of M: a retraction, ``inner`` and ``norm``; a vector transport for the default step size.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, gradient_descent
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> result = gradient_descent(Sphere(2), lambda p: p @ A @ p, np.array([0.6, 0.0, 0.8]))
    >>> result.converged, round(result.cost, 12)
    (True, 1.0)
    """
    make = batched_cost_objective if batched else cost_objective
    objective = make(f, gradient=gradient, objective_type=objective_type, autodiff=autodiff)
    return run(
        gradient_descent,
        M,
        objective,
        p0,
        lambda p: GradientDescentState(
            p, direction=direction, stepsize=stepsize, retraction=retraction, transport=transport, batched=batched
        ),
        common,
        batched,
    )
