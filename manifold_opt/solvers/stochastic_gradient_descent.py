r"""Stochastic gradient descent: from p go along the gradient on a batch of samples.

In each step a batch B of samples is drawn, the direction rule makes X of the gradient of f_B at p (minus it, or with
momentum, or Adam), and the step-size rule says how far. Each epoch goes through the samples in a new random order. A
search such as Armijo's compares costs on the same batch.

The gradient may have its variance reduced (SVRG): at the start of each epoch the point q is kept as a snapshot, with
the full gradient there, and with T the transport from q to p

    g = grad f_B(p) - T (grad f_B(q) - grad f(q))

has the right mean and a variance that vanishes at the minimizer, so that a constant step size converges linearly.

References
----------
.. [1] S. Bonnabel, Stochastic gradient descent on Riemannian manifolds, IEEE Trans. Automat. Control 58 (2013).
.. [2] H. Sato, H. Kasai, B. Mishra, Riemannian stochastic variance reduced gradient algorithm with retraction and
   vector transport, SIAM J. Optim. 29 (2019), algorithm 1.
.. [3] H. Zhang, S. Reddi, S. Sra, Riemannian SVRG, NeurIPS 2016.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, run
from ..core.result import Result
from ..core.status import Status
from ..directions.base import Direction, Gradient, check_direction
from ..objectives.stochastic import StochasticObjective
from ..stepsizes import DecayingLength, StepSize
from ..stopping import StopAfterIteration
from .line_search import LineSearchState

if TYPE_CHECKING:
    from typing_extensions import Unpack

ORDERS = ("shuffled", "fixed", "linear", "independent")


class StochasticGradientDescentState(LineSearchState):
    """State of `stochastic_gradient_descent`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    batch_size : int, optional
        Samples a step. Default 1.
    order : {"shuffled", "fixed", "linear", "independent"}, optional
        See `stochastic_gradient_descent`. Default "shuffled".
    direction : Direction, optional
        Default ``Gradient()``.
    variance_reduction : bool, optional
        Whether to correct gradients by a snapshot. Default False.
    epochs_per_snapshot : int, optional
        Default 1.
    stepsize : StepSize, optional
        Default ``DecayingLength()``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(10000)``.
    rng : seed or Generator, optional
        For the samples.

    Attributes
    ----------
    evaluation : Evaluation
        On all samples, at the current point. Nothing of it is evaluated but by who asks.
    batch_cost : float
        Cost on the last batch, before the step; NaN where it was not needed.
    epoch : int
        Passes through the samples that are complete.
    """

    transient: ClassVar[tuple[str, ...]] = (*LineSearchState.transient, "_direction")

    def __init__(
        self,
        p0: Any,
        *,
        batch_size: int = 1,
        order: str = "shuffled",
        direction: Direction | None = None,
        variance_reduction: bool = False,
        epochs_per_snapshot: int = 1,
        rng: Any = None,
        **keywords: Any,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("epochs_per_snapshot", epochs_per_snapshot)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer; got {value!r}.")
        if order not in ORDERS:
            raise ValueError(f"`order` must be one of {', '.join(map(repr, ORDERS))}; got {order!r}.")
        self.batch_size, self.order = int(batch_size), order
        self.variance_reduction, self.epochs_per_snapshot = variance_reduction, int(epochs_per_snapshot)
        self.direction = Gradient() if direction is None else direction
        check_direction(self.direction)
        self._seed = np.random.default_rng(rng)
        super().__init__(p0, **keywords)

    @classmethod
    def default_stepsize(cls) -> StepSize:
        """0.1 / (1 + 0.01 k)."""
        return DecayingLength()

    @classmethod
    def default_stopping(cls) -> Any:
        """10000 iterations: the gradient on all samples, which would tell, is not known."""
        return StopAfterIteration(10000)

    def _clear(self) -> None:
        super()._clear()
        self._rng = copy.deepcopy(self._seed)  # a run that starts afresh draws the same samples
        self._permutation: Any = None
        self._position, self.epoch = 0, 0
        self._snapshot: Any = None
        self.batch_cost = math.nan

    def needs_finite(self, evaluation: Any) -> str:
        """A point must be finite; nothing is evaluated there."""
        return "" if np.all(np.isfinite(evaluation.point)) else "the point is not finite"

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Nothing is evaluated at the start; the first step does."""

    def attach(self, problem: Any) -> None:
        """Bind the direction rule, and see that the objective is one of samples."""
        functions = problem.functions(self.point)
        if not hasattr(functions, "next_batch"):
            raise TypeError("stochastic_gradient_descent needs a StochasticObjective.")
        if self.variance_reduction and functions.number is None:
            raise ValueError("variance reduction needs all samples: give `data` as arrays or as their number.")
        super().attach(problem)
        self._direction = self.bound("direction", self.direction, problem)

    def advance(self, problem: Any) -> None:
        """One step on one batch."""
        functions, M = problem.functions(self.point), problem.manifold
        p = self.evaluation.point
        if self.variance_reduction and self._position == 0 and self.epoch % self.epochs_per_snapshot == 0:
            self._snapshot = self.evaluation
            self._snapshot.gradient  # noqa: B018  # of all samples
            self.evaluations["samples"] += functions.number
        batch = self._draw(functions)
        e = functions.on(p, batch, self.evaluations)
        if self.variance_reduction:
            self._reduce(functions, e, batch)
        norm = e.gradient_norm
        if not math.isfinite(norm):
            return self.fail(Status.BAD_FUNCTION, "the gradient on a batch is not finite; a step may be too long.")
        self.batch_cost = e.cost if e.known("cost") else math.nan
        here, there = _OnBatch(self, e), _BatchProblem(problem, functions, batch)
        X = self._direction.compute(there, here)
        length = M.norm(p, X)
        if length == 0.0:  # this batch has nothing to say, the next one may
            return None
        candidate = self._search.search(there, here, X, M.inner(p, e.gradient, X), length)
        if candidate is None:
            return None if self._search.status is not Status.BAD_FUNCTION else self._give_up()
        if self.accept(functions.evaluation(candidate.point, self.evaluations)):
            self.along, self.stepsize = X, self._search.stepsize
            self.step_norm = self.stepsize * length
        return None

    def _give_up(self) -> None:
        self.fail(self._search.status, self._search.reason)

    def _reduce(self, functions: Any, e: Any, batch: Any) -> None:
        """Give the evaluation on a batch SVRG's gradient."""
        q = self._snapshot
        if q is self.evaluation:
            e._gradient = q.gradient
            return
        noise = functions.on(q.point, batch, self.evaluations).gradient - q.gradient
        e._gradient = e.gradient - self.transport(q.point, noise, e.point)

    def _draw(self, functions: Any) -> Any:
        """The next batch; counts samples."""
        n = functions.number
        if n is None:
            return functions.next_batch()
        if self._permutation is None:
            self._permutation = np.arange(n) if self.order == "linear" else self._rng.permutation(n)
        size = min(self.batch_size, n)
        start, stop = self._position, min(self._position + size, n)
        indices = self._rng.integers(n, size=size) if self.order == "independent" else self._permutation[start:stop]
        self._position = stop
        if stop == n:
            self._position, self.epoch = 0, self.epoch + 1
            if self.order == "shuffled":
                self._permutation = None
        self.evaluations["samples"] += len(indices)
        return functions.objective.batch(indices)


class _OnBatch:
    """The state as rules see it: its evaluation is that on the batch."""

    __slots__ = ("evaluation", "state")

    def __init__(self, state: Any, evaluation: Any) -> None:
        self.state, self.evaluation = state, evaluation

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state, name)


class _BatchProblem:
    """The problem as rules see it: it evaluates on the batch."""

    __slots__ = ("batch", "functions", "manifold")

    def __init__(self, problem: Any, functions: Any, batch: Any) -> None:
        self.manifold, self.functions, self.batch = problem.manifold, functions, batch

    def evaluate(self, p: Any, counts: Any) -> Any:
        """Lazy evaluation on the batch."""
        return self.functions.on(p, self.batch, counts)


def stochastic_gradient_descent(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    data: Any = None,
    gradient: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    batch_size: int = 1,
    order: str = "shuffled",
    direction: Direction | None = None,
    variance_reduction: bool = False,
    epochs_per_snapshot: int = 1,
    stepsize: StepSize | None = None,
    retraction: Any = None,
    transport: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize the mean of a cost over samples, by steps on a few samples each.

    Parameters
    ----------
    M : Manifold
    f : callable or StochasticObjective
        ``f(p, batch)``, the mean cost of the samples in the batch.
    p0 : array, optional
        Start point; default a random one.
    data : array, tuple of arrays, int or iterable
        The samples, see `StochasticObjective`.
    gradient : callable, optional
        ``gradient(p, batch)``; default by differentiation.
    objective_type : {"riemannian", "euclidean"}
        What the given gradient is.
    autodiff : str
        Source of a missing gradient, see `CostObjective`.
    batch_size : int, optional
        Samples a step; an iterable decides by itself. Default 1. The last batch of an epoch may be smaller.
    order : {"shuffled", "fixed", "linear", "independent"}, optional
        A new random order in each epoch (default), the same random order in all, the order of the data, or samples
        drawn independently.
    direction : Direction, optional
        What becomes of the gradient: ``Gradient()`` (default), ``MomentumGradient(0.9)``, ``Adam()``, ``AMSGrad()``.
    variance_reduction : bool, optional
        Correct gradients by a snapshot with its full gradient (SVRG). Default False.
    epochs_per_snapshot : int, optional
        How long a snapshot serves. Default 1.
    stepsize : StepSize, optional
        Default ``DecayingLength()``; ``ConstantLength(t)``; ``DecayingLength(t, until=n)`` decays first and is then
        constant; searches such as ``ArmijoLinesearch(initial_guess="last")`` work on the batch.
    retraction, transport : str or callable, optional
        Default the manifold's. The transport serves momentum, Adam and variance reduction.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`. ``rng=`` draws the samples.

    Returns
    -------
    Result
        ``evaluations["gradient"]`` counts batches, ``evaluations["samples"]`` samples; the cost on all samples at the
        end counts as ``"watched"``.

    Raises
    ------
    TypeError
        On an unknown keyword, or without ``data``.
    ValueError
        On a point that is not on M, a batch size that is no positive integer, an unknown order.

    Notes
    -----
    Needs of M: a retraction, ``inner`` and ``norm``; a vector transport for the rules named above. A criterion, a
    record or a printed line that reads the cost or the gradient norm evaluates them on all samples.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import ConstantLength, Sphere, stochastic_gradient_descent
    >>> x = np.random.default_rng(0).standard_normal((200, 3)) * [3.0, 1.0, 0.5]
    >>> f = lambda p, batch: -((batch @ p) ** 2).mean()
    >>> result = stochastic_gradient_descent(
    ...     Sphere(2), f, data=x, batch_size=10, variance_reduction=True, stepsize=ConstantLength(0.02),
    ...     max_iterations=1000, rng=0,
    ... )
    >>> bool(np.isclose(result.cost, -np.linalg.eigvalsh(x.T @ x / 200)[-1], rtol=1e-10))
    True
    """
    if isinstance(f, StochasticObjective):
        if data is not None or gradient is not None:
            raise ValueError("`f` is an objective already; give it `data` and `gradient`.")
        objective = f
    elif data is None:
        raise TypeError("stochastic_gradient_descent() needs `data`, the samples, or a StochasticObjective.")
    else:
        objective = StochasticObjective(f, data, gradient, objective_type=objective_type, autodiff=autodiff)
    rng = common.get("rng")
    rng = common["rng"] = np.random.default_rng(rng)
    return run(
        stochastic_gradient_descent,
        M,
        objective,
        p0,
        lambda p: StochasticGradientDescentState(
            p,
            batch_size=batch_size,
            order=order,
            direction=direction,
            variance_reduction=variance_reduction,
            epochs_per_snapshot=epochs_per_snapshot,
            stepsize=stepsize,
            retraction=retraction,
            transport=transport,
            rng=rng,
        ),
        common,
    )
