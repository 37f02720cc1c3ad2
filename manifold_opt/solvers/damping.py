r"""Damping policies of Levenberg-Marquardt: the parameter lam in |r + J s|^2 + lam |D s|^2, the scaling D, and what
makes a step good enough.

Each policy is a frozen value; bound to a run it offers ``renew(column_norms)`` at every new Jacobian, ``lam(cost)``,
``scale``, and ``judge(trial)``, which answers whether the step is taken and adapts lam.

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


class Trial(NamedTuple):
    """What is known about a step s before it is judged.

    Attributes
    ----------
    actual : float
        Decrease of the cost f = 1/2 |r|^2; NaN or -inf where the candidate is not finite.
    linear : float
        |J s|^2.
    regularization : float
        lam |D s|^2.
    """

    actual: float
    linear: float
    regularization: float

    @property
    def predicted(self) -> float:
        """Decrease of the model 1/2 |r + J s|^2; no cancellation, since (J'J + lam D^2) s = -J'r."""
        return 0.5 * self.linear + self.regularization


class Damping:
    """Base of the damping policies."""

    __slots__ = ()
    guarded: ClassVar[bool] = False
    """Whether a step whose promised decrease drowns in rounding is judged by the gradient instead of the cost."""
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

    def __init__(self, rule: Any, value: float) -> None:
        self.rule = rule
        self.value = value
        self.scale: Any = None

    def renew(self, column_norms: Any) -> None:
        """Adapt the scaling to a new Jacobian, given the norms of its columns."""

    def lam(self, cost: float) -> float:
        """Damping of the next step from a point of this cost."""
        return self.value

    def judge(self, trial: Trial) -> bool:
        """Whether to take the step; adapts the damping."""
        raise NotImplementedError

    def grow(self) -> None:
        """Raise the damping after a linear system that could not be solved."""
        self.judge(Trial(-math.inf, 1.0, 1.0))


def _check(rule: Any, name: str, holds: bool, must: str) -> None:
    if not holds:
        raise ValueError(f"`{name}` must be {must}; got {getattr(rule, name)!r}.")


@dataclass(frozen=True)
class Nielsen(Damping):
    """Damping that follows the gain ratio smoothly, with the scaling of Moré; the default.

    A good step divides lam by up to 3, a bad one multiplies it by 2, 4, 8, ...

    Parameters
    ----------
    tau : float
        First lam, relative to the scaled columns of J.
    acceptance : float
        Gain ratio from which on a step is taken.
    scaling : {"columns", None}
        D: running maximum of the norms of the columns of J, or the identity.
    """

    guarded: ClassVar[bool] = True
    _: KW_ONLY
    tau: float = 1e-3
    acceptance: float = 1e-4
    scaling: str | None = "columns"

    def __post_init__(self) -> None:
        _check(self, "tau", 0.0 < self.tau < math.inf, "positive and finite")
        _check(self, "acceptance", 0.0 <= self.acceptance < 1.0, "at least 0 and below 1")
        _check(self, "scaling", self.scaling in ("columns", None), "'columns' or None")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDamping:
        """Run-time object."""
        return _BoundNielsen(self, self.tau) if previous is None else previous


class _BoundNielsen(BoundDamping):
    __slots__ = ("factor",)

    def __init__(self, rule: Nielsen, value: float) -> None:
        super().__init__(rule, value)
        self.factor = 2.0

    def renew(self, column_norms: Any) -> None:
        if self.rule.scaling is None:
            if self.scale is None:  # without D, lam has the units of J'J
                self.scale = np.full_like(column_norms, column_norms.max() or 1.0)
            return
        if self.scale is None:
            # a column that is zero at first gets the scale of the largest one
            self.scale = np.where(column_norms > 0.0, column_norms, column_norms.max() or 1.0)
        else:
            self.scale = np.maximum(self.scale, column_norms)

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
    """The Riemannian method of Adachi, Okuno and Takeda, as in Manopt.jl 0.5: lam = mu |r|^2, no scaling.

    Parameters
    ----------
    eta : float
        Gain ratio, of the regularized model, from which on a step is taken; in (0, 1).
    beta : float
        Factor of mu after a bad step, > 1.
    damping_min : float
        First and smallest mu, > 0.
    expect_zero_residual : bool
        Divide mu by beta after a good step. Without it mu never decreases, and convergence to a solution with
        residuals is linear.
    """

    _: KW_ONLY
    eta: float = 0.2
    beta: float = 5.0
    damping_min: float = 0.1
    expect_zero_residual: bool = False

    def __post_init__(self) -> None:
        _check(self, "eta", 0.0 < self.eta < 1.0, "between 0 and 1, both excluded")
        _check(self, "beta", 1.0 < self.beta < math.inf, "greater than 1")
        _check(self, "damping_min", 0.0 < self.damping_min < math.inf, "positive")

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDamping:
        """Run-time object."""
        return _BoundAdachi(self, self.damping_min) if previous is None else previous


class _BoundAdachi(BoundDamping):
    __slots__ = ()

    def lam(self, cost: float) -> float:
        return 2.0 * self.value * cost

    def judge(self, trial: Trial) -> bool:
        rule = self.rule
        model = trial.linear + trial.regularization  # |r|^2 - |r + J s|^2 - lam |s|^2
        if model > 0.0 and 2.0 * trial.actual >= rule.eta * model:
            if rule.expect_zero_residual:
                self.value = max(rule.damping_min, self.value / rule.beta)
            return True
        self.value *= rule.beta
        return False


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
        _check(self, "regularizer", 0.0 <= self.regularizer < math.inf, "at least 0 and finite")
        _check(self, "multiplier", 1.0 <= self.multiplier < math.inf, "at least 1 and finite")

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
