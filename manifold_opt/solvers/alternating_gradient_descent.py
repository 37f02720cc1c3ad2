r"""Alternating gradient descent on a product: some steps in one factor, then in the next.

In the factor i the direction is X = (0, ..., -grad_i f(p), ..., 0), whose slope is -|grad_i f(p)|^2. One iteration is a
cycle through all factors, with ``inner_iterations`` steps in each; each factor has a search of its own, which remembers
its own last step: this is what gradient descent lacks on factors of different scales. Where the gradient is given
factor by factor, a step evaluates no more than that of its factor.

References
----------
.. [1] A. Beck, L. Tetruashvili, On the convergence of block coordinate descent type methods, SIAM J. Optim. 23 (2013).
.. [2] Manopt.jl, ``alternating_gradient_descent``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.front import Common, cost_objective, run
from ..core.result import Result
from ..core.status import Status
from ..objectives.base import Objective
from ..objectives.components import ComponentCostObjective
from ..stepsizes import ArmijoLinesearch, StepSize
from ..stopping import StopAfterIteration, StopWhenGradientNormLess
from .line_search import LineSearchState

if TYPE_CHECKING:
    from typing_extensions import Unpack

ORDERS = ("linear", "random", "fixed-random")


class AlternatingGradientDescentState(LineSearchState):
    """State of `alternating_gradient_descent`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    inner_iterations : int, optional
        Steps in a factor before the next one's turn. Default 5.
    order : {"linear", "random", "fixed-random"} or sequence of str, optional
        Order of the factors: theirs (default), a new random one in each cycle, one random order, or their names.
    stepsize : StepSize, optional
        Default ``ArmijoLinesearch(initial_guess="last")``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)``.
    rng : seed or Generator, optional
        For random orders.
    """

    transient: ClassVar[tuple[str, ...]] = (*LineSearchState.transient, "_searches", "_names")

    def __init__(
        self, p0: Any, *, inner_iterations: int = 5, order: Any = "linear", rng: Any = None, **keywords: Any
    ) -> None:
        if isinstance(inner_iterations, bool) or not isinstance(inner_iterations, int) or inner_iterations < 1:
            raise ValueError(f"`inner_iterations` must be a positive integer; got {inner_iterations!r}.")
        if isinstance(order, str) and order not in ORDERS:
            raise ValueError(
                f"`order` must be one of {', '.join(map(repr, ORDERS))}, or a sequence of factors; got {order!r}."
            )
        self.inner_iterations, self.order = inner_iterations, order if isinstance(order, str) else tuple(order)
        self._seed = np.random.default_rng(rng)
        super().__init__(p0, **keywords)

    @classmethod
    def default_stepsize(cls) -> StepSize:
        """Backtracking from twice the last step of the factor."""
        return ArmijoLinesearch(initial_guess="last")

    @classmethod
    def default_stopping(cls) -> Any:
        """1000 cycles or a gradient norm below 1e-8."""
        return StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)

    def _clear(self) -> None:
        super()._clear()
        self._rng = copy.deepcopy(self._seed)
        self._fixed: Any = None

    def needs_finite(self, evaluation: Any) -> str:
        """The cost; gradients are looked at when they are needed."""
        return "" if math.isfinite(evaluation.cost) else "the cost is not finite"

    def attach(self, problem: Any) -> None:
        """Bind one search for each factor."""
        names = getattr(problem.manifold, "names", None)
        if names is None or not hasattr(problem.manifold, "split_vector"):
            raise TypeError(f"alternating_gradient_descent needs a ProductManifold; got {problem.manifold!r}.")
        if not isinstance(self.order, str) and not set(self.order) <= set(names):
            raise ValueError(f"`order` must name factors among {', '.join(names)}; got {self.order!r}.")
        super().attach(problem)
        self._names = tuple(names)
        self._searches = [self.bound(f"stepsize of {name}", self.step_rule, problem) for name in names]

    def advance(self, problem: Any) -> None:
        """One cycle through the factors."""
        squares, failed = 0.0, None
        for i in self._cycle():
            for _ in range(self.inner_iterations):
                search = self._searches[i]
                length = self._descend_in(problem, i, search)
                if self.status is not Status.RUNNING:
                    return
                if length is None:
                    failed = search
                if not length:
                    break
                squares += length * length
        if squares > 0.0:
            self.step_norm = math.sqrt(squares)
        elif failed is not None:
            self.fail(failed.status, failed.reason)
        else:
            self._stand_still()

    def _cycle(self) -> list[int]:
        names = self._names
        if self.order == "linear":
            return list(range(len(names)))
        if self.order == "random":
            return [int(i) for i in self._rng.permutation(len(names))]
        if self.order == "fixed-random":
            if self._fixed is None:
                self._fixed = [int(i) for i in self._rng.permutation(len(names))]
            return list(self._fixed)
        return [names.index(name) for name in self.order]

    def _descend_in(self, problem: Any, i: int, search: Any) -> float | None:
        """One step in factor i: its length, 0 where the gradient vanishes, None where the search finds nothing."""
        M, e = problem.manifold, self.evaluation
        X = self._direction(M, e, i)
        length = M.norm(e.point, X)
        if length == 0.0:
            return 0.0
        if not math.isfinite(length):
            self.fail(Status.BAD_FUNCTION, f"the gradient in {self._names[i]!r} is not finite.")
            return None
        candidate = search.search(problem, self, X, -length * length, length)
        if candidate is None or not self.accept(candidate):
            return None
        self.along, self.stepsize = X, search.stepsize
        return self.stepsize * length

    def _direction(self, M: Any, e: Any, i: int) -> Any:
        """Minus the gradient in factor i, zero in the others."""
        components = getattr(e.functions, "components", None)
        if components is None or e.known("gradient"):
            mine = M.split_vector(e.gradient)[i]
        else:
            e.counts["component_gradient"] += 1
            mine = components[i](e.point)
        X = M.zero_vector(e.point)
        M.split_vector(X)[i][...] = -mine
        return X


def alternating_gradient_descent(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    gradient: Any = None,
    gradients: Mapping[str, Callable[..., Any]] | None = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    inner_iterations: int = 5,
    order: Any = "linear",
    stepsize: StepSize | None = None,
    retraction: Any = None,
    transport: Any = None,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize a cost on a product by gradient steps in one factor after the other.

    Parameters
    ----------
    M : ProductManifold
    f : callable, Fused or Objective
        The cost ``f(p)``; ``M.componentwise(f)`` for one of the parts.
    p0 : array, optional
        Start point; default a random one.
    gradient : callable or InPlace, optional
        ``gradient(p)``, of all factors; default by differentiation.
    gradients : dict of str to callable, optional
        Instead: name of each factor -> ``gradient(p)``, the Riemannian gradient with respect to it.
    objective_type : {"riemannian", "euclidean"}
        What ``gradient`` is.
    autodiff : str
        Source of a missing gradient, see `CostObjective`.
    inner_iterations : int, optional
        Steps in a factor before the next one's turn. Default 5.
    order : {"linear", "random", "fixed-random"} or sequence of str, optional
        Order of the factors: theirs (default), a new random one in each cycle, one random order, or their names, of
        which some may come twice.
    stepsize : StepSize, optional
        Default ``ArmijoLinesearch(initial_guess="last")``; each factor has its own.
    retraction, transport : str or callable, optional
        Default the manifold's.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`. ``rng=`` draws random orders.

    Returns
    -------
    Result
        ``iterations`` are cycles; gradients of factors count as ``"component_gradient"``.

    Raises
    ------
    TypeError
        On an unknown keyword, and when M is no product.
    ValueError
        On a point that is not on M, an unknown order or factor, gradients given twice.

    Notes
    -----
    Needs of M: a retraction, ``inner`` and ``norm``.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, ProductManifold, Sphere, alternating_gradient_descent
    >>> M = ProductManifold(s=Sphere(2), x=Euclidean(2))
    >>> f = M.componentwise(lambda s, x: s[0] + 100.0 * ((x - s[:2]) ** 2).sum())
    >>> result = alternating_gradient_descent(M, f, M.join(np.array([0.6, 0.0, 0.8]), np.zeros(2)))
    >>> result.converged, round(result.cost, 10)
    (True, -1.0)
    """
    if gradients is None:
        objective = cost_objective(f, gradient=gradient, objective_type=objective_type, autodiff=autodiff)
    elif gradient is not None or isinstance(f, Objective) or objective_type != "riemannian":
        raise ValueError("`gradients` are Riemannian and go with a plain cost `f`, without `gradient`.")
    else:
        objective = ComponentCostObjective(f, components=gradients)
    return run(
        alternating_gradient_descent,
        M,
        objective,
        p0,
        lambda p: AlternatingGradientDescentState(
            p,
            inner_iterations=inner_iterations,
            order=order,
            stepsize=stepsize,
            retraction=retraction,
            transport=transport,
            rng=common.get("rng"),
        ),
        common,
    )
