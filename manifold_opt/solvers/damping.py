r"""Damping policies of Levenberg-Marquardt: the parameter lam in |r + J s|^2 + lam |D s|^2, the scaling D, and what
makes a step good enough.

Each policy is a frozen value; bound to a run it offers ``renew(column_norms)`` at every new Jacobian, ``step(solver,
evaluation)``, and ``judge(trial)``, which answers whether the step is taken and adapts lam. Most policies need no more
than ``lam(cost)`` and ``scale``, from which the default ``step`` is made; those of trust regions, which choose the
length of a step and not its lam, are in `manifold_opt.solvers.trust_region_steps`.

References
----------
.. [1] S. Adachi, T. Okuno, A. Takeda, Riemannian Levenberg-Marquardt method with global and local convergence
   properties, arXiv 2210.00253, algorithm 1.
.. [2] H. B. Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05, Technical University of Denmark.
.. [3] J. J. Moré, The Levenberg-Marquardt algorithm: implementation and theory, LNM 630 (1978), section 6 (scaling).
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .coordinates import coordinate_blocks
from .least_squares_state import Trial


class Step(NamedTuple):
    """A step to be tried.

    Attributes
    ----------
    s : array of shape (dim,)
        Coordinates of the step.
    Js : array of shape (m,)
    lam : float
        The damping it belongs to.
    regularization : float
        What the model promises beyond 1/2 |J s|^2, see `Trial`.
    """

    s: Any
    Js: Any
    lam: float
    regularization: float


class Damping:
    """Base of the damping policies."""

    __slots__ = ()
    guarded: ClassVar[bool] = False
    """Whether a step whose promised decrease drowns in rounding is judged by the gradient instead of the cost."""
    accelerated: ClassVar[bool] = False
    """Whether long runs get geodesic acceleration by themselves."""
    endless: ClassVar[bool] = False
    """Whether the run goes on, up to its stopping criterion, where no step can help any more."""

    def bind(self, problem: Any, state: Any, previous: Any = None) -> Any:
        """Run-time object; ``previous`` is that of an equal policy, to be continued."""
        raise NotImplementedError


class BoundDamping:
    """Run-time side of a damping policy.

    Attributes
    ----------
    rule : Damping
    value : float
        The policy's own number; ``lam`` turns it into the damping of the next step.
    scale : array or None
        Diagonal of D.
    """

    __slots__ = ("rule", "scale", "value")
    prescribes: ClassVar[bool] = True
    """Whether the next step is that of the damping ``lam(cost)``."""

    def __init__(self, rule: Any, value: float) -> None:
        self.rule = rule
        self.value = value
        self.scale: Any = None

    def renew(self, column_norms: Any) -> None:
        """Adapt the scaling to a new Jacobian, given the norms of its columns."""

    def lam(self, cost: float) -> float:
        """Damping of the next step from a point of this cost."""
        return self.value

    def step(self, solver: Any, e: Any) -> Step:
        """Next step from an evaluation, whose Jacobian the linear solver holds."""
        lam, scale = self.lam(e.cost), self.scale
        s, Js = solver.solve(e.model_residuals, lam, scale)
        Ds = s if scale is None else scale * s
        return Step(s, Js, lam, lam * float(Ds.dot(Ds)))

    def judge(self, trial: Trial) -> bool:
        """Whether to take the step; adapts the damping."""
        raise NotImplementedError

    def grow(self) -> None:
        """Shorten the next step after a candidate whose residual is not finite."""
        self.judge(Trial(-math.inf, 1.0, 1.0))

    def unsolvable(self) -> None:
        """Raise the damping after a linear system that could not be solved; beyond 1e32 the run ends."""
        self.grow()


def check_field(rule: Any, name: str, holds: bool, must: str) -> None:
    """Raise ValueError unless a field's value holds."""
    if not holds:
        raise ValueError(f"`{name}` must be {must}; got {getattr(rule, name)!r}.")


SCALINGS = ("columns", "marquardt", "blocks", None)


def check_scaling(rule: Any) -> None:
    """Raise ValueError unless the field ``scaling`` is one of `SCALINGS`."""
    check_field(rule, "scaling", rule.scaling in SCALINGS, "'columns', 'marquardt', 'blocks' or None")


def new_scale(scaling: str | None, old: Any, norms: Any, M: Any) -> Any:
    """Diagonal of D for a new Jacobian.

    Parameters
    ----------
    scaling : {"columns", "marquardt", "blocks", None}
    old : array or None
        The last one; None at the start.
    norms : array
        Norms of the columns of J.
    M : Manifold
        Its factors are the blocks.
    """
    if scaling is None:  # without D, lam has the units of J'J
        return np.full_like(norms, norms.max() or 1.0) if old is None else old
    if scaling == "blocks":
        blocks = coordinate_blocks(M)
        squares = np.bincount(blocks, norms * norms) / np.bincount(blocks)
        norms = np.sqrt(squares)[blocks].astype(norms.dtype)
    if old is None:
        # a column that is zero at first gets the scale of the largest one
        return np.where(norms > 0.0, norms, norms.max() or 1.0)
    if scaling == "marquardt":
        return np.where(norms > 0.0, norms, old)
    return np.maximum(old, norms)


@dataclass(frozen=True)
class Nielsen(Damping):
    """Damping that follows the gain ratio smoothly, with the scaling of Moré.

    A good step divides lam by up to 3, a bad one multiplies it by 2, 4, 8, ...

    Parameters
    ----------
    tau : float
        First lam, relative to the scaled columns of J.
    acceptance : float
        Gain ratio from which on a step is taken.
    scaling : {"columns", "marquardt", "blocks", None}
        D: running maximum of the norms of the columns of J, those norms as they are, running maximum of their mean
        (root of the mean square) over each factor of a product or power, or the identity. ``"blocks"`` does not depend
        on the choice of bases in the tangent spaces.
    """

    guarded: ClassVar[bool] = True
    _: KW_ONLY
    tau: float = 1e-3
    acceptance: float = 1e-4
    scaling: str | None = "columns"

    def __post_init__(self) -> None:
        check_field(self, "tau", 0.0 < self.tau < math.inf, "positive and finite")
        check_field(self, "acceptance", 0.0 <= self.acceptance < 1.0, "at least 0 and below 1")
        check_scaling(self)

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDamping:
        """Run-time object."""
        return _BoundNielsen(self, self.tau, problem.manifold) if previous is None else previous


class _BoundNielsen(BoundDamping):
    __slots__ = ("factor", "manifold")

    def __init__(self, rule: Nielsen, value: float, M: Any) -> None:
        super().__init__(rule, value)
        self.factor, self.manifold = 2.0, M

    def renew(self, column_norms: Any) -> None:
        self.scale = new_scale(self.rule.scaling, self.scale, column_norms, self.manifold)

    def judge(self, trial: Trial) -> bool:
        ratio = trial.actual / trial.predicted if trial.predicted > 0.0 else -1.0
        if ratio > self.rule.acceptance:
            # a ratio far above 1 says no more than 1 does, and its cube may overflow
            self.value = max(self.value * max(1.0 / 3.0, 1.0 - (2.0 * min(ratio, 1.0) - 1.0) ** 3), 1e-300)
            self.factor = 2.0
            return True
        self.value *= self.factor
        self.factor *= 2.0
        return False


@dataclass(frozen=True)
class AdachiOkunoTakeda(Damping):
    """The Riemannian method of Adachi, Okuno and Takeda, as in Manopt.jl: lam = mu |r|^2, no scaling.

    With no other fields than the first four it is the method of Manopt.jl 0.5; the others are those that its version
    0.6 added, where ``cost_factor=1`` gives lam = mu f.

    Parameters
    ----------
    eta : float
        Gain ratio, of the regularized model, from which on a step is taken; in (0, 1).
    beta : float
        Factor of mu after a bad step, > 1.
    damping_min : float
        Smallest mu, > 0.
    expect_zero_residual : bool
        Divide mu by beta after a good step. Without it mu never decreases, and convergence to a solution with
        residuals is linear.
    initial_damping : float, optional
        First mu; default ``damping_min``.
    damping_max : float
        Largest mu; default none.
    increase_threshold : float, optional
        Gain ratio below which mu grows; default ``eta``.
    reduction_threshold : float, optional
        Gain ratio from which on mu shrinks; default ``eta`` where a zero residual is expected, else never.
    reduction_factor : float, optional
        Factor of mu then, < 1; default ``1 / beta``.
    cost_factor : float
        lam = mu times this times f: 2 for |r|^2.
    """

    _: KW_ONLY
    eta: float = 0.2
    beta: float = 5.0
    damping_min: float = 0.1
    expect_zero_residual: bool = False
    initial_damping: float | None = None
    damping_max: float = math.inf
    increase_threshold: float | None = None
    reduction_threshold: float | None = None
    reduction_factor: float | None = None
    cost_factor: float = 2.0

    def __post_init__(self) -> None:
        check_field(self, "eta", 0.0 < self.eta < 1.0, "between 0 and 1, both excluded")
        check_field(self, "beta", 1.0 < self.beta < math.inf, "greater than 1")
        check_field(self, "damping_min", 0.0 < self.damping_min < math.inf, "positive")
        first, factor = self.initial_damping, self.reduction_factor
        check_field(self, "damping_max", self.damping_max >= self.damping_min, "at least `damping_min`")
        inside = first is None or self.damping_min <= first <= self.damping_max
        check_field(self, "initial_damping", inside, "between `damping_min` and `damping_max`")
        check_field(self, "reduction_factor", factor is None or 0.0 < factor < 1.0, "between 0 and 1, both excluded")
        check_field(self, "cost_factor", 0.0 < self.cost_factor < math.inf, "positive")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDamping:
        """Run-time object."""
        first = self.damping_min if self.initial_damping is None else self.initial_damping
        return _BoundAdachi(self, first) if previous is None else previous


class _BoundAdachi(BoundDamping):
    __slots__ = ()

    def lam(self, cost: float) -> float:
        return float(self.rule.cost_factor) * self.value * cost

    def judge(self, trial: Trial) -> bool:
        rule = self.rule
        model = trial.linear + trial.regularization  # |r|^2 - |r + J s|^2 - lam |s|^2
        ratio = 2.0 * trial.actual / model if model > 0.0 else -math.inf
        if not ratio >= (rule.eta if rule.increase_threshold is None else rule.increase_threshold):
            self.value = min(self.value * rule.beta, rule.damping_max)
        shrinks = rule.reduction_threshold
        if shrinks is None:
            shrinks = rule.eta if rule.expect_zero_residual else math.inf
        if ratio >= shrinks:
            factor = 1.0 / rule.beta if rule.reduction_factor is None else rule.reduction_factor
            self.value = max(rule.damping_min, self.value * factor)
        return bool(ratio >= rule.eta)


@dataclass(frozen=True)
class FixedDamping(Damping):
    """The damping of TensorFlow Graphics: constant, multiplied after a step that does not decrease the cost.

    Parameters
    ----------
    regularizer : float
        First lam, at least 0.
    multiplier : float
        Factor after a bad step, at least 1.
    """

    endless: ClassVar[bool] = True
    _: KW_ONLY
    regularizer: float = 1e-20
    multiplier: float = 10.0

    def __post_init__(self) -> None:
        check_field(self, "regularizer", 0.0 <= self.regularizer < math.inf, "at least 0 and finite")
        check_field(self, "multiplier", 1.0 <= self.multiplier < math.inf, "at least 1 and finite")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDamping:
        """Run-time object."""
        return _BoundFixed(self, self.regularizer) if previous is None else previous


class _BoundFixed(BoundDamping):
    __slots__ = ()

    def judge(self, trial: Trial) -> bool:
        if trial.actual > 0.0:
            return True
        self.value = min(self.value * self.rule.multiplier, 1e300)
        return False
