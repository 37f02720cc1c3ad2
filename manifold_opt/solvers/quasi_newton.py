r"""Quasi-Newton methods: X = -H g, with H learned from the steps s and the changes y of the gradient.

After a step t X from p to q, transported there,

    s = T(t X),     y = grad f(q) - T grad f(p),

and H is changed so that H y = s. By default the last m pairs stand for H (L-BFGS, `limited_memory`); with
``memory=None`` it is a matrix in coordinates (`full_memory`).

H stays positive definite while <s, y> > 0, which a Wolfe search provides where the transport is isometric and the slope
exact. Pairs without positive curvature are skipped; ``cautious`` skips those with too little of it as well, ``damped``
mixes y with the change that the present approximation expects, B s = -t T grad f(p), until there is enough. A pair
that a transport without isometry has spoiled is dropped. Should a direction fail to descend nevertheless, the memory
is dropped (or only the direction, ``nondescent="steepest"``) and the step goes along minus the gradient.

References
----------
.. [1] W. Huang, K. Gallivan, P.-A. Absil, A Broyden class of quasi-Newton methods for Riemannian optimization, SIAM J.
   Optim. 25 (2015), 1660-1685.
.. [2] W. Huang, P.-A. Absil, K. Gallivan, A Riemannian BFGS method without differentiated retraction for nonconvex
   optimization problems, SIAM J. Optim. 28 (2018), 470-495 (cautious updates).
.. [3] J. Nocedal and S. Wright, Numerical Optimization, 2nd edition, Springer 2006, chapters 6, 7 and section 18.3.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.front import Common, batched_cost_objective, cost_objective, run
from ..core.result import Result
from ..directions.preconditioned import preconditioner_of
from ..directions.quasi_newton import InverseBFGS, QuasiNewtonUpdate, check_update
from ..stepsizes import HagerZhangLinesearch, StepSize, StrongWolfeLinesearch
from ..stopping import StopAfterIteration, StopWhenGradientNormLess
from . import batched_quasi_newton, batches
from .batched_quasi_newton import Tolerances, check_search
from .full_memory import FullMemory
from .limited_memory import LimitedMemory
from .line_search import LineSearchState

if TYPE_CHECKING:
    from typing_extensions import Unpack

NONDESCENT = ("reset", "steepest")


def cautious_bound(norm: float) -> float:
    """Curvature <s, y> / <s, s> that a cautious update asks for at a gradient of this norm."""
    return 1e-4 * norm


class QuasiNewtonState(LineSearchState):
    """State of `quasi_newton`.

    Parameters
    ----------
    p0 : array
        Start point; copied.
    memory : int or None
        Number of pairs; None for a full matrix, 0 for none at all.
    update : QuasiNewtonUpdate, optional
        Default ``InverseBFGS()``; others need the full matrix.
    cautious : bool or callable
        Whether to skip pairs with <s, y> < theta(|grad f(p)|) <s, s>; True is theta(x) = 1e-4 x.
    damped : bool
        Powell's damping.
    locking : bool
        Whether the new gradient is divided by |t X| / |T(t X)| before the old one is taken off, for a transport that
        changes lengths: the locking condition of [1].
    initial_scale : float
        Factor of the first H, and of <s, y> / <y, y> in H0 of the limited memory.
    preconditioner : callable, optional
        ``preconditioner(p, X)`` in place of H0; a full matrix begins with it. Default that of the objective.
    nondescent : {"reset", "steepest"}, optional
        What to do with a direction that does not descend: forget the memory, or keep it and go along minus the
        gradient for once. Default ``"steepest"`` for SR1, else ``"reset"``.
    batched : bool
        Whether p0 is a batch of starts, with leading axes, and the objective one of batches; the search is
        ``HagerZhangLinesearch(compatible="tfp")``, its default.
    tolerances : Tolerances, optional
        When a member of a batch has converged, in the words of TensorFlow Probability: then ``converged`` and
        ``failed`` say who is finished, and ``stopping`` decides about all together. Default: ``stopping`` judges the
        members one by one, in ``members``.
    stepsize : StepSize, optional
        Default ``StrongWolfeLinesearch()``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    stopping : StoppingCriterion, optional
        Default ``StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)``.

    Attributes
    ----------
    model : LimitedMemory or FullMemory or None
        What was learned; None before the first step.
    converged, failed : array of bool
        Which members of a batch are finished, and how.
    queue : array
        The pairs of a batch, ``(2, memory, *batch, *vector_shape)``, newest last.
    """

    def __init__(
        self,
        p0: Any,
        *,
        memory: int | None = 10,
        update: QuasiNewtonUpdate | None = None,
        cautious: bool | Callable[[float], float] = False,
        damped: bool = False,
        locking: bool = False,
        initial_scale: float = 1.0,
        preconditioner: Any = None,
        nondescent: str | None = None,
        batched: bool = False,
        tolerances: Tolerances | None = None,
        **keywords: Any,
    ) -> None:
        if batched and keywords.get("stepsize") is None:
            keywords["stepsize"] = HagerZhangLinesearch(compatible="tfp")
        super().__init__(p0, **keywords)
        self.batched, self.tolerances = batched, tolerances
        if batched:
            check_search(self.step_rule)
            if not memory or not isinstance(update, InverseBFGS | None) or preconditioner is not None:
                raise ValueError("a batch needs a limited memory, at least 1, without preconditioner.")
        self.update = InverseBFGS() if update is None else update
        check_update(self.update)
        self.memory = memory
        if memory is not None and (isinstance(memory, bool) or not isinstance(memory, int) or memory < 0):
            raise ValueError(f"`memory` must be a number of pairs, or None for a full matrix; got {memory!r}.")
        if memory is not None and not isinstance(self.update, InverseBFGS):
            raise ValueError(
                f"{self.update!r} has no limited-memory form: give memory=None for a full matrix, or use InverseBFGS()."
            )
        if not initial_scale > 0.0:
            raise ValueError(f"`initial_scale` must be positive; got {initial_scale!r}.")
        if preconditioner is not None and not (memory != 0 and callable(preconditioner)):
            raise ValueError("`preconditioner` must be a function of (p, X), and needs a memory.")
        if nondescent not in (None, *NONDESCENT):
            raise ValueError(f"`nondescent` must be one of {', '.join(map(repr, NONDESCENT))}; got {nondescent!r}.")
        self.cautious = cautious_bound if cautious is True else cautious or None
        self.damped, self.locking, self.initial_scale = damped, locking, initial_scale
        self.preconditioner = preconditioner
        self.nondescent = nondescent or ("reset" if self.update.needs_curvature else "steepest")

    @classmethod
    def default_stepsize(cls) -> StepSize:
        """Strong Wolfe conditions, t = 1 first."""
        return StrongWolfeLinesearch()

    @classmethod
    @cache
    def default_stopping(cls) -> Any:
        """1000 iterations or a gradient norm below 1e-8."""
        return StopAfterIteration(1000) | StopWhenGradientNormLess(1e-8)

    def _clear(self) -> None:
        super()._clear()
        self.model: Any = None
        self.converged: Any = None
        self.failed: Any = None
        self.members: Any = None
        self.queue: Any = None

    def initialize(self, problem: Any, evaluation: Any) -> None:
        """Evaluate at the start; members of a batch may be finished there."""
        if self.batched:
            if self.tolerances is None:
                batches.begin(self, problem, evaluation)
            batched_quasi_newton.begin(self, problem, evaluation)
        else:
            super().initialize(problem, evaluation)

    def attach(self, problem: Any) -> None:
        """Find out what the transport keeps, too."""
        batches.resume(self)
        super().attach(problem)
        M, name = problem.manifold, self.vector_transport
        name = M.default_transport if name is None else name
        self._isometric = isinstance(name, str) and name in M.isometric_transports

    def restart(self) -> None:
        """Forget what was learned, unless a bad direction is to be passed over."""
        self.natural_step = None
        if self.model is not None and self.nondescent == "reset":
            self.model.clear()

    def advance(self, problem: Any) -> None:
        """One step, and what it teaches."""
        if self.batched:
            return self.step_batched(problem)
        e, M = self.evaluation, problem.manifold
        model = self._model(M, e)
        if len(model):
            self.natural_step = 1.0
            went = self.descend(problem, self._direction(M, model, e))
        else:
            self.natural_step = None
            went = self._first(problem, M, model, e)
        if went:
            self._learn(M, model, e)

    def should_stop(self, problem: Any) -> bool:
        """Whether the run is over; a batch without ``tolerances``, when all its members have ended."""
        return super().should_stop(problem) if self.members is None else batches.should_stop(self, problem)

    def step_batched(self, problem: Any) -> None:
        """One step of all members of a batch that are not finished."""
        batched_quasi_newton.step(self, problem)

    def _model(self, M: Any, e: Any) -> Any:
        """What was learned up to this point; what was learned elsewhere (after an interrupt) does not count."""
        model = self.model
        if model is None or model.point is not e.point:
            if self.memory is None:
                model = FullMemory(M, e.point, self.update, self.initial_scale, self._preconditioner_at(e))
            else:
                model = LimitedMemory(self.memory, e.point, tuple(M.vector_shape), self.initial_scale)
            self.model = model
        return model

    def _direction(self, M: Any, model: Any, e: Any) -> Any:
        precondition = self._preconditioner_at(e) if self.memory else None
        return model.direction(M, e.gradient) if precondition is None else model.direction(M, e.gradient, precondition)

    def _preconditioner_at(self, e: Any) -> Callable[[Any], Any] | None:
        """The preconditioner as a function of a tangent vector, counted; None where there is none."""
        apply = preconditioner_of(self.preconditioner, e)
        if apply is None:
            return None

        def counted(X: Any) -> Any:
            self.evaluations["preconditioner"] += 1
            return apply(e.point, X)

        return counted

    def _first(self, problem: Any, M: Any, model: Any, e: Any) -> bool:
        """Nothing learned yet: along minus the gradient, or the preconditioned one at its own scale."""
        if self.memory != 0 and preconditioner_of(self.preconditioner, e) is not None:
            self.natural_step = 1.0
            return self.descend(problem, self._direction(M, model, e))
        norm = e.gradient_norm
        return self.follow(problem, -e.gradient, -norm * norm, norm)

    def _learn(self, M: Any, model: Any, old: Any) -> None:
        """The pair of the step from ``old`` to here, if it is a good one."""
        new, t, X = self.evaluation, self.stepsize, self.along
        q = new.point
        if self.memory == 0:
            model.point = q
            return
        least = 0.0 if self.cautious is None else self.cautious(old.gradient_norm)
        if self.memory is None:
            self._learn_matrix(M, model, old, least)
            return
        model.offer(X if t == 1.0 else t * X, old.gradient)
        model.move(M, self.transport, q, self._isometric)
        s, g = model.offered
        if not (self.locking or self.damped):
            y = np.subtract(new.gradient, g, out=g)
        else:
            stretch = self._stretch(M.norm(q, s)) if self.locking else 1.0
            y = new.gradient / stretch - g
            y = self._curved(s, y, -t * g, M.inner(q, s, y), -t * M.inner(q, s, g))
        model.learn(M, y, self.step_norm**2 if self._isometric else None, least)

    def _learn_matrix(self, M: Any, model: Any, old: Any, least: float) -> None:
        """The same in coordinates, which the transport of the frame does not change."""
        t = self.stepsize
        s, c = t * model.known(M, self.along), model.known(M, old.gradient)
        p, q = old.point, self.evaluation.point
        stretch = self._stretch(t * M.norm(q, self.transport(p, self.along, q))) if self.locking else 1.0
        model.move(M, self.transport, q, self._isometric)
        y = model.known(M, self.evaluation.gradient) / stretch - c
        y = self._curved(s, y, -t * c, float(s @ y), -t * float(s @ c))
        sy = float(s @ y)
        if sy >= least * float(s @ s) and (sy > 0.0 or not self.update.needs_curvature):
            model.learn(s, y, sy)

    def _stretch(self, length: float) -> float:
        """How much longer the step is than what the transport, of this length, has made of it."""
        return self.step_norm / length if length > 0.0 and not self._isometric else 1.0

    def _curved(self, s: Any, y: Any, Bs: Any, sy: float, sBs: float) -> Any:
        """Change of the gradient, damped so that <s, y> >= 0.2 <s, B s>."""
        if not self.damped or sy >= 0.2 * sBs:
            return y
        theta = 0.8 * sBs / (sBs - sy)
        return theta * y + (1.0 - theta) * Bs


def quasi_newton(
    M: Any,
    f: Any,
    p0: Any = None,
    *,
    gradient: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    memory: int | None = 10,
    update: QuasiNewtonUpdate | None = None,
    cautious: bool | Callable[[float], float] = False,
    damped: bool = False,
    locking: bool = False,
    initial_scale: float = 1.0,
    preconditioner: Any = None,
    nondescent: str | None = None,
    stepsize: StepSize | None = None,
    retraction: Any = None,
    transport: Any = None,
    batched: bool = False,
    **common: Unpack[Common],
) -> Result:
    r"""Minimize a cost by a quasi-Newton method, L-BFGS unless told otherwise.

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
    memory : int or None
        Number of pairs kept, 10 by default; None keeps a full matrix in coordinates.
    update : QuasiNewtonUpdate, optional
        How the matrix learns: ``InverseBFGS()`` (default), or with ``memory=None`` also ``BFGS()``, ``DFP()``,
        ``SR1()``, ``Broyden(phi)`` and their inverse forms.
    cautious : bool or callable
        Skip pairs of little curvature: <s, y> < theta(|gradient|) <s, s>; True is theta(x) = 1e-4 x.
    damped : bool
        Damp pairs of little curvature instead (Powell).
    locking : bool
        Whether the change of the gradient is scaled by how much the transport changes lengths.
    initial_scale : float
        Factor of the initial inverse matrix.
    preconditioner : callable, optional
        ``preconditioner(p, X)``, the inverse matrix to begin with; default that of the objective.
    nondescent : {"reset", "steepest"}, optional
        What to do where a direction does not descend: forget what was learned, or keep it and go along minus the
        gradient for once. Default ``"steepest"`` for SR1, else ``"reset"``.
    stepsize : StepSize, optional
        Default ``StrongWolfeLinesearch()``.
    retraction, transport : str or callable, optional
        Default the manifold's.
    batched : bool
        Whether p0 is a batch of starts ``(*batch, *point_shape)``: the functions then take and return leading axes, all
        numbers of the result are arrays ``(*batch,)``, and members that have ended stay where they are. With a limited
        memory and the search of `lbfgs_minimize`.
    **common
        Keywords of all solvers, see `manifold_opt.core.front.Common`.

    Returns
    -------
    Result

    Raises
    ------
    TypeError
        On an unknown keyword or a value that is no rule.
    ValueError
        On a point that is not on M, a gradient of the wrong shape, a derivative that contradicts the cost, and on
        an update that has no limited-memory form.

    Notes
    -----
    Needs of M: a retraction, a vector transport and ``inner``, on stacks of vectors; with ``memory=None`` a basis.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Sphere, quasi_newton
    >>> A = np.diag([1.0, 2.0, 3.0])
    >>> result = quasi_newton(Sphere(2), lambda p: p @ A @ p, np.array([0.6, 0.0, 0.8]))
    >>> result.converged, round(result.cost, 12)
    (True, 1.0)
    """
    make = batched_cost_objective if batched else cost_objective
    objective = make(f, gradient=gradient, objective_type=objective_type, autodiff=autodiff)
    return run(
        quasi_newton,
        M,
        objective,
        p0,
        lambda p: QuasiNewtonState(
            p,
            memory=memory,
            update=update,
            cautious=cautious,
            damped=damped,
            locking=locking,
            initial_scale=initial_scale,
            preconditioner=preconditioner,
            nondescent=nondescent,
            stepsize=stepsize,
            retraction=retraction,
            transport=transport,
            batched=batched,
        ),
        common,
        batched,
    )
